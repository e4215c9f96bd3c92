package tcp

import (
	"syscall"
	"time"
)

// expire is called by the clock timer when the earliest deadline has come.
func (c *Conn) expire() {
	now := c.now()
	c.lock()
	c.armedAt = 0
	if c.timers.due(timerDelack, now) && c.ack.wanted {
		c.pr.stats.add(delayedACKs)
		c.ack.late(c.rto.current())
	}
	if c.timers.due(timerRTO, now) {
		switch c.loss.timeout {
		case timeoutProbe:
			c.sendProbeLocked(now)
		case timeoutReorder:
			c.reorderTimeoutLocked(now)
		default:
			c.retransmissionTimeoutLocked(now)
		}
	}
	if c.timers.due(timerPersist, now) {
		c.persistLocked(now)
	}
	if c.timers.due(timerKeepalive, now) {
		c.keepaliveProbeLocked(now)
	}
	if c.timers.due(timerUser, now) {
		// Those who wait look at the time themselves; it may not be theirs.
		c.wakeReader, c.wakeWriter = true, true
	}
	if c.timers.due(timerOrphan, now) {
		if c.state != FinWait2 {
			c.pr.stats.add(abortOnLinger)
			c.abortLocked(now, nil)
		}
		c.endLocked(nil)
	}
	if c.state != Closed && c.state != TimeWait {
		c.outputLocked(now)
	}
	c.shedLocked()
	c.unlock()
}

// shedLocked gives up what a connection needs only while it is busy, when no
// timer stands for anything under way: the clock timer fires soon after the last
// exchange, so that this is where a connection becomes idle.
func (c *Conn) shedLocked() {
	if c.timers.armed(timerRTO) || c.timers.armed(timerPersist) || c.timers.armed(timerDelack) {
		return
	}
	c.snd.sent.shed()
	c.snd.buf.shed()
	c.rcv.queue.shed()
	c.rcv.shedBlocks()
	c.shedFlowLocked()
	c.readable.shed()
	c.writable.shed()
	if c.timers.earliest() == 0 {
		c.timer = nil
	}
}

// retransmissionTimeoutLocked is RFC 6298 (5.4) to (5.6).
func (c *Conn) retransmissionTimeoutLocked(now time.Time) {
	if c.snd.sent.len() == 0 {
		return
	}
	if c.retries == 0 {
		c.stalledAt = moment(c.snd.sent.at(0).at)
	}
	if int(c.retries) >= c.retryLimit() || c.userTimeout > 0 && c.moment(now).sub(c.stalledAt) >= c.userTimeout {
		c.timedOutLocked(now)
		return
	}
	c.retries++
	c.rto.backOff()
	c.pr.stats.add(timeouts)
	if c.state == SynSent || c.state == SynReceived {
		if c.shaken && int(c.retries) < c.deferralLocked() {
			c.timers.set(timerRTO, now.Add(c.rto.current()))
			return // the peer has it
		}
		c.synRetrans++
		c.pr.stats.add(synRetrans)
		c.pr.stats.add(retransSegs)
		c.resent++
		c.resendSYNLocked(now)
	} else {
		c.lossTimeoutLocked(now)
		c.controlLocked().timedOut()
	}
	c.setRTOLocked(now.Add(c.rto.current()))
	if c.userTimeout > 0 {
		c.timers.notAfter(timerRTO, c.stalledAt+moment(c.userTimeout))
	}
}

// lossTimeoutLocked tells loss detection of a timeout.
func (c *Conn) lossTimeoutLocked(now time.Time) {
	l := &c.loss
	first := c.retries == 1
	switch {
	case l.phase == phaseLoss:
		c.pr.stats.add(lossFailures)
	case l.phase == phaseRecovery && l.sack:
		c.pr.stats.add(sackRecoveryFail)
	case l.phase == phaseRecovery:
		c.pr.stats.add(renoFailures)
	case l.phase == phaseDisorder && l.sack:
		c.pr.stats.add(sackFailures)
	}
	if !l.sack {
		l.expired(&c.snd.sent, c.snd.una, c.snd.nxt, &c.win, c.controlLocked(), now)
		return
	}
	l.begin(&c.pr.stats, &c.rtt)
	a := c.roundLocked(now, c.snd.una)
	l.expiredSelective(&c.snd.sent, &c.win, c.controlLocked(), &a, first, now)
}

// retryLimit returns how many timeouts in a row the state allows.
func (c *Conn) retryLimit() int {
	switch {
	case c.state == SynSent || c.state == SynReceived && c.parent == nil:
		if c.config.SynRetries > 0 {
			return c.config.SynRetries
		}
		return c.pr.config.SynRetries
	case c.state == SynReceived:
		if c.shaken {
			return max(c.pr.config.SynAckRetries, c.deferralLocked())
		}
		return c.pr.config.SynAckRetries
	case c.closed:
		return c.pr.config.OrphanRetries
	}
	return c.pr.config.Retries
}

// timedOutLocked gives the peer up. The user learns of the last ICMP error, if
// there was one, as that says more (Linux's tcp_write_err).
func (c *Conn) timedOutLocked(now time.Time) {
	c.pr.stats.add(abortOnTimeout)
	var err = syscall.ETIMEDOUT
	if c.softErr != 0 {
		err = c.softErr
	}
	if c.state == SynSent || c.state == SynReceived {
		c.pr.stats.add(attemptFails)
	}
	c.endLocked(err)
}

// persistLocked probes a window that is closed, or too small to be worth a
// segment (RFC 9293 section 3.8.6.1). While the peer answers, that may go on for
// ever.
func (c *Conn) persistLocked(now time.Time) {
	if c.snd.inFlight() > 0 || c.snd.unsent() == 0 && !c.snd.finPending() {
		return
	}
	if c.probes == 0 {
		c.stalledAt = c.moment(now)
	}
	if int(c.probes) >= c.retryLimit() || c.userTimeout > 0 && c.moment(now).sub(c.stalledAt) >= c.userTimeout {
		c.timedOutLocked(now)
		return
	}
	if n := min(c.snd.usable(), c.snd.unsent(), c.snd.mss); n > 0 {
		// The override of silly window avoidance (section 3.8.6.2.1 (4)).
		c.sendNewLocked(now, n, false)
		return
	}
	c.probes++
	c.rto.backOff()
	c.pr.stats.add(winProbe)
	c.probeLocked(now)
	c.timers.set(timerPersist, now.Add(c.rto.current()))
}

// probeLocked sends a segment that is old and so demands an ACK, which carries
// the peer's window (section 3.8.4; Linux's tcp_xmit_probe_skb). Unlike an octet
// of new data it cannot be refused over and over.
func (c *Conn) probeLocked(now time.Time) { c.emitLocked(now, c.snd.una-1, 0, ACK) }

// keepaliveLocked arms the keepalive timer (section 3.8.4).
func (c *Conn) keepaliveLocked(now time.Time) {
	k := &c.config.KeepAlive
	if !k.Enable || !c.state.synchronized() || c.state == TimeWait {
		c.timers.clear(timerKeepalive)
		return
	}
	c.timers.set(timerKeepalive, maxTime(now, c.lastHeard.time(c.pr.epoch).Add(k.Idle)))
}

func (c *Conn) keepaliveProbeLocked(now time.Time) {
	k := &c.config.KeepAlive
	if !k.Enable || !c.state.synchronized() || c.state == TimeWait {
		return
	}
	idle := c.moment(now).sub(c.lastHeard)
	switch {
	case c.snd.inFlight() > 0 || c.snd.unsent() > 0:
		c.timers.set(timerKeepalive, now.Add(k.Idle)) // retransmission knows better
	case idle < k.Idle:
		c.timers.set(timerKeepalive, now.Add(k.Idle-idle))
	case int(c.probes) >= k.Count || c.userTimeout > 0 && idle >= c.userTimeout && c.probes > 0:
		c.pr.stats.add(abortOnTimeout)
		c.abortLocked(now, syscall.ETIMEDOUT)
	default:
		c.probes++
		c.pr.stats.add(keepAliveProbe)
		c.probeLocked(now)
		c.timers.set(timerKeepalive, now.Add(k.Interval))
	}
}

func maxTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
