package tcp

import "time"

// reno is the congestion control of RFC 5681.
type reno struct {
	credit int // bytes acknowledged in congestion avoidance, not yet turned into window
	prior  priorWindow
}

func (*reno) name() string { return nameReno }

// acked grows the window: in slow start by what was acknowledged, then by one
// segment for each window acknowledged (RFC 5681 section 3.1, the byte-counting
// variant of equation 3).
func (r *reno) acked(w *window, a acknowledgement) {
	n := a.bytes - w.growSlowly(a.bytes)
	if n == 0 {
		return
	}
	r.credit += n
	if r.credit >= w.cwnd {
		r.credit -= w.cwnd
		w.set(w.cwnd + w.mss)
	}
}

// congested halves: RFC 5681 equation 4.
func (r *reno) congested(w *window, flight int, _ time.Time) {
	r.prior.save(w)
	w.ssthresh = max(flight/2, 2*w.mss)
	r.credit = 0
}

func (r *reno) undo(w *window) { r.prior.restore(w) }

func (r *reno) timedOut() {}

func (r *reno) unused(moment) {}

func (r *reno) fresh() bool { return *r == (reno{}) }

// growSlowly is slow start: the window grows by what was acknowledged, n bytes,
// up to ssthresh (RFC 3465 with L unbounded, as Linux does; the initial window and
// the ACK clock bound the burst, and super-segments have one ACK for 44). It returns
// how many of them it has used.
func (w *window) growSlowly(n int) int {
	if !w.slowStart() {
		return 0
	}
	n = min(n, w.ssthresh-w.cwnd)
	w.set(w.cwnd + n)
	return n
}

// priorWindow is the window before it was reduced, in case that was a mistake.
type priorWindow struct{ cwnd, ssthresh int32 }

func (p *priorWindow) save(w *window) { *p = priorWindow{int32(w.cwnd), int32(w.ssthresh)} }

// restore undoes a reduction, but nothing that has grown since (Linux's
// tcp_undo_cwnd_reduction).
func (p *priorWindow) restore(w *window) {
	w.set(max(w.cwnd, int(p.cwnd)))
	w.ssthresh = max(w.ssthresh, int(p.ssthresh))
}
