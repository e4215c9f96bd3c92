package tcp

import "time"

// flow is what a connection keeps, beside its window, while it sends data. It is
// allocated with the first data and given up by an idle connection that has not
// learned anything worth keeping: see shedLocked.
type flow struct {
	cc    congestionControl
	usage usage
	ecn   ecnSender
	pace  pace

	delivered int    // bytes acknowledged in the round trip
	began     moment // when that did, 0: no data was acknowledged yet
	end       Seq    // SND.NXT then
	rate      uint64 // bytes acknowledged in a second, of a round trip that used the window
}

// arrived takes note that n octets were acknowledged, up to una; with idle, the window
// was not in full use, and a lower rate says nothing of the path.
func (f *flow) arrived(n int, una, nxt Seq, idle bool, now moment) {
	f.delivered += n
	if f.began != 0 && una.Less(f.end) {
		return
	}
	if f.began != 0 && now > f.began {
		if rate := uint64(f.delivered) * uint64(time.Second) / uint64(now-f.began); !idle || rate > f.rate {
			f.rate = rate
		}
	}
	f.delivered, f.began, f.end = 0, now, nxt
}

// startFlowLocked makes sure that there are a flow and an algorithm, before data is
// sent.
func (c *Conn) startFlowLocked() {
	if c.flow != nil {
		return
	}
	c.flow = &flow{cc: newCongestionControl(c.congestionLocked()), usage: usage{end: c.snd.una}, pace: pace{conn: c}}
	c.flow.ecn.top = c.snd.nxt
}

// controlLocked returns the algorithm, nil before data is sent.
func (c *Conn) controlLocked() congestionControl {
	if c.flow == nil {
		return nil
	}
	return c.flow.cc
}

// congestionLocked returns the name of the algorithm that the connection uses, or
// will use.
func (c *Conn) congestionLocked() string {
	switch {
	case c.flow != nil:
		return c.flow.cc.name()
	case c.config.Congestion != "":
		return c.config.Congestion
	}
	return c.pr.params.Load().congestion
}

// shedFlowLocked gives up the flow of a connection with nothing in flight.
func (c *Conn) shedFlowLocked() {
	if c.flow != nil && c.snd.inFlight() == 0 && c.snd.unsent() == 0 && !c.sending && c.win.ssthresh == maxCongestionWindow && c.flow.cc.fresh() {
		c.pr.pacer.remove(&c.flow.pace)
		c.flow = nil
	}
}

// grownLocked lets the algorithm take in an ACK of n octets, of which segments were
// whole; sample is the round trip it measures, or 0. With repair, what is
// acknowledged repairs a loss and does not open the window.
func (c *Conn) grownLocked(now time.Time, n, segments int, sample time.Duration, repair bool) {
	if c.flow == nil {
		return
	}
	c.flow.arrived(n, c.snd.una, c.snd.nxt, !c.flow.usage.full(&c.win), c.moment(now))
	switch {
	case repair:
	case !c.flow.usage.full(&c.win):
		// RFC 7661 section 4.1: a window that was not in use says nothing about
		// the path.
		c.flow.cc.unused(c.moment(now))
	default:
		c.flow.cc.acked(&c.win, acknowledgement{bytes: n, segments: segments, una: c.snd.una, nxt: c.snd.nxt,
			sample: sample, srtt: c.rtt.srtt, at: c.moment(now)})
	}
}

// usedLocked takes note of the window's use after something was sent.
func (c *Conn) usedLocked(now time.Time, flight int) {
	limited := c.snd.unsent() > 0 && c.snd.usable() > 0 && flight+c.snd.mss > c.win.cwnd
	u, at := &c.flow.usage, c.moment(now)
	u.sent(flight, c.snd.una, c.snd.nxt, limited, &c.win, at)
	// A writer that waits has more to send than the peer's window takes.
	if c.pr.params.Load().slowStartAfterIdle && !u.full(&c.win) && c.writable.n == 0 && c.loss.phase == phaseOpen {
		u.decay(&c.win, c.rto.current(), at)
	}
}

// restartLocked reduces the window before data is sent after a pause
// (tcp_slow_start_after_idle).
func (c *Conn) restartLocked(now time.Time) {
	pause, rto := c.moment(now).sub(c.lastSent), c.rto.current()
	if c.snd.inFlight() > 0 || pause <= rto || c.win.cwnd == 0 {
		return
	}
	if c.flow != nil {
		c.flow.cc.unused(c.lastSent)
	}
	if c.pr.params.Load().slowStartAfterIdle {
		c.win.restart(pause, rto)
		if c.flow != nil {
			c.flow.usage.since = c.moment(now)
		}
	}
}
