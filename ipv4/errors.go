package ipv4

import "github.com/tapstack/tapstack/link"

// ICMP types and codes of the errors that IPv4 and its transports report (RFC
// 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1).
const (
	TypeUnreachable      = 3
	TypeRedirect         = 5
	TypeTimeExceeded     = 11
	TypeParameterProblem = 12

	CodeNetUnreachable      = 0  // of TypeUnreachable
	CodeHostUnreachable     = 1  // the next hop does not answer
	CodeProtocolUnreachable = 2  // no such transport here
	CodePortUnreachable     = 3  // no such socket here
	CodeFragNeeded          = 4  // Info is the next hop's MTU
	CodeSourceRouteFailed   = 5  // source route refused
	CodeFiltered            = 13 // administratively prohibited
	CodeRedirectHost        = 1  // of TypeRedirect; Info is the better gateway
	CodeTTLExceeded         = 0  // of TypeTimeExceeded, in forwarding
	CodeReassembly          = 1  // of TypeTimeExceeded, fragments missing
)

// ErrorMessage is an ICMP error to be sent about a packet.
type ErrorMessage struct {
	Type, Code uint8
	Info       uint32 // the second word of the message: MTU, gateway, pointer<<24
	// Reason is what the packet that the error is about is counted under.
	Reason link.DropReason
}
