package control

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

// frame is a UDP datagram from 10.0.0.2:53 to 10.0.0.1:4000, and its Ethernet header.
func frame() []byte {
	return []byte{
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0,
		0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1,
		0, 53, 0x0f, 0xa0, 0, 12, 0, 0, 1, 2, 3, 4,
	}
}

func TestDropsAreRecognised(t *testing.T) {
	udp := Drop{Reason: "NO_SOCKET", Protocol: "UDP", Src: ip("10.0.0.2"), Dst: ip("10.0.0.1"), SrcPort: 53, DstPort: 4000, Length: 32}
	change := func(f func(*Drop)) Drop {
		d := udp
		f(&d)
		return d
	}
	bytes := func(f func(b []byte)) func(*link.Packet) {
		return func(p *link.Packet) {
			f(p.Bytes()[14:])
			p.EtherType = link.IPv4
			p.Pull(14)
			p.SetNetworkHeader()
		}
	}
	for _, tc := range []struct {
		name string
		at   func(*link.Packet)
		want Drop
	}{
		{"as received", func(*link.Packet) {}, udp},
		{"with its type, the header still on", func(p *link.Packet) { p.EtherType = link.IPv4 }, udp},
		{"at the IPv4 header", func(p *link.Packet) { p.EtherType = link.IPv4; p.Pull(14) }, udp},
		{"behind the UDP header", func(p *link.Packet) { bytes(func([]byte) {})(p); p.Pull(28) }, udp},
		{"TCP", bytes(func(b []byte) { b[9] = 6 }), change(func(d *Drop) { d.Protocol = "TCP" })},
		{"a later fragment", bytes(func(b []byte) { b[7] = 2 }), change(func(d *Drop) { d.SrcPort, d.DstPort, d.Fragment = 0, 0, true })},
		{"ICMP", bytes(func(b []byte) { b[9] = 1 }), change(func(d *Drop) { d.Protocol, d.SrcPort, d.DstPort = "ICMP", 0, 0 })},
		{"something over IPv4", bytes(func(b []byte) { b[9] = 89 }), change(func(d *Drop) { d.Protocol, d.SrcPort, d.DstPort = "IPv4 protocol 89", 0, 0 })},
		{"a header that is none", bytes(func(b []byte) { b[0] = 0x41 }), Drop{Reason: "NO_SOCKET", Protocol: "IPv4", Length: 32}},
		{"too short for ports", func(p *link.Packet) { p.Trim(36) }, change(func(d *Drop) { d.SrcPort, d.DstPort, d.Length = 0, 0, 22 })},
		{"IPv6", func(p *link.Packet) { p.Bytes()[12], p.Bytes()[13] = 0x86, 0xdd }, Drop{Reason: "NO_SOCKET", Protocol: "ethertype 0x86dd", Length: 32}},
		{"next to nothing", func(p *link.Packet) { p.Trim(3) }, Drop{Reason: "NO_SOCKET", Length: 3}},
		{"a short ARP packet", func(p *link.Packet) { p.Bytes()[13] = 6; p.Trim(30) }, Drop{Reason: "NO_SOCKET", Protocol: "ARP", Length: 16}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := newNetwork(t)
			p := link.NewPacketFrom(frame())
			defer p.Release()
			tc.at(p)
			d := dropped{reason: link.NoSocket}
			d.look(p)
			require.Equal(t, tc.want, n.srv.drop(d))
		})
	}
}

func TestNotingADropDoesNotAllocate(t *testing.T) {
	n := newNetwork(t)
	r := n.srv.drops.subscribe(1)
	defer r.close()
	p := link.NewPacketFrom(frame())
	defer p.Release()
	require.Zero(t, testing.AllocsPerRun(100, func() { n.srv.noteDrop(p, link.NoSocket) }))
	require.EqualValues(t, 0, (<-r.C).missed)
	n.srv.noteDrop(p, link.NoSocket)
	require.EqualValues(t, 100, (<-r.C).missed)
}

func FuzzDropped(f *testing.F) {
	f.Add(frame(), uint16(0), 0)
	f.Add(frame(), uint16(link.IPv4), 14)
	f.Fuzz(func(t *testing.T, b []byte, ether uint16, pull int) {
		p := link.NewPacketFrom(b)
		defer p.Release()
		p.EtherType = link.EtherType(ether)
		if pull > 0 && pull <= p.Len() {
			p.Pull(pull)
		}
		var d dropped
		d.look(p)
		if d.length > len(b) {
			t.Fatalf("length %d of %d bytes", d.length, len(b))
		}
	})
}
