package ipv4

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link/linktest"
)

// spread counts the gateways that flows to many destinations take.
func spread(h *testHost, flow func(n int) (dst string, f Flow)) map[string]int {
	count := make(map[string]int)
	for n := range 4000 {
		dst, f := flow(n)
		p, err := h.OutputFlow(addr(dst), netip.Addr{}, 0, f)
		require.NoError(h.t, err)
		count[p.NextHop(addr(dst)).String()]++
	}
	return count
}

func TestMultipath(t *testing.T) {
	h := newTestHost(t)
	require.NoError(t, h.AddRoute(Route{NextHops: []NextHopOf{{Gateway: addr("10.0.0.9"), Weight: 1}, {Gateway: addr("10.0.1.9"), Weight: 3}}}))
	byAddress := func(n int) (string, Flow) {
		return netip.AddrFrom4([4]byte{99, 0, byte(n >> 8), byte(n)}).String(), Flow{}
	}
	byPort := func(n int) (string, Flow) {
		return "99.0.0.1", Flow{Protocol: ProtocolUDP, SrcPort: uint16(n), DstPort: 7}
	}
	got := spread(h, byAddress)
	require.InDelta(t, 1000, got["10.0.0.9"], 150, "flows are shared by weight: %v", got)
	require.InDelta(t, 3000, got["10.0.1.9"], 150, "flows are shared by weight: %v", got)
	require.Len(t, spread(h, byPort), 1, "policy 0: ports make no difference")
	require.NoError(t, h.SetSysctl("fib_multipath_hash_policy", 1))
	got = spread(h, byPort)
	require.InDelta(t, 1000, got["10.0.0.9"], 150, "policy 1: ports do: %v", got)
	requireErrno(t, syscall.EINVAL, h.SetSysctl("fib_multipath_hash_policy", 2))

	first, _ := h.OutputFlow(addr("99.0.0.1"), netip.Addr{}, 0, Flow{})
	for range 10 {
		again, _ := h.OutputFlow(addr("99.0.0.1"), netip.Addr{}, 0, Flow{})
		require.Equal(t, first, again, "a flow keeps its way")
	}
	dst := addr("99.0.0.1")
	h.SetForwarding(true)
	linktest.WantNoAllocs(t, func() { h.OutputFlow(dst, netip.Addr{}, 0, Flow{}) })
	linktest.WantNoAllocs(t, func() { h.InputFlow(dst, addr("10.0.0.7"), 2, Flow{}) })

	// A source that one of them faces goes that way.
	for n := range 50 {
		dst, _ := byAddress(n)
		p, err := h.OutputPath(addr(dst), addr("10.0.0.2"), 0)
		require.NoError(t, err)
		require.Equal(t, "10.0.0.9", p.Gateway.String())
	}
	p, err := h.OutputPath(dst, netip.Addr{}, 3)
	require.NoError(t, err)
	require.Equal(t, "10.0.1.9", p.Gateway.String(), "bound to an interface")

	// Neighbours that do not answer are passed over only when that is wanted.
	h.config.NextHopValid = func(index int, _ netip.Addr) bool { return index != 3 }
	require.Len(t, spread(h, byAddress), 2)
	require.NoError(t, h.SetSysctl("fib_multipath_use_neigh", 1))
	require.NotContains(t, spread(h, byAddress), "10.0.1.9")
	require.NoError(t, h.SetSysctl("fib_multipath_use_neigh", 0))

	h.SetCarrier(3, false)
	require.Len(t, spread(h, byAddress), 2, "without carrier flows go on")
	require.NoError(t, h.SetConf("t1", "ignore_routes_with_linkdown", 1))
	require.Equal(t, map[string]int{"10.0.0.9": 4000}, spread(h, byAddress))
	h.SetCarrier(3, true)

	// A hop dies with its link, and comes back with it; the route goes with the last.
	h.SetUp(3, false)
	require.Equal(t, map[string]int{"10.0.0.9": 4000}, spread(h, byAddress))
	r := h.Routes()[0]
	require.False(t, r.NextHops[0].Dead)
	require.True(t, r.NextHops[1].Dead && r.NextHops[1].LinkDown)
	h.SetUp(3, true)
	require.Len(t, spread(h, byAddress), 2)
	h.SetUp(3, false)
	h.SetUp(2, false)
	require.Empty(t, routeLines(h, TableMain))
}

func TestMultipathFollowsICMPErrors(t *testing.T) {
	h := newTestHost(t)
	require.NoError(t, h.AddRoute(Route{NextHops: []NextHopOf{{Gateway: addr("10.0.0.9")}, {Gateway: addr("10.0.1.9")}}}))
	for n := range byte(40) {
		flow := key{dst: netip.AddrFrom4([4]byte{99, 0, 0, n})}
		src := addr("10.0.0.7")
		inner := packetOf(src.String(), flow.dst.String(), []byte("12345678"))
		about := packetOf("50.0.0.1", src.String(), append([]byte{TypeUnreachable, 1, 0, 0, 0, 0, 0, 0}, inner.Bytes()...), func(h *Header) { h.Protocol = ProtocolICMP })
		ih, err := Parse(about.Bytes())
		require.NoError(t, err)
		k := key{dst: ih.Dst, packet: about, header: &ih}
		require.Equal(t, h.flowHash(&flow, src), h.flowHash(&k, ih.Src), "an error goes the way of what it is about")
		inner.Release()
		about.Release()
	}
}
