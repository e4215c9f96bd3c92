package ipv4

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

func TestOutputPath(t *testing.T) {
	h := newTestHost(t)
	require.NoError(t, h.AddAddress(3, Address{Prefix: prefix("192.168.5.1/24")}))
	require.NoError(t, h.AddRoute(Route{Gateway: addr("10.0.0.1"), MTU: 1400}))
	require.NoError(t, h.AddRoute(Route{Dst: prefix("20.0.0.0/8"), Interface: 3, Src: addr("10.0.0.2")}))
	require.NoError(t, h.AddRoute(Route{Dst: prefix("30.0.0.0/8"), Type: Unreachable}))
	require.NoError(t, h.AddRoute(Route{Dst: prefix("31.0.0.0/8"), Type: Prohibit}))
	require.NoError(t, h.AddRoute(Route{Dst: prefix("32.0.0.0/8"), Type: Blackhole}))
	require.NoError(t, h.AddRoute(Route{Dst: prefix("239.0.0.0/8"), Interface: 3}))
	require.NoError(t, h.AddRoute(Route{Dst: prefix("40.0.0.0/8"), Gateway: addr("192.168.5.9")}))
	for _, tc := range []struct {
		name, dst, src string
		oif            int
		want           Path // with the interface's index in MTU's place below
		iface          int
		next           string
		err            syscall.Errno
	}{
		{name: "on link", dst: "10.0.0.9", want: Path{Type: Unicast, Src: addr("10.0.0.2"), MTU: 1500}, iface: 2, next: "10.0.0.9"},
		{name: "by the default route", dst: "8.8.8.8", want: Path{Type: Unicast, Src: addr("10.0.0.2"), MTU: 1400}, iface: 2, next: "10.0.0.1"},
		{name: "source facing the gateway", dst: "40.1.1.1", want: Path{Type: Unicast, Src: addr("192.168.5.1"), MTU: 1500}, iface: 3, next: "192.168.5.9"},
		{name: "preferred source", dst: "20.1.1.1", want: Path{Type: Unicast, Src: addr("10.0.0.2"), MTU: 1500}, iface: 3, next: "20.1.1.1"},
		{name: "given source", dst: "8.8.8.8", src: "10.0.1.2", want: Path{Type: Unicast, Src: addr("10.0.1.2"), MTU: 1400}, iface: 2, next: "10.0.0.1"},
		{name: "source not ours", dst: "8.8.8.8", src: "10.0.1.3", err: syscall.ENETUNREACH},
		{name: "source a broadcast of ours", dst: "8.8.8.8", src: "10.0.0.255", err: syscall.ENETUNREACH},
		{name: "source multicast", dst: "8.8.8.8", src: "224.0.0.1", err: syscall.EINVAL},
		{name: "source 0.0.0.0 is none", dst: "10.0.0.9", src: "0.0.0.0", want: Path{Type: Unicast, Src: addr("10.0.0.2"), MTU: 1500}, iface: 2, next: "10.0.0.9"},
		{name: "source 127.0.0.1 stays inside", dst: "8.8.8.8", src: "127.0.0.1", err: syscall.EINVAL},
		{name: "ourselves", dst: "10.0.1.2", want: Path{Type: Local, Src: addr("10.0.1.2"), MTU: 65535}, iface: 1, next: "10.0.1.2"},
		{name: "ourselves, another source", dst: "10.0.1.2", src: "10.0.0.2", want: Path{Type: Local, Src: addr("10.0.0.2"), MTU: 65535}, iface: 1, next: "10.0.1.2"},
		{name: "loopback network", dst: "127.9.9.9", want: Path{Type: Local, Src: addr("127.0.0.1"), MTU: 65535}, iface: 1, next: "127.9.9.9"},
		{name: "0.0.0.0 is this host", dst: "0.0.0.0", want: Path{Type: Local, Src: addr("127.0.0.1"), MTU: 65535}, iface: 1, next: "0.0.0.0"},
		{name: "0.0.0.0 with a source", dst: "0.0.0.0", src: "10.0.0.2", want: Path{Type: Local, Src: addr("10.0.0.2"), MTU: 65535}, iface: 1, next: "0.0.0.0"},
		{name: "subnet broadcast", dst: "10.0.0.255", want: Path{Type: Broadcast, Src: addr("10.0.0.2"), MTU: 1500}, iface: 2, next: "10.0.0.255"},
		{name: "limited broadcast by the default's interface", dst: "255.255.255.255", want: Path{Type: Broadcast, Src: addr("10.0.0.2"), MTU: 1400}, iface: 2, next: "255.255.255.255"},
		{name: "limited broadcast by the source's interface", dst: "255.255.255.255", src: "10.0.1.2", want: Path{Type: Broadcast, Src: addr("10.0.1.2"), MTU: 1500}, iface: 3, next: "255.255.255.255"},
		{name: "limited broadcast bound", dst: "255.255.255.255", oif: 3, want: Path{Type: Broadcast, Src: addr("10.0.1.2"), MTU: 1500}, iface: 3, next: "255.255.255.255"},
		{name: "group without its gateway", dst: "224.1.2.3", want: Path{Type: Multicast, Src: addr("10.0.0.2"), MTU: 1400}, iface: 2, next: "224.1.2.3"},
		{name: "group with a route", dst: "239.1.2.3", want: Path{Type: Multicast, Src: addr("10.0.1.2"), MTU: 1500}, iface: 3, next: "239.1.2.3"},
		{name: "all hosts", dst: "224.0.0.1", oif: 3, want: Path{Type: Multicast, Src: addr("10.0.1.2"), MTU: 1500, member: true}, iface: 3, next: "224.0.0.1"},
		{name: "class E is ordinary", dst: "240.0.0.1", want: Path{Type: Unicast, Src: addr("10.0.0.2"), MTU: 1400}, iface: 2, next: "10.0.0.1"},
		{name: "bound, with a route", dst: "20.1.1.1", oif: 3, want: Path{Type: Unicast, Src: addr("10.0.0.2"), MTU: 1500}, iface: 3, next: "20.1.1.1"},
		{name: "bound, without a route: on link", dst: "9.9.9.9", oif: 3, want: Path{Type: Unicast, Src: addr("10.0.1.2"), MTU: 1500}, iface: 3, next: "9.9.9.9"},
		{name: "bound nowhere", dst: "9.9.9.9", oif: 9, err: syscall.ENODEV},
		{name: "unreachable", dst: "30.0.0.1", err: syscall.EHOSTUNREACH},
		{name: "prohibit", dst: "31.0.0.1", err: syscall.EACCES},
		{name: "blackhole", dst: "32.0.0.1", err: syscall.EINVAL},
		{name: "IPv6", dst: "fe80::1", err: syscall.EINVAL},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var src netip.Addr
			if tc.src != "" {
				src = addr(tc.src)
			}
			p, err := h.OutputPath(addr(tc.dst), src, tc.oif)
			requireErrno(t, tc.err, err)
			if tc.err != 0 {
				return
			}
			require.Equal(t, tc.iface, p.Interface.Index())
			require.Equal(t, tc.next, p.NextHop(addr(tc.dst)).String())
			p.Interface, p.Gateway, p.route = nil, netip.Addr{}, nil
			require.Equal(t, tc.want, p)
		})
	}
	t.Run("no route", func(t *testing.T) {
		require.NoError(t, h.DeleteRoute(Route{}))
		_, err := h.OutputPath(addr("8.8.8.8"), netip.Addr{}, 0)
		requireErrno(t, syscall.ENETUNREACH, err)
		_, err = h.OutputPath(addr("255.255.255.255"), netip.Addr{}, 0)
		requireErrno(t, syscall.ENETUNREACH, err)
	})
	t.Run("bound to an interface that is down", func(t *testing.T) {
		h.SetUp(3, false)
		_, err := h.OutputPath(addr("10.0.1.9"), netip.Addr{}, 3)
		requireErrno(t, syscall.ENETUNREACH, err)
	})
	t.Run("without an address: from 0.0.0.0", func(t *testing.T) {
		require.NoError(t, h.DeleteAddress(2, prefix("10.0.0.2/24")))
		require.NoError(t, h.DeleteAddress(3, prefix("10.0.1.2/24")))
		require.NoError(t, h.DeleteAddress(3, prefix("192.168.5.1/24")))
		p, err := h.OutputPath(addr("255.255.255.255"), netip.Addr{}, 2)
		require.NoError(t, err)
		require.Equal(t, netip.IPv4Unspecified(), p.Src)
	})
}

func TestInputPath(t *testing.T) {
	type host = *testHost
	conf := func(dir, name string, v int) func(host) {
		return func(h host) { require.NoError(h.t, h.SetConf(dir, name, v)) }
	}
	forward := conf("all", "forwarding", 1)
	route := func(r Route) func(host) { return func(h host) { require.NoError(h.t, h.AddRoute(r)) } }
	for _, tc := range []struct {
		name, dst, src string
		setup          []func(host)
		want           RouteType
		iface          int
		reason         link.DropReason
		redirect       bool
	}{
		{name: "to us", dst: "10.0.0.2", src: "10.0.0.9", want: Local, iface: 2},
		{name: "to us on another interface", dst: "10.0.1.2", src: "10.0.0.9", want: Local, iface: 2},
		{name: "subnet broadcast", dst: "10.0.0.255", src: "10.0.0.9", want: Broadcast, iface: 2},
		{name: "limited broadcast", dst: "255.255.255.255", src: "10.0.0.9", want: Broadcast, iface: 2},
		{name: "DHCP: from nobody to everybody", dst: "255.255.255.255", src: "0.0.0.0", want: Broadcast, iface: 2},
		{name: "from nobody to nobody (RFC 919 of old)", dst: "0.0.0.0", src: "0.0.0.0", want: Broadcast, iface: 2},
		{name: "all hosts", dst: "224.0.0.1", src: "10.0.0.9", want: Multicast, iface: 2},
		{name: "a group that is not ours", dst: "224.1.2.3", src: "10.0.0.9", reason: link.IPMulticast},
		{name: "a group of ours", dst: "224.1.2.3", src: "10.0.0.9", setup: []func(host){func(h host) { require.NoError(h.t, h.JoinGroup(2, addr("224.1.2.3"))) }}, want: Multicast, iface: 2},
		{name: "a group of another interface", dst: "224.1.2.3", src: "10.0.0.9", setup: []func(host){func(h host) { require.NoError(h.t, h.JoinGroup(3, addr("224.1.2.3"))) }}, reason: link.IPMulticast},
		{name: "group from nobody", dst: "224.0.0.1", src: "0.0.0.0", want: Multicast, iface: 2},
		{name: "group from a local address", dst: "224.0.0.1", src: "10.0.0.2", reason: link.IPLocalSource},
		{name: "group from 127/8", dst: "224.0.0.1", src: "127.0.0.1", reason: link.IPLocalNet},
		// ARP-12 and section 15: martian sources.
		{name: "source multicast", dst: "10.0.0.2", src: "224.0.0.1", reason: link.IPInvalidSource},
		{name: "source limited broadcast", dst: "10.0.0.2", src: "255.255.255.255", reason: link.IPInvalidSource},
		{name: "source 0.0.0.0", dst: "10.0.0.2", src: "0.0.0.0", reason: link.IPInvalidSource},
		{name: "source 127/8", dst: "10.0.0.2", src: "127.0.0.1", reason: link.IPLocalNet},
		{name: "source 127/8 with route_localnet", dst: "10.0.0.2", src: "127.9.9.9", setup: []func(host){conf("t0", "route_localnet", 1), conf("t0", "accept_local", 1)}, want: Local, iface: 2},
		{name: "source ours", dst: "10.0.0.2", src: "10.0.0.2", reason: link.IPLocalSource},
		{name: "source ours of another interface", dst: "10.0.0.2", src: "10.0.1.2", reason: link.IPLocalSource},
		{name: "source ours with accept_local", dst: "10.0.0.2", src: "10.0.1.2", setup: []func(host){conf("all", "accept_local", 1)}, want: Local, iface: 2},
		{name: "source subnet broadcast, unchecked", dst: "10.0.0.2", src: "10.0.0.255", want: Local, iface: 2},
		{name: "source subnet broadcast with rp_filter", dst: "10.0.0.2", src: "10.0.0.255", setup: []func(host){conf("t0", "rp_filter", 2)}, reason: link.IPInvalidSource},
		{name: "source class E is ordinary", dst: "10.0.0.2", src: "240.0.0.1", want: Local, iface: 2},
		{name: "destination 0.0.0.0", dst: "0.0.0.0", src: "10.0.0.9", reason: link.IPInvalidDest},
		{name: "destination 127/8", dst: "127.0.0.1", src: "10.0.0.9", reason: link.IPInvalidDest},
		{name: "destination 127/8 with route_localnet", dst: "127.0.0.1", src: "10.0.0.9", setup: []func(host){conf("all", "route_localnet", 1)}, want: Local, iface: 2},
		// rp_filter.
		{name: "no way back, unchecked", dst: "10.0.0.2", src: "99.0.0.1", want: Local, iface: 2},
		{name: "no way back, strict", dst: "10.0.0.2", src: "99.0.0.1", setup: []func(host){conf("t0", "rp_filter", 1)}, reason: link.IPRPFilter},
		{name: "no way back, loose", dst: "10.0.0.2", src: "99.0.0.1", setup: []func(host){conf("t0", "rp_filter", 2)}, reason: link.IPRPFilter},
		{name: "back by another, strict", dst: "10.0.0.2", src: "10.0.1.9", setup: []func(host){conf("t0", "rp_filter", 1)}, reason: link.IPRPFilter},
		{name: "back by another, loose", dst: "10.0.0.2", src: "10.0.1.9", setup: []func(host){conf("t0", "rp_filter", 2)}, want: Local, iface: 2},
		{name: "back by another, max(all, dev) is loose", dst: "10.0.0.2", src: "10.0.1.9", setup: []func(host){conf("all", "rp_filter", 2), conf("t0", "rp_filter", 1)}, want: Local, iface: 2},
		{name: "back by the same, strict", dst: "10.0.0.2", src: "10.0.0.9", setup: []func(host){conf("all", "rp_filter", 1)}, want: Local, iface: 2},
		{name: "way back is a blackhole, loose", dst: "10.0.0.2", src: "32.0.0.1", setup: []func(host){conf("t0", "rp_filter", 2), route(Route{Dst: prefix("32.0.0.0/8"), Type: Blackhole})}, reason: link.IPRPFilter},
		{name: "broadcast is checked as well", dst: "255.255.255.255", src: "10.0.1.9", setup: []func(host){conf("t0", "rp_filter", 1)}, reason: link.IPRPFilter},
		// Forwarding.
		{name: "for others, host", dst: "10.0.1.50", src: "10.0.0.9", reason: link.IPInNoRoutes},
		{name: "for others, router", dst: "10.0.1.50", src: "10.0.0.9", setup: []func(host){forward}, want: Unicast, iface: 3},
		{name: "forwarding is the receiver's", dst: "10.0.1.50", src: "10.0.0.9", setup: []func(host){conf("t1", "forwarding", 1)}, reason: link.IPInNoRoutes},
		{name: "no route, router", dst: "99.0.0.1", src: "10.0.0.9", setup: []func(host){forward}, reason: link.IPInNoRoutes},
		{name: "back out, redirect", dst: "10.0.0.50", src: "10.0.0.9", setup: []func(host){forward}, want: Unicast, iface: 2, redirect: true},
		{name: "back out from afar, no redirect", dst: "10.0.0.50", src: "99.0.0.1", setup: []func(host){forward}, want: Unicast, iface: 2},
		{name: "back out, sender behind a gateway", dst: "10.0.0.50", src: "99.0.0.1", setup: []func(host){forward, route(Route{Gateway: addr("10.0.0.1")})}, want: Unicast, iface: 2},
		{name: "back out, not of the gateway's subnet", dst: "88.0.0.1", src: "10.9.0.9", setup: []func(host){forward, conf("all", "shared_media", 0), conf("t0", "shared_media", 0),
			route(Route{Dst: prefix("10.9.0.0/16"), Interface: 2}), route(Route{Gateway: addr("10.0.0.1")})}, want: Unicast, iface: 2},
		{name: "directed broadcast is ours", dst: "10.0.1.255", src: "10.0.0.9", setup: []func(host){forward}, want: Broadcast, iface: 2},
		{name: "directed broadcast with bc_forwarding", dst: "10.0.1.255", src: "10.0.0.9", setup: []func(host){forward, conf("all", "bc_forwarding", 1), conf("t0", "bc_forwarding", 1)}, want: Unicast, iface: 3},
		{name: "directed broadcast with bc_forwarding of all alone", dst: "10.0.1.255", src: "10.0.0.9", setup: []func(host){forward, conf("all", "bc_forwarding", 1)}, want: Broadcast, iface: 2},
		{name: "spoofed source, router", dst: "10.0.1.50", src: "10.0.1.2", setup: []func(host){forward}, reason: link.IPLocalSource},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newTestHost(t)
			for _, f := range tc.setup {
				f(h)
			}
			p, reason, ok := h.InputPath(addr(tc.dst), addr(tc.src), 2)
			require.Equal(t, tc.reason, reason, "reason %s", reason)
			require.Equal(t, tc.reason == link.NotSpecified, ok)
			if ok {
				require.Equal(t, tc.want, p.Type)
				require.Equal(t, tc.iface, p.Interface.Index())
				require.Equal(t, tc.redirect, p.redirect)
			}
		})
	}
	t.Run("no such interface", func(t *testing.T) {
		_, reason, ok := newTestHost(t).InputPath(addr("10.0.0.2"), addr("10.0.0.9"), 99)
		require.Equal(t, link.DevReady, reason)
		require.False(t, ok)
	})
}

func TestAddrType(t *testing.T) {
	h := newTestHost(t)
	for a, want := range map[string]RouteType{"10.0.0.2": Local, "127.1.2.3": Local, "10.0.0.255": Broadcast, "255.255.255.255": Broadcast, "0.0.0.0": Broadcast,
		"224.0.0.1": Multicast, "10.0.0.9": Unicast, "10.0.0.0": Unicast, "240.0.0.1": Unicast} {
		require.Equal(t, want, h.AddrType(addr(a)), a)
	}
	require.Equal(t, Local, h.AddrTypeOn(2, addr("10.0.0.2")))
	require.Equal(t, Unicast, h.AddrTypeOn(3, addr("10.0.0.2")))
	require.Equal(t, Unicast, h.AddrTypeOn(3, addr("10.0.0.255")))
	require.Equal(t, Broadcast, h.AddrTypeOn(3, addr("255.255.255.255")))
}

func TestLinkdownRoutes(t *testing.T) {
	h := newTestHost(t)
	require.NoError(t, h.AddRoute(Route{Dst: prefix("10.0.0.0/16"), Interface: 3}))
	via := func() int {
		p, err := h.OutputPath(addr("10.0.0.9"), netip.Addr{}, 0)
		require.NoError(t, err)
		return p.Interface.Index()
	}
	h.SetCarrier(2, false)
	require.Equal(t, 2, via(), "without carrier routes stay")
	require.NoError(t, h.SetConf("all", "ignore_routes_with_linkdown", 1))
	require.Equal(t, 2, via(), "the interface's own setting decides")
	require.NoError(t, h.SetConf("t0", "ignore_routes_with_linkdown", 1))
	require.Equal(t, 3, via(), "back to a shorter prefix")
	h.SetCarrier(2, true)
	require.Equal(t, 2, via())
}
