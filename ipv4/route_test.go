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
