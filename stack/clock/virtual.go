package clock

import (
	"container/heap"
	"sync"
	"time"
)

// Virtual is a Source whose time passes only in Advance: for replaying
// recordings, for time-lapse, for packetdrill. Its methods may be called from
// any goroutine, also from functions that it runs.
type Virtual struct {
	mu    sync.Mutex
	now   time.Time
	queue timerHeap
	seq   uint64
}

// NewVirtual returns a Virtual that stands at start.
func NewVirtual(start time.Time) *Virtual { return &Virtual{now: start} }

// Now returns the virtual time.
func (v *Virtual) Now() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}

// AfterFunc arranges for f to be called by the Advance that reaches now+d.
func (v *Virtual) AfterFunc(d time.Duration, f func()) Timer {
	t := &virtualTimer{v: v, f: f, index: -1}
	v.mu.Lock()
	defer v.mu.Unlock()
	t.armLocked(d)
	return t
}

// Advance lets d pass. Functions that fall due are called one after the other
// in the order of their times (of their arming, for equal times) by the calling
// goroutine, each at its own time.
func (v *Virtual) Advance(d time.Duration) {
	v.mu.Lock()
	end := v.now.Add(max(d, 0))
	for len(v.queue) > 0 && !v.queue[0].when.After(end) {
		t := heap.Pop(&v.queue).(*virtualTimer)
		if t.when.After(v.now) {
			v.now = t.when
		}
		v.mu.Unlock()
		t.f()
		v.mu.Lock()
	}
	if end.After(v.now) {
		v.now = end
	}
	v.mu.Unlock()
}

// Next returns when the earliest function falls due; ok is false when none is
// armed.
func (v *Virtual) Next() (when time.Time, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.queue) == 0 {
		return time.Time{}, false
	}
	return v.queue[0].when, true
}

type virtualTimer struct {
	v     *Virtual
	f     func()
	when  time.Time
	seq   uint64
	index int // in v.queue, -1 when not armed
}

func (t *virtualTimer) armLocked(d time.Duration) {
	t.v.seq++
	t.when, t.seq = t.v.now.Add(max(d, 0)), t.v.seq
	heap.Push(&t.v.queue, t)
}

func (t *virtualTimer) stopLocked() bool {
	if t.index < 0 {
		return false
	}
	heap.Remove(&t.v.queue, t.index)
	return true
}

func (t *virtualTimer) Stop() bool {
	t.v.mu.Lock()
	defer t.v.mu.Unlock()
	return t.stopLocked()
}

func (t *virtualTimer) Reset(d time.Duration) bool {
	t.v.mu.Lock()
	defer t.v.mu.Unlock()
	armed := t.stopLocked()
	t.armLocked(d)
	return armed
}

type timerHeap []*virtualTimer

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	if !h[i].when.Equal(h[j].when) {
		return h[i].when.Before(h[j].when)
	}
	return h[i].seq < h[j].seq
}
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *timerHeap) Push(x any) {
	t := x.(*virtualTimer)
	t.index = len(*h)
	*h = append(*h, t)
}
func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = -1
	return t
}
