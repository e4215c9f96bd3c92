package arp

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/neighbour"
)

const proxiedReply = "eth1 us > A reply: 10.0.1.77 is-at us, 10.0.0.9 is-at A, 42 bytes"

func TestProxyDecision(t *testing.T) {
	elsewhere, here := request(macA, "10.0.0.9", "10.0.1.77"), request(macA, "10.0.0.9", "10.0.0.77")
	hereReply := "eth1 us > A reply: 10.0.0.77 is-at us, 10.0.0.9 is-at A, 42 bytes"
	for _, c := range []struct {
		name    string
		sysctls []string
		entry   string
		in      Packet
		sent    []string
	}{
		{"ARP-19 needs forwarding", []string{"proxy_arp=1"}, "", elsewhere, nil},
		{"PROXY-1 another interface", []string{"forwarding=1", "proxy_arp=1"}, "", elsewhere, []string{proxiedReply}},
		{"PROXY-1 all counts", []string{"forwarding=1", "all.proxy_arp=1"}, "", elsewhere, []string{proxiedReply}},
		{"PROXY-1 not the same interface", []string{"forwarding=1", "proxy_arp=1"}, "", here, nil},
		{"PROXY-1 medium -1", []string{"forwarding=1", "proxy_arp=1", "medium_id=-1"}, "", elsewhere, nil},
		{"PROXY-1 medium 5 to 5", []string{"forwarding=1", "proxy_arp=1", "medium_id=5", "eth2.medium_id=5"}, "", elsewhere, nil},
		{"PROXY-1 medium 5 to 6", []string{"forwarding=1", "proxy_arp=1", "medium_id=5", "eth2.medium_id=6"}, "", elsewhere, []string{proxiedReply}},
		{"PROXY-1 medium 5 to 0", []string{"forwarding=1", "proxy_arp=1", "medium_id=5"}, "", elsewhere, []string{proxiedReply}},
		{"PROXY-1 medium 5 to -1", []string{"forwarding=1", "proxy_arp=1", "medium_id=5", "eth2.medium_id=-1"}, "", elsewhere, nil},
		{"PROXY-2 the same interface", []string{"forwarding=1", "proxy_arp_pvlan=1"}, "", here, []string{hereReply}},
		{"PROXY-2 not the sender's own address", []string{"forwarding=1", "proxy_arp_pvlan=1"}, "", request(macA, "10.0.0.9", "10.0.0.9"), nil},
		{"PROXY-2 not another interface", []string{"forwarding=1", "proxy_arp_pvlan=1"}, "", elsewhere, nil},
		{"PROXY-3 proxy entry", []string{"forwarding=1"}, "10.0.1.77", elsewhere, []string{proxiedReply}},
		{"PROXY-3 proxy entry for the same interface", []string{"forwarding=1"}, "10.0.0.77", here, nil},
		{"PROXY-4 announcements are answered", []string{"forwarding=1", "proxy_arp=1"}, "", request(macA, "10.0.1.77", "10.0.1.77"),
			[]string{"eth1 us > A reply: 10.0.1.77 is-at us, 10.0.1.77 is-at A, 42 bytes"}},
		{"PROXY-4 probes are not", []string{"forwarding=1", "proxy_arp=1"}, "", request(macA, "0.0.0.0", "10.0.1.77"), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.set("proxy_delay=0")
				b.set(c.sysctls...)
				if c.entry != "" {
					require.NoError(t, b.table.AddProxy(neighbour.Proxy{IP: ip(c.entry), Interface: 1}))
				}
				b.in(1, link.Broadcast, c.in)
				b.wantSent("after the request", c.sent...)
			})
		})
	}
}

func TestProxyDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.set("forwarding=1", "proxy_arp=1")
		b.in(1, link.Broadcast, request(macA, "10.0.0.9", "10.0.1.77"))
		b.wantSent("PROXY-5 a broadcast request waits")
		b.wantEntry("its sender is learnt at once", "10.0.0.9", "STALE A")
		pass(800 * time.Millisecond)
		synctest.Wait()
		b.wantSent("TMR-11 no longer than proxy_delay", proxiedReply)
		b.in(1, link.Host, request(macA, "10.0.0.9", "10.0.1.77"))
		b.wantSent("PROXY-5 a unicast request does not wait", proxiedReply)
	})
}

func TestProxyQueueLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.set("forwarding=1", "proxy_arp=1", "proxy_qlen=10")
		for n := range 200 {
			b.in(1, link.Broadcast, request(macA, fmt.Sprintf("10.0.0.%d", n+10), "10.0.1.77"))
		}
		pass(time.Second)
		synctest.Wait()
		require.Len(t, b.log, 11, "PROXY-6 proxy_qlen + 1 fit")
		require.EqualValues(t, 189, b.drops.Count(link.ARPProxyQueue))
		b.wantEntry("PROXY-6 who was dropped is learnt too", "10.0.0.205", "STALE A")
	})
}

func TestProxyReplayDecidesAnew(t *testing.T) {
	for _, c := range []struct {
		name string
		act  func(b *bench)
	}{
		{"PROXY-7 proxy_arp switched off", func(b *bench) { b.set("proxy_arp=0") }},
		{"PROXY-9 an interface goes down", func(b *bench) { b.arp.Purge() }},
		{"interface removed", func(b *bench) { b.arp.RemoveInterface(1) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.set("forwarding=1", "proxy_arp=1")
				b.in(1, link.Broadcast, request(macA, "10.0.0.9", "10.0.1.77"))
				c.act(b)
				pass(time.Second)
				synctest.Wait()
				b.wantSent("no answer")
			})
		})
	}
}
