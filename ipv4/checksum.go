package ipv4

import (
	"encoding/binary"
	"net/netip"

	"github.com/tapstack/tapstack/link"
)

// Sum is link.Sum: the one's complement sum (RFC 1071) of b, added to initial,
// folded to 16 bits and not complemented.
func Sum(b []byte, initial uint16) uint16 { return link.Sum(b, initial) }

// Checksum returns the internet checksum of b, whose checksum field is zero,
// with the sum initial of a pseudo header or 0: what goes into the field.
// Over data whose field is filled in correctly it returns 0.
func Checksum(b []byte, initial uint16) uint16 { return ^Sum(b, initial) }

// PseudoHeaderSum returns the sum of the pseudo header of TCP and UDP (RFC 9293
// section 3.1, RFC 768): addresses, protocol and length in bytes of transport
// header and data. It is the initial value for Checksum. Both addresses are
// IPv4.
func PseudoHeaderSum(src, dst netip.Addr, protocol uint8, length int) uint16 {
	s, d := src.As4(), dst.As4()
	sum := uint64(binary.BigEndian.Uint32(s[:])) + uint64(binary.BigEndian.Uint32(d[:])) + uint64(protocol) + uint64(length)
	return fold(uint32(sum>>32) + uint32(sum>>16&0xffff) + uint32(sum&0xffff))
}

// UpdateChecksum returns the checksum of data in which the 16-bit word old has
// become new (RFC 1624, equation 3).
func UpdateChecksum(check, old, new uint16) uint16 {
	return ^fold(uint32(^check) + uint32(^old) + uint32(new))
}

func fold(s uint32) uint16 {
	s = s>>16 + s&0xffff
	return uint16(s>>16 + s&0xffff)
}
