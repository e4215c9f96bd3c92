package link

import (
	"bytes"
	"encoding/binary"
)

// GRO puts consecutive segments of a TCP flow together to one super-segment, so
// that all above a device handles one packet in place of forty (generic receive
// offload, Linux's net/core/gro.c). It is undone by Segment, which gives back
// the frames as they were, to the last bit: what is forwarded is not changed.
//
// The order within a flow stays. Whatever is no part of one passes at once, in
// front of what is held, which is given on by Flush at the latest.
//
// One goroutine uses a GRO.
type GRO struct {
	// Deliver takes each packet, its front where Input's was.
	Deliver func(p *Packet)

	held []merge // in the order in which their first segments came
}

// maxHeld is how many flows are held at once; a further one has the oldest
// flushed.
const maxHeld = 32

// Where things are in a mergeable frame: an Ethernet header, and an IPv4 header
// without options.
const (
	groIP  = EthernetHeaderLen
	groTCP = groIP + ipv4MinLen

	ipTOS, ipLen, ipID, ipFrag, ipTTL, ipProto, ipCsum, ipSrc          = 1, 2, 4, 6, 8, 9, 10, 12
	tcpSeq, tcpAck, tcpOff, tcpFlagByte, tcpWindow, tcpCsum, tcpUrgent = 4, 8, 12, 13, 14, 16, 18

	ipDF    = 0x4000
	tcpACK  = 0x10
	maxIPv4 = 0xffff
)

// flowKey is the addresses and the ports as they are in a frame.
type flowKey [12]byte

// merge is a segment, or several that were put together, that waits for the one
// that follows.
type merge struct {
	key   flowKey
	p     *Packet
	next  uint32 // sequence number behind it
	id    uint16 // identification of its last segment
	size  int    // payload of the first segment, so of all but perhaps the last
	total int    // length of the IPv4 packet
	n     int    // segments
}

// Input takes a frame as it was received, its front at the Ethernet header.
func (g *GRO) Input(p *Packet) {
	b := p.Bytes()
	if len(b) >= groTCP && b[12] == 0x08 {
		switch {
		case b[13] == 0x06, b[13] == 0x00 && b[groIP+ipProto] != protoTCP:
			g.Deliver(p) // ARP, or of another protocol: of no flow here
			return
		case b[13] == 0x00 && b[groIP] == 0x45 && len(b) >= groTCP+tcpMinLen && binary.BigEndian.Uint16(b[groIP+ipFrag:])&0x3fff == 0:
			g.segment(p, b)
			return
		}
	}
	// Perhaps of a flow that is held: with options, a fragment, tagged.
	g.Flush()
	g.Deliver(p)
}

// segment takes a frame with a TCP header.
func (g *GRO) segment(p *Packet, b []byte) {
	var key flowKey
	copy(key[:], b[groIP+ipSrc:])
	at := -1
	for i := range g.held {
		if g.held[i].key == key {
			at = i
			break
		}
	}
	header, payload, ok := mergeable(p, b)
	if at >= 0 {
		if m := &g.held[at]; ok && m.takes(b, header, payload) {
			m.add(b[header : header+payload])
			m.id = binary.BigEndian.Uint16(b[groIP+ipID:])
			push := b[groTCP+tcpFlagByte] & tcpPSH
			m.p.buf[m.p.head+groTCP+tcpFlagByte] |= push
			p.Release()
			// tcp_gro_receive: on PSH, and behind a segment that is shorter
			// than the first, nothing may follow.
			if push != 0 || payload < m.size || m.total+m.size > maxIPv4 {
				g.flush(at)
			}
			return
		}
		g.flush(at)
	}
	if !ok {
		g.Deliver(p)
		return
	}
	p.Checksum = ChecksumValid
	if b[groTCP+tcpFlagByte]&tcpPSH != 0 {
		g.Deliver(p)
		return
	}
	if len(g.held) == maxHeld {
		g.flush(0)
	}
	g.held = append(g.held, merge{
		key: key, p: p, size: payload, total: header - groIP + payload, n: 1,
		next: binary.BigEndian.Uint32(b[groTCP+tcpSeq:]) + uint32(payload),
		id:   binary.BigEndian.Uint16(b[groIP+ipID:]),
	})
}

// mergeable reports whether a frame can be part of a super-segment, that is, if
// Segment could give it back. Then header is the length of all headers and
// payload that of the rest. The checksums have been verified.
func mergeable(p *Packet, b []byte) (header, payload int, ok bool) {
	ip, tcp := b[groIP:groTCP], b[groTCP:]
	header = groTCP + int(tcp[tcpOff]>>4)*4
	payload = len(b) - header
	switch {
	case p.bodyLen > 0, p.GSO != GSONone, p.Checksum == ChecksumPartial:
		return 0, 0, false
	// Neither pure ACKs, whose number means something (RFC 5681), nor frames
	// that are padded; not what opens, closes or resets, and no congestion
	// notification, which Segment could not put in its place.
	case header < groTCP+tcpMinLen, payload <= 0,
		int(binary.BigEndian.Uint16(ip[ipLen:])) != len(b)-groIP,
		tcp[tcpFlagByte]&^tcpPSH != tcpACK,
		// The reserved bit (RFC 791) is left to whom it concerns.
		binary.BigEndian.Uint16(ip[ipFrag:])&^ipDF != 0:
		return 0, 0, false
	// One's complement has two zeros. Both are correct, and Segment writes the
	// other ones.
	case binary.BigEndian.Uint16(ip[ipCsum:]) == 0xffff, binary.BigEndian.Uint16(tcp[tcpCsum:]) == 0:
		return 0, 0, false
	case Sum(ip, 0) != 0xffff,
		p.Checksum == ChecksumUnknown && Sum(tcp, Sum(ip[ipSrc:], protoTCP+uint16(len(tcp)))) != 0xffff:
		return 0, 0, false
	}
	return header, payload, true
}

// takes reports whether the frame b continues m: whether it differs from m's
// last segment in the sequence number, the identification, the checksums, PSH
// and the data alone (Linux's inet_gro_receive and tcp_gro_receive).
func (m *merge) takes(b []byte, header, payload int) bool {
	h := m.p.Bytes()
	ip, tcp, ip0, tcp0 := b[groIP:], b[groTCP:header], h[groIP:], h[groTCP:]
	if payload > m.size || m.total+payload > maxIPv4 || binary.BigEndian.Uint32(tcp[tcpSeq:]) != m.next ||
		!bytes.Equal(b[:groIP], h[:groIP]) ||
		ip[ipTOS] != ip0[ipTOS] || ip[ipTTL] != ip0[ipTTL] || ip[ipFrag] != ip0[ipFrag] ||
		!bytes.Equal(tcp[tcpAck:tcpFlagByte], tcp0[tcpAck:tcpFlagByte]) ||
		!bytes.Equal(tcp[tcpWindow:tcpCsum], tcp0[tcpWindow:tcpCsum]) ||
		// The length of the options is in tcpOff.
		!bytes.Equal(tcp[tcpUrgent:], tcp0[tcpUrgent:len(tcp)]) {
		return false
	}
	// Identifications count up, or stay, which is for packets only that are never
	// fragmented (RFC 6864 section 4.1).
	fixed := binary.BigEndian.Uint16(ip[ipID:]) == m.id
	switch {
	case fixed && ip[ipFrag]&(ipDF>>8) == 0, !fixed && binary.BigEndian.Uint16(ip[ipID:]) != m.id+1:
		return false
	case m.n == 1:
		m.p.FixedID = fixed
		return true
	}
	return m.p.FixedID == fixed
}

// The first piece of the body takes minGrow bytes, and each of the rest as many as
// are there already: no more than half of the memory is wasted.
const minGrow = 4 << 10

// add appends a segment's payload.
func (m *merge) add(b []byte) {
	p := m.p
	m.n++
	m.total += len(b)
	m.next += uint32(len(b))
	for len(b) > 0 {
		var x *piece
		if k := len(p.body); k > 0 {
			x = &p.body[k-1]
		}
		if x == nil || len(x.b) == cap(x.b) {
			c := NewChunk(max(p.bodyLen, minGrow))
			p.Append(c, c.Bytes()[:0])
			x = &p.body[len(p.body)-1]
		}
		k := len(x.b)
		x.b = x.b[:min(k+len(b), cap(x.b))]
		n := copy(x.b[k:], b)
		p.bodyLen += n
		b = b[n:]
	}
}

// Flush delivers everything that is held, and reports whether that was anything.
func (g *GRO) Flush() bool {
	if len(g.held) == 0 {
		return false
	}
	for len(g.held) > 0 {
		g.flush(0)
	}
	return true
}

// flush delivers the i-th flow's.
func (g *GRO) flush(i int) {
	m := &g.held[i]
	p := m.p
	if m.n > 1 {
		m.finish()
	}
	k := len(g.held) - 1
	copy(g.held[i:], g.held[i+1:])
	g.held[k] = merge{}
	g.held = g.held[:k]
	g.Deliver(p)
}

// finish makes the headers those of all segments (Linux's inet_gro_complete and
// tcp_gro_complete): a packet as a host makes it for a card that segments.
func (m *merge) finish() {
	p := m.p
	b := p.Bytes()
	ip, tcp := b[groIP:groTCP], b[groTCP:]
	binary.BigEndian.PutUint16(ip[ipLen:], uint16(m.total))
	binary.BigEndian.PutUint16(ip[ipCsum:], 0)
	binary.BigEndian.PutUint16(ip[ipCsum:], ^Sum(ip, 0))
	binary.BigEndian.PutUint16(tcp[tcpCsum:], Sum(ip[ipSrc:], fold(protoTCP+uint32(m.total-ipv4MinLen))))
	p.GSO, p.GSOSize = GSOTCP, m.size
	p.Pull(groTCP)
	p.SetPartialChecksum(tcpCsum)
	p.Push(groTCP)
}
