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
	timerUser   // the deadline of a call that waits

	numTimers
)

func (t timer) String() string {
	return [...]string{"on", "persist", "delack", "keepalive", "orphan", "deadline"}[t]
}

// moment is a time, in nanoseconds since the epoch of the connection's Protocol;
// 0 is none. It takes a third of a time.Time, and a connection has many.
type moment time.Duration

// momentOf returns at as a moment, never 0.
func momentOf(at, epoch time.Time) moment {
	if m := moment(at.Sub(epoch)); m != 0 {
		return m
	}
	return 1
}

// sub returns the time from x to m.
func (m moment) sub(x moment) time.Duration { return time.Duration(m - x) }

// time returns m as a time.Time, zero for none.
func (m moment) time(epoch time.Time) time.Time {
	if m == 0 {
		return time.Time{}
	}
	return epoch.Add(time.Duration(m))
}

// timers are the deadlines of one connection; a clock timer follows the
// earliest. Those at 0 are not armed.
type timers struct {
	epoch *time.Time
	at    [numTimers]moment
}

func (t *timers) set(k timer, at time.Time) { t.at[k] = momentOf(at, *t.epoch) }
func (t *timers) clear(k timer)             { t.at[k] = 0 }
func (t *timers) clearAll()                 { t.at = [numTimers]moment{} }
func (t *timers) armed(k timer) bool        { return t.at[k] != 0 }

// notAfter arms k for m, unless it is armed for earlier.
func (t *timers) notAfter(k timer, m moment) {
	if t.at[k] == 0 || m < t.at[k] {
		t.at[k] = m
	}
}

// due reports whether k has expired, and disarms it then.
func (t *timers) due(k timer, now time.Time) bool {
	if t.at[k] == 0 || momentOf(now, *t.epoch) < t.at[k] {
		return false
	}
	t.at[k] = 0
	return true
}

// earliest returns the next deadline, 0 when none is armed.
func (t *timers) earliest() moment {
	var e moment
	for _, at := range t.at {
		if at != 0 && (e == 0 || at < e) {
			e = at
		}
	}
	return e
}
