package arp

import (
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/neighbour"
)

func TestSolicit(t *testing.T) {
	head := func(src string) (h [20]byte) {
		h[0] = 0x45
		a := ip(src).As4()
		copy(h[12:], a[:])
		return h
	}
	for _, c := range []struct {
		name     string
		announce string
		s        neighbour.Solicitation
		want     string
	}{
		{"OUT-2 broadcast, best address", "0", neighbour.Solicitation{Interface: 1, Target: ip("10.0.0.9")},
			"eth1 us > all request: 10.0.0.2 is-at us, 10.0.0.9 is-at -, 42 bytes"},
		{"OUT-2 unicast, target address still zero", "0", neighbour.Solicitation{Interface: 1, Target: ip("10.0.0.9"), Unicast: true, LLAddr: macA},
			"eth1 us > A request: 10.0.0.2 is-at us, 10.0.0.9 is-at -, 42 bytes"},
		{"PRB-7 level 0 keeps the packet's source", "0", neighbour.Solicitation{Interface: 1, Target: ip("10.0.0.9"), Head: head("10.0.1.2"), HasHead: true},
			"eth1 us > all request: 10.0.1.2 is-at us, 10.0.0.9 is-at -, 42 bytes"},
		{"PRB-7 level 0 unless it is not ours", "0", neighbour.Solicitation{Interface: 1, Target: ip("10.0.0.9"), Head: head("10.77.0.1"), HasHead: true},
			"eth1 us > all request: 10.0.0.2 is-at us, 10.0.0.9 is-at -, 42 bytes"},
		{"PRB-7 level 1 wants a shared subnet", "1", neighbour.Solicitation{Interface: 1, Target: ip("10.0.0.9"), Head: head("10.0.1.2"), HasHead: true},
			"eth1 us > all request: 10.0.0.2 is-at us, 10.0.0.9 is-at -, 42 bytes"},
		{"PRB-7 level 1 keeps a source of the subnet", "1", neighbour.Solicitation{Interface: 1, Target: ip("10.0.0.9"), Head: head("10.0.0.3"), HasHead: true},
			"eth1 us > all request: 10.0.0.3 is-at us, 10.0.0.9 is-at -, 42 bytes"},
		{"PRB-7 level 2 always selects", "2", neighbour.Solicitation{Interface: 1, Target: ip("10.0.0.9"), Head: head("10.0.0.3"), HasHead: true},
			"eth1 us > all request: 10.0.0.2 is-at us, 10.0.0.9 is-at -, 42 bytes"},
		{"PRB-7 other levels are 0", "7", neighbour.Solicitation{Interface: 1, Target: ip("10.0.0.9"), Head: head("10.0.1.2"), HasHead: true},
			"eth1 us > all request: 10.0.1.2 is-at us, 10.0.0.9 is-at -, 42 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.host.addrs[1] = append(b.host.addrs[1], Address{Prefix: netip.MustParsePrefix("10.0.0.3/24")})
			b.set("arp_announce=" + c.announce)
			b.arp.Solicit(c.s)
			b.wantSent("one request", c.want)
		})
	}
}

func TestNoARPInterfaceIsSilent(t *testing.T) {
	b := newBench(t)
	b.arp.SetNoARP(1, true)
	b.arp.Solicit(neighbour.Solicitation{Interface: 1, Target: ip("10.0.0.9")})
	b.arp.Announce(1, ip("10.0.0.2"))
	b.in(1, link.Broadcast, request(macA, "10.0.0.9", "10.0.0.2"))
	b.wantSent("OUT-4")
}

func TestNotify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.host.addrs[1] = append(b.host.addrs[1], Address{Prefix: netip.MustParsePrefix("10.0.0.3/24")})
		b.arp.Notify(1)
		b.wantSent("OUT-11 arp_notify is off by default")
		b.set("all.arp_notify=1")
		b.arp.Notify(1)
		b.wantSent("OUT-10 one for each address",
			"eth1 us > all request: 10.0.0.2 is-at us, 10.0.0.2 is-at -, 42 bytes",
			"eth1 us > all request: 10.0.0.3 is-at us, 10.0.0.3 is-at -, 42 bytes")
	})
}
