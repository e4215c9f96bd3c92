package ipv4

import "github.com/tapstack/tapstack/link"

// Handle registers the transport of a protocol number, replacing another.
func (pr *Protocol) Handle(protocol uint8, h Handler) { pr.handlers[protocol].Store(&h) }

// deliver takes a packet for this host to its transport.
func (pr *Protocol) deliver(h Header, p *link.Packet) {
	if h.IsFragment() {
		if p = pr.fragments.input(h, p); p == nil {
			return
		}
		h, _ = Parse(p.Bytes()) // a header that we have just put together
	}
	to := pr.handlers[h.Protocol].Load()
	if to == nil || to.Input == nil {
		pr.stats.InUnknownProtos.Add(1)
		// RFC 1122 section 3.2.2.1.
		pr.ReportError(p, ErrorMessage{Type: TypeUnreachable, Code: CodeProtocolUnreachable, Reason: link.IPNoProto})
		return
	}
	pr.stats.InDelivers.Add(1)
	p.Pull(h.Len())
	p.SetTransportHeader()
	to.Input(h, p)
}

// DeliverError tells the transport of a packet that we sent about an ICMP error;
// package icmp calls it.
func (pr *Protocol) DeliverError(e TransportError) {
	if to := pr.handlers[e.Inner.Protocol].Load(); to != nil && to.Error != nil {
		to.Error(e)
	}
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
