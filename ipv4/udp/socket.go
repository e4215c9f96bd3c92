package udp

import "net/netip"

// Readiness is what poll(2) is made of, as far as it can change by itself.
type Readiness struct {
	Readable bool // a datagram waits
	Next     int  // its length in bytes (SIOCINQ)
	Error    bool // an error waits to be told, or is queued
}

// Notify has f called whenever Ready may have changed for the better, with no lock
// held, in the goroutine that received what did it; f must not block. It replaces
// the one before; nil is none.
func (c *Conn) Notify(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onEvent = f
}

// Ready tells what a call would find.
func (c *Conn) Ready() Readiness {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := Readiness{Readable: c.queue.Len() > 0, Error: c.pending != 0 || len(c.errors) > 0}
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
