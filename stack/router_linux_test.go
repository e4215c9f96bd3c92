package stack_test

import (
	"context"
	"crypto/sha256"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/link/tap"
	"github.com/tapstack/tapstack/stack"
)

// routed is two kernel hosts with a router of ours between them: a at 10.0.1.1,
// b at 10.0.2.1, the router's addresses ending in 254, its interfaces r1 and r2.
// Both hosts call theirs t0.
type routed struct {
	a, b   *kernelHost
	router *stack.Host
	r1, r2 *stack.Interface
}

// newRouted lets the hosts believe in subnets of the given length; the router's
// are /24. b's side has an MTU of its own.
func newRouted(t *testing.T, bits, mtu int) routed {
	t.Helper()
	needTools(t, "ip", "ping")
	n := routed{a: newKernelHost(t), b: newKernelHost(t), router: newHost(t)}
	peer := func(host string) netip.Prefix { return netip.PrefixFrom(netip.MustParseAddr(host), bits) }
	n.r1 = attach(t, n.router, "r1", n.a.tap("t0", tap.Config{Peer: peer("10.0.1.1")}), "10.0.1.254/24")
	n.r2 = attach(t, n.router, "r2", n.b.tap("t0", tap.Config{Peer: peer("10.0.2.1"), MTU: mtu}), "10.0.2.254/24")
	sysctl(t, n.router, "net.ipv4.ip_forward=1")
	return n
}

// exchange sends size bytes from a to b over TCP, b sends back what it got, and
// neither may have lost or changed any.
func (n routed) exchange(t *testing.T, size int) {
	t.Helper()
	l := n.b.listen("10.0.2.1:9000")
	defer l.Close()
	echoed := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = io.Copy(c, c)
			c.Close()
		}
		echoed <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
	defer cancel()
	c, err := kernelDial(n.a.Netns)(ctx, "tcp4", "10.0.2.1:9000")
	require.NoError(t, err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(commandTimeout))
	sent, got := sha256.New(), sha256.New()
	wrote := make(chan error, 1)
	go func() {
		p := pattern(size)
		_, err := io.Copy(c, io.TeeReader(&p, sent))
		if cw, ok := c.(interface{ CloseWrite() error }); ok && err == nil {
			err = cw.CloseWrite()
		}
		wrote <- err
	}()
	back, err := io.Copy(got, c)
	require.NoError(t, err)
	require.NoError(t, <-wrote)
	require.NoError(t, <-echoed)
	require.EqualValues(t, size, back)
	require.Equal(t, sent.Sum(nil), got.Sum(nil))
}

// Two kernels speak through a router of ours, and hear from it what RFC 1812
// says when they cannot.
func TestKernelRouter(t *testing.T) {
	linktest.WantNoPackets(t)
	needTools(t, "traceroute")
	n := newRouted(t, 24, 1000)
	n.a.run("ip route add default via 10.0.1.254")
	n.b.run("ip route add default via 10.0.2.254")
	ping := func(args string) string {
		out, _ := n.a.command("ping -n -c 1 -W 2 " + args)
		return out
	}

	require.Contains(t, n.a.run("ping -n -c 3 -i 0.2 -W 2 10.0.2.1"), "ttl=63", "one hop less")
	require.Contains(t, n.b.run("ping -n -c 1 -W 2 10.0.1.1"), "ttl=63")
	require.Equal(t, []string{"10.0.1.1 lladdr " + n.a.addr("t0") + " DELAY"}, neighbours(n.router, "r1"), "it asked first, and has been answered since")
	require.Equal(t, []string{"10.0.2.1 lladdr " + n.b.addr("t0") + " REACHABLE"}, neighbours(n.router, "r2"), "it was asked")

	// UDP probes with TTL 1, 2..., and with ICMP for good measure.
	for _, method := range []string{"", "-I "} {
		out := n.a.run("traceroute -n -q 1 -w 2 -m 5 %s10.0.2.1", method)
		require.Regexp(t, `(?s)\n 1  10\.0\.1\.254 .*\n 2  10\.0\.2\.1 [^\n]*\n$`, out)
	}
	require.Contains(t, ping("-t 1 10.0.2.1"), "From 10.0.1.254 icmp_seq=1 Time to live exceeded")

	// The way is narrower behind the router: TCP and fragments pass, what must
	// not be cut up is reported.
	n.exchange(t, 4<<20)
	require.Contains(t, ping("-M do -s 1200 10.0.2.1"), "mtu = 1000")
	n.a.run("ip route flush cache")
	require.Contains(t, ping("-M dont -s 3000 10.0.2.1"), "3008 bytes from 10.0.2.1")

	// L3-10 would soon end a conversation about so many errors.
	sysctl(t, n.router, "net.ipv4.icmp_ratelimit=0")
	// L3-9: nobody there, after as many requests as the sysctls say.
	sysctl(t, n.router, "net.ipv4.neigh.r2.retrans_time_ms=150", "net.ipv4.neigh.r2.mcast_solicit=2")
	start := time.Now()
	require.Contains(t, ping("10.0.2.99"), "From 10.0.1.254 icmp_seq=1 Destination Host Unreachable")
	require.WithinRange(t, time.Now(), start.Add(300*time.Millisecond), start.Add(2*time.Second))
	require.Equal(t, []string{"10.0.2.1 lladdr " + n.b.addr("t0") + " REACHABLE", "10.0.2.99 FAILED"}, neighbours(n.router, "r2"))
	require.Contains(t, ping("198.51.100.1"), "From 10.0.1.254 icmp_seq=1 Destination Net Unreachable")
	require.NoError(t, n.router.IPv4().AddRoute(ipv4.Route{Dst: netip.MustParsePrefix("198.51.100.0/24"), Type: ipv4.Prohibit}))
	require.Contains(t, ping("198.51.100.1"), "From 10.0.1.254 icmp_seq=1 Packet filtered")

	// Forwarding is a matter of the interface that packets come in by.
	sysctl(t, n.router, "net.ipv4.conf.r1.forwarding=0")
	require.Contains(t, ping("10.0.2.1"), "100% packet loss")
	require.NotContains(t, ping("10.0.2.254"), "100% packet loss", "the router's own addresses answer anyway")
}

// Hosts that believe in one flat subnet reach each other through proxy ARP
// (RFC 1027), and without it they do not.
func TestKernelProxyARP(t *testing.T) {
	linktest.WantNoPackets(t)
	needIputilsArping(t)
	n := newRouted(t, 16, 1500)
	for _, k := range []*kernelHost{n.a, n.b} {
		k.sysctl("net.ipv4.neigh.t0.retrans_time_ms", "100")
	}
	unreached := func(ip string) {
		t.Helper()
		out, status := n.a.command("ping -n -c 1 -W 2 " + ip)
		require.Equal(t, 1, status)
		require.Contains(t, out, "From 10.0.1.1 icmp_seq=1 Destination Host Unreachable")
	}
	unreached("10.0.2.1")
	n.a.run("ip neigh flush all")

	sysctl(t, n.router, "net.ipv4.conf.r1.proxy_arp=1", "net.ipv4.conf.r2.proxy_arp=1",
		"net.ipv4.neigh.r1.proxy_delay=20", "net.ipv4.neigh.r2.proxy_delay=20")
	require.Contains(t, n.a.run("ping -n -c 2 -i 0.2 -W 2 10.0.2.1"), "ttl=63")
	require.Contains(t, n.b.run("ping -n -c 2 -i 0.2 -W 2 10.0.1.1"), "ttl=63")
	require.Equal(t, []string{"10.0.2.1 lladdr " + n.r1.Addr().String() + " REACHABLE"}, n.a.neighbours("t0"), "PROXY-8: under the router's address")
	require.Contains(t, n.b.neighbours("t0"), "10.0.1.1 lladdr "+n.r2.Addr().String()+" REACHABLE")
	require.Positive(t, n.router.ARP().Stats.ProxyQueued.Load(), "PROXY-5: put off by proxy_delay")
	n.exchange(t, 4<<20)

	// PROXY-1: what is on the asker's own side is not the router's business, and
	// what it has no route to even less.
	unreached("10.0.1.99")
	unreached("10.0.3.1")
	// PROXY-4: nor is a probe of RFC 5227, which the address's owner would get.
	out, status := n.a.command("arping -D -c 1 -w 1 -I t0 10.0.2.1")
	require.Zero(t, status, "no duplicate: %s", out)
	// But the router's other address is its own, not proxied.
	out, status = n.a.command("arping -D -c 1 -w 1 -I t0 10.0.2.254")
	require.Equal(t, 1, status, out)
}

// A host whose router is not the best way is told so, and goes the other way
// from then on (RFC 1812, section 5.2.7.2).
func TestKernelRedirect(t *testing.T) {
	linktest.WantNoPackets(t)
	needTools(t, "ip", "ping")
	// A bridge in a's namespace is the segment of a, of the router and of
	// another gateway, behind which 10.0.3.1 is.
	a, gateway, router := newKernelHost(t), newKernelHost(t), newHost(t)
	segment(a, "10.0.1.1/24")
	port(a, gateway, "c0")
	gateway.run("ip addr add 10.0.1.50/24 dev c0")
	gateway.run("ip addr add 10.0.3.1/32 dev lo")
	attach(t, router, "r1", bridgedTAP(a, "t0"), "10.0.1.254/24")
	sysctl(t, router, "net.ipv4.ip_forward=1")
	require.NoError(t, router.IPv4().AddRoute(ipv4.Route{Dst: netip.MustParsePrefix("10.0.3.0/24"), Gateway: netip.MustParseAddr("10.0.1.50")}))
	a.run("ip route add default via 10.0.1.254")

	// Linux looks the new gateway up first, and follows the next redirect.
	out := a.run("ping -n -c 3 -i 0.3 -W 2 10.0.3.1")
	require.Contains(t, out, "From 10.0.1.254: icmp_seq=1 Redirect Host(New nexthop: 10.0.1.50)")
	require.Contains(t, out, "3 received", "forwarded all the same")
	require.Contains(t, a.run("ip route get 10.0.3.1"), "via 10.0.1.50")
	forwarded := router.IPv4().Stats().ForwDatagrams.Load()
	require.Contains(t, []uint64{1, 2}, forwarded)
	require.NotContains(t, a.run("ping -n -c 1 -W 2 10.0.3.1"), "Redirect")
	require.Equal(t, forwarded, router.IPv4().Stats().ForwDatagrams.Load(), "it went past the router")

	a.run("ip route flush cache")
	sysctl(t, router, "net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.r1.send_redirects=0")
	require.NotContains(t, a.run("ping -n -c 1 -W 2 10.0.3.1"), "Redirect")
	require.Equal(t, forwarded+1, router.IPv4().Stats().ForwDatagrams.Load())
}
