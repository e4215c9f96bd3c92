package tcp

import (
	"sync"
	"time"

	"github.com/tapstack/tapstack/stack/clock"
)

// deadline ends the calls of one side of a connection that take too long. It
// has one timer, made when a deadline is first set. The lock of the side's
// condition guards it.
type deadline struct {
	wake    *sync.Cond
	at      time.Time // zero: none
	expired bool
	timer   clock.Timer
}

// setLocked moves the deadline to at and wakes who waits, to look again.
func (d *deadline) setLocked(c clock.Clock, at time.Time) {
	d.at, d.expired = at, false
	if d.timer != nil {
		d.timer.Stop()
	}
	if !at.IsZero() {
		d.armLocked(c)
	}
	d.wake.Broadcast()
}

func (d *deadline) armLocked(c clock.Clock) {
	wait := d.at.Sub(c.Now())
	switch {
	case wait <= 0:
		d.expired = true
	case d.timer == nil:
		d.timer = c.AfterFunc(wait, func() {
			d.wake.L.Lock()
			defer d.wake.L.Unlock()
			// It may have been moved since the timer fired.
			if !d.at.IsZero() && !d.expired {
				d.armLocked(c)
				d.wake.Broadcast()
			}
		})
	default:
		d.timer.Reset(wait)
	}
}

// stopLocked ends the timer for good.
func (d *deadline) stopLocked() {
	if d.timer != nil {
		d.timer.Stop()
	}
}
