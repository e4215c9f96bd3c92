package ipv4

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// routeLines renders routes as "type dst [via gw] dev src metric".
func routeLines(h *testHost, table uint8) []string {
	var out []string
	for _, r := range h.Routes() {
		if r.Table != table {
			continue
		}
		s := r.Type.String() + " " + r.Dst.String()
		if r.Gateway.IsValid() {
			s += " via " + r.Gateway.String()
		}
		if i := h.Interface(r.Interface); i != nil {
			s += " dev " + i.Name()
		}
		if r.Src.IsValid() {
			s += " src " + r.Src.String()
		}
		out = append(out, s)
	}
	return out
}

func TestRoutesFollowAddressesAndLinks(t *testing.T) {
	h := newTestHost(t)
	local := []string{"local 10.0.0.2/32 dev t0 src 10.0.0.2", "broadcast 10.0.0.255/32 dev t0 src 10.0.0.2",
		"local 10.0.1.2/32 dev t1 src 10.0.1.2", "broadcast 10.0.1.255/32 dev t1 src 10.0.1.2",
		"local 127.0.0.0/8 dev lo src 127.0.0.1", "local 127.0.0.1/32 dev lo src 127.0.0.1", "broadcast 127.255.255.255/32 dev lo src 127.0.0.1"}
	require.Equal(t, local, routeLines(h, TableLocal))
	require.Equal(t, []string{"unicast 10.0.0.0/24 dev t0 src 10.0.0.2", "unicast 10.0.1.0/24 dev t1 src 10.0.1.2"}, routeLines(h, TableMain))

	// A link that goes down takes its routes along, but the address stays ours.
	require.NoError(t, h.AddRoute(Route{Gateway: addr("10.0.0.1")}))
	h.SetUp(2, false)
	require.Equal(t, []string{"unicast 10.0.1.0/24 dev t1 src 10.0.1.2"}, routeLines(h, TableMain))
	require.Equal(t, Local, h.AddrType(addr("10.0.0.2")))
	require.Equal(t, Unicast, h.AddrType(addr("10.0.0.255")))

	// Up again: the connected ones come back, the administrator's do not.
	h.SetUp(2, true)
	require.Equal(t, local, routeLines(h, TableLocal))
	require.Equal(t, []string{"unicast 10.0.0.0/24 dev t0 src 10.0.0.2", "unicast 10.0.1.0/24 dev t1 src 10.0.1.2"}, routeLines(h, TableMain))

	// The last address takes all routes of the interface with it.
	require.NoError(t, h.AddRoute(Route{Gateway: addr("10.0.0.1")}))
	require.NoError(t, h.DeleteAddress(2, prefix("10.0.0.2/24")))
	require.Equal(t, []string{"unicast 10.0.1.0/24 dev t1 src 10.0.1.2"}, routeLines(h, TableMain))
	require.Equal(t, Unicast, h.AddrType(addr("10.0.0.2")))

	// On an interface that is down an address is only local.
	h.SetUp(2, false)
	require.NoError(t, h.AddAddress(2, Address{Prefix: prefix("10.0.0.2/24")}))
	require.Equal(t, Local, h.AddrType(addr("10.0.0.2")))
	require.Equal(t, []string{"unicast 10.0.1.0/24 dev t1 src 10.0.1.2"}, routeLines(h, TableMain))

	h.RemoveInterface(2)
	require.Nil(t, h.Interface(2))
	require.Equal(t, Unicast, h.AddrType(addr("10.0.0.2")))
	require.Empty(t, h.Addresses(2))
}

func TestAddresses(t *testing.T) {
	h := newTestHost(t)
	list := func(index int) (s []string) {
		for _, a := range h.Addresses(index) {
			line := a.Prefix.String()
			if a.Secondary {
				line += " secondary"
			}
			s = append(s, line)
		}
		return s
	}
	require.Equal(t, addr("10.0.0.255"), h.Addresses(2)[0].Broadcast, "brd + by default")
	require.Equal(t, ScopeHost, h.Addresses(1)[0].Scope)
	requireErrno(t, syscall.EEXIST, h.AddAddress(2, Address{Prefix: prefix("10.0.0.2/24")}))
	requireErrno(t, syscall.ENODEV, h.AddAddress(9, Address{Prefix: prefix("10.0.0.3/24")}))
	for _, bad := range []string{"0.0.0.0/8", "224.0.0.1/4", "255.255.255.255/32", "fe80::1/64"} {
		requireErrno(t, syscall.EINVAL, h.AddAddress(2, Address{Prefix: prefix(bad)}))
	}
	requireErrno(t, syscall.EINVAL, h.AddAddress(2, Address{Prefix: prefix("10.0.0.3/24"), Scope: ScopeLink}))
	require.NoError(t, h.AddAddress(2, Address{Prefix: prefix("10.0.0.3/24")}))
	require.NoError(t, h.AddAddress(2, Address{Prefix: prefix("10.0.0.4/24")}))
	require.NoError(t, h.AddAddress(2, Address{Prefix: prefix("192.168.0.1/31")}))
	require.NoError(t, h.AddAddress(2, Address{Prefix: prefix("192.168.9.1/32")}))
	require.Equal(t, []string{"10.0.0.2/24", "192.168.0.1/31", "192.168.9.1/32", "10.0.0.3/24 secondary", "10.0.0.4/24 secondary"}, list(2))
	require.False(t, h.Addresses(2)[1].Broadcast.IsValid(), "no broadcast in 31 bits (RFC 3021)")
	require.Contains(t, routeLines(h, TableLocal), "local 10.0.0.3/32 dev t0 src 10.0.0.2", "secondaries speak by their primary")
	require.NotContains(t, routeLines(h, TableMain), "unicast 192.168.9.1/32 dev t0 src 192.168.9.1", "32 bits have no subnet")

	// Routes that prefer an address go with it.
	require.NoError(t, h.AddRoute(Route{Dst: prefix("7.0.0.0/8"), Gateway: addr("10.0.0.1"), Src: addr("10.0.0.4")}))
	require.NoError(t, h.DeleteAddress(2, prefix("10.0.0.4/24")))
	require.NotContains(t, routeLines(h, TableMain), "unicast 7.0.0.0/8 via 10.0.0.1 dev t0 src 10.0.0.4")

	require.NoError(t, h.SetConf("t0", "promote_secondaries", 1))
	require.NoError(t, h.DeleteAddress(2, prefix("10.0.0.2/24")))
	require.Equal(t, []string{"192.168.0.1/31", "192.168.9.1/32", "10.0.0.3/24"}, list(2))
	require.Contains(t, routeLines(h, TableMain), "unicast 10.0.0.0/24 dev t0 src 10.0.0.3")
	require.NoError(t, h.SetConf("t0", "promote_secondaries", 0))
	require.NoError(t, h.AddAddress(2, Address{Prefix: prefix("10.0.0.5/24")}))
	require.NoError(t, h.DeleteAddress(2, prefix("10.0.0.3/24")))
	require.Equal(t, []string{"192.168.0.1/31", "192.168.9.1/32"}, list(2), "secondaries go with their primary")
	require.NotContains(t, routeLines(h, TableMain), "unicast 10.0.0.0/24 dev t0 src 10.0.0.3")
	requireErrno(t, syscall.EADDRNOTAVAIL, h.DeleteAddress(2, prefix("10.0.0.3/24")))
}

func TestAddRoute(t *testing.T) {
	h := newTestHost(t)
	for _, tc := range []struct {
		name string
		r    Route
		want syscall.Errno
	}{
		{"default", Route{Gateway: addr("10.0.0.1")}, 0},
		{"default again", Route{Gateway: addr("10.0.1.1")}, syscall.EEXIST},
		{"default with another metric", Route{Gateway: addr("10.0.1.1"), Metric: 10}, 0},
		{"on link", Route{Dst: prefix("192.168.0.0/16"), Interface: 3}, 0},
		{"gateway nowhere", Route{Dst: prefix("9.0.0.0/8"), Gateway: addr("8.8.8.8")}, syscall.ENETUNREACH},
		{"gateway behind another interface", Route{Dst: prefix("9.0.0.0/8"), Gateway: addr("10.0.1.1"), Interface: 2}, syscall.ENETUNREACH},
		{"gateway nowhere, on link", Route{Dst: prefix("9.0.0.0/8"), Gateway: addr("8.8.8.8"), Interface: 2, OnLink: true}, 0},
		{"gateway a broadcast", Route{Dst: prefix("11.0.0.0/8"), Gateway: addr("10.0.0.255")}, syscall.EINVAL},
		{"host bits", Route{Dst: prefix("11.0.0.1/8"), Gateway: addr("10.0.0.1")}, syscall.EINVAL},
		{"IPv6", Route{Dst: prefix("fe80::/64"), Interface: 2}, syscall.EINVAL},
		{"no such interface", Route{Dst: prefix("11.0.0.0/8"), Interface: 9}, syscall.ENODEV},
		{"no next hop", Route{Dst: prefix("11.0.0.0/8")}, syscall.ENODEV},
		{"source not ours", Route{Dst: prefix("11.0.0.0/8"), Interface: 2, Src: addr("10.0.0.77")}, syscall.EINVAL},
		{"source ours", Route{Dst: prefix("11.0.0.0/8"), Interface: 2, Src: addr("10.0.1.2")}, 0},
		{"blackhole", Route{Dst: prefix("12.0.0.0/8"), Type: Blackhole}, 0},
		{"blackhole with gateway", Route{Dst: prefix("13.0.0.0/8"), Type: Blackhole, Gateway: addr("10.0.0.1")}, syscall.EINVAL},
		{"local", Route{Dst: prefix("14.0.0.0/8"), Type: Local, Interface: 1}, 0},
		{"no such type", Route{Dst: prefix("15.0.0.0/8"), Type: 77, Interface: 2}, syscall.EINVAL},
	} {
		t.Run(tc.name, func(t *testing.T) { requireErrno(t, tc.want, h.AddRoute(tc.r)) })
	}
	require.Equal(t, Local, h.AddrType(addr("14.1.2.3")))
	h.SetUp(3, false)
	requireErrno(t, syscall.ENETDOWN, h.AddRoute(Route{Dst: prefix("16.0.0.0/8"), Interface: 3}))

	require.NoError(t, h.ReplaceRoute(Route{Gateway: addr("10.0.0.3")}))
	p, err := h.OutputPath(addr("99.0.0.1"), netip.Addr{}, 0)
	require.NoError(t, err)
	require.Equal(t, addr("10.0.0.3"), p.Gateway)
	require.NoError(t, h.DeleteRoute(Route{Gateway: addr("10.0.0.3")}))
	requireErrno(t, syscall.ESRCH, h.DeleteRoute(Route{Gateway: addr("10.0.0.3")}))
	_, err = h.OutputPath(addr("99.0.0.1"), netip.Addr{}, 0)
	requireErrno(t, syscall.ENETUNREACH, err)
}

func TestInterfaceErrors(t *testing.T) {
	h := newTestHost(t)
	hop := nextHop(nil)
	for _, c := range []InterfaceConfig{{Index: 0, Name: "x", MTU: 1500, Neighbours: hop}, {Index: 9, MTU: 1500, Neighbours: hop},
		{Index: 9, Name: "all", MTU: 1500, Neighbours: hop}, {Index: 9, Name: "x", MTU: 67, Neighbours: hop}, {Index: 9, Name: "x", MTU: 1500}} {
		_, err := h.AddInterface(c)
		requireErrno(t, syscall.EINVAL, err)
	}
	for _, c := range []InterfaceConfig{{Index: 2, Name: "x", MTU: 1500, Neighbours: hop}, {Index: 9, Name: "t0", MTU: 1500, Neighbours: hop}, {Index: 9, Name: "x", MTU: 1500, Loopback: true, Neighbours: hop}} {
		_, err := h.AddInterface(c)
		requireErrno(t, syscall.EEXIST, err)
	}
	requireErrno(t, syscall.EINVAL, h.SetMTU(2, 67))
	requireErrno(t, syscall.ENODEV, h.SetMTU(9, 1500))
	require.NoError(t, h.SetMTU(2, 9000))
	require.Equal(t, 9000, h.t0.MTU())
	require.Equal(t, []*Interface{h.lo, h.t0, h.t1}, h.Interfaces())
}
