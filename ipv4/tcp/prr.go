package tcp

// prr is Proportional Rate Reduction (RFC 6937): during fast recovery the window
// shrinks from what it was to ssthresh in step with what arrives.
type prr struct {
	prior     int // RecoverFS, for which Linux takes the window
	delivered int // prr_delivered
	out       int // prr_out
}

// reduce sets the window after an ACK that brought a.delivered; flight is what
// is in the network.
func (p *prr) reduce(w *window, flight int, a *round) {
	if a.delivered <= 0 || p.prior == 0 {
		return
	}
	p.delivered += a.delivered
	var n int
	if flight > w.ssthresh {
		n = (w.ssthresh*p.delivered+p.prior-1)/p.prior - p.out
	} else {
		// Slow start reduction bound, but the conservative one while there
		// are new losses (RFC 6937 section 3.1; Linux's choice of the two).
		n = max(p.delivered-p.out, a.delivered)
		if a.advanced && a.lost == 0 {
			n += w.mss
		}
		n = min(n, w.ssthresh-flight)
	}
	if p.out == 0 {
		n = max(n, w.mss) // the fast retransmission, at once
	}
	w.set(flight + max(n, 0))
}
