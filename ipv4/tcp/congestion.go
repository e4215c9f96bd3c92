package tcp

import "time"

// Bounds of the congestion window in segments and bytes.
const (
	initialWindowSegments = 10      // RFC 6928
	maxCongestionWindow   = 1 << 30 // far above any buffer: no overflow in sums
)

// window is the congestion window as every algorithm has it, in bytes (RFC 5681
// section 2).
type window struct {
	cwnd     int
	ssthresh int
	mss      int // SMSS: payload of a full segment
}

// slowStart reports whether the window still grows exponentially.
func (w *window) slowStart() bool { return w.cwnd < w.ssthresh }

// set moves the window within its bounds.
func (w *window) set(n int) { w.cwnd = min(max(n, w.mss), maxCongestionWindow) }

// start sets the initial window, RFC 6928: ten segments, fewer when they are
// jumbo. After a handshake that was retransmitted it is one segment (RFC 5681
// section 3.1, last paragraph).
func (w *window) start(mss int, lostSYN bool) {
	w.mss = mss
	w.ssthresh = maxCongestionWindow
	if lostSYN {
		w.cwnd = mss
		return
	}
	w.cwnd = initialWindow(mss)
}

func initialWindow(mss int) int {
	return min(initialWindowSegments*mss, max(2*mss, 14600))
}

// setMSS follows a change of the path MTU: the window keeps its number of
// segments as RFC 1191 section 6.5 asks by not growing in bytes.
func (w *window) setMSS(mss int) {
	w.mss = mss
	w.cwnd = max(w.cwnd, mss)
}

// restart shrinks the window after a pause longer than the retransmission
// timeout: what it knew of the path is stale (RFC 5681 section 4.1).
func (w *window) restart() { w.cwnd = min(w.cwnd, initialWindow(w.mss)) }

// congestionControl is an algorithm that moves the window. Loss detection is
// not its business: it is told.
type congestionControl interface {
	// name is what TCP_CONGESTION calls it.
	name() string
	// acked is called for n bytes acknowledged for the first time while the
	// window was in full use.
	acked(w *window, n int, e *rtt, now time.Time)
	// congested is called once for each window of data that lost something,
	// with the bytes in flight then, and sets w.ssthresh.
	congested(w *window, flight int, now time.Time)
}
