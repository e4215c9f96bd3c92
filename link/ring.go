package link

import (
	"net"
	"sync"
	"sync/atomic"
)

// Ring is a bounded first-in first-out queue of packets between goroutines: any
// number of them write, one reads. It is what an in-memory device reads from.
// Writing never blocks. Make one with NewRing.
type Ring struct {
	limit  int
	missed atomic.Uint64
	// wake holds a token when the ring may have become non-empty, and is
	// closed with the ring. It is a channel, not a condition variable, so that
	// a waiting reader counts as idle in a testing/synctest bubble.
	wake chan struct{}

	mu     sync.Mutex
	queue  Queue
	closed bool
}

// NewRing returns a ring with room for limit packets, at least one.
func NewRing(limit int) *Ring {
	return &Ring{limit: max(limit, 1), wake: make(chan struct{}, 1)}
}

// Write takes p. The error is ErrQueueFull or net.ErrClosed, and then p is
// released.
func (r *Ring) Write(p *Packet) error {
	err := r.put(p)
	if err != nil {
		if err == ErrQueueFull {
			r.missed.Add(1)
		}
		p.Release()
	}
	return err
}

func (r *Ring) put(p *Packet) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return net.ErrClosed
	}
	if r.queue.Len() >= r.limit {
		return ErrQueueFull
	}
	r.queue.Queue(p)
	select {
	case r.wake <- struct{}{}:
	default: // the reader has its token already
	}
	return nil
}

// Read blocks for the oldest packet and gives it to the caller. After Close it
// returns net.ErrClosed.
func (r *Ring) Read() (*Packet, error) {
	for {
		r.mu.Lock()
		p, closed := r.queue.Pop(), r.closed
		r.mu.Unlock()
		if p != nil {
			return p, nil
		}
		if closed {
			return nil, net.ErrClosed
		}
		<-r.wake
	}
}

// Missed returns how many packets found the ring full.
func (r *Ring) Missed() uint64 { return r.missed.Load() }

// Close releases the packets that nobody read and unblocks Read. Closing twice
// does nothing.
func (r *Ring) Close() {
	r.mu.Lock()
	left := r.queue.Take()
	if !r.closed {
		r.closed = true
		close(r.wake)
	}
	r.mu.Unlock()
	left.Release()
}
