package tcp

import "time"

// timer names a deadline of a connection.
type timer uint8

const (
	timerRTO     timer = iota // retransmission, RFC 6298
	timerPersist              // zero-window probe, RFC 9293 section 3.8.6.1
	timerDelack               // delayed acknowledgement
	timerKeepalive
	timerOrphan // FIN-WAIT-2 without an owner, and SO_LINGER's limit

	numTimers
)

func (t timer) String() string {
	return [...]string{"on", "persist", "delack", "keepalive", "orphan"}[t]
}

// timers are the deadlines of one connection; a clock timer follows the
// earliest. The zero time is not armed.
type timers struct{ at [numTimers]time.Time }

func (t *timers) set(k timer, at time.Time) { t.at[k] = at }
func (t *timers) clear(k timer)             { t.at[k] = time.Time{} }
func (t *timers) armed(k timer) bool        { return !t.at[k].IsZero() }

// due reports whether k has expired, and disarms it then.
func (t *timers) due(k timer, now time.Time) bool {
	if t.at[k].IsZero() || now.Before(t.at[k]) {
		return false
	}
	t.at[k] = time.Time{}
	return true
}

// earliest returns the next deadline, the zero time when none is armed.
func (t *timers) earliest() time.Time {
	var e time.Time
	for _, at := range t.at {
		if !at.IsZero() && (e.IsZero() || at.Before(e)) {
			e = at
		}
	}
	return e
}
