package icmp

import (
	"encoding/binary"
	"net/netip"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
)

// minQuote is how much of a packet's data an error quotes at least (RFC 792):
// the ports of UDP and TCP, the identifier of an echo.
const minQuote = 8

// receiveError hands an error to the transport that it is about (RFC 1122,
// section 3.2.2).
func (pr *Protocol) receiveError(ih ipv4.Header, h Header, p *link.Packet) {
	inner, payload, ok := pr.quoted(p)
	if !ok {
		pr.refuse(p, link.ICMPInHdr)
		return
	}
	errno, hard, ok := errnoOf(h.Type, h.Code)
	// An error about what we did not send is a mistake or an attack (RFC 5927,
	// section 4.1); one about a broadcast was not to be sent at all.
	if !ok || pr.ip.AddrType(inner.Src) != ipv4.Local || pr.ip.AddrType(inner.Dst) == ipv4.Broadcast {
		pr.config.Drops.Drop(p, link.ICMPIgnored)
		return
	}
	e := ipv4.TransportError{Type: h.Type, Code: h.Code, Info: h.Info, From: ih.Src, Inner: inner, Payload: payload, Errno: errno, Hard: hard}
	switch {
	case h.Type == TypeUnreachable && h.Code == ipv4.CodeFragNeeded:
		e.Info &= 0xffff // RFC 1191 section 4
	case h.Type == TypeParameterProblem:
		e.Info >>= 24
	}
	pr.ip.DeliverError(e)
	p.Release()
}

// quoted returns header and data of the packet that an error quotes.
func (pr *Protocol) quoted(p *link.Packet) (inner ipv4.Header, payload []byte, ok bool) {
	b := p.Bytes()[HeaderLen:]
	inner, err := ipv4.Parse(b)
	if err != nil || len(b) < inner.Len()+minQuote {
		return ipv4.Header{}, nil, false
	}
	return inner, b[inner.Len():min(len(b), max(inner.TotalLen, inner.Len()+minQuote))], true
}

// receiveRedirect notes a better gateway (RFC 1122, section 3.2.2.2): for the
// destination alone, whatever the code says.
func (pr *Protocol) receiveRedirect(ih ipv4.Header, h Header, p *link.Packet) {
	inner, _, ok := pr.quoted(p)
	if !ok {
		pr.refuse(p, link.ICMPInHdr)
		return
	}
	var g [4]byte
	binary.BigEndian.PutUint32(g[:], h.Info)
	if h.Code > 3 || pr.ip.AddrType(inner.Src) != ipv4.Local || !pr.ip.Redirect(p.In, ih.Src, inner.Dst, netip.AddrFrom4(g)) {
		pr.config.Drops.Drop(p, link.ICMPIgnored)
		return
	}
	p.Release()
}
