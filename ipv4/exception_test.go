package ipv4

import (
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

func (h *testHost) path(dst string) Path {
	p, err := h.OutputPath(addr(dst), netip.Addr{}, 0)
	require.NoError(h.t, err)
	return p
}

func TestPathMTU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		h.route(Route{Gateway: addr("10.0.0.1")})
		h.UpdatePathMTU(addr("8.8.8.8"), 1400)
		require.Equal(t, 1400, h.path("8.8.8.8").MTU)
		require.Equal(t, 1500, h.path("8.8.4.4").MTU, "of that destination only")
		h.UpdatePathMTU(addr("8.8.8.8"), 1450)
		require.Equal(t, 1400, h.path("8.8.8.8").MTU, "never up by ICMP (RFC 1191 section 6.3)")
		h.UpdatePathMTU(addr("8.8.8.8"), 68)
		require.Equal(t, 552, h.path("8.8.8.8").MTU, "min_pmtu")
		for _, want := range []bool{true, false} {
			h.clear()
			require.NoError(t, h.Output(segment(8), Send{Dst: addr("8.8.8.8"), DF: true, Want: want}))
			require.Equal(t, !want, h.sent[0].h.DF, "below min_pmtu without DF, unless it was insisted on")
		}
		h.UpdatePathMTU(addr("10.0.0.255"), 600)
		require.Equal(t, 1500, h.path("10.0.0.255").MTU)
		time.Sleep(599 * time.Second)
		require.Equal(t, 552, h.path("8.8.8.8").MTU)
		time.Sleep(time.Second)
		require.Equal(t, 1500, h.path("8.8.8.8").MTU, "mtu_expires")

		h.UpdatePathMTU(addr("8.8.8.8"), 1400)
		require.Zero(t, testing.AllocsPerRun(100, func() { h.OutputPath(addr("8.8.8.8"), netip.Addr{}, 0) }))
		h.route(Route{Dst: prefix("9.0.0.0/8"), Gateway: addr("10.0.0.1")})
		require.Equal(t, 1400, h.path("8.8.8.8").MTU, "another route is no reason to forget")
		h.route(Route{Dst: prefix("8.0.0.0/8"), Gateway: addr("10.0.0.1")})
		require.Equal(t, 1500, h.path("8.8.8.8").MTU, "not of that route")
		require.NoError(t, h.DeleteRoute(Route{Dst: prefix("8.0.0.0/8"), Gateway: addr("10.0.0.1")}))
		require.Equal(t, 1400, h.path("8.8.8.8").MTU)
		require.NoError(t, h.DeleteRoute(Route{Gateway: addr("10.0.0.1")}))
		h.route(Route{Gateway: addr("10.0.0.1")})
		require.Equal(t, 1500, h.path("8.8.8.8").MTU, "gone with its route")
	})
}

func TestPathMTUSysctls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		dst := addr("10.0.0.9")
		for _, tc := range []struct {
			name  string
			value int
			errno syscall.Errno
		}{{"route.min_pmtu", 67, syscall.EINVAL}, {"route.min_pmtu", 68, 0}, {"route.mtu_expires", 1<<31 - 1, syscall.EINVAL}, {"route.mtu_expires", 20, 0},
			{"ip_no_pmtu_disc", 256, syscall.EINVAL}, {"ip_forward_use_pmtu", 1, 0}, {"route.nonsense", 1, syscall.ENOENT}} {
			requireErrno(t, tc.errno, h.SetSysctl(tc.name, tc.value))
		}
		h.UpdatePathMTU(dst, 100)
		require.Equal(t, 100, h.path("10.0.0.9").MTU, "min_pmtu")
		time.Sleep(9 * time.Second)
		h.UpdatePathMTU(dst, 100)
		time.Sleep(11 * time.Second)
		require.Equal(t, 1500, h.path("10.0.0.9").MTU, "in the first half of its time it is not prolonged")
		h.UpdatePathMTU(dst, 100)
		time.Sleep(11 * time.Second)
		h.UpdatePathMTU(dst, 100)
		time.Sleep(19 * time.Second)
		require.Equal(t, 100, h.path("10.0.0.9").MTU, "in the second half it is")
		time.Sleep(time.Second)
		require.Equal(t, 1500, h.path("10.0.0.9").MTU)

		require.NoError(t, h.SetSysctl("route.min_pmtu", 552))
		for _, mtu := range []int{0, 68, 551} {
			h.UpdatePathMTU(dst, mtu)
			p := h.path("10.0.0.9")
			require.Equal(t, []any{552, true}, []any{p.MTU, p.locked}, "%d: lies, or a router before RFC 1191", mtu)
			h.UpdatePathMTU(dst, 552)
			require.True(t, h.path("10.0.0.9").locked, "nothing changes what is locked")
			time.Sleep(20 * time.Second)
		}
		require.NoError(t, h.SetMTU(2, 500))
		h.UpdatePathMTU(dst, 0)
		require.Equal(t, 500, h.path("10.0.0.9").MTU, "never more than the link's")
	})
}

func TestPathMTUFollowsTheLink(t *testing.T) {
	h := newTestHost(t)
	mtu := func(set int) (int, bool) {
		require.NoError(t, h.SetMTU(2, set))
		p := h.path("10.0.0.9")
		return p.MTU, p.locked
	}
	want := func(mtu int, locked bool) func(int, bool) {
		return func(m int, l bool) {
			t.Helper()
			require.Equal(t, []any{mtu, locked}, []any{m, l})
		}
	}
	h.UpdatePathMTU(addr("10.0.0.9"), 1400)
	want(1400, false)(mtu(1450))
	want(1300, false)(mtu(1300))
	want(1500, false)(mtu(1500)) // the path's had become the link's
	h.UpdatePathMTU(addr("10.0.0.9"), 100)
	want(552, true)(mtu(1400))
	want(552, false)(mtu(552))
	want(1400, false)(mtu(1400))
}

func TestForwardUsesPathMTU(t *testing.T) {
	h := newTestHost(t)
	h.forward()
	h.UpdatePathMTU(addr("10.0.1.50"), 1000)
	send := func() {
		h.clear()
		h.Input(h.t0, packetOf("10.0.0.9", "10.0.1.50", make([]byte, 1200), func(ih *Header) { ih.DF = true }))
	}
	send()
	require.Len(t, h.sent, 1, "what somebody tells this host does not stop others")
	require.NoError(t, h.SetSysctl("ip_forward_use_pmtu", 1))
	h.wantDrop(link.IPFragNeeded, send)
	require.Equal(t, []ErrorMessage{{Type: TypeUnreachable, Code: CodeFragNeeded, Info: 1000, Reason: link.IPFragNeeded}}, h.errors)
	require.NoError(t, h.SetSysctl("ip_forward_use_pmtu", 0))
	h.UpdatePathMTU(addr("10.0.1.50"), 100)
	h.wantDrop(link.IPFragNeeded, send)
	require.EqualValues(t, 552, h.errors[0].Info, "a locked one counts")
}

func TestNoPathMTUDiscovery(t *testing.T) {
	h := newTestHost(t)
	var infos []uint32
	for _, protocol := range []uint8{ProtocolTCP, ProtocolUDP} {
		h.Handle(protocol, Handler{Error: func(e TransportError) { infos = append(infos, e.Info) }})
	}
	for mode, want := range [][]uint32{{1400, 1400}, {0, 0}, nil, {1400}} {
		require.NoError(t, h.SetSysctl("ip_no_pmtu_disc", mode))
		require.Equal(t, mode == 0, h.PathMTUDiscovery())
		infos = nil
		for _, protocol := range []uint8{ProtocolTCP, ProtocolUDP} {
			h.DeliverError(TransportError{Type: TypeUnreachable, Code: CodeFragNeeded, Info: 1400, Inner: Header{Protocol: protocol}})
		}
		require.Equal(t, want, infos, "ip_no_pmtu_disc=%d", mode)
		h.DeliverError(TransportError{Type: TypeUnreachable, Code: CodePortUnreachable, Info: 7, Inner: Header{Protocol: ProtocolUDP}})
		require.EqualValues(t, 7, infos[len(infos)-1], "other errors are left alone")
	}
}

func TestExceptionsAreBounded(t *testing.T) {
	h := newTestHost(t)
	h.route(Route{Gateway: addr("10.0.0.1")})
	for n := range 5000 {
		h.UpdatePathMTU(netip.AddrFrom4([4]byte{8, 8, byte(n >> 8), byte(n)}), 1000)
	}
	total := 0
	for n := range h.exceptions.buckets {
		if l := h.exceptions.buckets[n].Load(); l != nil {
			require.LessOrEqual(t, len(*l), exceptionDepth)
			total += len(*l)
		}
	}
	require.Greater(t, total, 1000)
	require.Equal(t, 1000, h.path("8.8.19.135").MTU, "the newest is there")
}

func TestRedirectAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		h.route(Route{Gateway: addr("10.0.0.1")})
		ask := func(index int, from, dst, gw string) bool {
			return h.Redirect(index, addr(from), addr(dst), addr(gw))
		}
		require.False(t, ask(2, "10.0.0.5", "8.8.8.8", "10.0.0.7"), "not from the gateway in use")
		require.False(t, ask(3, "10.0.0.1", "8.8.8.8", "10.0.0.7"), "not on the interface in use")
		require.False(t, ask(2, "10.0.0.1", "8.8.8.8", "10.0.0.1"), "to itself")
		require.False(t, ask(2, "10.0.0.1", "8.8.8.8", "10.0.0.2"), "to us")
		require.False(t, ask(2, "10.0.0.1", "8.8.8.8", "224.0.0.1"), "to a group")
		require.False(t, ask(9, "10.0.0.1", "8.8.8.8", "10.0.0.7"))
		require.Equal(t, addr("10.0.0.1"), h.path("8.8.8.8").Gateway)
		require.True(t, ask(2, "10.0.0.1", "8.8.8.8", "10.0.0.7"))
		require.Equal(t, addr("10.0.0.7"), h.path("8.8.8.8").Gateway)
		require.Equal(t, addr("10.0.0.1"), h.path("8.8.4.4").Gateway, "RFC 1122 section 3.2.2.2: of that host only")
		require.True(t, ask(2, "10.0.0.7", "8.8.8.8", "10.0.0.8"), "the new gateway may redirect again")
		time.Sleep(redirectExpires)
		require.Equal(t, addr("10.0.0.1"), h.path("8.8.8.8").Gateway)

		require.NoError(t, h.SetConf("all", "shared_media", 0))
		require.NoError(t, h.SetConf("t0", "shared_media", 0))
		require.False(t, ask(2, "10.0.0.1", "8.8.8.8", "10.0.0.7"), "secure_redirects: to known gateways only")
		h.route(Route{Dst: prefix("9.0.0.0/8"), Gateway: addr("10.0.0.7")})
		require.True(t, ask(2, "10.0.0.1", "8.8.8.8", "10.0.0.7"))
		require.False(t, ask(2, "10.0.0.7", "8.8.8.8", "192.168.1.1"), "not of the subnet")
		require.NoError(t, h.SetConf("all", "accept_redirects", 0))
		require.NoError(t, h.SetConf("t0", "accept_redirects", 0))
		require.False(t, ask(2, "10.0.0.1", "8.8.8.9", "10.0.0.7"))
	})
}
