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
	Input func(h Header, p *link.Packet)
	// Error is told of an ICMP error about a packet of ours. It may be nil.
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
