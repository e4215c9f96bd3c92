package ipv4

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// Sizes in bytes.
const (
	HeaderLen    = 20    // of a header without options
	MaxHeaderLen = 60    // of a header with 40 bytes of options
	MaxPacketLen = 65535 // of header and data
	MinMTU       = 68    // that every link carries (RFC 791, section 3.2)
)

// Protocol numbers of the transports that the stack speaks.
const (
	ProtocolICMP = 1
	ProtocolIGMP = 2
	ProtocolTCP  = 6
	ProtocolUDP  = 17
)

// DefaultTTL is the time to live of packets that ask for none (RFC 1700;
// Linux's net.ipv4.ip_default_ttl).
const DefaultTTL = 64

const (
	flagDF     = 0x4000
	flagMF     = 0x2000
	offsetMask = 0x1fff
)

// Errors of Parse.
var (
	ErrTruncated = errors.New("ipv4: packet shorter than its header")
	ErrVersion   = errors.New("ipv4: version is not 4")
	ErrHeaderLen = errors.New("ipv4: header length under 5 words")
	ErrTotalLen  = errors.New("ipv4: total length under header length")
)

// Header is an IPv4 header (RFC 791, section 3.1). The zero value of any field
// but the addresses is what Put writes for it.
type Header struct {
	TOS            uint8  // differentiated services and ECN
	TotalLen       int    // bytes of header and data, 20..65535
	ID             uint16 // names the datagram that a fragment belongs to
	DF, MF         bool   // don't fragment; more fragments follow
	FragmentOffset int    // bytes, a multiple of 8
	TTL            uint8
	Protocol       uint8
	Checksum       uint16 // as received; Put computes its own
	Src, Dst       netip.Addr
	Options        []byte // padded to words, 0..40 bytes; Parse aliases its input
}

// Parse reads the header at the start of b. It checks what the header says of
// itself (ErrTruncated, ErrVersion, ErrHeaderLen, ErrTotalLen); b may end before
// TotalLen, as the packets that ICMP errors quote do, and the checksum is the
// caller's: Sum(b[:h.Len()], 0) is 0xffff for a good one.
func Parse(b []byte) (Header, error) {
	var h Header
	if err := h.parse(b); err != nil {
		return Header{}, err
	}
	return h, nil
}

// parse is Parse into h, which is rubbish after an error: a header is large, and
// a copy of it that is read at once waits for the stores that made it.
func (h *Header) parse(b []byte) error {
	if len(b) < HeaderLen {
		return ErrTruncated
	}
	if b[0]>>4 != 4 {
		return ErrVersion
	}
	n := int(b[0]&15) * 4
	if n < HeaderLen {
		return ErrHeaderLen
	}
	if len(b) < n {
		return ErrTruncated
	}
	frag := binary.BigEndian.Uint16(b[6:8])
	*h = Header{
		TOS:            b[1],
		TotalLen:       int(binary.BigEndian.Uint16(b[2:4])),
		ID:             binary.BigEndian.Uint16(b[4:6]),
		DF:             frag&flagDF != 0,
		MF:             frag&flagMF != 0,
		FragmentOffset: int(frag&offsetMask) * 8,
		TTL:            b[8],
		Protocol:       b[9],
		Checksum:       binary.BigEndian.Uint16(b[10:12]),
		Src:            netip.AddrFrom4([4]byte(b[12:16])),
		Dst:            netip.AddrFrom4([4]byte(b[16:20])),
	}
	if n > HeaderLen {
		h.Options = b[HeaderLen:n:n]
	}
	if h.TotalLen < n {
		return ErrTotalLen
	}
	return nil
}

// Len returns the header's length in bytes, options included.
func (h Header) Len() int { return HeaderLen + (len(h.Options)+3)&^3 }

// IsFragment reports whether the packet is a piece of a datagram.
func (h Header) IsFragment() bool { return h.MF || h.FragmentOffset != 0 }

// Put writes the header, with its checksum, into the first h.Len() bytes of b,
// which must be that long. Options are padded with zeros (End of Option List).
func (h Header) Put(b []byte) {
	n := h.Len()
	_ = b[n-1]
	b[0] = 4<<4 | uint8(n/4)
	b[1] = h.TOS
	binary.BigEndian.PutUint16(b[2:4], uint16(h.TotalLen))
	binary.BigEndian.PutUint16(b[4:6], h.ID)
	frag := uint16(h.FragmentOffset / 8)
	if h.DF {
		frag |= flagDF
	}
	if h.MF {
		frag |= flagMF
	}
	binary.BigEndian.PutUint16(b[6:8], frag)
	b[8], b[9], b[10], b[11] = h.TTL, h.Protocol, 0, 0
	src, dst := h.Src.As4(), h.Dst.As4()
	copy(b[12:16], src[:])
	copy(b[16:20], dst[:])
	clear(b[HeaderLen+copy(b[HeaderLen:n], h.Options) : n])
	binary.BigEndian.PutUint16(b[10:12], Checksum(b[:n], 0))
}
