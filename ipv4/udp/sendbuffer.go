package udp

import (
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/deadline"
)

const (
	// defaultWriteBuffer is net.core.wmem_default.
	defaultWriteBuffer = 212992
	// minWriteBuffer is Linux's SOCK_MIN_SNDBUF.
	minWriteBuffer = 4608
)

// sendBuffer limits what a socket has on its way: with a device that takes
// packets at once these are the ones that wait for a neighbour to be resolved. A
// writer that finds the limit reached waits, so that whoever sends to thousands of
// neighbours is as fast as their answers come.
type sendBuffer struct {
	charged atomic.Int64 // what packets not yet released cost
	waiting atomic.Int32 // writers
	limit   atomic.Int64 // SO_SNDBUF, in bytes of what datagrams cost

	wanted atomic.Bool            // somebody who does not wait wants room
	event  atomic.Pointer[func()] // Notify's, for them

	mu       *sync.Mutex // the socket's
	writable sync.Cond
	deadline deadline.Deadline
}

// charge makes p, which is about to be sent, count.
func (b *sendBuffer) charge(p *link.Packet) {
	n := p.Cost()
	b.charged.Add(int64(n))
	p.SetOwner(b, n)
}

// Uncharge is the end of a packet (link.Owner, Linux's sock_wfree). Writers go on
// when half of the buffer is free.
func (b *sendBuffer) Uncharge(n int) {
	left := b.charged.Add(int64(-n))
	if 2*left > b.limit.Load() {
		return
	}
	if b.waiting.Load() > 0 {
		b.mu.Lock()
		b.writable.Broadcast()
		b.mu.Unlock()
	}
	if b.wanted.Load() && b.wanted.CompareAndSwap(true, false) {
		if f := b.event.Load(); f != nil {
			(*f)()
		}
	}
}

func (b *sendBuffer) full() bool { return b.charged.Load() >= b.limit.Load() }

// waitForRoom waits until the socket may send (Linux's sock_alloc_send_pskb).
func (c *Conn) waitForRoom(dontWait bool) error {
	b := &c.sends
	if !b.full() {
		return nil
	}
	if dontWait {
		return syscall.EAGAIN
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b.waiting.Add(1)
	defer b.waiting.Add(-1)
	for b.full() {
		if err := c.takeErrorLocked(b.deadline.PassedLocked()); err != nil {
			return err
		}
		b.deadline.WaitLocked()
	}
	return nil
}

// SetWriteBuffer limits what is on its way, in bytes of what datagrams cost, to
// twice that many bytes, at least 4608 (SO_SNDBUF). A datagram that waits for a
// neighbour's address is on its way. The default is 212992.
func (c *Conn) SetWriteBuffer(bytes int) error {
	return c.set(func() {
		c.sends.limit.Store(int64(max(2*bytes, minWriteBuffer)))
		c.sends.writable.Broadcast()
	})
}
