package tcp

import (
	"container/heap"
	"sync"
	"time"

	"github.com/tapstack/tapstack/stack/clock"
)

// Pacing spreads a window over the round trip. As in Linux without the fq queueing
// discipline it is off unless asked for: behind a TAP a burst costs nobody anything,
// and a super-segment is the unit of work, while a wake-up for each would cost more
// than sending it.

const (
	// Percentages of a window in a round trip: Linux's
	// tcp_pacing_ss_ratio and tcp_pacing_ca_ratio.
	pacingSlowStart = 200
	pacingAvoidance = 120
	// pacingQuantum is for how long what leaves at once makes up (Linux's
	// tcp_tso_autosize: a millisecond's worth).
	pacingQuantum = time.Millisecond
	// pacingSlack is how much too early a connection may be woken with another.
	pacingSlack = 50 * time.Microsecond
)

// pace is when a connection may send next.
type pace struct {
	next  moment // 0: now
	conn  *Conn
	wake  moment // guarded, as index, by pacer.mu
	index int32  // in the pacer's heap, plus one; 0: not there
}

// sent takes note of n octets that leave at now, at rate octets a second.
func (p *pace) sent(n int, rate uint64, now moment) {
	p.next = max(p.next, now) + moment(uint64(n)*uint64(time.Second)/rate)
}

// pacingRate returns how many octets a second leave, 0 for as many as the window
// allows: limit is the user's bound, 0 for none (Linux's tcp_update_pacing_rate).
func pacingRate(w *window, flight int, srtt time.Duration, limit uint64) uint64 {
	if srtt == 0 {
		return limit
	}
	percent := uint64(pacingAvoidance)
	if w.cwnd < w.ssthresh/2 {
		percent = pacingSlowStart
	}
	rate := max(uint64(max(w.cwnd, flight))*percent/100*uint64(time.Second/time.Nanosecond)/uint64(srtt), 1)
	if limit > 0 {
		rate = min(rate, limit)
	}
	return rate
}

// pacingRateLocked returns the rate at which the connection sends, 0 for unpaced.
func (c *Conn) pacingRateLocked() uint64 {
	if !c.config.Pacing && c.config.MaxPacingRate == 0 {
		return 0
	}
	return pacingRate(&c.win, c.snd.inFlight(), c.rtt.srtt, c.config.MaxPacingRate)
}

// pacer wakes the connections of a host that wait for their time to send: one heap
// and one clock timer for all. Its lock comes after a connection's.
type pacer struct {
	pr     *Protocol
	mu     sync.Mutex
	heap   paceHeap
	timer  clock.Timer
	armed  moment // what timer is set to; 0 when it is not running
	closed bool
}

// schedule has p's connection woken at its time.
func (r *pacer) schedule(p *pace) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return
	case p.index == 0:
		p.wake = p.next
		heap.Push(&r.heap, p)
	case p.wake != p.next:
		p.wake = p.next
		heap.Fix(&r.heap, int(p.index)-1)
	}
	r.armLocked()
}

// remove forgets p.
func (r *pacer) remove(p *pace) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.index > 0 {
		heap.Remove(&r.heap, int(p.index)-1)
	}
}

func (r *pacer) armLocked() {
	if len(r.heap) == 0 || r.armed != 0 && r.armed <= r.heap[0].wake {
		return
	}
	r.armed = r.heap[0].wake
	d := r.armed.sub(momentOf(r.pr.config.Clock.Now(), r.pr.epoch))
	if r.timer == nil {
		r.timer = r.pr.config.Clock.AfterFunc(d, r.expire)
	} else {
		r.timer.Reset(d)
	}
}

// expire lets those send whose time has come.
func (r *pacer) expire() {
	var due [32]*Conn
	for more := true; more; {
		n := 0
		r.mu.Lock()
		r.armed = 0
		now := momentOf(r.pr.config.Clock.Now(), r.pr.epoch)
		for n < len(due) && len(r.heap) > 0 && r.heap[0].wake <= now+moment(pacingSlack) {
			due[n] = heap.Pop(&r.heap).(*pace).conn
			n++
		}
		if more = n == len(due); !more {
			r.armLocked()
		}
		r.mu.Unlock()
		for _, c := range due[:n] {
			c.lock()
			if c.state != Closed && c.state != TimeWait {
				c.outputLocked(c.now())
			}
			c.unlock()
		}
	}
}

func (r *pacer) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.timer != nil {
		r.timer.Stop()
	}
	for _, p := range r.heap {
		p.index = 0
	}
	r.heap = nil
}

// paceHeap is a heap.Interface.
type paceHeap []*pace

func (h paceHeap) Len() int           { return len(h) }
func (h paceHeap) Less(i, j int) bool { return h[i].wake < h[j].wake }
func (h paceHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = int32(i)+1, int32(j)+1
}

func (h *paceHeap) Push(x any) {
	p := x.(*pace)
	*h = append(*h, p)
	p.index = int32(len(*h))
}

func (h *paceHeap) Pop() any {
	old := *h
	p := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	p.index = 0
	return p
}

// mayLeaveLocked reports whether a paced connection may send now; if not, it will be
// woken. What the peer's window keeps back anyway is for the persist timer.
func (c *Conn) mayLeaveLocked(now time.Time) bool {
	if c.flow == nil || c.snd.usable() <= 0 || c.flow.pace.next <= c.moment(now)+moment(pacingSlack) {
		return true
	}
	c.pr.pacer.schedule(&c.flow.pace)
	return false
}
