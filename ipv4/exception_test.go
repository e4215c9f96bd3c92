package ipv4

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
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
		require.Equal(t, 1500, h.path("8.8.8.8").MTU, "forgotten when routes change")
	})
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
