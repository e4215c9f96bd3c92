package control

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
)

// Drop is a packet that went nowhere.
type Drop struct {
	Reason   string     `json:"reason"`             // as in nstat
	Dev      string     `json:"dev,omitempty"`      // that received it; empty for the host's own
	Protocol string     `json:"protocol,omitempty"` // ARP, ICMP, TCP, UDP, or a number
	Src      netip.Addr `json:"src,omitzero"`
	Dst      netip.Addr `json:"dst,omitzero"`
	SrcPort  uint16     `json:"sport,omitempty"`
	DstPort  uint16     `json:"dport,omitempty"`
	Fragment bool       `json:"fragment,omitempty"` // not the first: without ports
	Length   int        `json:"length"`             // in bytes, from the network header where it is known
}

// dropped is what is noted of a packet in the goroutine that drops it.
type dropped struct {
	at       time.Time
	reason   link.DropReason
	in       int
	ether    link.EtherType
	length   int
	protocol uint8 // of IPv4
	fragment bool
	src, dst netip.AddrPort
}

// noteDrop tells the readers of a dropped packet, which is borrowed.
func (s *Server) noteDrop(p *link.Packet, r link.DropReason) {
	d := dropped{at: time.Now(), reason: r, in: p.In}
	d.look(p)
	s.drops.publish(d)
}

// look finds out what a packet is. It may have been dropped anywhere: with its
// Ethernet header or behind its transport header.
func (d *dropped) look(p *link.Packet) {
	b := p.NetworkHeader()
	d.ether = p.EtherType
	if b == nil {
		b = p.Bytes()
		if d.ether != link.IPv4 || !ipv4At(b) {
			if eth, n, err := link.ParseEthernet(b); err == nil && (d.ether == 0 || d.ether == eth.Type) {
				b, d.ether = b[n:], eth.Type
			}
		}
	}
	d.length = len(b)
	switch {
	case d.ether == link.IPv4 && ipv4At(b):
		d.lookIPv4(b)
	case d.ether == link.ARP && len(b) >= 28:
		d.src, d.dst = addrPort(b[14:], nil), addrPort(b[24:], nil)
	}
}

func ipv4At(b []byte) bool {
	return len(b) >= ipv4.HeaderLen && b[0]>>4 == 4 && int(b[0]&15)*4 >= ipv4.HeaderLen && int(b[0]&15)*4 <= len(b)
}

func (d *dropped) lookIPv4(b []byte) {
	n := int(b[0]&15) * 4
	d.protocol = b[9]
	d.fragment = binary.BigEndian.Uint16(b[6:])&0x1fff != 0
	var sport, dport []byte
	if (d.protocol == protoTCP || d.protocol == protoUDP) && !d.fragment && len(b) >= n+4 {
		sport, dport = b[n:], b[n+2:]
	}
	d.src, d.dst = addrPort(b[12:], sport), addrPort(b[16:], dport)
}

// IANA's numbers of protocols over IPv4.
const (
	protoICMP = 1
	protoTCP  = 6
	protoUDP  = 17
)

func addrPort(addr, port []byte) netip.AddrPort {
	n := uint16(0)
	if port != nil {
		n = binary.BigEndian.Uint16(port)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(addr)), n)
}

// drop returns what is told of a dropped packet.
func (s *Server) drop(d dropped) Drop {
	out := Drop{
		Reason: d.reason.String(), Dev: s.name(d.in), Length: d.length, Fragment: d.fragment,
		Src: d.src.Addr(), Dst: d.dst.Addr(), SrcPort: d.src.Port(), DstPort: d.dst.Port(),
	}
	switch {
	case d.ether == link.ARP:
		out.Protocol = "ARP"
	case d.ether == link.IPv4 && !d.dst.IsValid():
		out.Protocol = "IPv4"
	case d.ether == link.IPv4 && d.protocol == protoICMP:
		out.Protocol = "ICMP"
	case d.ether == link.IPv4 && d.protocol == protoTCP:
		out.Protocol = "TCP"
	case d.ether == link.IPv4 && d.protocol == protoUDP:
		out.Protocol = "UDP"
	case d.ether == link.IPv4:
		out.Protocol = fmt.Sprintf("IPv4 protocol %d", d.protocol)
	case d.ether != 0:
		out.Protocol = fmt.Sprintf("ethertype 0x%04x", uint16(d.ether))
	}
	return out
}
