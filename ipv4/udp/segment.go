package udp

import (
	"bytes"
	"encoding/binary"

	"github.com/tapstack/tapstack/link"
)

// maxCoalesced is how many datagrams one read returns at most (Linux's
// UDP_GRO_CNT_MAX). What a sender handed down as one packet may be more.
const maxCoalesced = 64

// split makes single datagrams of a received super-segment, front at its data:
// for sockets that take no others (Linux's udp_rcv_segment). It takes p.
func split(p *link.Packet) (datagrams link.Queue) {
	var head [link.Headroom]byte
	n := copy(head[:], p.NetworkHeader())
	n = min(n, len(p.NetworkHeader())-len(p.Bytes()))
	for p.Len() > 0 {
		q := link.NewPacket(n + min(p.GSOSize, p.Len()))
		b := q.Bytes()
		copy(b, head[:n])
		p.Read(b[n:])
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		binary.BigEndian.PutUint16(b[n-HeaderLen+4:], uint16(len(b)-n+HeaderLen))
		q.EtherType, q.Type, q.In, q.Checksum = p.EtherType, p.Type, p.In, link.ChecksumValid
		q.SetNetworkHeader()
		q.Pull(n - HeaderLen)
		q.SetTransportHeader()
		q.Pull(HeaderLen)
		datagrams.Queue(q)
	}
	p.Release()
	return datagrams
}

// segmentSize returns the length of the datagrams in p, or of the only one.
func segmentSize(p *link.Packet) int {
	if p.GSO != link.GSONone {
		return p.GSOSize
	}
	return p.Len()
}

// coalesced is a run of datagrams that one read returns together.
type coalesced struct {
	size   int // of each but the last
	length int // of all of them
	n      int
}

func runOf(p *link.Packet) coalesced {
	size := max(segmentSize(p), 1)
	return coalesced{size, p.Len(), (p.Len() + size - 1) / size}
}

// add takes next, if it may follow first and those added before within room
// bytes: same ends, same TTL and TOS, same interface and same size, behind none
// that was shorter.
func (r *coalesced) add(first, next *link.Packet, room int) bool {
	size, length := segmentSize(next), next.Len()
	if length == 0 || r.length == 0 || r.length%r.size != 0 || size > r.size || next.GSO != link.GSONone && size != r.size {
		return false
	}
	n := r.n + (length+size-1)/size
	if n > maxCoalesced || r.length+length > room || r.length+length > MaxPayload || !alike(first, next) {
		return false
	}
	r.length += length
	r.n = n
	return true
}

// alike reports whether two packets differ in nothing that a reader is told of.
func alike(a, b *link.Packet) bool {
	x, y := a.NetworkHeader(), b.NetworkHeader()
	return a.In == b.In && x[1] == y[1] && x[8] == y[8] && bytes.Equal(x[12:20], y[12:20]) &&
		bytes.Equal(a.TransportHeader()[:4], b.TransportHeader()[:4])
}
