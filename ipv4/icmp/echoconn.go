package icmp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/clock"
)

const (
	echoQueue    = 256  // replies that wait to be received
	echoRemember = 1024 // requests whose time of sending is known
)

// EchoConn is a ping socket: it sends echo requests with an identifier of its
// own and receives what comes back. Its methods may be called concurrently.
type EchoConn struct {
	pr    *Protocol
	id    uint16
	laddr netip.Addr
	oif   int

	replies chan EchoReply
	done    chan struct{} // closed by Close

	mu       sync.Mutex
	sent     [echoRemember]echoSent // by sequence number, the newest of those that share a place
	closed   bool
	onEvent  func()        // see Notify
	deadline chan struct{} // closed when the read deadline has passed
	timer    clock.Timer   // of the deadline, nil without one
}

type echoSent struct {
	seq uint16
	at  time.Time
}

func newEchoConn(pr *Protocol, id uint16, laddr netip.Addr, oif int) *EchoConn {
	return &EchoConn{pr: pr, id: id, laddr: laddr, oif: oif,
		replies: make(chan EchoReply, echoQueue), done: make(chan struct{}), deadline: make(chan struct{})}
}

// ID returns the identifier of the socket's requests.
func (c *EchoConn) ID() uint16 { return c.id }

// Send sends an echo request. The error is that of ipv4.Protocol.Output, or
// net.ErrClosed; a host that does not answer is no error.
func (c *EchoConn) Send(r EchoRequest) error {
	if len(r.Payload) > ipv4.MaxPacketLen-ipv4.HeaderLen-HeaderLen {
		return fmt.Errorf("icmp: echo of %d bytes to %v, at most %d: %w", len(r.Payload), r.Dst, ipv4.MaxPacketLen-ipv4.HeaderLen-HeaderLen, syscall.EMSGSIZE)
	}
	c.mu.Lock()
	closed := c.closed
	c.sent[r.Seq%echoRemember] = echoSent{r.Seq, c.pr.config.Clock.Now()}
	c.mu.Unlock()
	if closed {
		return fmt.Errorf("icmp: echo to %v: %w", r.Dst, net.ErrClosed)
	}
	p := link.NewPacket(HeaderLen + len(r.Payload))
	putEcho(p, c.id, r.Seq, r.Payload)
	p.Confirm = r.Confirm
	// As Linux's ping: DF as long as it fits, unless it must not be fragmented.
	return c.output(p, r, ipv4.Send{Src: c.laddr, Dst: r.Dst, Protocol: ipv4.ProtocolICMP, TTL: r.TTL, TOS: r.TOS,
		DF: !r.Fragment, Want: !r.DF && !r.Probe, ID: uint16(c.pr.config.Rand.Uint32()), Interface: c.oif, Options: r.Options})
}

func (c *EchoConn) output(p *link.Packet, r EchoRequest, s ipv4.Send) error {
	if !r.Probe {
		return c.pr.output(p, TypeEcho, s)
	}
	path, err := c.pr.ip.OutputPath(s.Dst, s.Src, s.Interface)
	if err != nil {
		return c.pr.output(p, TypeEcho, s) // which fails for the same reason, and counts
	}
	path.MTU = path.Interface.MTU()
	err = c.pr.ip.OutputBy(path, p, s)
	c.pr.count(TypeEcho, err)
	return err
}

// Receive waits for a reply, or an error about a request, in EchoReply.Err. Its
// own error is that of ctx, os.ErrDeadlineExceeded, or net.ErrClosed.
func (c *EchoConn) Receive(ctx context.Context) (EchoReply, error) {
	c.mu.Lock()
	deadline := c.deadline
	c.mu.Unlock()
	select {
	case <-deadline:
		return EchoReply{}, fmt.Errorf("icmp: receive: %w", os.ErrDeadlineExceeded)
	default:
	}
	select {
	case r := <-c.replies:
		return r, nil
	case <-c.done:
		return EchoReply{}, fmt.Errorf("icmp: receive: %w", net.ErrClosed)
	case <-deadline:
		return EchoReply{}, fmt.Errorf("icmp: receive: %w", os.ErrDeadlineExceeded)
	case <-ctx.Done():
		return EchoReply{}, ctx.Err()
	}
}

// SetReadDeadline makes Receive give up at t; the zero time is never. It
// concerns calls that are waiting, too, unless it is moved into the future.
func (c *EchoConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("icmp: set deadline: %w", net.ErrClosed)
	}
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	passed := false
	select {
	case <-c.deadline:
		passed = true
	default:
	}
	if passed {
		c.deadline = make(chan struct{})
	}
	if t.IsZero() {
		return nil
	}
	ch := c.deadline
	d := t.Sub(c.pr.config.Clock.Now())
	if d <= 0 {
		close(ch)
		return nil
	}
	var timer clock.Timer
	timer = c.pr.config.Clock.AfterFunc(d, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.timer == timer { // not replaced meanwhile
			c.timer = nil
			close(ch)
		}
	})
	c.timer = timer
	return nil
}

// Close frees the identifier and ends calls of Receive. The error is nil, or
// net.ErrClosed the second time.
func (c *EchoConn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return fmt.Errorf("icmp: close: %w", net.ErrClosed)
	}
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	c.mu.Unlock()
	close(c.done)
	c.pr.echo.remove(c.id)
	return nil
}

// matches reports whether a message to dst by an interface, 0 for any, is for
// this socket.
func (c *EchoConn) matches(dst netip.Addr, iif int) bool {
	return (!c.laddr.IsValid() || c.laddr == dst) && (c.oif == 0 || iif == 0 || c.oif == iif)
}

// deliver queues r, which arrived just now. It returns false when the queue is
// full.
func (c *EchoConn) deliver(r EchoReply) bool {
	now := c.pr.config.Clock.Now()
	c.mu.Lock()
	if s := c.sent[r.Seq%echoRemember]; s.seq == r.Seq && !s.at.IsZero() {
		r.RTT = now.Sub(s.at)
	}
	onEvent := c.onEvent
	c.mu.Unlock()
	select {
	case c.replies <- r:
		if onEvent != nil {
			onEvent()
		}
		return true
	default:
		return false
	}
}
