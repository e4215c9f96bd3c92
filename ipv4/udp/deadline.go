package udp

import (
	"sync"
	"time"

	"github.com/tapstack/tapstack/stack/clock"
)

// deadline ends reads that take too long. It is a time: setting it touches no
// timer, since it may be set before every read. One is armed when a read waits,
// and only moved to earlier times; when it fires too soon, whoever waits looks and
// waits again. wake's lock guards it.
type deadline struct {
	wake  *sync.Cond
	clock clock.Clock
	at    time.Time // zero: none
	armed time.Time // what timer is set to; zero when it is not running
	timer clock.Timer
}

// setLocked moves the deadline, and wakes who waits to look again.
func (d *deadline) setLocked(at time.Time) {
	d.at = at
	d.wake.Broadcast()
}

// passedLocked reports whether the time has come.
func (d *deadline) passedLocked() bool {
	return !d.at.IsZero() && !d.clock.Now().Before(d.at)
}

// waitLocked waits to be woken, at most until the deadline.
func (d *deadline) waitLocked() {
	if !d.at.IsZero() && (d.armed.IsZero() || d.at.Before(d.armed)) {
		d.armed = d.at
		wait := d.at.Sub(d.clock.Now())
		if d.timer == nil {
			d.timer = d.clock.AfterFunc(wait, d.fire)
		} else {
			d.timer.Reset(wait)
		}
	}
	d.wake.Wait()
}

// fire is the timer's.
func (d *deadline) fire() {
	d.wake.L.Lock()
	d.armed = time.Time{}
	d.wake.L.Unlock()
	d.wake.Broadcast()
}

// stopLocked ends the timer for good.
func (d *deadline) stopLocked() {
	d.at = time.Time{}
	if d.timer != nil {
		d.timer.Stop()
	}
}
