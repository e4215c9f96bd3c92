package ipv4

import (
	"net/netip"

	"github.com/tapstack/tapstack/link"
)

// fragment cuts p, a packet with header h longer than mtu, into packets that are
// not (RFC 791, section 3.2). It takes p, all of it in one piece of memory, which
// becomes the first piece. p may be a fragment itself.
func fragment(h Header, p *link.Packet, mtu int) link.Queue {
	n := h.Len()
	size := (mtu - n) &^ 7
	data := p.Bytes()[n:]
	var rest link.Queue
	for at := size; at < len(data); at += size {
		piece := data[at:min(at+size, len(data))]
		q := link.NewPacket(n + len(piece))
		f := h
		f.TotalLen, f.FragmentOffset, f.MF = q.Len(), h.FragmentOffset+at, h.MF || at+size < len(data)
		f.Put(q.Bytes())
		if len(h.Options) > 0 {
			blankOptions(q.Bytes()[:n])
		}
		copy(q.Bytes()[n:], piece)
		q.SetNetworkHeader()
		q.EtherType, q.Type, q.Confirm, q.In = p.EtherType, p.Type, p.Confirm, p.In
		rest.Queue(q)
	}
	p.Trim(n + size)
	h.TotalLen, h.MF = p.Len(), true
	h.Put(p.Bytes())
	var pieces link.Queue
	pieces.Queue(p)
	for q := rest.Pop(); q != nil; q = rest.Pop() {
		pieces.Queue(q)
	}
	return pieces
}

// transmitFragments is transmit for a packet that makes longer ones than the
// path's MTU. A super-segment is cut into its segments first: fragments of it
// would be of one packet.
func (pr *Protocol) transmitFragments(path *Path, dst netip.Addr, p *link.Packet) error {
	whole, ok := link.Segment(p, 0)
	if !ok {
		pr.drop(p, link.IPInHdr)
		return ErrTotalLen
	}
	var err error
	for p := whole.Pop(); p != nil; p = whole.Pop() {
		h, e := Parse(p.Bytes())
		if e != nil {
			pr.drop(p, link.IPInHdr)
			err = e
			continue
		}
		e = nil
		if p.Len() <= path.MTU {
			e = pr.toNextHop(path, dst, p) // the last segment of several
		} else {
			pieces := fragment(h, p, path.MTU)
			e = pr.transmitPieces(path, dst, &pieces)
		}
		if e != nil && err == nil {
			err = e
		}
	}
	return err
}

// transmitPieces sends the fragments of a packet. When one cannot be sent the
// others are of no use.
func (pr *Protocol) transmitPieces(path *Path, dst netip.Addr, pieces *link.Queue) error {
	for p := pieces.Pop(); p != nil; p = pieces.Pop() {
		if err := pr.toNextHop(path, dst, p); err != nil {
			pr.stats.FragFails.Add(1)
			for p := pieces.Pop(); p != nil; p = pieces.Pop() {
				pr.drop(p, link.FragIncomplete)
			}
			return err
		}
		pr.stats.FragCreates.Add(1)
	}
	pr.stats.FragOKs.Add(1)
	return nil
}
