package udp

import (
	"errors"
	"net/netip"
	"syscall"
)

// Readiness is what poll(2) is made of, as far as it can change by itself.
type Readiness struct {
	Readable bool // a datagram waits
	Next     int  // its length in bytes (SIOCINQ)
	Error    bool // an error waits to be told, or is queued
	Writable bool // half of the send buffer is free
}

// Notify has f called whenever Ready may have changed for the better, with no lock
// held, in the goroutine that received what did it; f must not block. It replaces
// the one before; nil is none.
func (c *Conn) Notify(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onEvent = f
	c.sends.event.Store(&f)
	if f == nil {
		c.sends.event.Store(nil)
	}
}

// Ready tells what a call would find.
func (c *Conn) Ready() Readiness {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := Readiness{Writable: c.sends.half(), Readable: c.queue.Len() > 0, Error: c.pending != 0 || len(c.errors) > 0}
	if r.Readable {
		r.Next = c.queue.Oldest().Len()
	}
	return r
}

// TryRead reads a datagram without waiting: flags are MsgPeek and MsgTrunc. The
// error is EAGAIN when there is none, or an errno that waited to be told.
func (c *Conn) TryRead(b []byte, flags int) (n int, from netip.AddrPort, truncated bool, err error) {
	r, err := c.receive([][]byte{b}, nil, flags|MsgDontWait)
	if err != nil {
		return 0, netip.AddrPort{}, false, c.fail("read", "recvmsg", c.raddr(), err)
	}
	return r.n, r.from, r.flags&MsgTrunc != 0, nil
}

// TrySend is Send that does not wait: the error is EAGAIN when the send buffer is
// full, and Notify's function tells of room.
func (c *Conn) TrySend(b []byte, to netip.AddrPort, o SendOptions) error {
	o.dontWait = true
	_, err := c.Send(b, to, o)
	if errors.Is(err, syscall.EAGAIN) && c.sends.half() { // since then
		_, err = c.Send(b, to, o)
	}
	return err
}

// half reports whether half of the buffer is free. If not, Notify's function will
// tell.
func (b *sendBuffer) half() bool {
	if 2*b.charged.Load() <= b.limit.Load() {
		return true
	}
	b.wanted.Store(true)
	return 2*b.charged.Load() <= b.limit.Load()
}

// Charged returns how many bytes are on their way (SIOCOUTQ).
func (c *Conn) Charged() int { return int(c.sends.charged.Load()) }
