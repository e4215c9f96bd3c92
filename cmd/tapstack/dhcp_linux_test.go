package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link/tap/taptest"
)

// dnsmasq is a server on br0, with its log.
type dnsmasq struct {
	t   *testing.T
	cmd *exec.Cmd
	dir string
}

// startDnsmasq starts a server that gives away addresses of a range, and is
// stopped with the test.
func startDnsmasq(t *testing.T, dir, addresses string, args ...string) *dnsmasq {
	t.Helper()
	path := taptest.Tool(t, "dnsmasq")
	d := &dnsmasq{t: t, dir: dir}
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	defer log.Close()
	d.cmd = exec.Command(path, append([]string{"--no-daemon", "--conf-file=/dev/null", "--user=root", "--pid-file", "--interface=br0", "--bind-interfaces",
		"--no-ping", "--no-hosts", "--no-resolv", "--log-queries", "--log-dhcp", "--dhcp-leasefile=" + filepath.Join(dir, "leases"), "--dhcp-authoritative",
		"--dhcp-sequential-ip", "--dhcp-range=" + addresses + ",255.255.255.0,2m"}, args...)...)
	d.cmd.Stderr = log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, d.cmd.Start())
	t.Cleanup(d.stop)
	d.waitLog("IP range")
	return d
}

func (d *dnsmasq) stop() {
	d.cmd.Process.Kill()
	d.cmd.Wait()
}

func (d *dnsmasq) file(name string) string {
	b, err := os.ReadFile(filepath.Join(d.dir, name))
	if err != nil {
		return ""
	}
	return string(b)
}

// waitLog waits until the server has logged something.
func (d *dnsmasq) waitLog(text string) {
	d.t.Helper()
	require.Eventually(d.t, func() bool { return strings.Contains(d.file("log"), text) }, 20*time.Second, 50*time.Millisecond, "%s: %s", text, d.file("log"))
}

// newDHCPLAN returns the program in a namespace with a switch, br0 at 10.0.0.1,
// and ports for TAPs.
func newDHCPLAN(t *testing.T, taps ...string) *program {
	p := newProgram(t)
	p.system("ip link add br0 type bridge")
	p.system("ip addr add 10.0.0.1/24 dev br0")
	p.system("ip link set br0 up")
	for _, name := range taps {
		p.system("ip tuntap add " + name + " mode tap")
		p.system("ip link set " + name + " master br0 up")
	}
	return p
}

// A real server gives leases to two hosts, renews one, gets it back, and refuses
// another after its settings have changed.
func TestKernelDHCP(t *testing.T) {
	p := newDHCPLAN(t, "t0", "t1")
	dir := t.TempDir()
	server := startDnsmasq(t, dir, "10.0.0.50,10.0.0.59", "--dhcp-option=option:T1,9", "--dhcp-option=option:T2,60", "--dhcp-option=26,1400",
		"--domain=example.lan", "--local=/example.lan/", "--domain-needed", "--host-record=peer.example.lan,10.0.0.1", "--dhcp-option=121,0.0.0.0/0,10.0.0.1,192.168.9.0/24,10.0.0.9")
	second := &program{t: t, ns: p.ns, sock: filepath.Join(t.TempDir(), "c.sock")}
	host := p.start("--link", "name=t0,addr=dhcp", "--service", "none")
	require.Regexp(t, `(?m)^    inet 10\.0\.0\.50/24 brd 10\.0\.0\.255 scope global dynamic t0\n       valid_lft 1[01]\dsec preferred_lft 1[01]\dsec$`, p.ok("addr show t0"))
	require.Equal(t, "default via 10.0.0.1 dev t0 proto dhcp src 10.0.0.50 metric 1002 \n10.0.0.0/24 dev t0 proto kernel scope link src 10.0.0.50 \n"+
		"192.168.9.0/24 via 10.0.0.9 dev t0 proto dhcp src 10.0.0.50 metric 1002 \n", p.ok("route"))
	require.Contains(t, p.ok("link show t0"), "mtu 1400")
	require.Contains(t, p.ok("ping -c 1 10.0.0.1"), " 1 received")

	// Names are looked up where the lease says.
	require.Regexp(t, `^PING peer \(10\.0\.0\.1\) 56\(84\) bytes of data\.\n64 bytes from peer\.example\.lan \(10\.0\.0\.1\): icmp_seq=1 ttl=64 `, p.ok("ping -c 1 peer"))
	require.Contains(t, p.ok("ping -n -c 1 peer.example.lan"), "64 bytes from 10.0.0.1: ")
	for _, c := range []struct {
		line, errs string
		code       int
	}{
		{"ping -c 1 nobody", "ping: nobody: Name or service not known\n", 2},
		{"nc nobody 80", "nc: getaddrinfo for host \"nobody\" port 80: Name or service not known\n", 1},
		{"nc -w 1 peer 80", "nc: connect to peer port 80: Connection refused\n", 1},
		{"nc -u -w 1 nobody 80", "nc: getaddrinfo for host \"nobody\" port 80: Name or service not known\n", 1},
	} {
		code, _, errs := p.run(strings.Fields(c.line)...)
		require.Equal(t, c.errs, errs)
		require.Equal(t, c.code, code, c.line)
	}

	other := second.start("--link", "name=t1,addr=dhcp", "--service", "none")
	require.Contains(t, second.ok("addr show t1"), "inet 10.0.0.51/24 ")
	require.Contains(t, second.ok("ping -c 1 10.0.0.50"), " 1 received")

	requests := func() int { return strings.Count(server.file("log"), "DHCPACK(br0) 10.0.0.50") }
	before := requests()
	require.Eventually(t, func() bool { return requests() > before }, 20*time.Second, 50*time.Millisecond, "a renewal at T1: %s", server.file("log"))
	require.Regexp(t, `valid_lft 1[12]\dsec`, p.ok("addr show t0"))

	require.NoError(t, other.Process.Signal(syscall.SIGTERM))
	require.NoError(t, other.Wait())
	server.waitLog("DHCPRELEASE(br0) 10.0.0.51")
	require.Eventually(t, func() bool { // it writes the file anew
		leases := server.file("leases")
		return !strings.Contains(leases, "10.0.0.51") && strings.Contains(leases, "10.0.0.50")
	}, 5*time.Second, 10*time.Millisecond)

	// The network has been renumbered.
	server.stop()
	server = startDnsmasq(t, t.TempDir(), "10.0.0.100,10.0.0.109")
	server.waitLog("DHCPNAK(br0) 10.0.0.50")
	require.Eventually(t, func() bool { return strings.Contains(p.ok("route"), "src 10.0.0.100") }, 20*time.Second, 50*time.Millisecond)
	require.NotContains(t, p.ok("-br addr show t0"), "10.0.0.50/24")
	require.Equal(t, "default via 10.0.0.1 dev t0 proto dhcp src 10.0.0.100 metric 1002 \n10.0.0.0/24 dev t0 proto kernel scope link src 10.0.0.100 \n", p.ok("route"))
	require.Contains(t, p.ok("link show t0"), "mtu 1500")
	require.NoError(t, host.Process.Signal(syscall.SIGTERM))
	require.NoError(t, host.Wait())
	server.waitLog("DHCPRELEASE(br0) 10.0.0.100")
}

// A host is ready without a server, and gets its address when there is one. A
// link added later gets one, too.
func TestKernelDHCPLate(t *testing.T) {
	p := newDHCPLAN(t, "t0", "t1")
	start := time.Now()
	p.start("--link", "name=t0,addr=dhcp", "--service", "none")
	require.Less(t, time.Since(start), 9*time.Second)
	require.Equal(t, "t0               UP             \n", p.ok("-br addr show t0"))
	server := startDnsmasq(t, t.TempDir(), "10.0.0.50,10.0.0.59")
	p.ok("link add t1 addr dhcp")
	require.Eventually(t, func() bool { return strings.Count(p.ok("route"), "default via 10.0.0.1 ") == 2 },
		40*time.Second, 100*time.Millisecond, "%s", p.ok("route"))
	require.Contains(t, p.ok("-br addr"), "10.0.0.50/24")
	require.Contains(t, p.ok("-br addr"), "10.0.0.51/24")
	p.ok("link del t1")
	server.waitLog("DHCPRELEASE(br0)")
	require.Len(t, strings.Split(strings.TrimSpace(server.file("leases")), "\n"), 1, server.file("leases"))
}
