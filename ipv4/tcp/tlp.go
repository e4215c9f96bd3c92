package tcp

import "time"

// probe is the state of Tail Loss Probe (RFC 8985 section 7), of which one is
// under way at most.
type probe struct {
	on      bool
	retrans bool // TLP.is_retrans: not new data
	high    Seq  // TLP.end_seq
}

// probeTimeout returns after how long without an ACK a probe is sent (RFC 8985
// section 7.2): two round trips and, if only a single segment is under way, the
// longest that its ACK may be delayed, for which Linux takes the least
// retransmission timeout.
func probeTimeout(e *rtt, single bool) time.Duration {
	if e.srtt == 0 {
		return initialRTO
	}
	if single {
		return 2*e.srtt + minRTO
	}
	return 2*e.srtt + probeSlack
}

// probed looks at whether an ACK tells how a probe has fared (RFC 8985 section
// 7.4): if it repaired a loss, that was one to congestion.
func (l *loss) probed(q *sentQueue, w *window, cc congestionControl, a *round, now time.Time) {
	r := l.r
	p := &r.probe
	switch {
	case !p.on || a.una.Less(p.high):
	case !p.retrans, a.dsackTLP:
		p.on = false // nothing was lost: the probe and the original have arrived
	case p.high.Less(a.una):
		r.stats.add(lossProbeRecovery)
		r.undo.on = false
		l.reduce(w, cc, a, now)
		w.set(w.ssthresh)
		l.reopen(q, a)
	case a.duplicate:
		p.on = false
	}
}

// scheduleProbeLocked arms the timer for a probe if the connection should send
// one: that is with SACK, outside of recovery. It reports whether. Otherwise the
// timer is left alone. restart says that the retransmission timer would begin
// anew as well.
func (c *Conn) scheduleProbeLocked(now time.Time, restart bool) bool {
	q := &c.snd.sent
	if !c.loss.sack || c.loss.phase != phaseOpen || q.len() == 0 {
		return false
	}
	d := probeTimeout(&c.rtt, q.len() == 1 && q.at(0).len() <= c.snd.mss+1)
	rto := c.rto.current()
	if !restart {
		rto -= now.Sub(c.pr.epoch) - q.at(0).at
	}
	if rto > 0 {
		d = min(d, rto)
	}
	c.loss.timeout = timeoutProbe
	c.timers.set(timerRTO, now.Add(d))
	return true
}

// setRTOLocked arms the retransmission timer.
func (c *Conn) setRTOLocked(at time.Time) {
	c.loss.timeout = timeoutRetransmission
	c.timers.set(timerRTO, at)
}

// rearmRTOLocked arms the retransmission timer after an event that restarts it;
// what waited instead of it meanwhile does not (Linux's tcp_rearm_rto).
func (c *Conn) rearmRTOLocked(now time.Time) {
	q := &c.snd.sent
	if q.len() == 0 {
		c.timers.clear(timerRTO)
		return
	}
	d := c.rto.current()
	if c.timers.armed(timerRTO) && c.loss.timeout != timeoutRetransmission {
		d = max(d-(now.Sub(c.pr.epoch)-q.at(0).at), time.Microsecond)
	}
	c.setRTOLocked(now.Add(d))
}

// sendProbeLocked sends a tail loss probe: new data if there is any, else the
// last segment again (RFC 8985 section 7.3). The window of congestion does not
// count, the peer's does.
func (c *Conn) sendProbeLocked(now time.Time) {
	c.loss.timeout = timeoutProbe
	q := &c.snd.sent
	if q.len() == 0 {
		return
	}
	r := c.loss.begin(&c.pr.stats, &c.rtt)
	rearm := func() {
		d := c.rto.current() - (now.Sub(c.pr.epoch) - q.at(0).at)
		c.setRTOLocked(now.Add(max(d, time.Microsecond)))
	}
	if r.probe.on {
		rearm()
		return
	}
	retrans := false
	if n := min(c.snd.unsent(), c.snd.mss); n > 0 && n <= c.snd.usable() {
		c.sendNewLocked(now, n, c.snd.fin && n == c.snd.unsent() && n < c.snd.usable())
	} else {
		i := q.len() - 1
		x := q.at(i)
		if x.sacked || x.lost {
			rearm()
			return
		}
		if n := c.dataLen(x); n > c.snd.mss {
			q.split(i, x.start.Add((n-1)/c.snd.mss*c.snd.mss))
			i++
		}
		c.resendLocked(now, i, true)
		retrans = true
	}
	r.probe = probe{on: true, retrans: retrans, high: c.snd.nxt}
	c.pr.stats.add(lossProbes)
	c.setRTOLocked(now.Add(c.rto.current()))
}

// reorderTimeoutLocked is RACK's timer: what was only late should be here.
func (c *Conn) reorderTimeoutLocked(now time.Time) {
	q := &c.snd.sent
	r := c.loss.r
	c.loss.timeout = timeoutReorder
	if q.len() == 0 || r == nil {
		return
	}
	a := c.roundLocked(now, c.snd.una)
	c.loss.detect(q, &c.rtt, &a)
	if a.lost > 0 && c.loss.phase != phaseRecovery {
		c.loss.enter(&c.win, c.controlLocked(), &a, now)
		a.delivered = c.snd.mss
		r.prr.reduce(&c.win, c.loss.flight(q, c.snd.mss), &a)
	}
	c.setRTOLocked(now.Add(max(c.rto.current()-(now.Sub(c.pr.epoch)-q.at(0).at), time.Microsecond)))
}
