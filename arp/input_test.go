package arp

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/neighbour"
)

func request(sha link.Addr, sip, tip string) Packet {
	return Packet{Op: Request, SenderAddr: sha, SenderIP: ip(sip), TargetIP: ip(tip)}
}

func reply(sha link.Addr, sip, tip string) Packet {
	return Packet{Op: Reply, SenderAddr: sha, SenderIP: ip(sip), TargetAddr: ourM, TargetIP: ip(tip)}
}

const toA = "eth1 us > A reply: 10.0.0.2 is-at us, 10.0.0.9 is-at A, 42 bytes"

func TestInput(t *testing.T) {
	for _, c := range []struct {
		name    string
		sysctls []string
		class   link.PacketType
		in      Packet
		sent    []string
		entry   string // of the sender
	}{
		{name: "ARP-14 a request for us is answered and its sender learnt", class: link.Broadcast,
			in: request(macA, "10.0.0.9", "10.0.0.2"), sent: []string{toA}, entry: "STALE A"},
		{name: "ARP-14 a unicast request too", class: link.Host,
			in: request(macA, "10.0.0.9", "10.0.0.2"), sent: []string{toA}, entry: "STALE A"},
		{name: "ARP-1 any group address is heard", class: link.Multicast,
			in: request(macA, "10.0.0.9", "10.0.0.2"), sent: []string{toA}, entry: "STALE A"},
		{name: "ARP-1 another station's frame is not", class: link.OtherHost,
			in: request(macA, "10.0.0.9", "10.0.0.2")},
		{name: "ARP-16 an address of another interface is answered", class: link.Broadcast,
			in:   request(macA, "10.0.0.9", "10.0.1.2"),
			sent: []string{"eth1 us > A reply: 10.0.1.2 is-at us, 10.0.0.9 is-at A, 42 bytes"}, entry: "STALE A"},
		{name: "ARP-16 arp_ignore=1 leaves it unanswered and unlearnt", sysctls: []string{"arp_ignore=1"}, class: link.Broadcast,
			in: request(macA, "10.0.0.9", "10.0.1.2")},
		{name: "ARP-16 arp_ignore=8 answers nothing", sysctls: []string{"all.arp_ignore=8"}, class: link.Broadcast,
			in: request(macA, "10.0.0.9", "10.0.0.2")},
		{name: "ARP-19 a request for others is not answered", class: link.Broadcast,
			in: request(macA, "10.0.0.9", "10.0.0.77")},
		{name: "ARP-26 an unsolicited reply creates nothing", class: link.Host,
			in: reply(macA, "10.0.0.9", "10.0.0.2")},
		{name: "ARP-25 with arp_accept a unicast reply does", sysctls: []string{"arp_accept=1"}, class: link.Host,
			in: reply(macA, "10.0.0.9", "10.0.0.2"), entry: "REACHABLE A"},
		{name: "ARP-28 a broadcast one gives STALE", sysctls: []string{"all.arp_accept=1"}, class: link.Broadcast,
			in: reply(macA, "10.0.0.9", "10.0.0.2"), entry: "STALE A"},
		{name: "ARP-25 a gratuitous request too", sysctls: []string{"arp_accept=1"}, class: link.Broadcast,
			in: request(macA, "10.0.0.9", "10.0.0.9"), entry: "STALE A"},
		{name: "ARP-25 a request for others never", sysctls: []string{"arp_accept=1"}, class: link.Broadcast,
			in: request(macA, "10.0.0.9", "10.0.0.77")},
		{name: "ARP-23 arp_accept=2 takes senders of the subnet", sysctls: []string{"arp_accept=2"}, class: link.Host,
			in: reply(macA, "10.0.0.9", "10.0.0.2"), entry: "REACHABLE A"},
		{name: "ARP-23 arp_accept=2 takes no others", sysctls: []string{"arp_accept=2"}, class: link.Host,
			in: reply(macA, "10.7.0.9", "10.0.0.2")},
		{name: "ARP-23 arp_accept=3 is no", sysctls: []string{"arp_accept=3"}, class: link.Host,
			in: reply(macA, "10.0.0.9", "10.0.0.2")},
		{name: "ARP-10 a probe for us is answered, and nothing learnt", class: link.Broadcast,
			in:   request(macA, "0.0.0.0", "10.0.0.2"),
			sent: []string{"eth1 us > A reply: 10.0.0.2 is-at us, 0.0.0.0 is-at A, 42 bytes"}},
		{name: "ARP-10 a probe for others is not", class: link.Broadcast, in: request(macA, "0.0.0.0", "10.0.0.77")},
		{name: "ARP-10 arp_ignore counts for probes", sysctls: []string{"arp_ignore=8"}, class: link.Broadcast, in: request(macA, "0.0.0.0", "10.0.0.2")},
		{name: "ARP-10 arp_filter does not", sysctls: []string{"arp_filter=1"}, class: link.Broadcast,
			in:   request(macA, "0.0.0.0", "10.0.0.2"),
			sent: []string{"eth1 us > A reply: 10.0.0.2 is-at us, 0.0.0.0 is-at A, 42 bytes"}},
		{name: "ARP-10 arp_ignore=2 lets probes pass", sysctls: []string{"arp_ignore=2"}, class: link.Broadcast,
			in:   request(macA, "0.0.0.0", "10.0.0.2"),
			sent: []string{"eth1 us > A reply: 10.0.0.2 is-at us, 0.0.0.0 is-at A, 42 bytes"}},
		{name: "ARP-13 our address is not defended", class: link.Broadcast, in: request(macA, "10.0.0.2", "10.0.0.2")},
		{name: "ARP-9 the sender's hardware address is not judged", class: link.Broadcast,
			in:   request(link.BroadcastAddr, "10.0.0.9", "10.0.0.2"),
			sent: []string{"eth1 us > all reply: 10.0.0.2 is-at us, 10.0.0.9 is-at all, 42 bytes"}, entry: "STALE all"},
		{name: "ARP-17 arp_filter lets the way back pass", sysctls: []string{"arp_filter=1"}, class: link.Broadcast,
			in: request(macA, "10.0.0.9", "10.0.0.2"), sent: []string{toA}, entry: "STALE A"},
		{name: "ARP-17 and no other way", sysctls: []string{"arp_filter=1"}, class: link.Broadcast,
			in: request(macA, "10.0.1.9", "10.0.0.2")},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.set(c.sysctls...)
				b.in(1, c.class, c.in)
				b.wantSent("after the packet", c.sent...)
				b.wantEntry("of the sender", c.in.SenderIP.String(), c.entry)
			})
		})
	}
}

func TestInputDrops(t *testing.T) {
	good := make([]byte, Len)
	request(macA, "10.0.0.9", "10.0.0.2").Put(good)
	edit := func(off int, v ...byte) []byte {
		b := append([]byte(nil), good...)
		copy(b[off:], v)
		return b
	}
	for _, c := range []struct {
		name   string
		sysctl string
		in     []byte
		want   link.DropReason
	}{
		{"ARP-2 short", "", good[:Len-1], link.ARPTooShort},
		{"ARP-3 hln", "", edit(offHLen, 8), link.ARPHardware},
		{"ARP-3 pln", "", edit(offPLen, 5), link.ARPProtocol},
		{"ARP-5 hrd", "", edit(offHardware, 0, 7), link.ARPHardware},
		{"ARP-6 op", "", edit(offOp, 0, 9), link.ARPOperation},
		{"ARP-7 multicast target", "", edit(offTPA, 224, 0, 0, 1), link.ARPTarget},
		{"ARP-7 loopback target", "", edit(offTPA, 127, 0, 0, 1), link.ARPTarget},
		{"ARP-8 gratuitous", "drop_gratuitous_arp=1", edit(offTPA, 10, 0, 0, 9), link.ARPGratuitous},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				if c.sysctl != "" {
					b.set(c.sysctl)
				}
				p := link.NewPacketFrom(c.in)
				p.In, p.Type = 1, link.Broadcast
				b.arp.Input(p, macFrame)
				b.wantSent("nothing for a packet that is dropped")
				require.EqualValues(t, 1, b.drops.Count(c.want), "counted as %s: %v", c.want, b.drops.Counts())
				require.EqualValues(t, 1, b.arp.Stats.Dropped(), "ARP-37")
				require.Zero(t, b.arp.Stats.Consumed(), "ARP-37")
			})
		})
	}
}

func TestRouteLocalnetAnswersForLoopback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.set("route_localnet=1")
		b.in(1, link.Broadcast, request(macA, "10.0.0.9", "127.0.0.1"))
		b.wantSent("ARP-7 with route_localnet", "eth1 us > A reply: 127.0.0.1 is-at us, 10.0.0.9 is-at A, 42 bytes")
	})
}

// What later packets do to an entry.
func TestUpdates(t *testing.T) {
	t.Run("ARP-14 requests for us override at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.in(1, link.Broadcast, request(macA, "10.0.0.9", "10.0.0.2"))
			b.in(1, link.Broadcast, request(macB, "10.0.0.9", "10.0.0.2"))
			b.wantEntry("no locktime", "10.0.0.9", "STALE B")
			b.wantSent("each is answered", toA, "eth1 us > B reply: 10.0.0.2 is-at us, 10.0.0.9 is-at B, 42 bytes")
		})
	})
	t.Run("ARP-27 ARP-29 other packets wait for locktime", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.in(1, link.Broadcast, request(macA, "10.0.0.9", "10.0.0.2"))
			pass(time.Second)
			b.in(1, link.Broadcast, request(macB, "10.0.0.9", "10.0.0.77"))
			b.wantEntry("locktime itself is still locked", "10.0.0.9", "STALE A")
			pass(time.Nanosecond)
			b.in(1, link.Broadcast, request(macB, "10.0.0.9", "10.0.0.77"))
			b.wantEntry("ARP-31 overheard later", "10.0.0.9", "STALE B")
		})
	})
	t.Run("ARP-24 gratuitous ones do not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.in(1, link.Broadcast, request(macA, "10.0.0.9", "10.0.0.2"))
			r := reply(macB, "10.0.0.9", "10.0.0.9")
			r.TargetAddr = link.BroadcastAddr
			b.in(1, link.Broadcast, r)
			b.wantEntry("not gratuitous by its target hardware address", "10.0.0.9", "STALE A")
			r.TargetAddr = macB
			b.in(1, link.Broadcast, r)
			b.wantEntry("gratuitous", "10.0.0.9", "STALE B")
		})
	})
	t.Run("ARP-30 ARP-33 only a unicast reply proves reachability", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.in(1, link.Broadcast, request(macA, "10.0.0.9", "10.0.0.2"))
			b.in(1, link.Broadcast, reply(macA, "10.0.0.9", "10.0.0.2"))
			b.wantEntry("broadcast", "10.0.0.9", "STALE A")
			b.in(1, link.Host, reply(macA, "10.0.0.9", "10.0.0.55"))
			b.wantEntry("unicast, whatever its target", "10.0.0.9", "REACHABLE A")
		})
	})
	t.Run("NUD-37 a permanent entry stays, and is answered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			require.NoError(t, b.table.Set(1, ip("10.0.0.9"), neighbour.Request{LLAddr: macB, HasLLAddr: true, State: neighbour.Permanent, Create: true}))
			b.in(1, link.Broadcast, request(macA, "10.0.0.9", "10.0.0.2"))
			b.wantEntry("unchanged", "10.0.0.9", "PERMANENT B")
			b.wantSent("answered", toA)
		})
	})
}

func TestFullTableIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		require.NoError(t, b.table.SetSysctl("default", "gc_thresh3", "0"))
		require.NoError(t, b.table.SetSysctl("default", "gc_thresh2", "0"))
		b.in(1, link.Broadcast, request(macA, "10.0.0.9", "10.0.0.2"))
		b.wantSent("GC-13 no answer to who cannot be remembered")
		b.in(1, link.Broadcast, request(macA, "0.0.0.0", "10.0.0.2"))
		b.wantSent("GC-13 probes are answered", "eth1 us > A reply: 10.0.0.2 is-at us, 0.0.0.0 is-at A, 42 bytes")
	})
}

func TestArpFilterCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.set("arp_filter=1")
		b.in(1, link.Broadcast, request(macA, "10.0.1.9", "10.0.0.2"))
		require.EqualValues(t, 1, b.arp.Stats.Filtered.Load(), "STAT-14 the way back is another interface")
		b.in(1, link.Broadcast, request(macA, "10.66.0.9", "10.0.0.2"))
		require.EqualValues(t, 1, b.arp.Stats.Filtered.Load(), "STAT-14 no way back does not count")
		b.in(1, link.Broadcast, request(macA, "10.0.0.9", "10.0.0.2"))
		require.EqualValues(t, 1, b.arp.Stats.Filtered.Load())
	})
}

func TestConfirmAddr(t *testing.T) {
	addrs := []Address{
		{Prefix: netip.MustParsePrefix("10.0.0.2/24")},
		{Prefix: netip.MustParsePrefix("10.0.0.130/25")},
		{Prefix: netip.MustParsePrefix("192.0.2.1/32"), Scope: ScopeLink},
		{Prefix: netip.MustParsePrefix("192.0.2.2/32"), Scope: ScopeHost},
	}
	none := netip.IPv4Unspecified()
	for _, c := range []struct {
		name          string
		remote, local netip.Addr
		limit         Scope
		want          bool
	}{
		{"own address, any remote", none, ip("10.0.0.2"), ScopeHost, true},
		{"not an address", none, ip("10.0.0.3"), ScopeHost, false},
		{"remote in the subnet", ip("10.0.0.9"), ip("10.0.0.2"), ScopeHost, true},
		{"remote in the subnet of another address that holds both", ip("10.0.0.9"), ip("10.0.0.130"), ScopeHost, true},
		{"remote elsewhere", ip("10.1.0.9"), ip("10.0.0.2"), ScopeHost, false},
		{"scope link within link", none, ip("192.0.2.1"), ScopeLink, true},
		{"scope host not within link", none, ip("192.0.2.2"), ScopeLink, false},
		{"scope host within host", none, ip("192.0.2.2"), ScopeHost, true},
	} {
		t.Run("ARP-18 "+c.name, func(t *testing.T) {
			require.Equal(t, c.want, confirmAddr(addrs, c.remote, c.local, c.limit))
		})
	}
}

// Answering takes no memory: the reply is built in the request's packet.
func TestAnsweringDoesNotAllocate(t *testing.T) {
	b := newBench(t)
	b.arp.edit(1, func(i *iface) { i.dev = discard{} })
	a := request(macA, "10.0.0.9", "10.0.0.2")
	b.in(1, link.Broadcast, a) // makes the entry
	linktest.WantNoAllocs(t, func() { b.in(1, link.Broadcast, a) })
}

type discard struct{}

func (discard) Write(p *link.Packet) error { p.Release(); return nil }
