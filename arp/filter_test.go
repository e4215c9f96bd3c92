package arp

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/neighbour"
)

func TestFilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var seen []string
		refuse := Direction(9)
		b.arp.SetFilter(func(d Direction, iface int, a Packet) bool {
			seen = append(seen, fmt.Sprintf("%s %d %s %s>%s", d, iface, a.Op, a.SenderIP, a.TargetIP))
			return d != refuse
		})
		ask := request(macA, "10.0.0.9", "10.0.0.2")
		both := []string{"in 1 request 10.0.0.9>10.0.0.2", "out 1 reply 10.0.0.2>10.0.0.9"}

		b.in(1, link.Broadcast, ask)
		b.wantSent("ARP-34 accepted", toA)
		require.Equal(t, both, seen, "ARP-34 asked about the request and its answer")
		b.in(1, link.OtherHost, ask)
		b.in(1, link.Broadcast, Packet{Op: 9})
		require.Len(t, seen, 2, "ARP-34 not about what ARP does not take anyway")

		refuse, seen = Out, nil
		b.in(1, link.Broadcast, request(macB, "10.0.0.9", "10.0.0.2"))
		b.wantSent("ARP-34 refused on the way out")
		b.wantEntry("ARP-34 and yet the asker was learnt", "10.0.0.9", "STALE B")
		require.EqualValues(t, 1, b.arp.Stats.OutFiltered.Load())
		require.EqualValues(t, 1, b.drops.Count(link.ARPFilterRefuse))
		b.arp.Solicit(neighbour.Solicitation{Interface: 1, Target: ip("10.0.0.9")})
		b.arp.Announce(1, ip("10.0.0.2"))
		b.wantSent("ARP-34 requests and announcements too")
		require.EqualValues(t, 3, b.drops.Count(link.ARPFilterRefuse))

		refuse, seen = In, nil
		b.in(1, link.Broadcast, ask)
		b.wantSent("ARP-34 refused on the way in")
		b.wantEntry("ARP-34 nothing learnt", "10.0.0.9", "STALE B")
		require.Equal(t, both[:1], seen)
		require.EqualValues(t, 4, b.drops.Count(link.ARPFilterRefuse))
		require.EqualValues(t, 1, outcomesOf(&b.arp.Stats)["ArpInDropFilter"])

		b.arp.SetFilter(nil)
		require.Nil(t, b.arp.hooks.Load(), "without a filter there is nothing to look at")
		b.in(1, link.Broadcast, ask)
		b.wantSent("ARP-34 taken away at run time", toA)
	})
}

// A proxied request that waited has passed the filter already.
func TestFilterAndProxyDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var seen []Direction
		var mu sync.Mutex
		b.arp.SetFilter(func(d Direction, _ int, _ Packet) bool {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, d)
			return true
		})
		b.set("forwarding=1", "proxy_arp=1")
		b.in(1, link.Broadcast, request(macA, "10.0.0.9", "10.0.1.77"))
		pass(time.Second)
		synctest.Wait()
		b.wantSent("replayed", proxiedReply)
		require.True(t, slices.Equal([]Direction{In, Out}, seen), "%v", seen)
	})
}

func TestFilterMayChangeUnderTraffic(t *testing.T) {
	b := newBench(t)
	b.arp.edit(1, func(i *iface) { i.dev = discard{} })
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 200 {
				b.in(1, link.Broadcast, request(macA, "10.0.0.9", "10.0.0.2"))
			}
		})
	}
	for n := range 100 {
		if n%2 == 0 {
			b.arp.SetFilter(func(Direction, int, Packet) bool { return false })
		} else {
			b.arp.SetFilter(nil)
		}
	}
	wg.Wait()
	require.EqualValues(t, 400, b.arp.Stats.Consumed()+b.arp.Stats.Dropped())
}

func TestFilteringDoesNotAllocate(t *testing.T) {
	b := newBench(t)
	b.arp.edit(1, func(i *iface) { i.dev = discard{} })
	b.arp.SetFilter(func(Direction, int, Packet) bool { return true })
	a := request(macA, "10.0.0.9", "10.0.0.2")
	b.in(1, link.Broadcast, a)
	linktest.WantNoAllocs(t, func() { b.in(1, link.Broadcast, a) })
}

func TestBroadcastReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.in(1, link.Broadcast, request(macA, "10.0.0.9", "10.0.0.2"))
		b.wantSent("ACD-10 OUT-3 by default a reply goes to who asked", toA)
		b.arp.cfg.BroadcastReply = true
		b.in(1, link.Broadcast, request(macA, "10.0.0.9", "10.0.0.2"))
		b.wantSent("ACD-10 with the switch to everybody", "eth1 us > all reply: 10.0.0.2 is-at us, 10.0.0.9 is-at A, 42 bytes")
	})
}
