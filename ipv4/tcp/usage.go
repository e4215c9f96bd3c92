package tcp

import "time"

// usage says how much of the congestion window is in use. A window that is not
// says nothing about the path, must not grow, and is not kept for ever (RFC 7661;
// the details are those of Linux's tcp_cwnd_validate).
type usage struct {
	most    int    // bytes in flight, at most, in the round trip that ends at end
	end     Seq    // SND.NXT when most was measured
	limited bool   // the window, nothing else, kept something from being sent
	since   moment // when the window was in full use last, or was reduced for not being
	used    int    // bytes in flight, at most, since then
}

// sent takes note of what is in flight after something was, perhaps, sent, and
// whether the window kept more from being.
func (u *usage) sent(flight int, una, nxt Seq, limited bool, w *window, at moment) {
	if limited || u.end.LessEq(una) || !u.limited && flight > u.most {
		u.most, u.end, u.limited = flight, nxt, limited
	}
	if u.full(w) {
		u.since, u.used = at, 0
	} else {
		u.used = max(u.used, flight)
	}
}

// full reports whether the window has been in full use. In slow start half of it is
// enough, as in Linux: it is about to double.
func (u *usage) full(w *window) bool {
	return u.limited || w.slowStart() && w.cwnd < 2*u.most
}

// decay reduces a window that has not been in full use for a timeout, halfway to
// what was used of it (Linux's tcp_cwnd_application_limited, RFC 2861).
func (u *usage) decay(w *window, rto time.Duration, at moment) {
	if u.since == 0 {
		u.since = at
	}
	if at.sub(u.since) < rto {
		return
	}
	if used := max(u.used, initialWindow(w.mss)); used < w.cwnd {
		w.remember()
		w.cwnd = (w.cwnd + used) / 2
	}
	u.since, u.used = at, 0
}
