// Package clock is where the stack's shells get the time from. Pure code takes
// now as a parameter instead.
package clock

import "time"

// Clock tells the time and runs functions later. The zero value is package
// time, so that in a testing/synctest bubble it is the bubble's clock; New
// makes one that follows another Source, for instance a Virtual.
type Clock struct{ src Source }

// Source is a way for time to pass. Now never goes backwards.
type Source interface {
	Now() time.Time
	AfterFunc(d time.Duration, f func()) Timer
}

// Timer is the part of *time.Timer that the stack uses, with its semantics.
type Timer interface {
	Stop() bool
	Reset(d time.Duration) bool
}

// New returns a Clock that follows src.
func New(src Source) Clock { return Clock{src} }

// Now returns the current time.
func (c Clock) Now() time.Time {
	if c.src == nil {
		return time.Now()
	}
	return c.src.Now()
}

// Since returns the time elapsed since t.
func (c Clock) Since(t time.Time) time.Duration {
	if c.src == nil {
		return time.Since(t)
	}
	return c.src.Now().Sub(t)
}

// AfterFunc calls f, in a goroutine that is the clock's, once d has passed.
func (c Clock) AfterFunc(d time.Duration, f func()) Timer {
	if c.src == nil {
		return time.AfterFunc(d, f)
	}
	return c.src.AfterFunc(d, f)
}
