package raw

import (
	"net/netip"
	"slices"
	"syscall"

	"github.com/tapstack/tapstack/ipv4"
)

// Origin says who found an error.
type Origin uint8

// As in struct sock_extended_err.
const (
	Local Origin = 1 // this host, when it sent
	ICMP  Origin = 2 // a router or the peer
)

// QueuedError is an error about one packet that the socket sent (Linux's struct
// sock_extended_err).
type QueuedError struct {
	Errno      syscall.Errno
	Origin     Origin
	Type, Code uint8      // of the ICMP message
	Info       uint32     // next hop's MTU for EMSGSIZE
	Offender   netip.Addr // who sent the ICMP message; not valid for Local
	To         netip.Addr // where the packet was sent
	Data       []byte     // beginning of what was behind its header, as far as it was quoted
}

// queuedErrorCost is what an error takes of the receive buffer, that of a short
// packet.
const queuedErrorCost = 832

// NextError takes the oldest error off the queue that SetReceiveErrors opens
// (MSG_ERRQUEUE). ok is false when there is none; it never waits.
func (c *Conn) NextError() (e QueuedError, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.errors) == 0 {
		return QueuedError{}, false
	}
	e = c.errors[0]
	c.errors = slices.Delete(c.errors, 0, 1)
	// Linux's sock_dequeue_err_skb: the calls to come tell of the next error, and
	// of none once all of them were read.
	switch {
	case len(c.errors) > 0 && c.errors[0].Origin == ICMP:
		c.pending = c.errors[0].Errno
		c.readable.Broadcast()
	case e.Origin == ICMP:
		c.pending = 0
	}
	return e, true
}

func (c *Conn) queueError(e QueuedError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queueErrorLocked(e)
}

// queueErrorLocked queues e, if that is wanted and there is room.
func (c *Conn) queueErrorLocked(e QueuedError) {
	if c.opts.receiveErrors && !c.closed && c.costLocked()+queuedErrorCost < c.limit {
		c.errors = append(c.errors, e)
	}
}

// inputError is told of an ICMP error about what the socket may have sent (Linux's
// raw_err).
func (c *Conn) inputError(e ipv4.TransportError) {
	fragNeeded := e.Type == ipv4.TypeUnreachable && e.Code == ipv4.CodeFragNeeded
	if fragNeeded {
		c.pr.ip.UpdatePathMTU(e.Inner.Dst, int(e.Info))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || !c.opts.receiveErrors && (!c.raddr.IsValid() || !e.Hard && !fragNeeded) {
		return
	}
	c.queueErrorLocked(QueuedError{Errno: e.Errno, Origin: ICMP, Type: e.Type, Code: e.Code, Info: e.Info,
		Offender: e.From, To: e.Inner.Dst, Data: slices.Clone(e.Payload)})
	c.pending = e.Errno
	c.readable.Broadcast()
}
