package udp

import (
	"sync"
	"time"

	"github.com/tapstack/tapstack/stack/clock"
)

// deadline ends reads that take too long. Its timer is made when a deadline in
// the future is first set, and used again. wake's lock guards it.
type deadline struct {
	wake    *sync.Cond
	clock   clock.Clock
	at      time.Time // zero: none
	expired bool
	timer   clock.Timer
}

// setLocked moves the deadline, and wakes who waits to look again.
func (d *deadline) setLocked(at time.Time) {
	d.at, d.expired = at, false
	if d.timer != nil {
		d.timer.Stop()
	}
	d.checkLocked()
	d.wake.Broadcast()
}

// checkLocked notes whether the time has come, and sets the timer if not.
func (d *deadline) checkLocked() {
	if d.at.IsZero() {
		return
	}
	wait := d.at.Sub(d.clock.Now())
	switch {
	case wait <= 0:
		d.expired = true
	case d.timer == nil:
		d.timer = d.clock.AfterFunc(wait, d.fire)
	default:
		d.timer.Reset(wait)
	}
}

// fire is the timer's. The deadline may have moved since it was set.
func (d *deadline) fire() {
	d.wake.L.Lock()
	defer d.wake.L.Unlock()
	if !d.expired {
		d.checkLocked()
		d.wake.Broadcast()
	}
}

// stopLocked ends the timer for good.
func (d *deadline) stopLocked() {
	d.at = time.Time{}
	if d.timer != nil {
		d.timer.Stop()
	}
}
