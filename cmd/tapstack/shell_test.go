package main

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link/tap/taptest"
	"github.com/tapstack/tapstack/stack/control"
)

// Whatever the user's own files do to PATH and the prompt, the applets come first
// and the prompt says which host it is.
func TestInteractiveShellsKeepPathAndPrompt(t *testing.T) {
	const prompt = "[tapstack@it's 10.0.0.2] "
	for _, name := range []string{"bash", "sh", "dash", "zsh"} {
		t.Run(name, func(t *testing.T) {
			shell := taptest.Tool(t, name)
			home := t.TempDir()
			for _, file := range []string{".bashrc", ".zshrc", ".shrc"} {
				require.NoError(t, os.WriteFile(filepath.Join(home, file), []byte("PATH=/usr/bin:/bin\nPS1='mine> '\nMINE=read\n"), 0o600))
			}
			vars := map[string]string{"HOME": home, "ENV": filepath.Join(home, ".shrc")}
			e := shellEnv{dir: t.TempDir(), prompt: prompt}
			e.path = e.dir + ":/usr/bin:/bin"
			require.NoError(t, os.WriteFile(filepath.Join(e.dir, "ip"), []byte("#!/bin/sh\necho ours\n"), 0o700))
			args, extra, err := e.interactive(shell, func(k string) string { return vars[k] })
			require.NoError(t, err)
			// There is no terminal here, so it has to be told to be interactive.
			cmd := exec.Command(args[0], append(args[1:], "-i")...)
			cmd.Env = append([]string{"HOME=" + home, "PATH=" + e.path}, extra...)
			cmd.Stdin = strings.NewReader("ip\necho \"PS1=$PS1\"\necho \"MINE=$MINE\"\nexit 5\n")
			out, err := cmd.Output()
			require.Equal(t, 5, cmd.ProcessState.ExitCode(), "%v: %s", err, out)
			require.Contains(t, string(out), "ours\n")
			require.Contains(t, string(out), "PS1="+prompt)
			require.Contains(t, string(out), "MINE=read")
		})
	}
}

func TestFishIsToldByItsCommandLine(t *testing.T) {
	args, extra, err := shellEnv{dir: "/tmp/x", path: "/tmp/x:/bin", prompt: "[h] "}.interactive("/usr/bin/fish", os.Getenv)
	require.NoError(t, err)
	require.Empty(t, extra)
	require.Equal(t, "--init-command", args[1])
	require.Contains(t, args[2], "set -gx PATH '/tmp/x' $PATH")
}

func TestHostLabel(t *testing.T) {
	lo := control.Link{Name: "lo", Addresses: []control.Address{{Local: netip.MustParseAddr("127.0.0.1")}}}
	t0 := control.Link{Name: "t0", Addresses: []control.Address{{Local: netip.MustParseAddr("10.0.0.2")}}}
	require.Equal(t, "tapstack@x 10.0.0.2", hostLabel(control.Status{Name: "tapstack@x", Links: []control.Link{lo, t0}}))
	require.Equal(t, "tapstack@x", hostLabel(control.Status{Name: "tapstack@x", Links: []control.Link{lo}}))
}

func TestLookPath(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	write := func(mode os.FileMode, parts ...string) string {
		name := filepath.Join(parts...)
		require.NoError(t, os.WriteFile(name, nil, mode))
		return name
	}
	a, _ := write(0o755, first, "both"), write(0o755, second, "both")
	b, _ := write(0o755, second, "late"), write(0o644, first, "late")
	write(0o644, first, "data")
	path := first + ":" + second
	for name, want := range map[string]string{"both": a, "late": b, a: a} {
		got, err := lookPath(name, path)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := lookPath("data", path)
	require.ErrorIs(t, err, os.ErrPermission)
	_, err = lookPath("none", path)
	require.EqualError(t, err, "command not found")
	_, err = lookPath("/none/none", path)
	require.EqualError(t, err, "command not found")
}
