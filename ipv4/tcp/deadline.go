package tcp

import (
	"net"
	"sync"
	"time"

	"github.com/tapstack/tapstack/stack/clock"
)

// waiters are users that wait for something to happen to a connection, with the
// connection's lock. The zero value is ready; while nobody has to wait it is all
// there is.
type waiters struct {
	cond *sync.Cond
	n    int32
}

func (w *waiters) waitLocked(mu *sync.Mutex) {
	if w.cond == nil {
		w.cond = sync.NewCond(mu)
	}
	w.n++
	w.cond.Wait()
	w.n--
}

// wakeLocked has everybody look again.
func (w *waiters) wakeLocked() {
	if w.n > 0 {
		w.cond.Broadcast()
	}
}

// shed gives up what only those who wait need.
func (w *waiters) shed() {
	if w.n == 0 {
		w.cond = nil
	}
}

// setDeadline sets the deadlines of Read and Write. It only notes the times, for
// it may be called before every Read and Write: a timer is armed when a call
// waits, and then the connection's own, see timers.
func (c *Conn) setDeadline(t time.Time, read, write bool) error {
	var at moment
	switch {
	case t.IsZero():
	case t == t.Round(0):
		// Of the wall clock, which may have been set since the epoch.
		now := c.now()
		at = momentOf(now.Add(t.Sub(now)), c.pr.epoch)
	default:
		at = momentOf(t, c.pr.epoch)
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return c.opError("set", "setdeadline", net.ErrClosed)
	}
	if read {
		c.readBy = at
		c.readable.wakeLocked()
	}
	if write {
		c.writeBy = at
		c.writable.wakeLocked()
	}
	c.mu.Unlock()
	return nil
}

// passed reports whether the deadline by has come; 0 is none.
func (c *Conn) passed(by moment) bool { return by != 0 && c.moment(c.now()) >= by }

// waitLocked waits on w, at most until by, unless that is 0. The caller looks at
// the reason and the time itself.
func (c *Conn) waitLocked(w *waiters, by moment) {
	if by != 0 {
		c.timers.notAfter(timerUser, by)
		c.armLocked()
	}
	w.waitLocked(&c.mu)
}

// deadline is that of a listener's calls. The lock of the condition guards it.
type deadline struct {
	at    time.Time // zero: none
	armed time.Time // what timer is set to; zero when it is not running
	timer clock.Timer
}

// passedLocked reports whether the deadline has come.
func (d *deadline) passedLocked(c clock.Clock) bool {
	return !d.at.IsZero() && !c.Now().Before(d.at)
}

// waitLocked waits on wake, at most until the deadline. Like a connection's timer
// this one is only moved to earlier times; when it fires too soon whoever waits
// looks, and waits again.
func (d *deadline) waitLocked(c clock.Clock, wake *sync.Cond) {
	if !d.at.IsZero() && (d.armed.IsZero() || d.at.Before(d.armed)) {
		d.armed = d.at
		wait := d.at.Sub(c.Now())
		if d.timer == nil {
			d.timer = c.AfterFunc(wait, func() {
				wake.L.Lock()
				d.armed = time.Time{}
				wake.L.Unlock()
				wake.Broadcast()
			})
		} else {
			d.timer.Reset(wait)
		}
	}
	wake.Wait()
}

// stopLocked ends the timer for good.
func (d *deadline) stopLocked() {
	if d.timer != nil {
		d.timer.Stop()
	}
}
