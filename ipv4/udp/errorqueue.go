package udp

import (
	"encoding/binary"
	"net"
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

// QueuedError is an error about one datagram that the socket sent (Linux's
// struct sock_extended_err).
type QueuedError struct {
	Errno      syscall.Errno
	Origin     Origin
	Type, Code uint8          // of the ICMP message
	Info       uint32         // next hop's MTU for EMSGSIZE
	Offender   netip.Addr     // who sent the ICMP message; not valid for Local
	To         netip.AddrPort // where the datagram was sent
	Data       []byte         // beginning of the datagram's data, as far as it was quoted
}

// queuedErrorCost is what an error takes of the receive buffer, that of a short
// packet.
const queuedErrorCost = 832

// NextError takes the oldest error off the queue that SetReceiveErrors opens
// (MSG_ERRQUEUE). ok is false when there is none; it never waits.
func (c *Conn) NextError() (e QueuedError, ok bool) {
	e, ok, _ = c.nextError()
	return e, ok
}

func (c *Conn) nextError() (e QueuedError, ok, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.errors) == 0 {
		return QueuedError{}, false, c.closed
	}
	e = c.errors[0]
	c.errors = slices.Delete(c.errors, 0, 1)
	c.releaseLocked()
	// Linux's sock_dequeue_err_skb: the calls to come tell of the next error,
	// and of none once all of them were read.
	switch {
	case len(c.errors) > 0 && c.errors[0].Origin == ICMP:
		c.pending = c.errors[0].Errno
		c.readable.Broadcast()
	case e.Origin == ICMP:
		c.pending = 0
	}
	return e, true, false
}

// receiveError is NextError as a message: the beginning of the datagram's data,
// where it was sent, and struct sock_extended_err with the offender's struct
// sockaddr_in in the control message IP_RECVERR. The error is EAGAIN when there is
// none.
func (c *Conn) receiveError(buffers [][]byte, oob []byte) (received, error) {
	e, ok, closed := c.nextError()
	switch {
	case closed:
		return received{}, net.ErrClosed
	case !ok:
		return received{}, syscall.EAGAIN
	}
	r := received{flags: MsgErrQueue, from: e.To}
	for _, b := range buffers {
		r.n += copy(b, e.Data[r.n:])
	}
	if r.n < len(e.Data) {
		r.flags |= MsgTrunc
	}
	var b [extendedErrLen + sockaddrLen]byte
	binary.NativeEndian.PutUint32(b[0:], uint32(e.Errno))
	b[4], b[5], b[6] = byte(e.Origin), e.Type, e.Code
	binary.NativeEndian.PutUint32(b[8:], e.Info)
	if e.Offender.IsValid() {
		putSockaddr(b[extendedErrLen:], netip.AddrPortFrom(e.Offender, 0))
	}
	w := controlWriter{b: oob}
	w.put(solIP, ipRecvErr, b[:])
	if r.oobn = w.n; w.truncated {
		r.flags |= MsgCTrunc
	}
	return r, nil
}

// inputError is told of an ICMP error about a datagram with header h (Linux's
// __udp4_lib_err).
func (c *Conn) inputError(e ipv4.TransportError, h Header) {
	fragNeeded := e.Type == ipv4.TypeUnreachable && e.Code == ipv4.CodeFragNeeded
	if fragNeeded && c.learns() {
		// It quotes a datagram between two ports that are in use (RFC 5927,
		// section 7).
		c.pr.ip.UpdatePathMTU(e.Inner.Dst, int(e.Info))
	}
	c.mu.Lock()
	c.reportLocked(e, h, fragNeeded)
	onEvent := c.onEvent
	c.mu.Unlock()
	if onEvent != nil {
		onEvent()
	}
}

// reportLocked says whether and how the application hears of an error.
func (c *Conn) reportLocked(e ipv4.TransportError, h Header, fragNeeded bool) {
	switch {
	case c.closed:
		return
	case fragNeeded && c.opts.pathMTU == Dont:
		return // routers may fragment what this socket sends
	case c.opts.receiveErrors:
		c.queueErrorLocked(QueuedError{
			Errno: e.Errno, Origin: ICMP, Type: e.Type, Code: e.Code, Info: e.Info, Offender: e.From,
			To:   netip.AddrPortFrom(e.Inner.Dst, h.DstPort),
			Data: slices.Clone(e.Payload[HeaderLen:]),
		})
	case !c.raddr().IsValid() || !e.Hard && !fragNeeded:
		// RFC 1122 section 4.1.3.3 would have every error passed on; Linux
		// spares applications that did not ask those that may pass.
		return
	}
	c.pending = e.Errno
	c.readable.Broadcast()
	c.sends.writable.Broadcast()
}

// queueErrorLocked queues e, if there is room.
func (c *Conn) queueErrorLocked(e QueuedError) {
	if !c.closed && c.costLocked()+queuedErrorCost < c.limit && c.reserveLocked(queuedErrorCost) {
		c.errors = append(c.errors, e)
	}
}

// learns reports whether the socket believes what ICMP says of paths.
func (c *Conn) learns() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opts.pathMTU.learns()
}
