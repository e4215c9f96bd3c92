package ipv4

import (
	"net/netip"
	"syscall"

	"github.com/tapstack/tapstack/link"
)

// Handler is a transport protocol.
type Handler struct {
	// Input takes p, a whole datagram for this host: its front is at the
	// transport header, its back at the end of the data, NetworkHeader is set.
	// TCP and UDP may get one with a body, or a super-segment, and find in
	// p.Checksum whether there is something to verify.
	Input func(h Header, p *link.Packet)
	// Error is told of an ICMP error that claims to be about a packet of ours.
	// For TypeUnreachable with CodeFragNeeded a transport that finds the claim to
	// be true calls UpdatePathMTU. Error may be nil.
	Error func(e TransportError)
}

// TransportError is an ICMP error as a transport sees it. Payload and
// Inner.Options are borrowed until the handler returns.
type TransportError struct {
	Type, Code uint8
	Info       uint32     // the error's second word: next-hop MTU, pointer, gateway
	From       netip.Addr // who reported it
	Inner      Header     // of the packet that the error is about: Inner.Src is ours
	Payload    []byte     // start of that packet's data, at least 8 bytes
	Errno      syscall.Errno
	Hard       bool // ends a connection, if its protocol believes it (RFC 1122, section 4.2.3.9)
}

// Handle registers the transport of a protocol number, replacing another.
func (pr *Protocol) Handle(protocol uint8, h Handler) { pr.handlers[protocol].Store(&h) }

// deliver takes a packet for this host to its transport.
func (pr *Protocol) deliver(h *Header, p *link.Packet) {
	if h.IsFragment() {
		plain(p)
		if p = pr.fragments.input(*h, p); p == nil {
			return
		}
		_ = h.parse(p.Bytes()) // a header that we have just put together
	}
	seen := false
	if raw := pr.raw.Load(); raw != nil {
		seen = raw.Input(*h, p)
	}
	to := pr.handlers[h.Protocol].Load()
	if to == nil || to.Input == nil {
		if seen {
			pr.stats.InDelivers.Add(1)
			p.Release()
			return
		}
		pr.stats.InUnknownProtos.Add(1)
		// RFC 1122 section 3.2.2.1.
		pr.ReportError(p, ErrorMessage{Type: TypeUnreachable, Code: CodeProtocolUnreachable, Reason: link.IPNoProto})
		return
	}
	if h.Protocol != ProtocolTCP && h.Protocol != ProtocolUDP {
		// Those two alone know what to do with an unfinished packet.
		if p.GSO != link.GSONone {
			pr.stats.InHdrErrors.Add(1)
			pr.drop(p, link.IPInHdr)
			return
		}
		plain(p)
	}
	to.deliver(pr, h, p)
}

func (to *Handler) deliver(pr *Protocol, h *Header, p *link.Packet) {
	pr.stats.InDelivers.Add(1)
	p.Pull(h.Len())
	p.SetTransportHeader()
	to.Input(*h, p)
}

// plain makes p, no super-segment, one that code which looks at all its bytes
// can handle.
func plain(p *link.Packet) {
	p.CompleteChecksum()
	p.Linearize()
}

// DeliverError tells the transport of a packet that we sent about an ICMP error;
// package icmp calls it.
func (pr *Protocol) DeliverError(e TransportError) {
	if e.Type == TypeUnreachable && e.Code == CodeFragNeeded && !pr.fragNeeded(&e) {
		return
	}
	if raw := pr.raw.Load(); raw != nil {
		raw.Error(e)
	}
	if to := pr.handlers[e.Inner.Protocol].Load(); to != nil && to.Error != nil {
		to.Error(e)
	}
}

// fragNeeded applies net.ipv4.ip_no_pmtu_disc to an error that tells a path's MTU,
// and reports whether the transport is to hear of it.
func (pr *Protocol) fragNeeded(e *TransportError) bool {
	switch pr.sysctls.noPMTUDisc.Load() {
	case 0:
	case 2:
		return false
	case 3:
		// Only who can tell that an error is about a packet of his own.
		return e.Inner.Protocol == ProtocolTCP
	default:
		e.Info = 0 // the path carries something, but not what the error says
	}
	return true
}

// PathMTUDiscovery reports whether sockets set DF unless they are told otherwise:
// net.ipv4.ip_no_pmtu_disc is 0.
func (pr *Protocol) PathMTUDiscovery() bool { return pr.sysctls.noPMTUDisc.Load() == 0 }
