package tcp

import (
	"math"
	"time"
)

// Constants of RFC 9438.
const (
	cubicC    = 0.4 // segments per second cubed, section 5
	cubicBeta = 0.7 // section 4.6
	// cubicAlpha is what makes the additive increase of section 4.3 as fast on
	// average as Reno's, given beta.
	cubicAlpha = 3 * (1 - cubicBeta) / (1 + cubicBeta)
)

// cubic is the congestion control of RFC 9438, in segments where the window is in
// bytes. Slow start is HyStart++'s.
type cubic struct {
	curve
	before  curve // of the last reduction
	prior   priorWindow
	stopped moment // since when the window has not been in full use, 0: it is
	hystart hystart
	credit  float32 // fraction of a byte that the window has not grown by yet
}

// curve is the function of time that the window follows in congestion avoidance.
type curve struct {
	max    float32 // W_max: the window before the last reduction
	priorW float32 // cwnd_prior: the same, without fast convergence
	origin float32 // of the curve, where it is flat
	k      float32 // seconds from the epoch to there
	est    float64 // W_est: what Reno's window would be
	epoch  moment  // when congestion avoidance began, 0: it has not
}

func (*cubic) name() string { return nameCubic }

func (c *cubic) acked(w *window, a acknowledgement) {
	if c.stopped != 0 {
		// Section 4.2: time in which the window could not grow, because there was
		// nothing to send, does not count.
		if c.epoch != 0 {
			c.epoch += a.at - c.stopped
		}
		c.stopped = 0
	}
	n := a.bytes
	if w.slowStart() {
		if w.ssthresh < maxCongestionWindow {
			n -= w.growSlowly(n)
		} else {
			// HyStart++ is for the first slow start only (RFC 9406 section 4.2).
			grow, leave := c.hystart.acked(a)
			w.set(w.cwnd + grow)
			n = 0
			if leave {
				w.ssthresh = w.cwnd
			}
		}
	}
	if n > 0 {
		c.avoid(w, n, a)
	}
}

// avoid is congestion avoidance, sections 4.2 to 4.5, for n bytes acknowledged.
func (c *cubic) avoid(w *window, n int, a acknowledgement) {
	mss := float64(w.mss)
	cwnd := float64(w.cwnd) / mss
	if c.epoch == 0 {
		c.begin(cwnd, a.at)
	}
	t := a.at.sub(c.epoch).Seconds()
	alpha := cubicAlpha
	if c.est >= float64(c.priorW) {
		alpha = 1 // section 4.3, last paragraph
	}
	c.est += alpha * float64(n) / float64(w.cwnd)
	if c.at(t) < c.est {
		// Section 4.3, the Reno-friendly region.
		w.set(max(w.cwnd, int(c.est*mss)))
		return
	}
	// Sections 4.4 and 4.5: to where the curve is in a round trip, at most by
	// half of the window in that.
	target := min(c.at(t+a.srtt.Seconds()), 1.5*cwnd)
	if target > cwnd {
		grow := (target-cwnd)/cwnd*float64(n) + float64(c.credit)
		whole := math.Floor(grow)
		c.credit = float32(grow - whole)
		w.set(w.cwnd + int(whole))
	}
}

// begin starts the curve at a window of cwnd segments.
func (c *cubic) begin(cwnd float64, at moment) {
	c.epoch, c.est = at, cwnd
	c.priorW = max(c.priorW, float32(cwnd))
	if float64(c.max) <= cwnd {
		// After slow start or a timeout (sections 4.8 and 4.10): up from here.
		c.k, c.max = 0, float32(cwnd)
	} else {
		c.k = float32(math.Cbrt((float64(c.max) - cwnd) / cubicC)) // figure 2
	}
	c.origin = c.max
}

// at is W_cubic, figure 1: the window in segments t seconds after the epoch.
func (c *curve) at(t float64) float64 {
	d := t - float64(c.k)
	return cubicC*d*d*d + float64(c.origin)
}

// congested reduces by beta: section 4.6, with the fast convergence of section 4.7.
func (c *cubic) congested(w *window, flight int, _ time.Time) {
	c.prior.save(w)
	c.before = c.curve
	cwnd := float32(w.cwnd) / float32(w.mss)
	peak := cwnd
	if cwnd < c.max {
		// Another flow has come: leave it more than the reduction does.
		peak = cwnd * (1 + cubicBeta) / 2
	}
	c.curve = curve{max: peak, priorW: cwnd}
	w.ssthresh = max(int(float64(flight)*cubicBeta), 2*w.mss)
}

// timedOut forgets the curve: the next one begins flat where slow start ends
// (section 4.8).
func (c *cubic) timedOut() { c.max = 0 }

// undo is section 4.9.
func (c *cubic) undo(w *window) {
	c.prior.restore(w)
	c.curve = c.before
}

func (c *cubic) unused(at moment) {
	if c.stopped == 0 {
		c.stopped = at
	}
}

func (c *cubic) fresh() bool { return c.curve == curve{} && c.hystart.css == 0 }
