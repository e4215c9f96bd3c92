package fault

import (
	"container/heap"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/clock"
)

// Stats counts the frames of one direction.
type Stats struct {
	Frames     uint64 // all of them
	Lost       uint64
	Duplicated uint64
	Reordered  uint64
	Corrupted  uint64
	Delayed    uint64 // that were held for any time
	Overflow   uint64 // that found no room, here or later at the device
}

// line is one direction: frames go in by send and come out by deliver, at once
// or later.
type line struct {
	clock   clock.Clock
	limit   int
	deliver func(*link.Packet) error
	faults  atomic.Pointer[Faults]

	mu     sync.Mutex
	rand   *rand.Rand
	stats  Stats
	held   holdHeap
	seq    uint64
	timer  clock.Timer
	closed bool
	// last is when the latest frame that keeps its place leaves, and ordered
	// how many of those are held: a frame passes at once only when it overtakes
	// none of them.
	last    time.Time
	ordered int
	// draining is true while a goroutine delivers frames that fell due; later
	// frames queue up behind it, and close waits for it on drained.
	draining bool
	drained  sync.Cond
}

// send takes p. The error is deliver's, when p passes at once.
func (l *line) send(p *link.Packet) error {
	f := l.faults.Load()
	match := f.Match == nil || f.Match(p.Bytes())

	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		p.Release()
		return net.ErrClosed
	}
	l.stats.Frames++
	if !match {
		l.mu.Unlock()
		return l.deliver(p)
	}
	d := f.draw(l.rand, p.Len())
	if d.lost {
		l.stats.Lost++
		l.mu.Unlock()
		p.Release()
		return nil
	}
	if d.bit >= 0 {
		l.stats.Corrupted++
		p.Bytes()[d.bit/8] ^= 1 << (d.bit % 8)
	}
	var twin *link.Packet
	if d.duplicated {
		l.stats.Duplicated++
		twin = p.Copy()
	}
	if d.reordered {
		l.stats.Reordered++
	}
	held := l.holdLocked(p, d)
	if twin != nil && held {
		l.holdLocked(twin, d)
	}
	l.mu.Unlock()

	if held {
		return nil
	}
	err := l.deliver(p)
	if twin != nil {
		l.late(twin)
	}
	return err
}

// holdLocked keeps p for later, unless it can pass now, which it reports as
// false. Without room p is dropped.
func (l *line) holdLocked(p *link.Packet, d fate) bool {
	now := l.clock.Now()
	due := now.Add(d.delay)
	if !d.reordered && due.Before(l.last) {
		due = l.last
	}
	if d.delay == 0 && l.ordered == 0 && !l.draining {
		return false
	}
	if len(l.held) >= l.limit {
		l.stats.Overflow++
		p.Release()
		return true
	}
	if !d.reordered {
		l.last = due
		l.ordered++
	}
	l.stats.Delayed++
	l.seq++
	heap.Push(&l.held, hold{due: due, seq: l.seq, ordered: !d.reordered, p: p})
	if l.held[0].seq == l.seq && !l.draining {
		l.armLocked(now)
	}
	return true
}

// armLocked sets the timer to the earliest frame held.
func (l *line) armLocked(now time.Time) {
	d := l.held[0].due.Sub(now)
	if l.timer == nil {
		l.timer = l.clock.AfterFunc(d, l.drain)
		return
	}
	l.timer.Reset(d)
}

// drain delivers what is due, in order.
func (l *line) drain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.draining {
		return
	}
	l.draining = true
	for len(l.held) > 0 {
		now := l.clock.Now()
		if l.held[0].due.After(now) {
			l.armLocked(now)
			break
		}
		h := heap.Pop(&l.held).(hold)
		if h.ordered {
			l.ordered--
		}
		l.mu.Unlock()
		l.late(h.p)
		l.mu.Lock()
	}
	l.draining = false
	l.drained.Broadcast()
}

// late delivers a frame whose sender no longer waits for the result.
func (l *line) late(p *link.Packet) {
	if l.deliver(p) == link.ErrQueueFull {
		l.mu.Lock()
		l.stats.Overflow++
		l.mu.Unlock()
	}
}

// close drops what is held, and returns when no frame is on its way any more.
// Later frames are refused.
func (l *line) close() {
	l.mu.Lock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	held := l.held
	l.held, l.ordered = nil, 0
	for l.draining {
		l.drained.Wait()
	}
	l.mu.Unlock()
	for _, h := range held {
		h.p.Release()
	}
}

func (l *line) snapshot() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}

// hold is a frame that leaves at due; of two with the same time the one with
// the lower seq goes first.
type hold struct {
	due     time.Time
	seq     uint64
	ordered bool
	p       *link.Packet
}

type holdHeap []hold

func (h holdHeap) Len() int { return len(h) }
func (h holdHeap) Less(i, j int) bool {
	if !h[i].due.Equal(h[j].due) {
		return h[i].due.Before(h[j].due)
	}
	return h[i].seq < h[j].seq
}
func (h holdHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *holdHeap) Push(x any)   { *h = append(*h, x.(hold)) }
func (h *holdHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	old[len(old)-1] = hold{}
	*h = old[:len(old)-1]
	return x
}
