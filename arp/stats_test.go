package arp

import (
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/devconf"
)

// outcomesOf returns the counters of what became of packets that are not zero.
func outcomesOf(s *Stats) map[string]uint64 {
	m := maps.Collect(s.All())
	for k, v := range m {
		if v == 0 || !strings.HasPrefix(k, "ArpIn") || k == "ArpInRequests" || k == "ArpInReplies" {
			delete(m, k)
		}
	}
	return m
}

// Every packet that comes in has one outcome, and nstat can show it.
func TestOutcomes(t *testing.T) {
	ask := request(macA, "10.0.0.9", "10.0.0.2")
	proxied := request(macA, "10.0.0.9", "10.0.1.77")
	for _, c := range []struct {
		name  string
		setup func(b *bench)
		class link.PacketType
		in    Packet
		want  string
		drop  link.DropReason
	}{
		{name: "ARP-1 another station's frame", class: link.OtherHost, in: ask, want: "ArpInOtherHost"},
		{name: "ARP-1 no ARP", setup: func(b *bench) { b.arp.SetNoARP(1, true) }, in: ask, want: "ArpInNoArp"},
		{name: "ARP-1 unknown interface", setup: func(b *bench) { b.arp.RemoveInterface(1) }, in: ask, want: "ArpInNoArp"},
		{name: "ARP-4 no IPv4", setup: func(b *bench) { b.arp.edit(1, func(i *iface) { i.conf = nil }) }, in: ask, want: "ArpInDropNoIPv4", drop: link.ARPDisabled},
		{name: "ARP-6 operation", in: Packet{Op: 9}, want: "ArpInDropOperation", drop: link.ARPOperation},
		{name: "ARP-7 target", in: request(macA, "10.0.0.9", "224.0.0.1"), want: "ArpInDropTarget", drop: link.ARPTarget},
		{name: "ARP-8 gratuitous", setup: func(b *bench) { b.set("drop_gratuitous_arp=1") }, in: request(macA, "10.0.0.9", "10.0.0.9"), want: "ArpInDropGratuitous", drop: link.ARPGratuitous},
		{name: "ARP-14 answered", in: ask, want: "ArpInAnswered"},
		{name: "ARP-10 probe answered", in: request(macA, "0.0.0.0", "10.0.0.2"), want: "ArpInAnswered"},
		{name: "ARP-10 probe for others", in: request(macA, "0.0.0.0", "10.0.0.77"), want: "ArpInProbesIgnored"},
		{name: "ARP-10 reply from nobody", in: reply(macA, "0.0.0.0", "10.0.0.2"), want: "ArpInProbesIgnored"},
		{name: "ARP-16 arp_ignore", setup: func(b *bench) { b.set("arp_ignore=8") }, in: ask, want: "ArpInIgnored"},
		{name: "ARP-17 arp_filter", setup: func(b *bench) { b.set("arp_filter=1") }, in: request(macA, "10.0.1.9", "10.0.0.2"), want: "ArpInFiltered"},
		{name: "ARP-14 table full", setup: func(b *bench) {
			b.set("arp_ignore=0")
			require.NoError(b.t, b.table.SetSysctl("default", "gc_thresh3", "0"))
			require.NoError(b.t, b.table.SetSysctl("default", "gc_thresh2", "0"))
		}, in: ask, want: "ArpInTableFull"},
		{name: "ARP-26 nobody known", in: reply(macA, "10.0.0.9", "10.0.0.2"), want: "ArpInNoEntry"},
		{name: "ARP-25 request for others with arp_accept", setup: func(b *bench) { b.set("arp_accept=1") }, in: request(macA, "10.0.0.9", "10.0.0.77"), want: "ArpInNoEntry"},
		{name: "ARP-25 learnt", setup: func(b *bench) { b.set("arp_accept=1") }, in: reply(macA, "10.0.0.9", "10.0.0.2"), want: "ArpInLearnt"},
		{name: "PROXY-5 proxied", setup: func(b *bench) { b.set("forwarding=1", "proxy_arp=1", "proxy_delay=0") }, in: proxied, want: "ArpInProxied"},
		{name: "PROXY-9 purged", class: link.Broadcast, setup: func(b *bench) {
			b.set("forwarding=1", "proxy_arp=1")
			time.AfterFunc(time.Nanosecond, b.arp.Purge)
		}, in: proxied, want: "ArpInProxyPurged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				if c.setup != nil {
					c.setup(b)
				}
				b.in(1, c.class, c.in)
				pass(time.Nanosecond)
				synctest.Wait()
				got := outcomesOf(&b.arp.Stats)
				delete(got, "ArpInProxyQueued")
				total := "ArpInConsumed"
				if c.drop != 0 {
					total = "ArpInDropped"
					require.EqualValues(t, 1, b.drops.Count(c.drop), "ARP-37 the host's reasons agree")
				}
				require.Equal(t, map[string]uint64{c.want: 1, total: 1}, got, "ARP-37")
			})
		})
	}
}

func TestStatsAreNamed(t *testing.T) {
	var s Stats
	s.Filtered.Add(3)
	seen := map[string]bool{}
	for name, v := range s.All() {
		require.NotEmpty(t, name)
		require.False(t, seen[name], name)
		require.Equal(t, name == "TcpExtArpFilter", v == 3, "STAT-14 %s", name)
		seen[name] = true
	}
	require.Len(t, seen, 13+int(numOutcomes))
	for name := range s.All() { // who has seen enough may stop
		if strings.HasPrefix(name, "ArpInDrop") {
			break
		}
	}
	for range s.All() {
		break
	}
}

func TestInterfaceIndexIsTakenOnce(t *testing.T) {
	b := newBench(t)
	require.Error(t, b.arp.AddInterface(InterfaceConfig{Index: 1, Conf: &devconf.Device{}}))
}
