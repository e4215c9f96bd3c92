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

// HandleErrors registers who sends ICMP errors: fn borrows the packet that the
// error is about, whose NetworkHeader is set.
func (pr *Protocol) HandleErrors(fn func(p *link.Packet, m ErrorMessage)) { pr.reporter.Store(&fn) }

// ReportError sends the ICMP error m about p, if the rules allow one, and drops
// p under m.Reason. It takes p, whose NetworkHeader must be set and whose front
// may be anywhere.
func (pr *Protocol) ReportError(p *link.Packet, m ErrorMessage) {
	pr.report(p, m)
	pr.drop(p, m.Reason)
}

func (pr *Protocol) report(p *link.Packet, m ErrorMessage) {
	if fn := pr.reporter.Load(); fn != nil {
		(*fn)(p, m)
	}
}

// Unreachable reports a packet whose next hop could not be resolved: ICMP host
// unreachable to its sender (RFC 1122 section 3.2.2.1), which for one of our own
// comes back as EHOSTUNREACH. It takes p, whose front is at the IPv4 header.
func (pr *Protocol) Unreachable(p *link.Packet) {
	p.SetNetworkHeader()
	pr.ReportError(p, ErrorMessage{Type: TypeUnreachable, Code: CodeHostUnreachable, Reason: link.NeighFailed})
}
