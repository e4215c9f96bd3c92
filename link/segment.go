package link

import "encoding/binary"

// What Segment has to know of the headers that it repeats (RFC 791, RFC 9293,
// RFC 768).
const (
	ipv4MinLen = 20
	protoTCP   = 6
	protoUDP   = 17
	tcpMinLen  = 20
	udpLen     = 8

	tcpFIN, tcpPSH, tcpCWR = 0x01, 0x08, 0x80
)

// superHeader reads the lengths of the IPv4 header, which begins network bytes
// behind the front, and of the transport header of a super-segment. ok is false
// for what is none, or is inconsistent.
func (p *Packet) superHeader(network int) (ip, transport int, ok bool) {
	b := p.Bytes()
	if network < 0 || len(b) < network+ipv4MinLen || p.GSOSize <= 0 {
		return 0, 0, false
	}
	b = b[network:]
	ip = int(b[0]&15) * 4
	if b[0]>>4 != 4 || ip < ipv4MinLen || int(binary.BigEndian.Uint16(b[2:])) != p.Len()-network ||
		binary.BigEndian.Uint16(b[6:])&0x3fff != 0 { // a fragment
		return 0, 0, false
	}
	switch {
	case p.GSO == GSOTCP && b[9] == protoTCP && len(b) >= ip+tcpMinLen:
		transport = int(b[ip+12]>>4) * 4
		return ip, transport, transport >= tcpMinLen && len(b) >= ip+transport
	case p.GSO == GSOUDP && b[9] == protoUDP && len(b) >= ip+udpLen:
		return ip, udpLen, true
	}
	return 0, 0, false
}

// SegmentLen returns the length of the longest network-layer packet that p makes
// on the wire: its own length, or for a super-segment that of its segments with
// their headers (Linux's skb_gso_network_seglen). The front is at the IPv4
// header.
func (p *Packet) SegmentLen() int {
	if p.GSO == GSONone {
		return p.Len()
	}
	ip, transport, ok := p.superHeader(0)
	if !ok {
		return p.Len()
	}
	return min(ip+transport+p.GSOSize, p.Len())
}

// Segment makes plain packets with complete checksums of p: what a network card
// does with a super-segment (Linux's skb_segment), and at least a complete
// checksum in one piece of memory. The IPv4 header begins network bytes behind
// the front; what is in front of it is repeated too. Segment takes p if ok; what
// is malformed stays with the caller.
func Segment(p *Packet, network int) (segments Queue, ok bool) {
	if p.GSO == GSONone {
		p.CompleteChecksum()
		p.Linearize()
		segments.Queue(p)
		return segments, true
	}
	ip, transport, ok := p.superHeader(network)
	if !ok {
		return segments, false
	}
	n := network + ip + transport
	var head [Headroom]byte
	if n > len(head) {
		return segments, false
	}
	copy(head[:n], p.Bytes())
	size, left := p.GSOSize, p.Len()-n
	reader := cursor{p: p}
	reader.skip(n)
	id := binary.BigEndian.Uint16(head[network+4:])
	for at := 0; at == 0 || left > 0; at += size {
		k := min(size, left)
		left -= k
		q := NewPacket(n + k)
		b := q.Bytes()
		copy(b, head[:n])
		reader.read(b[n:])
		h := b[network:]
		binary.BigEndian.PutUint16(h[2:], uint16(len(h)))
		// Each is a packet of its own: it needs an identification as if it had
		// been sent by itself, as Linux numbers them.
		binary.BigEndian.PutUint16(h[4:], id)
		if !p.FixedID {
			id++
		}
		binary.BigEndian.PutUint16(h[10:], 0)
		binary.BigEndian.PutUint16(h[10:], ^Sum(h[:ip], 0))
		t := h[ip:]
		field := 6
		if p.GSO == GSOTCP {
			field = 16
			binary.BigEndian.PutUint32(t[4:], binary.BigEndian.Uint32(t[4:])+uint32(at))
			if left > 0 {
				t[13] &^= tcpFIN | tcpPSH
			}
			if at > 0 {
				t[13] &^= tcpCWR // said once (RFC 3168, section 6.1.2)
			}
		} else {
			binary.BigEndian.PutUint16(t[4:], uint16(len(t)))
		}
		// The addresses are twelve bytes behind the IPv4 header's start.
		binary.BigEndian.PutUint16(t[field:], 0)
		pseudo := Sum(h[12:20], fold(uint32(h[9])+uint32(len(t))))
		sum := ^Sum(t, pseudo)
		if sum == 0 {
			sum = 0xffff
		}
		binary.BigEndian.PutUint16(t[field:], sum)
		q.EtherType, q.Type, q.Confirm, q.In = p.EtherType, p.Type, p.Confirm && at == 0, p.In
		q.network, q.transport = q.head+network, q.head+network+ip
		segments.Queue(q)
	}
	p.Release()
	return segments, true
}

// cursor reads a packet from front to back without changing it.
type cursor struct {
	p     *Packet
	piece int
	at    int
}

func (c *cursor) skip(n int) { c.at += n }

func (c *cursor) read(b []byte) {
	for len(b) > 0 {
		x := c.p.Piece(c.piece)
		n := copy(b, x[c.at:])
		b = b[n:]
		if c.at += n; c.at == len(x) {
			c.piece, c.at = c.piece+1, 0
		}
	}
}
