package icmp

import (
	"encoding/binary"
	"errors"

	"github.com/tapstack/tapstack/ipv4"
)

// HeaderLen is the length in bytes of the part that all messages have.
const HeaderLen = 8

// Types of messages (RFC 792; iana icmp-parameters).
const (
	TypeEchoReply        = 0
	TypeUnreachable      = ipv4.TypeUnreachable
	TypeSourceQuench     = 4
	TypeRedirect         = ipv4.TypeRedirect
	TypeEcho             = 8
	TypeTimeExceeded     = ipv4.TypeTimeExceeded
	TypeParameterProblem = ipv4.TypeParameterProblem
	TypeTimestamp        = 13
	TypeTimestampReply   = 14

	numTypes = 19 // Linux counts up to address mask reply, 18
)

// timestampLen is the length of a timestamp message: three times follow.
const timestampLen = HeaderLen + 12

// Header is the first two words of a message (RFC 792).
type Header struct {
	Type, Code uint8
	Checksum   uint16 // as received; Put leaves it zero
	// Info is the second word: identifier and sequence number of an echo,
	// gateway of a redirect, MTU of fragmentation needed.
	Info uint32
}

// ErrTruncated is returned for a message shorter than its header.
var ErrTruncated = errors.New("icmp: message shorter than its header")

// Parse reads the header at the start of b. The error is ErrTruncated.
func Parse(b []byte) (Header, error) {
	if len(b) < HeaderLen {
		return Header{}, ErrTruncated
	}
	return Header{Type: b[0], Code: b[1], Checksum: binary.BigEndian.Uint16(b[2:4]), Info: binary.BigEndian.Uint32(b[4:8])}, nil
}

// ID returns the identifier of an echo or timestamp message.
func (h Header) ID() uint16 { return uint16(h.Info >> 16) }

// Seq returns the sequence number of an echo or timestamp message.
func (h Header) Seq() uint16 { return uint16(h.Info) }

// Put writes the header, with a zero checksum, into the first HeaderLen bytes of
// b, which must be that long. SetChecksum completes the message.
func (h Header) Put(b []byte) {
	_ = b[HeaderLen-1]
	b[0], b[1], b[2], b[3] = h.Type, h.Code, 0, 0
	binary.BigEndian.PutUint32(b[4:8], h.Info)
}

// SetChecksum writes the checksum of the message b, at least HeaderLen bytes.
func SetChecksum(b []byte) {
	b[2], b[3] = 0, 0
	binary.BigEndian.PutUint16(b[2:4], ipv4.Checksum(b, 0))
}

// isError reports whether messages of the type are errors, about which and in
// answer to which no error is ever sent (RFC 1122, section 3.2.2).
func isError(t uint8) bool {
	switch t {
	case TypeUnreachable, TypeSourceQuench, TypeRedirect, TypeTimeExceeded, TypeParameterProblem:
		return true
	}
	return false
}
