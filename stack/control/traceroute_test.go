package control

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack"
	"github.com/tapstack/tapstack/stack/stacktest"
)

func (n *network) tracerouteEvents(r TracerouteRequest) (list []TracerouteEvent) {
	n.t.Helper()
	rec := n.do(http.MethodPost, "traceroute", r)
	require.Equal(n.t, http.StatusOK, rec.Code, rec.Body)
	for s := bufio.NewScanner(rec.Body); s.Scan(); {
		var ev TracerouteEvent
		require.NoError(n.t, json.Unmarshal(s.Bytes(), &ev))
		list = append(list, ev)
	}
	require.NotEmpty(n.t, list)
	return list
}

func traceTo(dst string) TracerouteRequest {
	return TracerouteRequest{Dst: ip(dst), First: 1, Last: 5, Queries: 2, AtOnce: 16, Wait: 5 * time.Second, Len: 60}
}

// newRoutedNetwork has bob forward to a LAN where carol is.
func newRoutedNetwork(t *testing.T) *network {
	n := newNetwork(t)
	beyond := stacktest.NewLAN(t)
	beyond.Attach(n.bob, "eth1", link.Addr{}, "10.1.0.1/24", nil)
	n.bob.IPv4().SetForwarding(true)
	carol := beyond.Host(stacktest.HostConfig{Addr: "10.1.0.2/24", Stack: stack.Config{}})
	n.post("route/add", Route{Dst: netip.MustParsePrefix("10.1.0.0/24"), Gateway: ip("10.0.0.2")})
	for _, h := range []*stack.Host{n.bob, carol} {
		// Many answers, and no time passes between them.
		for name, v := range map[string]string{"icmp_ratelimit": "0", "icmp_msgs_per_sec": "100000", "icmp_msgs_burst": "10000"} {
			require.NoError(t, h.SetSysctl("net.ipv4."+name, v))
		}
	}
	require.NoError(t, carol.IPv4().AddRoute(ipv4.Route{Gateway: ip("10.1.0.1")}))
	return n
}

func TestTraceroute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newRoutedNetwork(t)
		for _, r := range []TracerouteRequest{{}, {ICMP: true}, {Fixed: true}, {Port: 40000, TOS: 16}} {
			r.Dst, r.First, r.Last, r.Queries, r.AtOnce, r.Wait, r.Len = ip("10.1.0.2"), 1, 5, 2, 16, 5*time.Second, 60
			list := n.tracerouteEvents(r)
			last := TracerouteEvent{Kind: "probe", Hop: 2, From: ip("10.1.0.2"), Type: 3, Code: 3}
			if r.ICMP {
				last.Type, last.Code = 0, 0
			}
			again := last
			again.Query = 1
			require.Equal(t, []TracerouteEvent{
				{Kind: "start", Dst: ip("10.1.0.2")},
				{Kind: "probe", Hop: 1, From: ip("10.0.0.2"), Type: 11}, {Kind: "probe", Hop: 1, Query: 1, From: ip("10.0.0.2"), Type: 11},
				last, again, {Kind: "done"},
			}, list, r)
			r.First = 2
			require.Equal(t, append(list[:1:1], list[3:]...), n.tracerouteEvents(r))
		}
		r := traceTo("10.1.0.2")
		r.DF, r.Len = true, 1600
		require.Equal(t, TracerouteEvent{Kind: "probe", Hop: 1, From: ip("10.0.0.1"), Type: 3, Code: 4, MTU: 1500}, n.tracerouteEvents(r)[1])
		// The neighbour that does not answer is told of by this host.
		list := n.tracerouteEvents(traceTo("10.0.0.9"))
		require.Equal(t, ip("10.0.0.1"), list[1].From)
		require.Equal(t, [2]uint8{3, 1}, [2]uint8{list[1].Type, list[1].Code})
		require.Len(t, list, 4, "and that is the end")
	})
}

func TestTracerouteRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		require.Equal(t, TracerouteEvent{Kind: "error", Error: "connect: network is unreachable"}, n.tracerouteEvents(traceTo("99.0.0.1"))[1])
		for _, f := range []func(*TracerouteRequest){
			func(r *TracerouteRequest) { r.First = 0 }, func(r *TracerouteRequest) { r.Last = 256 }, func(r *TracerouteRequest) { r.Queries = 11 },
			func(r *TracerouteRequest) { r.AtOnce = 0 }, func(r *TracerouteRequest) { r.Len = 65001 }, func(r *TracerouteRequest) { r.Dst = ip("::1") },
		} {
			r := traceTo("10.0.0.2")
			f(&r)
			n.refused("POST", "traceroute", r, http.StatusBadRequest, "control: ")
		}
	})
}

func TestProbes(t *testing.T) {
	t0 := time.Unix(1000, 0)
	from := func(n int, d time.Duration, typ uint8) probeAnswer {
		return probeAnswer{probe: n, at: t0.Add(d), from: ip("10.0.0.1"), typ: typ}
	}
	p := newProbes(1, 4, 2, 3, 5*time.Second, false)
	finished, send, next := p.step(t0)
	require.Empty(t, finished)
	require.Equal(t, []int{0, 1, 2}, send, "three at once")
	require.Equal(t, t0.Add(5*time.Second), next)
	p.answered(from(1, 10*time.Millisecond, 11))
	p.answered(from(7, time.Millisecond, 11)) // never sent
	_, send, next = p.step(t0.Add(10 * time.Millisecond))
	require.Equal(t, []int{3}, send)
	require.Equal(t, t0.Add(33*time.Millisecond), next, "the first of the hop is late compared to the second")
	finished, _, next = p.step(t0.Add(33 * time.Millisecond))
	require.Equal(t, []int{0, 1}, finished, "in order, the first without an answer")
	require.False(t, p.list[0].answer.from.IsValid())
	require.Equal(t, t0.Add(5*time.Second), next)
	p.answered(from(3, 40*time.Millisecond, 0))
	p.step(t0.Add(40 * time.Millisecond))
	require.Equal(t, 4, p.end, "arrived: no hop further")
	require.False(t, p.over())
	finished, send, _ = p.step(t0.Add(5 * time.Second))
	require.Equal(t, []int{2, 3}, finished)
	require.Empty(t, send)
	require.True(t, p.over())

	p = newProbes(2, 3, 1, 16, time.Second, true)
	_, send, _ = p.step(t0)
	require.Equal(t, []int{1, 2}, send, "from the second hop on")
	p.answered(from(2, time.Millisecond, 11))
	_, _, next = p.step(t0.Add(time.Millisecond))
	require.Equal(t, t0.Add(time.Second), next, "patiently")
}
