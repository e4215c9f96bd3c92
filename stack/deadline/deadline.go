// Package deadline ends calls of sockets that take too long.
package deadline

import (
	"sync"
	"time"

	"github.com/tapstack/tapstack/stack/clock"
)

// Deadline ends reads that take too long. It is a time: setting it touches no
// timer, since it may be set before every read. One is armed when a read waits,
// and only moved to earlier times; when it fires too soon, whoever waits looks and
// waits again. Init's lock guards it.
type Deadline struct {
	wake  *sync.Cond
	clock clock.Clock
	at    time.Time // zero: none
	armed time.Time // what timer is set to; zero when it is not running
	timer clock.Timer
}

// Init says who waits, and for which clock.
func (d *Deadline) Init(wake *sync.Cond, c clock.Clock) { d.wake, d.clock = wake, c }

// SetLocked moves the deadline, and wakes who waits to look again.
func (d *Deadline) SetLocked(at time.Time) {
	d.at = at
	d.wake.Broadcast()
}

// PassedLocked reports whether the time has come.
func (d *Deadline) PassedLocked() bool {
	return !d.at.IsZero() && !d.clock.Now().Before(d.at)
}

// WaitLocked waits to be woken, at most until the deadline.
func (d *Deadline) WaitLocked() {
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

// ArmedLocked returns what the timer is set to, zero when it is not running.
func (d *Deadline) ArmedLocked() time.Time { return d.armed }

// fire is the timer's.
func (d *Deadline) fire() {
	d.wake.L.Lock()
	d.armed = time.Time{}
	d.wake.L.Unlock()
	d.wake.Broadcast()
}

// StopLocked ends the timer for good.
func (d *Deadline) StopLocked() {
	d.at = time.Time{}
	if d.timer != nil {
		d.timer.Stop()
	}
}
