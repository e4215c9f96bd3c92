package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The script is run by the kernel's tools in a namespace, and by tapstack shell.
const namespaceScript = "testdata/namespace.sh"

// unlike are the things that two runs of the same script cannot have in common.
var unlike = []struct {
	re *regexp.Regexp
	as string
}{
	{regexp.MustCompile(`\x00`), ""},
	{regexp.MustCompile(`([0-9a-f]{2}:){5}[0-9a-f]{2}`), "MAC"},
	{regexp.MustCompile(`time[= ][0-9.]+ ?ms`), "time=T ms"},
	{regexp.MustCompile(`= [0-9.]+/[0-9.]+/[0-9.]+/[0-9.]+ ms(, pipe \d+)?`), "= T ms"},
	{regexp.MustCompile(`used \d+/\d+/\d+`), "used T"},
	{regexp.MustCompile(`qdisc \S+`), "qdisc Q"},
	{regexp.MustCompile(`(t0:? .*)\bUNKNOWN\b`), "${1}UP"}, // a TAP of the kernel's does not tell
	{regexp.MustCompile(`UP {5,}`), "UP "},
	{regexp.MustCompile(` qlen \d+`), ""},
}

// sameLines returns the lines of a script's output without what may differ.
func sameLines(out string) []string {
	for _, u := range unlike {
		out = u.re.ReplaceAllString(out, u.as)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ")
	}
	return lines
}

// A script written for a network namespace runs unchanged in a tapstack shell, and
// prints the same line for line.
func TestKernelShellRunsANamespacesScript(t *testing.T) {
	script, err := filepath.Abs(namespaceScript)
	require.NoError(t, err)
	var kernel, ours []string
	t.Run("kernel", func(t *testing.T) {
		p := newProgram(t)
		// The same two hosts, with the roles exchanged.
		host := p.start("--link", "name=t0,mac=02:00:00:00:00:01,addr=10.0.0.1/24,peer=10.0.0.2/24", "--service", "none")
		for _, args := range [][]string{
			{"sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=1"},
			{"sysctl", "-q", "-w", "net.ipv4.ping_group_range=0 2147483647"},
			{"ip", "addr", "del", "10.0.0.2/24", "dev", "t0"},
			{"ip", "addr", "add", "10.0.0.2/24", "brd", "+", "dev", "t0"},
			{"ip", "neigh", "flush", "all"},
		} {
			out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
			require.NoError(t, err, "%v: %s", args, out)
		}
		out, err := exec.Command("sh", script).CombinedOutput()
		require.NoError(t, err, string(out))
		kernel = sameLines(string(out))
		p.stop(host, "t0")
	})
	t.Run("tapstack", func(t *testing.T) {
		p := newProgram(t)
		host := p.start("--link", "name=t0,addr=10.0.0.2/24,peer=10.0.0.1/24", "--service", "none")
		var both bytes.Buffer
		cmd := p.command("shell", "--", "sh", script)
		cmd.Stdout, cmd.Stderr = &both, &both
		require.NoError(t, cmd.Run(), both.String())
		ours = sameLines(both.String())
		p.stop(host, "t0")
	})
	if t.Failed() || len(kernel) == 0 || len(ours) == 0 {
		return
	}
	require.Equal(t, strings.Join(kernel, "\n"), strings.Join(ours, "\n"))
}

// What the shell makes goes away with it, whatever ends it, and the exit code is
// the command's.
func TestKernelShellTidiesUp(t *testing.T) {
	p := newProgram(t)
	host := p.start("--link", "name=t0,addr=10.0.0.2/24,peer=10.0.0.1/24", "--service", "none")
	tmp := t.TempDir()
	left := func() []string {
		found, err := filepath.Glob(filepath.Join(tmp, "tapstack-shell-*"))
		require.NoError(t, err)
		return found
	}
	shell := func(args ...string) *exec.Cmd {
		cmd := p.command(append([]string{"shell"}, args...)...)
		cmd.Env = append(cmd.Env, "TMPDIR="+tmp)
		return cmd
	}
	for _, tc := range []struct {
		name string
		args []string
		code int
		out  string
	}{
		{"exit code", []string{"--", "sh", "-c", "exit 42"}, 42, ""},
		{"no such command", []string{"--", "there-is-no-such-command"}, 127, "Error: shell: there-is-no-such-command: command not found\n"},
		{"not a command", []string{"--", "/etc/passwd"}, 126, "Error: shell: /etc/passwd: permission denied\n"},
		{"ended by a signal", []string{"--", "sh", "-c", "kill -9 $$"}, 137, ""},
		{"without --", []string{"ip", "-br", "addr"}, 0, "lo               UNKNOWN        127.0.0.1/8 \nt0               UP             10.0.0.2/24 \n"},
		{"an applet", []string{"--", "ip", "-4", "-br", "a", "s", "lo"}, 0, "lo               UNKNOWN        127.0.0.1/8 \n"},
		{"an applet's exit code", []string{"--", "ip", "neigh", "nonsense"}, 255, "Command \"nonsense\" is unknown, try \"ip neigh help\".\n"},
		{"xargs", []string{"--", "sh", "-c", "echo 10.0.0.1 10.0.0.7 | xargs -n 1 ip -o route get"}, 0,
			"10.0.0.1 dev t0 src 10.0.0.2 uid 0 \\    cache \n10.0.0.7 dev t0 src 10.0.0.2 uid 0 \\    cache \n"},
		{"nested", []string{"--", "/proc/self/exe", "shell", "--", "sysctl", "-n", "net.ipv4.ip_forward"}, 0, "0\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, _ := shell(tc.args...).CombinedOutput()
			cmd := shell(tc.args...)
			err := cmd.Run()
			require.Equal(t, tc.code, cmd.ProcessState.ExitCode(), "%v %s", err, out)
			require.Equal(t, tc.out, string(out))
			require.Empty(t, left())
		})
	}
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			cmd := shell("--", "sleep", "60")
			require.NoError(t, cmd.Start())
			require.Eventually(t, func() bool { return len(left()) == 1 }, 5*time.Second, 10*time.Millisecond)
			require.Eventually(t, func() bool { return hasChild(cmd.Process.Pid) }, 5*time.Second, 10*time.Millisecond)
			require.NoError(t, cmd.Process.Signal(sig))
			require.Error(t, cmd.Wait())
			require.Greater(t, cmd.ProcessState.ExitCode(), 128)
			require.Empty(t, left())
		})
	}
	p.stop(host, "t0")
}

// hasChild reports whether a process has started another.
func hasChild(pid int) bool {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, name := range tasks {
		if b, err := os.ReadFile(name); err == nil && len(b) > 0 {
			return true
		}
	}
	return false
}

// A script with a first line for the kernel finds the applets too, and a shell that
// reads its commands has them.
func TestKernelShellOfTheUser(t *testing.T) {
	p := newProgram(t)
	host := p.start("--link", "name=t0,addr=10.0.0.2/24,peer=10.0.0.1/24", "--service", "none")
	script := filepath.Join(t.TempDir(), "script")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\nip -br addr show t0\n"), 0o700))
	cmd := p.command("shell")
	cmd.Env = append(cmd.Env, "SHELL=/bin/sh")
	cmd.Stdin = strings.NewReader(script + "\nexit 3\n")
	out, _ := cmd.CombinedOutput()
	require.Equal(t, 3, cmd.ProcessState.ExitCode(), string(out))
	require.Equal(t, "t0               UP             10.0.0.2/24 \n", string(out))
	p.stop(host, "t0")
}

// A host can be run from a file, and says what is wrong with one.
func TestKernelRunFromAFile(t *testing.T) {
	p := newProgram(t)
	name := filepath.Join(t.TempDir(), "host.yaml")
	write := func(text string) { require.NoError(t, os.WriteFile(name, []byte(text), 0o600)) }
	write("links:\n  - {name: t0, addr: 10.0.0.2/24, peer: 10.0.0.1/24}\nsysctls: {net.ipv4.ip_default_ttl: 33}\nroutes: [\"10.9.0.0/16,via=10.0.0.1\"]\n" +
		"services: none\ncontrol: " + p.sock + "\n")
	host := p.start("--config", name)
	require.Equal(t, "net.ipv4.ip_default_ttl = 33\n", p.ok("sysctl net.ipv4.ip_default_ttl"))
	require.Contains(t, p.ok("route"), "10.9.0.0/16 via 10.0.0.1 dev t0")
	require.Contains(t, p.ok("ping -c 1 10.0.0.1"), " 1 received")
	p.stop(host, "t0")
	write("links:\n  - {name: t0, adr: 10.0.0.2/24}\n")
	code, _, errs := p.run("run", "--config", name)
	require.Equal(t, 2, code)
	require.Equal(t, "Error: "+name+":2: there is no key \"adr\": want one of addr, gro, mac, mtu, name, offload, peer, queues\n", errs)
}
