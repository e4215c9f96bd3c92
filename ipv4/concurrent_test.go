package ipv4

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

// TestConcurrentUse has packets come and go while everything that routes them
// changes. Each packet must end somewhere, once.
func TestConcurrentUse(t *testing.T) {
	h := newTestHost(t)
	h.forward()
	var delivered, sent atomic.Int64
	h.Handle(testProtocol, Handler{Input: func(_ Header, p *link.Packet) { delivered.Add(1); p.Release() }})
	h.HandleErrors(func(*link.Packet, ErrorMessage) {})
	count := nextHop(func(_ netip.Addr, p *link.Packet) error { sent.Add(1); p.Release(); return nil })
	h.t0.config.Neighbours, h.t1.config.Neighbours = count, count
	data := payload(64)

	const rounds = 300
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for n := range rounds {
				h.Input(h.t0, h.datagram("10.0.0.9", "10.0.0.2"))
				h.Input(h.t0, h.datagram("10.0.0.9", "10.0.1.50"))
				h.Output(segment(20), Send{Dst: addr("8.8.8.8"), Protocol: testProtocol})
				h.Output(segment(20), Send{Dst: addr("10.0.1.2"), Protocol: testProtocol})
				id := uint16(g<<12 | n)
				h.Input(h.t0, fragmentOf(data, cut{32, 64}, func(ih *Header) { ih.ID = id }))
				h.Input(h.t0, fragmentOf(data, cut{0, 32}, func(ih *Header) { ih.ID = id }))
				h.UpdatePathMTU(addr("8.8.8.8"), 600+n)
			}
		})
	}
	wg.Go(func() {
		for n := range rounds {
			h.AddRoute(Route{Gateway: addr("10.0.0.1")})
			h.AddAddress(3, Address{Prefix: prefix("10.0.1.3/24")})
			h.SetConf("all", "rp_filter", n%3)
			h.SetUp(3, n%2 == 0)
			h.JoinGroup(2, addr("239.0.0.1"))
			h.DeleteAddress(3, prefix("10.0.1.3/24"))
			h.DeleteRoute(Route{Gateway: addr("10.0.0.1")})
			h.Routes()
		}
	})
	wg.Wait()
	dropped := uint64(0)
	for _, n := range h.drops.Counts() {
		dropped += n
	}
	waiting := 0
	for _, d := range h.fragments.r.datagrams {
		waiting += len(d.pieces)
	}
	reassembled := int64(h.stats.ReasmOKs.Load())
	total := delivered.Load() + sent.Load() + int64(dropped) + int64(waiting) + reassembled
	require.EqualValues(t, 4*rounds*6, total, "delivered %d sent %d dropped %v waiting %d reassembled %d", delivered.Load(), sent.Load(), h.drops.Counts(), waiting, reassembled)
	require.Positive(t, sent.Load())
	require.Positive(t, delivered.Load())
}
