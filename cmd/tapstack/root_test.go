package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// try runs a command line with nobody at the control socket.
func try(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	return tryWith(t, map[string]string{"TAPSTACK_CONTROL": filepath.Join(t.TempDir(), "no.sock")}, "", args...)
}

func tryWith(t *testing.T, env map[string]string, in string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	c := &cli{in: strings.NewReader(in), out: &o, err: &e, getenv: func(k string) string { return env[k] }}
	code = c.run(args)
	return code, o.String(), e.String()
}

// What makes no sense is told in one line, with exit code 2.
func TestUsageErrors(t *testing.T) {
	for _, line := range []string{
		"foo", "--foo", "neigh --foo", "neigh show nud foo", "neigh add 10.0.0.9", "neigh add 10.0.0.300 dev t0", "neigh flush",
		"neigh get dev t0", "n s foo", "link set", "link set t0", "addr add 10.0.0.5/24", "route add", "route show table seven", "route get",
		"sysctl", "sysctl -w net.ipv4.ip_forward", "sysctl =1", "sysctl -a -r (", "ntable change", "ntable show foo", "nstat [", "monitor rule",
		"nc", "nc 10.0.0.1", "nc 10.0.0.1 0", "nc 10.0.0.1 http", "nc -l", "ss state foo", "help foo", "help neigh foo", "ss foo", "ss -f x", "nc -k 10.0.0.1 7", "nc -w -1 10.0.0.1 7", "nc -s x 10.0.0.1 7",
		"blast", "blast x 1 9", "blast 10.0.0.3 0 9", "blast 10.0.0.3 1 0", "blast 10.0.0.3 1 9 0", "status now",
		"run now", "run --link foo", "run --link name=t0 --link name=t0", "run --route 10.0.0.0/8", "run --route 10.0.0.0/8,dev=t9", "run --sysctl x",
		"run --service ftp", "run --service none,http", "run --log-level loud", "run --log-format xml", "docs pdf", "trace now", "pprof", "pprof cpu", "pprof foo -o x", "pprof cpu heap -o x", "pprof heap -o x --seconds 1", "pprof cpu -o x --seconds 0", "pprof cpu -o x --seconds 3601", "trace --tcp", "link add", "link del", "link add t1 type dummy", "arping", "addr add 10.0.0.5/24 dev t0 acd sometimes", "addr del 10.0.0.5/24 dev t0 acd",
	} {
		t.Run(line, func(t *testing.T) {
			code, _, errs := try(t, strings.Fields(line)...)
			require.Equal(t, exitUsage, code, errs)
			require.True(t, strings.HasPrefix(errs, "Error: "), errs)
			require.Equal(t, 1, strings.Count(errs, "\n"), errs)
		})
	}
}

// Without a host every command that needs one says so, with exit code 3.
func TestNoHost(t *testing.T) {
	for _, line := range []string{
		"status", "neigh", "-j neigh show nud all", "neigh add 10.0.0.9 dev t0", "neigh del 10.0.0.9 dev t0", "neigh monitor", "addr", "link set t0 up",
		"route", "route get 10.0.0.9", "sysctl -a", "sysctl net.ipv4.ip_forward", "ntable", "nstat", "ping -c 1 10.0.0.1", "traceroute 10.0.0.1", "nc 10.0.0.1 7",
		"blast 10.0.0.3 1 9", "arping 10.0.0.1", "trace", "pprof cpu -o -", "pprof heap -o -", "monitor addr", "link add t1", "link del t1", "addr add 10.0.0.5/24 dev t0 acd",
	} {
		t.Run(line, func(t *testing.T) {
			code, out, errs := try(t, strings.Fields(line)...)
			require.Equal(t, exitNoHost, code, errs)
			require.Contains(t, errs, "no running tapstack at the control socket")
			require.Equal(t, 1, strings.Count(errs, "\n"), errs)
			require.Empty(t, out)
		})
	}
}

func TestPingComplainsAsIputils(t *testing.T) {
	code, _, errs := try(t, "ping", "-c", "0", "10.0.0.1")
	require.Equal(t, 1, code)
	require.Equal(t, "ping: invalid argument: '0': out of range: 1 <= value <= 9223372036854775807\n", errs)
}

func TestDefaultControl(t *testing.T) {
	for _, tc := range []struct {
		env  map[string]string
		want string
	}{
		{nil, "/run/tapstack.sock"},
		{map[string]string{"XDG_RUNTIME_DIR": "/run/user/7"}, "/run/user/7/tapstack.sock"},
		{map[string]string{"XDG_RUNTIME_DIR": "/run/user/7", "TAPSTACK_CONTROL": "/tmp/x"}, "/tmp/x"},
	} {
		c := &cli{getenv: func(k string) string { return tc.env[k] }}
		require.Equal(t, tc.want, c.defaultControl())
	}
	code, _, errs := tryWith(t, map[string]string{"TAPSTACK_CONTROL": "/nowhere/a"}, "", "--control", "/nowhere/b", "status")
	require.Equal(t, exitNoHost, code)
	require.Contains(t, errs, "/nowhere/b")
}

// iproute2's options of several letters work before the command and behind it,
// and are left alone where they mean something else.
func TestRewriteArgs(t *testing.T) {
	for in, want := range map[string]string{
		"-br -ts neigh":                        "--brief --tshort neigh",
		"-j neigh show -br":                    "-j neigh show --brief",
		"-json -stats neigh":                   "--json --stats neigh",
		"--control -br neigh":                  "--control -br neigh",
		"--control /x -br addr":                "--control /x --brief addr",
		"-br nc -ts":                           "--brief nc -ts",
		"ping -br":                             "ping -br",
		"neigh -- -br":                         "neigh -- -br",
		"--control neigh ping -br":             "--control neigh ping -br",
		"neigh add 10.0.0.9 dev t0 -timestamp": "neigh add 10.0.0.9 dev t0 --timestamp",
	} {
		require.Equal(t, strings.Fields(want), rewriteArgs(strings.Fields(in)), in)
	}
}

// The command that an abbreviation of iproute2's stands for.
func TestAbbreviations(t *testing.T) {
	for line, want := range map[string]string{
		"n": "neigh", "neighbour": "neigh", "n s": "neigh show", "n list": "neigh show", "n a 10.0.0.9 dev t0": "neigh add", "n d 10.0.0.9 dev t0": "neigh del",
		"n delete 10.0.0.9 dev t0": "neigh del", "n c 10.0.0.9 dev t0": "neigh change", "n r 10.0.0.9 dev t0": "neigh replace", "n f all": "neigh flush", "n g 10.0.0.9 dev t0": "neigh get",
		"n m": "neigh monitor", "a": "addr", "a s": "addr show", "a a 10.0.0.5/24 dev t0": "addr add", "a d 10.0.0.5/24 dev t0": "addr del", "l": "link", "l sh": "link show", "l set t0 up": "link set",
		"r": "route", "r s": "route show", "r a default via 10.0.0.1": "route add", "r d default": "route del", "r g 10.0.0.1": "route get", "ntable": "ntable",
	} {
		c := &cli{getenv: os.Getenv}
		cmd, _, err := c.root().Find(strings.Fields(line))
		require.NoError(t, err, line)
		require.Equal(t, "tapstack "+want, cmd.CommandPath(), line)
	}
}

// Every command has a line about itself and an example.
func TestEveryCommandIsDocumented(t *testing.T) {
	c := &cli{getenv: os.Getenv, out: &bytes.Buffer{}, err: &bytes.Buffer{}}
	root := c.root()
	var walk func(*cobra.Command)
	n := 0
	walk = func(cmd *cobra.Command) {
		n++
		require.NotEmpty(t, cmd.Short, cmd.CommandPath())
		require.NotEmpty(t, cmd.Example, cmd.CommandPath())
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
	require.Greater(t, n, 30)
}

func TestHelp(t *testing.T) {
	code, out, errs := try(t, "neigh", "add", "--help")
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "tapstack neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev tap0")
	code, out, _ = try(t, "neigh", "help")
	require.Equal(t, 0, code)
	require.Contains(t, out, "ip-neighbour(8)")
	code, out, _ = try(t)
	require.Equal(t, 0, code)
	require.Contains(t, out, "tapstack demo")
	code, out, _ = try(t, "completion", "bash")
	require.Equal(t, 0, code)
	require.Contains(t, out, "complete")
	code, out, _ = try(t, "help", "neigh", "add")
	require.Equal(t, 0, code)
	require.Contains(t, out, "tapstack neigh add {IP")
	code, out, _ = try(t, "__complete", "help", "neigh", "f")
	require.Equal(t, 0, code)
	require.Contains(t, out, "flush\t")
	code, out, _ = try(t, "version")
	require.Equal(t, 0, code)
	require.True(t, strings.HasPrefix(out, "tapstack "), out)
}

func TestManPages(t *testing.T) {
	dir := t.TempDir()
	code, _, errs := try(t, "docs", "man", filepath.Join(dir, "man1"))
	require.Equal(t, 0, code, errs)
	for _, name := range []string{"tapstack.1", "tapstack-neigh-add.1", "tapstack-run.1", "tapstack-ping.1"} {
		b, err := os.ReadFile(filepath.Join(dir, "man1", name))
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(b), ".TH TAPSTACK"), name)
		require.Contains(t, string(b), ".SH EXAMPLES")
	}
	require.Equal(t, `\&.x \e \-y`, roff(`.x \ -y`))
	b, err := os.ReadFile(filepath.Join(dir, "man1", "tapstack.1"))
	require.NoError(t, err)
	for _, want := range []string{".SH EXIT STATUS", "TAPSTACK_CONTROL", "tapstack\\-shell(1)", "tapstack\\-ss(1)"} {
		require.Contains(t, string(b), want)
	}
	groff, err := exec.LookPath("groff")
	if err != nil {
		return
	}
	pages, err := filepath.Glob(filepath.Join(dir, "man1", "*.1"))
	require.NoError(t, err)
	out, err := exec.Command(groff, append([]string{"-man", "-Tutf8", "-ww", "-z"}, pages...)...).CombinedOutput()
	require.NoError(t, err)
	require.Empty(t, string(out), "what groff has to say about them")
}
