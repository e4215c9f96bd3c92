package link

import (
	"encoding/binary"
	"strings"
)

// ChecksumState says who vouches for a packet's transport checksum (Linux's
// ip_summed).
type ChecksumState uint8

const (
	// ChecksumUnknown: the field holds what it holds. A receiver verifies it.
	ChecksumUnknown ChecksumState = iota
	// ChecksumValid: the device has verified a received packet's.
	ChecksumValid
	// ChecksumPartial: the field holds the sum of the pseudo header only, and a
	// device or CompleteChecksum adds the rest. Of a received packet: it never
	// was on a wire, so that nothing can have happened to it.
	ChecksumPartial
)

// GSOType says what kind of super-segment a packet is.
type GSOType uint8

const (
	GSONone GSOType = iota
	GSOTCP          // TCP over IPv4
	GSOUDP          // UDP over IPv4: a datagram for each GSOSize bytes
)

// Features are the things that a device does for the stack beyond carrying plain
// frames in one piece, and that it may do for the stack on receiving.
type Features uint8

const (
	// ScatterGather: Write takes packets with a body.
	ScatterGather Features = 1 << iota
	// ChecksumOffload: Write takes partial checksums.
	ChecksumOffload
	// TCPSegmentation: Write takes GSOTCP packets.
	TCPSegmentation
	// UDPSegmentation: Write takes GSOUDP packets.
	UDPSegmentation
	// ReceiveOffload is the interface's own feature: GRO of what the device
	// gives.
	ReceiveOffload
)

// String returns ethtool's short words for the features, with blanks between.
func (f Features) String() string {
	var names []string
	for i, name := range []string{"sg", "csum", "tso4", "uso4", "gro"} {
		if f>>i&1 == 1 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

// Offloader is a device that has features. A wrapper that does not change frames
// hands its inner device's on; one that does has none, and makes plain frames of
// what it reads.
type Offloader interface{ Features() Features }

// FeaturesOf returns what d does for the stack: nothing unless it is an
// Offloader.
func FeaturesOf(d Device) Features {
	if o, ok := d.(Offloader); ok {
		return o.Features()
	}
	return 0
}

// Take reports whether a device with these features takes p as it is.
func (f Features) Take(p *Packet) bool {
	var need Features
	if p.bodyLen > 0 {
		need |= ScatterGather
	}
	if p.Checksum == ChecksumPartial {
		need |= ChecksumOffload
	}
	switch p.GSO {
	case GSOTCP:
		if p.FixedID {
			return false // no device of ours can (Linux's NETIF_F_TSO_MANGLEID)
		}
		need |= TCPSegmentation
	case GSOUDP:
		need |= UDPSegmentation
	}
	return f&need == need
}

// SetPartialChecksum says that the checksum of the bytes from the front to the
// back has to be completed: its field is offset bytes behind the front and holds
// the sum of the pseudo header, not complemented.
func (p *Packet) SetPartialChecksum(offset int) {
	p.Checksum, p.csumStart, p.csumOffset = ChecksumPartial, p.head, offset
}

// PartialChecksum returns where the bytes begin that a partial checksum is
// about, counted from the front, and how far behind that its field is. ok is
// false when there is none.
func (p *Packet) PartialChecksum() (start, offset int, ok bool) {
	return p.csumStart - p.head, p.csumOffset, p.Checksum == ChecksumPartial
}

// CompleteChecksum computes what is missing of a partial checksum. It does
// nothing for a packet without one.
func (p *Packet) CompleteChecksum() {
	if p.Checksum != ChecksumPartial {
		return
	}
	p.Checksum = ChecksumUnknown
	sum := ^p.sumFrom(p.csumStart)
	if sum == 0 {
		sum = 0xffff // the same number, and zero stands for none in UDP (RFC 768)
	}
	binary.BigEndian.PutUint16(p.buf[p.csumStart+p.csumOffset:], sum)
}

// Sum returns the one's complement sum (RFC 1071) of the packet's bytes, added to
// initial.
func (p *Packet) Sum(initial uint16) uint16 {
	s := uint32(initial) + uint32(p.sumFrom(p.head))
	return uint16(s>>16 + s&0xffff)
}

func (p *Packet) sumFrom(at int) uint16 {
	s := uint32(Sum(p.buf[at:p.tail], 0))
	odd := (p.tail-at)&1 == 1
	for _, x := range p.body {
		k := Sum(x.b, 0)
		if odd {
			k = k<<8 | k>>8 // RFC 1071 section 2(B)
		}
		s += uint32(k)
		s = s>>16 + s&0xffff
		odd = odd != (len(x.b)&1 == 1)
	}
	return uint16(s)
}
