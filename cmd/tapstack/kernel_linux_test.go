package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link/tap/taptest"
)

// program runs the program in a namespace of the test's own.
type program struct {
	t    *testing.T
	ns   *taptest.Netns
	sock string
}

func newProgram(t *testing.T) *program {
	ns := taptest.Namespace(t)
	return &program{t: t, ns: ns, sock: filepath.Join(t.TempDir(), "c.sock")}
}

func (p *program) command(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	// A program with race detector would wait a second before it ends.
	cmd.Env = append(os.Environ(), asProgram+"=1", "TAPSTACK_CONTROL="+p.sock, "GORACE=atexit_sleep_ms=0")
	return cmd
}

// run carries out a command line.
func (p *program) run(args ...string) (code int, out, errs string) {
	p.t.Helper()
	var o, e bytes.Buffer
	cmd := p.command(args...)
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		require.NoError(p.t, err)
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// ok carries out a command line that must work, and returns what it printed.
func (p *program) ok(line string) string {
	p.t.Helper()
	code, out, errs := p.run(strings.Fields(line)...)
	require.Equal(p.t, 0, code, "%s: %s%s", line, out, errs)
	return out
}

// start starts a host and waits until it is ready.
func (p *program) start(args ...string) *exec.Cmd {
	p.t.Helper()
	cmd := p.command(append([]string{"run"}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	require.NoError(p.t, err)
	require.NoError(p.t, cmd.Start())
	p.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		cmd.Wait()
		p.t.Fatalf("run %v: %s", args, errs.String())
	}
	require.True(p.t, strings.HasPrefix(line, "ready: "), line)
	return cmd
}

// stop ends a host as init would, and checks that it leaves nothing.
func (p *program) stop(cmd *exec.Cmd, dev string) {
	p.t.Helper()
	require.NoError(p.t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(p.t, cmd.Wait(), "exit code 0")
	_, err := os.Stat(p.sock)
	require.ErrorIs(p.t, err, os.ErrNotExist)
	_, err = net.InterfaceByName(dev)
	require.Error(p.t, err, "%s is left", dev)
}

// system runs a command of the system's in the namespace.
func (p *program) system(line string) string {
	p.t.Helper()
	f := strings.Fields(line)
	path := taptest.Tool(p.t, f[0])
	out, err := exec.Command(path, f[1:]...).CombinedOutput()
	require.NoError(p.t, err, "%s: %s", line, out)
	return string(out)
}

func (p *program) httpGet(url string) []byte {
	p.t.Helper()
	tr := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (c net.Conn, err error) {
		p.ns.Do(func() { c, err = (&net.Dialer{}).DialContext(ctx, network, addr) })
		return c, err
	}}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr, Timeout: 30 * time.Second}).Get(url)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	require.Equal(p.t, http.StatusOK, resp.StatusCode)
	b, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	return b
}

// What the README promises of a first run.
func TestKernelRun(t *testing.T) {
	p := newProgram(t)
	host := p.start()
	require.Contains(t, p.ok("status"), "tap0 UP ")
	require.Contains(t, p.system("ping -c 2 -i 0.2 10.0.0.2"), " 2 received")
	require.Contains(t, string(p.httpGet("http://10.0.0.2/")), "<td>10.0.0.1</td><td>tap0</td>")
	require.Equal(t, "ok\n", string(p.httpGet("http://10.0.0.2/healthz")))
	require.Len(t, p.httpGet("http://10.0.0.2/blob/10000000"), 10_000_000)

	dev, err := net.InterfaceByName("tap0")
	require.NoError(t, err)
	out := p.ok("ping -c 1 10.0.0.1")
	require.Contains(t, out, "64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=")
	require.Contains(t, out, "1 packets transmitted, 1 received, 0% packet loss, time 0ms\nrtt min/avg/max/mdev = ")
	require.Regexp(t, `^10\.0\.0\.1 dev tap0 lladdr `+dev.HardwareAddr.String()+` (REACHABLE|DELAY|PROBE|STALE) \n$`, p.ok("neigh"))
	p.stop(host, "tap0")
}

func TestKernelRunFails(t *testing.T) {
	p := newProgram(t)
	host := p.start("--link", "name=t0,addr=10.0.0.2/24")
	other := filepath.Join(t.TempDir(), "other.sock")
	fails := func(want int, words string, args ...string) {
		t.Helper()
		code, out, errs := p.run(append([]string{"run"}, args...)...)
		require.Equal(t, want, code, errs)
		require.Empty(t, out)
		require.Contains(t, errs, words)
		require.Equal(t, 1, strings.Count(errs, "\n"), errs)
		require.True(t, strings.HasPrefix(errs, "Error: "), errs)
		_, err := os.Stat(other)
		require.ErrorIs(t, err, os.ErrNotExist)
		_, err = net.InterfaceByName("t9")
		require.Error(t, err, "t9 is left")
	}
	fails(1, fmt.Sprintf("is in use by a running tapstack (pid %d); use --control", host.Process.Pid))
	fails(1, "t0 is in use by another process", "--control", other, "--link", "name=t0,addr=10.0.0.3/24")
	fails(1, "t0 is in use by another process", "--control", other, "--link", "name=t9,addr=10.0.9.3/24", "--link", "name=t0")
	fails(1, "no such file or directory", "--control", other, "--link", "name=t9,addr=10.0.0.3/24", "--sysctl", "net.ipv4.nothing=1")
	fails(1, "network is unreachable", "--control", other, "--link", "name=t9,addr=10.0.0.3/24", "--route", "0.0.0.0/0,via=99.0.0.1")
	fails(2, "with its prefix length", "--control", other, "--link", "name=t9,addr=10.0.0.300/24")
	fails(1, "there is no directory", "--control", "/nowhere/c.sock", "--link", "name=t9")

	// A killed process leaves its socket behind, which the next one replaces.
	require.NoError(t, host.Process.Kill())
	host.Wait()
	require.FileExists(t, p.sock)
	code, _, _ := p.run("status")
	require.Equal(t, exitNoHost, code)
	p.stop(p.start("--link", "name=t0,addr=10.0.0.2/24,peer=10.0.0.1/24", "--service", "none"), "t0")
}

func TestKernelFlags(t *testing.T) {
	p := newProgram(t)
	host := p.start("--link", "name=t0,mac=02:00:00:00:00:02,addr=10.0.0.2/24,addr=10.0.0.5/24,peer=10.0.0.1/24,mtu=1400,queues=1,offload=off",
		"--link", "name=t1,addr=none,offload=auto", "--route", "0.0.0.0/0,via=10.0.0.1,metric=5", "--sysctl", "net.ipv4.conf.t0.arp_ignore=2",
		"--sysctl", "net.ipv4.ip_forward=1", "--service", "echo", "--service", "discard,chargen", "--log-level", "error", "--log-format", "json")
	require.Equal(t, "t0               UP             10.0.0.2/24 10.0.0.5/24 \n", p.ok("-br addr show t0"))
	require.Equal(t, "t1               UP             \n", p.ok("-br addr show t1"))
	require.Contains(t, p.ok("link show t0"), "mtu 1400")
	require.Contains(t, p.ok("link show t0"), "link/ether 02:00:00:00:00:02 ")
	require.Equal(t, "default via 10.0.0.1 dev t0 metric 5 \n10.0.0.0/24 dev t0 proto kernel scope link src 10.0.0.2 \n", p.ok("route"))
	require.Equal(t, "net.ipv4.conf.t0.arp_ignore = 2\nnet.ipv4.ip_forward = 1\n", p.ok("sysctl net.ipv4.conf.t0.arp_ignore net.ipv4.ip_forward"))
	require.Contains(t, p.ok("status"), "services echo, discard, chargen\n")
	p.stop(host, "t0")
}

// A device that was there stays, as it was.
func TestKernelAttach(t *testing.T) {
	p := newProgram(t)
	p.system("ip tuntap add t0 mode tap")
	p.system("ip addr add 10.0.0.1/24 dev t0")
	host := p.start("--link", "name=t0,addr=10.0.0.2/24")
	require.Contains(t, p.ok("ping -c 1 10.0.0.1"), " 1 received")
	require.NoError(t, host.Process.Signal(syscall.SIGINT))
	require.NoError(t, host.Wait(), "exit code 0")
	require.Contains(t, p.system("ip -br addr show t0"), "10.0.0.1/24")
}

// The same words to ip and to the program give the same lines.
func TestKernelPrintsTheSame(t *testing.T) {
	p := newProgram(t)
	host := p.start("--link", "name=t0,addr=10.0.0.1/24", "--service", "none")
	p.system("ip addr add 10.0.0.1/24 dev t0")
	for _, words := range []string{
		"neigh add 10.0.0.20 lladdr 02:00:00:00:00:20 dev t0 nud permanent",
		"neigh add 10.0.0.21 lladdr 02:00:00:00:00:21 dev t0 nud permanent router",
		"neigh add 10.0.0.22 lladdr 02:00:00:00:00:22 dev t0 nud stale",
		"neigh add 10.0.0.23 lladdr 02:00:00:00:00:23 dev t0 nud reachable extern_learn",
		"neigh add 10.0.0.24 lladdr 02:00:00:00:00:24 dev t0 nud noarp",
		"neigh add 10.0.0.25 lladdr 02:00:00:00:00:25 dev t0 nud permanent proto static",
		"neigh add 10.0.0.26 dev t0 nud failed",
		"neigh add 10.0.0.27 dev t0 nud none",
		"neigh add proxy 10.0.0.77 dev t0",
		"neigh replace 10.0.0.20 lladdr 02:00:00:00:00:2a dev t0 nud stale",
		"neigh change 10.0.0.21 lladdr 02:00:00:00:00:2b dev t0",
		"neigh add 10.0.0.28 lladdr 02:00:00:00:00:28 dev t0",
		"neigh del 10.0.0.28 dev t0",
		"route add default via 10.0.0.20",
		"route add 10.96.0.0/16 dev t0 proto static",
		"route add 10.97.0.0/16 via 10.0.0.20 src 10.0.0.1 metric 7",
		"route add unreachable 10.98.0.0/16",
		"route add blackhole 10.99.0.0/16",
		"route add 10.95.0.0/16 via 10.0.0.20 mtu 1400",
	} {
		p.system("ip " + words)
		p.ok(words)
	}
	for _, words := range []string{
		"neigh show dev t0", "neigh", "neigh show nud all dev t0", "neigh show nud stale", "neigh show to 10.0.0.20/30", "neigh show proxy",
		"-j neigh show dev t0", "-j -p neigh", "-br neigh", "-s neigh", "-s -j neigh show nud permanent", "neigh get 10.0.0.21 dev t0", "-j neigh show 9.9.9.9",
		"route", "-d route", "-j route", "-j -p route show proto static", "route show dev t0", "route show 10.96.0.0/16",
		"route get 10.97.0.3", "-j route get 10.97.0.3", "route get 10.0.0.1", "route get 10.0.0.9", "route get 10.0.0.255", "route get 10.95.0.1",
	} {
		t.Run(words, func(t *testing.T) {
			var theirs string
			p.ns.Do(func() { theirs = p.system("ip -4 " + words) })
			code, ours, errs := 0, "", ""
			p.ns.Do(func() { code, ours, errs = p.run(strings.Fields(words)...) })
			require.Equal(t, 0, code, errs)
			require.Equal(t, comparable(theirs), comparable(ours))
		})
	}
	p.stop(host, "t0")
}

// comparable sorts entries, whose order means nothing, and forgets ages.
func comparable(s string) string {
	s = regexp.MustCompile(` used \d+/\d+/\d+| ref \d+`).ReplaceAllString(s, "")
	s = regexp.MustCompile(`"(used|confirmed|updated|refcnt)":\d+,`).ReplaceAllString(s, "")
	// The kernel shares its table among namespaces; ours has no other lo.
	s = regexp.MustCompile(`(?m)^.*224\.0\.0\..*\n`).ReplaceAllString(s, "")
	if strings.HasPrefix(s, "[{") {
		var list []json.RawMessage
		if json.Unmarshal([]byte(s), &list) == nil {
			var lines []string
			for _, l := range list {
				lines = append(lines, string(l))
			}
			slices.Sort(lines)
			return strings.Join(lines, "\n")
		}
	}
	sep := "\n"
	if strings.HasPrefix(s, "[ {") {
		sep = "},{"
		s = strings.TrimSuffix(strings.TrimPrefix(s, "[ {"), "} ]\n")
	}
	parts := strings.Split(s, sep)
	for i := range parts {
		parts[i] = strings.TrimRight(parts[i], "\n ")
	}
	slices.Sort(parts)
	return strings.Join(parts, sep)
}

func TestKernelPingOfNobody(t *testing.T) {
	p := newProgram(t)
	host := p.start("--sysctl", "net.ipv4.neigh.tap0.retrans_time_ms=50")
	code, out, errs := p.run("ping", "-c", "1", "10.0.0.9")
	require.Equal(t, 1, code, errs)
	require.Equal(t, `PING 10.0.0.9 (10.0.0.9) 56(84) bytes of data.
From 10.0.0.2 icmp_seq=1 Destination Host Unreachable

--- 10.0.0.9 ping statistics ---
1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms

`, regexp.MustCompile(`time \d+ms`).ReplaceAllString(out, "time 0ms"))
	require.Equal(t, "10.0.0.9 dev tap0 FAILED \n", p.ok("neigh show nud failed"))
	code, _, errs = p.run("ping", "-c", "1", "99.9.9.9")
	require.Equal(t, 2, code)
	require.Equal(t, "ping: connect: Network is unreachable\n", errs)
	code, _, errs = p.run("ping", "-c", "1", "-I", "nix", "10.0.0.1")
	require.Equal(t, 2, code)
	require.Equal(t, "ping: SO_BINDTODEVICE nix: No such device\n", errs)
	p.stop(host, "tap0")
}

// 20 MB each way between the kernel's TCP and nc, by hash.
func TestKernelNetcat(t *testing.T) {
	p := newProgram(t)
	host := p.start("--sysctl", "net.ipv4.neigh.tap0.retrans_time_ms=50")
	data := make([]byte, 20<<20)
	rand.NewChaCha8([32]byte{7}).Read(data)
	want := sha256.Sum256(data)

	var l net.Listener
	var err error
	p.ns.Do(func() { l, err = net.Listen("tcp", "10.0.0.1:5000") })
	require.NoError(t, err)
	defer l.Close()
	sum := make(chan [32]byte, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		written := make(chan struct{})
		go func() {
			defer close(written)
			c.Write(data)
			c.(*net.TCPConn).CloseWrite()
		}()
		b, _ := io.ReadAll(c)
		<-written
		sum <- sha256.Sum256(b)
	}()
	nc := p.command("nc", "10.0.0.1", "5000")
	nc.Stdin = bytes.NewReader(data)
	var out bytes.Buffer
	nc.Stdout = &out
	require.NoError(t, nc.Run())
	require.Equal(t, len(data), out.Len())
	require.Equal(t, want, sha256.Sum256(out.Bytes()))
	require.Equal(t, want, <-sum)

	// The other way round.
	nc = p.command("nc", "-l", "5001")
	nc.Stdin, nc.Stdout = strings.NewReader("welcome"), &out
	out.Reset()
	require.NoError(t, nc.Start())
	var c net.Conn
	require.Eventually(t, func() bool {
		p.ns.Do(func() { c, err = net.Dial("tcp", "10.0.0.2:5001") })
		return err == nil
	}, 5*time.Second, 10*time.Millisecond)
	_, err = c.Write(data)
	require.NoError(t, err)
	require.NoError(t, c.(*net.TCPConn).CloseWrite())
	b, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Equal(t, "welcome", string(b))
	require.NoError(t, nc.Wait())
	c.Close()
	require.Equal(t, want, sha256.Sum256(out.Bytes()))

	for _, tc := range []struct{ addr, words string }{
		{"10.0.0.1", "Connection refused"}, {"10.0.0.9", "No route to host"}, {"99.9.9.9", "Network is unreachable"},
	} {
		code, _, errs := p.run("nc", tc.addr, "7")
		require.Equal(t, 1, code)
		require.Equal(t, "nc: connect to "+tc.addr+":7: "+tc.words+"\n", errs)
	}
	code, _, errs := p.run("nc", "-w", "0.05", "10.0.0.88", "7")
	require.Equal(t, 1, code)
	require.Contains(t, []string{"nc: connect to 10.0.0.88:7: Connection timed out\n", "nc: connect to 10.0.0.88:7: No route to host\n"}, errs)
	p.stop(host, "tap0")
}

func TestKernelNetcatUDP(t *testing.T) {
	p := newProgram(t)
	host := p.start("--sysctl", "net.ipv4.neigh.tap0.retrans_time_ms=50")
	var peer net.PacketConn
	var err error
	p.ns.Do(func() { peer, err = net.ListenPacket("udp", "10.0.0.1:7") })
	require.NoError(t, err)
	defer peer.Close()
	nc := p.command("nc", "-u", "-w", "5", "10.0.0.1", "7")
	in, err := nc.StdinPipe()
	require.NoError(t, err)
	out, err := nc.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, nc.Start())
	buf := make([]byte, 1<<16)
	for _, s := range []string{"one", "two\nlines\n", strings.Repeat("x", 1400)} {
		_, err = io.WriteString(in, s)
		require.NoError(t, err)
		k, from, err := peer.ReadFrom(buf)
		require.NoError(t, err)
		require.Equal(t, s, string(buf[:k]), "one read is one datagram")
		_, err = peer.WriteTo(buf[:k], from)
		require.NoError(t, err)
		k, err = out.Read(buf)
		require.NoError(t, err)
		require.Equal(t, s, string(buf[:k]), "one datagram is one write")
	}
	require.NoError(t, nc.Process.Kill())
	nc.Wait()

	// Errors: a host that is not there only on request; a port always.
	for _, tc := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"10.0.0.9", "7"}, "", 0},
		{[]string{"--recverr", "10.0.0.10", "7"}, "nc: No route to host\n", 1},
		{[]string{"10.0.0.1", "9999"}, "nc: Connection refused\n", 1},
	} {
		nc := p.command(append([]string{"nc", "-u", "-w", "0.5"}, tc.args...)...)
		nc.Stdin = strings.NewReader("anyone?")
		var errs bytes.Buffer
		nc.Stderr = &errs
		nc.Run()
		require.Equal(t, tc.want, errs.String(), "%v", tc.args)
		require.Equal(t, tc.code, nc.ProcessState.ExitCode(), "%v", tc.args)
	}
	p.stop(host, "tap0")
}

func TestKernelMonitor(t *testing.T) {
	p := newProgram(t)
	host := p.start("--sysctl", "net.ipv4.neigh.tap0.retrans_time_ms=20")
	mon, all := p.command("neigh", "monitor"), p.command("neigh", "monitor", "--all")
	lines := func(cmd *exec.Cmd) *bufio.Scanner {
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		return bufio.NewScanner(out)
	}
	m, a := lines(mon), lines(all)
	// They are subscribed when they print a change that is made until then.
	subscribed := make(chan struct{})
	go func() {
		defer close(subscribed)
		m.Scan()
		a.Scan()
	}()
	for n := 0; ; n++ {
		p.ok(fmt.Sprintf("neigh replace 10.0.0.200 lladdr 02:00:00:00:01:%02x dev tap0", n%100))
		select {
		case <-subscribed:
		case <-time.After(20 * time.Millisecond):
			continue
		}
		break
	}
	code, _, _ := p.run("ping", "-c", "1", "10.0.0.9")
	require.Equal(t, 1, code)
	p.ok("neigh del 10.0.0.200 dev tap0")
	read := func(s *bufio.Scanner, last string) (list []string) {
		for s.Scan() {
			list = append(list, s.Text())
			if strings.Contains(s.Text(), last) {
				return list
			}
		}
		t.Fatalf("no %q in %q", last, list)
		return nil
	}
	got := read(m, "Deleted")
	require.Equal(t, []string{"10.0.0.9 dev tap0 FAILED ", "10.0.0.200 dev tap0 FAILED ", "Deleted 10.0.0.200 dev tap0 FAILED "}, got[len(got)-3:])
	var changes []string
	for _, l := range read(a, "RTM_DELNEIGH") {
		require.Regexp(t, `^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\] `, l)
		if strings.Contains(l, "10.0.0.9 ") {
			changes = append(changes, l[29:])
		}
	}
	require.Equal(t, []string{
		"10.0.0.9 dev tap0 created in NONE by packet", "10.0.0.9 dev tap0 NONE -> INCOMPLETE by packet",
	}, changes[:2])
	require.Contains(t, changes, "10.0.0.9 dev tap0 queued in INCOMPLETE, packets 1 by packet")
	require.Contains(t, changes, "10.0.0.9 dev tap0 INCOMPLETE -> FAILED by timer RTM_NEWNEIGH")
	for _, cmd := range []*exec.Cmd{mon, all} {
		require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
		require.NoError(t, cmd.Wait(), "Ctrl-C ends a monitor with exit code 0")
	}
	p.stop(host, "tap0")
}

func TestKernelDemo(t *testing.T) {
	p := newProgram(t)
	code, out, errs := p.run("demo")
	require.Equal(t, 0, code, out+errs)
	for _, words := range []string{
		"NONE: a new entry", "NONE -> INCOMPLETE, by packet", "INCOMPLETE: 3 waiting", "INCOMPLETE -> REACHABLE ", "REACHABLE: flushed 3",
		"The kernel received all 3, in order.", "64 bytes from 10.0.0.2: icmp_seq=1", "200 OK, 50000000 bytes", "10.0.0.1 dev tap0 lladdr ",
	} {
		require.Contains(t, out, words)
	}
}
