package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tryAs runs a command line under another name, with nobody at the control socket.
func tryAs(t *testing.T, in, name string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	sock := filepath.Join(t.TempDir(), "no.sock")
	c := &cli{in: strings.NewReader(in), out: &o, err: &e, getenv: func(k string) string {
		return map[string]string{"TAPSTACK_CONTROL": sock}[k]
	}}
	code = c.runAs(name, args)
	return code, o.String(), e.String()
}

// What makes no sense is told in iproute2's words, with its exit codes; what does
// not exist here with 2.
func TestIPComplainsAsIproute2(t *testing.T) {
	for _, tc := range []struct {
		line string
		code int
		want string
	}{
		{"foo", 1, `Object "foo" is unknown, try "ip help".`},
		{"tunnel add x", 2, `Object "tunnel" is unknown, try "ip help".`},
		{"tuntap add x mode tap", 2, `Object "tuntap" is unknown, try "ip help".`},
		{"netns add x", 2, `Object "netns" is unknown, try "ip help".`},
		{"-foo addr", 255, `Option "-foo" is unknown, try "ip -help".`},
		{"-c=red addr", 255, `Option "-c=red" is unknown, try "ip -help".`},
		{"-n", 255, `Command line is not complete. Try option "help"`},
		{"neigh foo", 255, `Command "foo" is unknown, try "ip neigh help".`},
		{"n foo", 255, `Command "foo" is unknown, try "ip neigh help".`},
		{"route save", 2, `Command "save" is unknown, try "ip route help".`},
		{"link t0", 255, `Command "t0" is unknown, try "ip link help".`},
		{"neigh add 10.0.0.9", 255, "Device and destination are required arguments."},
		{"neigh get 10.0.0.9", 1, "Device and address are required arguments."},
		{"neigh flush", 1, "Flush requires arguments."},
		{"neigh add foo dev t0", 1, `Error: any valid address is expected rather than "foo".`},
		{"neigh show foo", 1, `Error: any valid prefix is expected rather than "foo".`},
		{"neigh show 10.0.0.0/33", 1, `Error: any valid prefix is expected rather than "10.0.0.0/33".`},
		{"neigh show nud foo", 255, `Error: argument "foo" is wrong: nud state is bad`},
		{"neigh add 10.0.0.9 lladdr zz dev t0", 1, `"zz" is invalid lladdr.`},
		{"neigh add 10.0.0.9 lladdr", 255, `Command line is not complete. Try option "help"`},
		{"neigh add 10.0.0.9 dev t0 foo", 255, `Error: either "to" is duplicate, or "foo" is a garbage.`},
		{"monitor foo", 255, `Argument "foo" is unknown, try "ip monitor help".`},
		{"route add default via foo", 1, `Error: any valid address is expected rather than "foo".`},
		{"-6 route add ::/0 dev t0", 2, "Error: ip -6: there is no IPv6 here."},
		{"-B link", 2, `Error: ip: there is no address family "bridge" here, only inet`},
		{"-batch /nonexistent", 1, `Cannot open file "/nonexistent" for reading: No such file or directory`},
	} {
		t.Run(tc.line, func(t *testing.T) {
			code, out, errs := tryAs(t, "", "ip", strings.Fields(tc.line)...)
			require.Equal(t, tc.want+"\n", errs)
			require.Equal(t, tc.code, code)
			require.Empty(t, out)
		})
	}
}

func TestIPOptions(t *testing.T) {
	for line, want := range map[string]options{
		"-4 -br":             {ipv4: true, brief: true},
		"-o -d -s":           {oneline: true, details: true, stats: 1},
		"-j -p":              {json: true, pretty: true},
		"-s -s -ts":          {stats: 2, stamp: true, shortStamp: true},
		"-t --json":          {stamp: true, json: true},
		"-statistics -brief": {stats: 1, brief: true},
		"-n ns1 -c -color=always -h -iec -r -N -a -f inet -l 7 -rc 9 -echo": {ipv4: true},
	} {
		r := ipRun{c: &cli{}}
		rest, err := r.options(append(strings.Fields(line), "addr", "-x"))
		require.NoError(t, err, line)
		require.Equal(t, []string{"addr", "-x"}, rest, line)
		require.Equal(t, want, r.opts, line)
	}
}

// An abbreviation is what it is for iproute2: the first in its order.
func TestIPAbbreviations(t *testing.T) {
	for line, want := range map[string]string{
		"a": "no running", "n": "no running", "r": "no running", "l": "no running", "ad s": "no running", "ne l": "no running",
		"r g 1.2.3.4": "no running", "li se t0 up": "no running", "nt": "no running", "mon n": "no running", "nei lst": "no running",
		"rou ls": "no running", "t": `"t" is unknown`, "addr x": `Command "x"`, "ntbl ch name arp_cache locktime 1": "no running",
		"-0 addr": "no running",
	} {
		_, _, errs := tryAs(t, "", "ip", strings.Fields(line)...)
		require.Contains(t, errs, want, line)
	}
}

func TestIPHelp(t *testing.T) {
	for _, line := range []string{"", "help", "-h", "-", "h"} {
		code, _, errs := tryAs(t, "", "ip", strings.Fields(line)...)
		require.Equal(t, 255, code)
		require.Contains(t, errs, "Usage: ip [ OPTIONS ] OBJECT")
		require.NotContains(t, errs, "tunnel")
	}
	code, _, errs := tryAs(t, "", "ip", "n", "help")
	require.Equal(t, 255, code)
	require.Contains(t, errs, "Usage: ip neigh [show]")
	require.Contains(t, errs, "\n       ip neigh add {IP")
	code, out, _ := tryAs(t, "", "ip", "-V")
	require.Equal(t, 0, code)
	require.Contains(t, out, "ip utility, tapstack")
	code, out, errs = tryAs(t, "", "ip", "-6", "-j", "neigh")
	require.Equal(t, []any{0, "[]\n", ""}, []any{code, out, errs})
}

func TestIPBatch(t *testing.T) {
	const in = "# a comment\n\n  neigh \"foo\"\n-x\nfoo 'a b' # and more\n\"open\nneigh \\\nbar\n"
	code, _, errs := tryAs(t, in, "ip", "-b", "-")
	require.Equal(t, 255, code)
	require.Equal(t, "Command \"foo\" is unknown, try \"ip neigh help\".\nCommand failed -:3\n", errs)
	code, _, errs = tryAs(t, in, "ip", "-force", "-batch", "-")
	require.Equal(t, 1, code)
	require.Equal(t, []string{
		`Command "foo" is unknown, try "ip neigh help".`, "Command failed -:3",
		`Object "-x" is unknown, try "ip help".`, "Command failed -:4",
		`Object "foo" is unknown, try "ip help".`, "Command failed -:5",
		"Unterminated quoted string", "Command failed -:6",
		`Command "bar" is unknown, try "ip neigh help".`, "Command failed -:7", "",
	}, strings.Split(errs, "\n"))
	code, _, errs = tryAs(t, "neigh\nneigh\n", "ip", "-force", "-b", "-")
	require.Equal(t, exitNoHost, code)
	require.Equal(t, 1, strings.Count(errs, "no running tapstack"), errs)
}

func TestSplitLine(t *testing.T) {
	for in, want := range map[string][]string{
		"": nil, "  # x": nil, "a b": {"a", "b"}, " a\t'b c'  \"d\"": {"a", "b c", "d"}, "a#b c": {"a#b", "c"}, "''": {""},
	} {
		got, err := splitLine(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	_, err := splitLine("a 'b")
	require.Error(t, err)
}

// The other applets have their own flags, and their names in front of what they
// complain about.
func TestAppletsComplainUnderTheirNames(t *testing.T) {
	for _, tc := range []struct {
		name, line string
		code       int
		want       string
	}{
		{"ping", "--nonsense", 2, "ping: unknown flag: --nonsense; see `ping --help`\n"},
		{"nc", "10.0.0.1", 2, "nc: "},
		{"nstat", "[", 2, "nstat: "},
		{"arping", "", 2, "arping: "},
		{"sysctl", "--system", 2, "sysctl: --system: the machine's files are not this host's; use -p FILE\n"},
		{"sysctl", "-Z", 2, "sysctl: unknown shorthand flag: 'Z' in -Z; see `sysctl --help`\n"},
		{"sysctl", "", 1, "Usage: sysctl "},
		{"sysctl", "-w foo", 1, "sysctl: command line(0): invalid syntax, continuing...\n"},
		{"sysctl", "-p /nonexistent", 1, "sysctl: cannot open \"/nonexistent\": No such file or directory\n"},
		{"sysctl", "net.ipv4.ip_forward", 3, "sysctl: no running tapstack at the control socket"},
		{"ss", "-tan state foo", 255, "ss: wrong state name: foo\n"},
		{"ss", "-Z", 2, "ss: unknown shorthand flag: 'Z' in -Z; see `ss --help`\n"},
		{"ss", "-tan", 3, "ss: no running tapstack at the control socket"},
		{"nstat", "-a", 3, "nstat: no running tapstack at the control socket"},
	} {
		t.Run(tc.name+" "+tc.line, func(t *testing.T) {
			code, _, errs := tryAs(t, "", tc.name, strings.Fields(tc.line)...)
			require.True(t, strings.HasPrefix(errs, tc.want), errs)
			require.Equal(t, tc.code, code)
		})
	}
	code, out, _ := tryAs(t, "", "sysctl", "-h")
	require.Equal(t, 0, code)
	require.Contains(t, out, "Usage: sysctl")
	// Under any other name it is itself.
	code, _, errs := tryAs(t, "", "something", "foo")
	require.Equal(t, 2, code)
	require.Equal(t, "Error: unknown command \"foo\"; see `tapstack --help`\n", errs)
}

func TestSysctlFilesAreRead(t *testing.T) {
	var e bytes.Buffer
	r := procpsRun{c: &cli{err: &e}}
	list, err := r.parse("x", strings.NewReader("# c\n; c\n\nnet.ipv4.a = 1\n -net/ipv4/b=2 3\n-net.ipv4.c\nnonsense\n=1\n"))
	require.NoError(t, err)
	require.Equal(t, []setting{{"net.ipv4.a", "1", false}, {"net/ipv4/b", "2 3", true}}, list)
	require.Equal(t, "sysctl: x(7): invalid syntax, continuing...\nsysctl: x(8): invalid syntax, continuing...\n", e.String())
	require.False(t, r.failed)
}

func TestSlashed(t *testing.T) {
	for in, want := range map[string]string{
		"net.ipv4.foo": "net/ipv4/foo", "net/ipv4/foo": "net/ipv4/foo", "net.ipv4.conf.eth0/7.x": "net/ipv4/conf/eth0.7/x",
		"/proc/sys/net/ipv4/conf/eth0.7/x": "net/ipv4/conf/eth0.7/x", "foo": "foo",
	} {
		require.Equal(t, want, slashed(in), in)
	}
}

func TestNstatRemembers(t *testing.T) {
	name := filepath.Join(t.TempDir(), "h")
	h, err := openHistory(name)
	require.NoError(t, err)
	old, err := h.read()
	require.NoError(t, err)
	require.Empty(t, old)
	require.NoError(t, h.write(map[string]uint64{"IpInReceives": 3, "TcpCurrEstab": 9}))
	require.NoError(t, h.Close())
	h, err = openHistory(name)
	require.NoError(t, err)
	defer h.Close()
	old, err = h.read()
	require.NoError(t, err)
	diff, stale := since(map[string]uint64{"IpInReceives": 5, "TcpCurrEstab": 2, "New": 1}, old)
	require.False(t, stale)
	require.Equal(t, map[string]uint64{"IpInReceives": 2, "TcpCurrEstab": 2, "New": 1}, diff)
	diff, stale = since(map[string]uint64{"IpInReceives": 1}, old)
	require.True(t, stale, "the host has been started again")
	require.Equal(t, map[string]uint64{"IpInReceives": 1}, diff)

	require.NoError(t, os.Symlink(name, name+".link"))
	_, err = openHistory(name + ".link")
	require.Error(t, err, "somebody's trap")
}
