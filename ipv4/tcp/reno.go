package tcp

import "time"

// reno is the congestion control of RFC 5681.
type reno struct {
	credit int // bytes acknowledged in congestion avoidance, not yet turned into window
}

func (*reno) name() string { return "reno" }

// acked grows the window: in slow start by what was acknowledged (RFC 3465 with
// L unbounded, as Linux does; the initial window and ACK clock bound the
// burst), then by one segment for each window acknowledged (RFC 5681 section
// 3.1, the byte-counting variant of equation 3).
func (r *reno) acked(w *window, n int, _ *rtt, _ time.Time) {
	if w.slowStart() {
		grow := min(n, w.ssthresh-w.cwnd)
		w.set(w.cwnd + grow)
		if n -= grow; n == 0 {
			return
		}
	}
	r.credit += n
	if r.credit >= w.cwnd {
		r.credit -= w.cwnd
		w.set(w.cwnd + w.mss)
	}
}

// congested halves: RFC 5681 equation 4.
func (r *reno) congested(w *window, flight int, _ time.Time) {
	w.ssthresh = max(flight/2, 2*w.mss)
	r.credit = 0
}
