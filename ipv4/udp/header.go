package udp

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/tapstack/tapstack/ipv4"
)

// Sizes in bytes.
const (
	HeaderLen  = 8
	MaxPayload = ipv4.MaxPacketLen - ipv4.HeaderLen - HeaderLen // 65507
)

// checksumOffset is where the checksum is in a header.
const checksumOffset = 6

// Errors of Parse.
var (
	ErrTruncated = errors.New("udp: datagram shorter than its header")
	ErrLength    = errors.New("udp: length under 8")
)

// Header is a UDP header (RFC 768).
type Header struct {
	SrcPort, DstPort uint16
	Length           int    // bytes of header and data, 8..65535
	Checksum         uint16 // 0: none was computed
}

// Parse reads the header at the start of b. b may end before Length, as what
// ICMP errors quote does. The error is ErrTruncated or ErrLength.
func Parse(b []byte) (Header, error) {
	if len(b) < HeaderLen {
		return Header{}, ErrTruncated
	}
	h := Header{
		SrcPort:  binary.BigEndian.Uint16(b[0:2]),
		DstPort:  binary.BigEndian.Uint16(b[2:4]),
		Length:   int(binary.BigEndian.Uint16(b[4:6])),
		Checksum: binary.BigEndian.Uint16(b[6:8]),
	}
	if h.Length < HeaderLen {
		return Header{}, ErrLength
	}
	return h, nil
}

// Put writes the header into the first HeaderLen bytes of b, which must be that
// long.
func (h Header) Put(b []byte) {
	_ = b[HeaderLen-1]
	binary.BigEndian.PutUint16(b[0:2], h.SrcPort)
	binary.BigEndian.PutUint16(b[2:4], h.DstPort)
	binary.BigEndian.PutUint16(b[4:6], uint16(h.Length))
	binary.BigEndian.PutUint16(b[6:8], h.Checksum)
}

// SetChecksum fills in the checksum of the datagram b, header and data, from
// src to dst. Whatever was in the field does not count.
func SetChecksum(b []byte, src, dst netip.Addr) {
	binary.BigEndian.PutUint16(b[6:8], 0)
	sum := ipv4.Checksum(b, ipv4.PseudoHeaderSum(src, dst, ipv4.ProtocolUDP, len(b)))
	if sum == 0 {
		sum = 0xffff // RFC 768: zero stands for none
	}
	binary.BigEndian.PutUint16(b[6:8], sum)
}

// ValidChecksum reports whether the checksum of the datagram b is right, or
// missing, which RFC 1122 section 4.1.3.4 lets pass.
func ValidChecksum(b []byte, src, dst netip.Addr) bool {
	if b[6] == 0 && b[7] == 0 {
		return true
	}
	return ipv4.Checksum(b, ipv4.PseudoHeaderSum(src, dst, ipv4.ProtocolUDP, len(b))) == 0
}
