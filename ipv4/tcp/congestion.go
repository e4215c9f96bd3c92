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

// restart shrinks the window after a pause in which nothing was sent: what it
// knew of the path is stale. RFC 5681 section 4.1 goes back to the initial window
// after one timeout; as in Linux (tcp_cwnd_restart, after RFC 2861) it is halved
// for each. ssthresh remembers where it was.
func (w *window) restart(pause, rto time.Duration) {
	floor := min(w.cwnd, initialWindow(w.mss))
	w.remember()
	for pause -= rto; pause > 0 && w.cwnd > floor; pause -= rto {
		w.cwnd /= 2
	}
	w.cwnd = max(w.cwnd, floor)
}

// remember raises ssthresh to what the window has been good for, before it is
// reduced for another reason than congestion (Linux's tcp_current_ssthresh).
func (w *window) remember() {
	if w.ssthresh < maxCongestionWindow {
		w.ssthresh = max(w.ssthresh, w.cwnd/4*3)
	}
}

// reno and cubic are the names of the algorithms (tcp_available_congestion_control).
const (
	nameCubic = "cubic"
	nameReno  = "reno"
)

// CongestionControls returns the names that SetCongestion and Config.Congestion
// take; the first is the default.
func CongestionControls() []string { return []string{nameCubic, nameReno} }

// newCongestionControl returns the algorithm of that name, nil for an unknown one.
func newCongestionControl(name string) congestionControl {
	switch name {
	case nameCubic:
		return new(cubic)
	case nameReno:
		return new(reno)
	}
	return nil
}

// acknowledgement is what an algorithm learns from an ACK that makes progress.
type acknowledgement struct {
	bytes    int           // acknowledged for the first time
	segments int           // that they are
	una, nxt Seq           // after it
	sample   time.Duration // of the round trip, 0: none
	srtt     time.Duration
	at       moment
}

// congestionControl is an algorithm that moves the window. Loss detection is
// not its business: it is told.
type congestionControl interface {
	// name is what TCP_CONGESTION calls it.
	name() string
	// acked is called for an ACK of new data, if the window was in full use and
	// no loss is being repaired.
	acked(w *window, a acknowledgement)
	// unused says that from then on the window has not been in full use, until
	// acked is called again.
	unused(at moment)
	// congested is called once for each window of data that lost something or
	// met congestion marks, with the bytes in flight then, and sets w.ssthresh.
	congested(w *window, flight int, now time.Time)
	// timedOut follows congested when it was the retransmission timer that told.
	timedOut()
	// undo takes back the last congested: nothing was lost (RFC 4015, RFC 9438
	// section 4.9).
	undo(w *window)
	// fresh reports whether it knows no more than a new one.
	fresh() bool
}
