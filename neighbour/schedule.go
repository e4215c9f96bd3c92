package neighbour

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tapstack/tapstack/stack/clock"
)

// schedule is a periodic job that sleeps while there is nothing to do and keeps
// its phase all the same: when it is woken it runs at the times at which it would
// have run had it never slept. Its mutex is a leaf, except that note runs under
// it.
type schedule struct {
	clock  clock.Clock
	now    func() instant
	period func() time.Duration
	// note is told of runs, at first and then each period until last, which may
	// all be past. It only takes note; job does the work.
	note func(first, last instant, period time.Duration)
	// job does the work of a run and reports whether there will be more.
	job func() bool

	mu     sync.Mutex
	due    instant     // next run
	armed  atomic.Bool // written under mu
	closed bool
	timer  clock.Timer
}

// wake makes the job run from its next time on. There must be something to do
// before it is called; then it may look before it locks, for a job that is about
// to fall asleep has yet to look for something to do.
func (s *schedule) wake(now instant) {
	if s.armed.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.armed.Load() || s.closed {
		return
	}
	s.catchUpLocked(now)
	s.armed.Store(true)
	s.armLocked(now)
}

// catchUp accounts for the runs that were slept through.
func (s *schedule) catchUp(now instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.armed.Load() {
		s.catchUpLocked(now)
	}
}

func (s *schedule) catchUpLocked(now instant) {
	if now < s.due {
		return
	}
	period := max(s.period(), minTimer)
	first := s.due
	last := first.add(now.sub(first) / period * period)
	s.due = last.add(period)
	if s.note != nil {
		s.note(first, last, period)
	}
}

func (s *schedule) armLocked(now instant) {
	d := max(s.due.sub(now), 0)
	if s.timer == nil {
		s.timer = s.clock.AfterFunc(d, s.fire)
	} else {
		s.timer.Reset(d)
	}
}

func (s *schedule) fire() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	// Asleep while the job runs: who finds something to do meanwhile wakes it.
	s.armed.Store(false)
	s.catchUpLocked(s.now())
	s.mu.Unlock()
	if s.job() {
		s.wake(s.now())
	}
}

func (s *schedule) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
}
