package tcp

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"

	"github.com/tapstack/tapstack/link"
)

// What is here serves sockets that do not wait: whoever has many, and one
// goroutine for all of them, is told when to look again.

// Readiness is what poll(2) is made of.
type Readiness struct {
	State    State
	Readable int  // bytes that wait for a reader
	Writable bool // a third of the send buffer is free, as Linux wants it
	EOF      bool // nothing follows what is readable
	Error    bool // an error waits to be told
}

// Notify has f called whenever Ready may have changed, with no lock held, in the
// goroutine of the event; it must neither block nor call the connection. It
// replaces the one before; nil is none.
func (c *Conn) Notify(f func()) {
	c.lock()
	c.onEvent = f
	c.unlock()
}

// Ready tells what a call would find.
func (c *Conn) Ready() Readiness {
	c.lock()
	defer c.unlock()
	used, capacity := c.snd.buf.len(), c.snd.capacity(c.win.cwnd)
	return Readiness{State: c.state, Readable: c.rcv.queue.bytes, EOF: c.rcv.eof || c.readEnd || c.state == Closed || c.state == TimeWait,
		Writable: used <= capacity*2/3 && c.lowUnsentLocked(), Error: c.err != nil && !c.told}
}

// lowUnsentLocked reports whether TCP_NOTSENT_LOWAT lets more be written.
func (c *Conn) lowUnsentLocked() bool {
	low := c.config.NotSentLowat
	return low == 0 || c.snd.unsent() < low
}

// Start is Dial that does not wait: the connection is in SYN-SENT, and Ready
// tells when it is not any more.
func (pr *Protocol) Start(laddr, raddr netip.AddrPort, sc SocketConfig) (*Conn, error) {
	c, err := pr.prepare(laddr, raddr, sc)
	if err != nil {
		return nil, err
	}
	c.sendFirst()
	return c, nil
}

// SocketError takes the error that waits to be told, 0 for none; with soft also
// one that may be temporary (SO_ERROR).
func (c *Conn) SocketError(soft bool) syscall.Errno {
	c.lock()
	defer c.unlock()
	err := c.takeErrorLocked()
	if err == 0 && soft {
		err, c.softErr = c.softErr, 0
	}
	return err
}

func (c *Conn) takeErrorLocked() syscall.Errno {
	if c.err == nil || c.told {
		return 0
	}
	c.told = true
	var errno syscall.Errno
	if errors.As(c.err, &errno) {
		return errno
	}
	return syscall.ECONNABORTED // the host went away
}

// TryRead is Read that does not wait, with EAGAIN, io.EOF or another errno for an
// error. With peek what it returns stays unread.
func (c *Conn) TryRead(b []byte, peek bool) (int, error) {
	c.lock()
	defer c.unlock()
	if err := c.tryReadLocked(); err != nil {
		return 0, err
	}
	if peek {
		return c.rcv.queue.peek(b), nil
	}
	n := c.rcv.queue.read(b)
	c.updateWindowLocked()
	return n, nil
}

// Discard reads up to n bytes that nobody wants to see (MSG_TRUNC), with TryRead's
// errors.
func (c *Conn) Discard(n int) (int, error) {
	c.lock()
	defer c.unlock()
	if err := c.tryReadLocked(); err != nil {
		return 0, err
	}
	n = c.rcv.queue.discard(n)
	c.updateWindowLocked()
	return n, nil
}

// tryReadLocked is the order in which Linux's tcp_recvmsg_locked looks.
func (c *Conn) tryReadLocked() error {
	switch {
	case c.closed:
		return net.ErrClosed
	case c.rcv.queue.bytes > 0:
		return nil
	case c.rcv.eof:
		return io.EOF
	}
	if errno := c.takeErrorLocked(); errno != 0 {
		return errno
	}
	if c.readEnd || c.state == Closed || c.state == TimeWait {
		return io.EOF
	}
	return syscall.EAGAIN
}

// TryWrite is Write that does not wait: it returns how much found room, or EAGAIN
// when nothing did, or another errno. With more what fills no segment waits for
// what follows, or an ACK, for 200 ms at least (MSG_MORE).
func (c *Conn) TryWrite(b []byte, more bool) (int, error) {
	c.lock()
	defer c.unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	if errno := c.takeErrorLocked(); errno != 0 {
		return 0, errno
	}
	if !c.state.sendsData() {
		return 0, syscall.EPIPE
	}
	room := c.snd.capacity(c.win.cwnd) - c.snd.buf.len()
	if c.writing || len(b) > 0 && (room <= 0 || !c.lowUnsentLocked()) {
		return 0, syscall.EAGAIN
	}
	n := min(room, len(b))
	if n <= 0 {
		return 0, nil
	}
	c.snd.buf.write(b[:n])
	c.snd.held = c.snd.cork || more
	c.outputLocked(c.now())
	c.snd.held = c.snd.cork
	return n, nil
}

// Queued returns how many bytes wait to be read (SIOCINQ), and how many sequence
// numbers to be acknowledged (SIOCOUTQ), FIN included.
func (c *Conn) Queued() (in, out int) {
	c.lock()
	defer c.unlock()
	out = c.snd.buf.len()
	if c.snd.fin && !c.snd.finAcked() && c.state != Closed && c.state != TimeWait {
		out++
	}
	return c.rcv.queue.bytes, out
}

// Notify has f called whenever a connection may be ready to be accepted, as
// Conn.Notify.
func (l *Listener) Notify(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onEvent = f
}

// Pending returns how many connections wait to be accepted.
func (l *Listener) Pending() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue)
}

// TryAccept is AcceptTCP that does not wait; the error is EAGAIN then, or
// net.ErrClosed.
func (l *Listener) TryAccept() (*Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, net.ErrClosed
	case len(l.queue) == 0:
		return nil, syscall.EAGAIN
	}
	c := l.queue[0]
	l.queue[0] = nil
	l.queue = l.queue[1:]
	return c, nil
}

// SetBacklog changes the limit of connections that wait to be accepted: as on
// Linux there may be one more. It is never above Config.MaxBacklog; 0 counts.
func (l *Listener) SetBacklog(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < 0 || n > l.pr.config.MaxBacklog {
		n = l.pr.config.MaxBacklog
	}
	l.backlog = n
}

// peek copies to b what is there and leaves it there.
func (q *recvQueue) peek(b []byte) int {
	total := 0
	for i := range q.n {
		if total == len(b) {
			break
		}
		total += q.at(i).CopyTo(b[total:])
	}
	return total
}

// at returns the i-th oldest packet.
func (q *recvQueue) at(i int32) *link.Packet { return q.ring[int(q.head+i)&(len(q.ring)-1)].p }

// discard drops up to n bytes and returns how many there were.
func (q *recvQueue) discard(n int) int {
	total := 0
	for q.n > 0 && total < n {
		p := q.at(0)
		k := min(p.Len(), n-total)
		p.Skip(k)
		q.bytes -= k
		total += k
		if p.Len() == 0 {
			q.pop().Release()
		}
	}
	return total
}

// SetDeferAccept has connections wait to be accepted only once they have data, or
// after so many times as the SYN-ACK would have been sent again
// (TCP_DEFER_ACCEPT). The peer believes that it is connected.
func (l *Listener) SetDeferAccept(retransmissions int) { l.deferral.Store(int32(retransmissions)) }

// deferralLocked returns what the connection's listener was told by SetDeferAccept.
func (c *Conn) deferralLocked() int {
	if c.parent == nil {
		return 0
	}
	return int(c.parent.deferral.Load())
}

// awaitsDataLocked reports whether s, which could complete the handshake, is not
// enough (Linux's tcp_check_req).
func (c *Conn) awaitsDataLocked(s *segment) bool {
	return int(c.retries) < c.deferralLocked() && s.n == 0 && s.Flags&FIN == 0
}
