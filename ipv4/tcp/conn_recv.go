package tcp

import (
	"syscall"
	"time"

	"github.com/tapstack/tapstack/link"
)

// invalidRateLimit is the least time between two answers to segments that are
// not acceptable (tcp_invalid_ratelimit, RFC 5961 section 7).
const invalidRateLimit = 500 * time.Millisecond

// input handles the segment s with payload p, RFC 9293 section 3.10.7. It
// reports false, leaving p to the caller, when the connection is gone.
func (c *Conn) input(s *segment, p *link.Packet) bool {
	batch := p.Batch
	now := c.now()
	c.lock()
	switch c.state {
	case Closed, TimeWait:
		c.unlock()
		return false
	case SynSent:
		p = c.synSentLocked(now, s, p)
	default:
		p = c.synchronizedLocked(now, s, p)
	}
	if p != nil { // it carried nothing to keep
		p.Release()
	}
	if batch != nil && s.n > 0 && c.deferLocked(batch) {
		return true
	}
	if c.state != Closed && c.state != TimeWait {
		c.outputLocked(now)
	}
	c.unlock()
	return true
}

// deferLocked puts what follows from a segment with data, the acknowledgement
// and the reader's wake-up, off to the end of the batch, and releases mu. It
// reports false for what does not bear it: what must be acknowledged at once, and
// data that fills half of the receive buffer, so that its sender need not wait.
func (c *Conn) deferLocked(batch *link.Batch) bool {
	if !c.state.receivesData() || c.ack.now || c.out.Len() > 0 || c.rcv.nxt.Sub(c.ack.acked) >= c.rcv.limit/2 {
		return false
	}
	if !c.deferred {
		c.deferred = true
		batch.Add(c)
	}
	c.armLocked()
	c.mu.Unlock()
	return true
}

// Flush does what was put off to the end of a batch (link.Flusher).
func (c *Conn) Flush() {
	c.lock()
	c.deferred = false
	if c.state != Closed && c.state != TimeWait {
		c.outputLocked(c.now())
	}
	c.unlock()
}

// drop counts p under r. It returns nil, for whoever reports what is left of p.
func (c *Conn) drop(p *link.Packet, r link.DropReason) *link.Packet {
	c.pr.config.Drops.Drop(p, r)
	return nil
}

// synSentLocked is section 3.10.7.3. Like synchronizedLocked it returns p if it
// has not taken it.
func (c *Conn) synSentLocked(now time.Time, s *segment, p *link.Packet) *link.Packet {
	hasACK := s.Flags&ACK != 0
	// First, check the ACK bit.
	if hasACK && (s.Ack.LessEq(c.snd.iss) || c.snd.nxt.Less(s.Ack)) {
		if s.Flags&RST == 0 {
			c.replyResetLocked(s)
		}
		return c.drop(p, link.TCPInvalidSequence)
	}
	if hasACK && !c.config.NoTimestamps && c.ts.foreign(&s.Options, now) {
		// As Linux does, to unmask an old SYN-ACK.
		c.pr.stats.add(pawsActive)
		c.replyResetLocked(s)
		return c.drop(p, link.TCPRFC7323PAWS)
	}
	// Second, check the RST bit: it counts only with an acceptable ACK.
	if s.Flags&RST != 0 {
		if hasACK {
			c.pr.stats.add(attemptFails)
			c.endLocked(syscall.ECONNREFUSED)
		}
		return c.drop(p, link.TCPReset)
	}
	// Fourth, check the SYN bit.
	if s.Flags&SYN == 0 {
		return c.drop(p, link.TCPFlags) // fifth
	}
	c.rcv.start(s.Seq)
	c.negotiateLocked(&s.Options, now)
	c.negotiateECNLocked(s)
	c.ack.acked = c.rcv.nxt
	c.snd.wnd, c.snd.maxWnd = int(s.Window), int(s.Window) // of a SYN: never scaled
	c.snd.wl1, c.snd.wl2 = s.Seq, s.Ack
	if !hasACK {
		// Simultaneous open.
		c.setStateLocked(SynReceived)
		c.resendSYNLocked(now)
		return p
	}
	c.advanceLocked(now, s)
	c.establishedLocked(now)
	c.ack.force()
	if s.n > 0 || s.Flags&FIN != 0 {
		// "Continue processing at the sixth step."
		s.Flags &^= SYN
		s.Seq++
		return c.textLocked(now, s, p)
	}
	return p
}

// synchronizedLocked is section 3.10.7.4, for every state past SYN-SENT.
func (c *Conn) synchronizedLocked(now time.Time, s *segment, p *link.Packet) *link.Packet {
	if c.state == SynReceived && s.Seq == c.rcv.irs && s.len() == 1 && s.Flags&(SYN|RST) == SYN {
		if s.Flags&ACK == 0 {
			// The peer has not seen our SYN-ACK. (Linux answers so too, from
			// its request socket, where the RFC has a challenge ACK.)
			if !c.rateLimited(now, ackSkippedChallenge) {
				c.resendSYNLocked(now)
			}
			return p
		}
		if s.Ack == c.snd.nxt {
			// Simultaneous open: the peer's SYN-ACK, figure 8 of section 3.5.
			// Its SYN has been seen, its ACK has not.
			s.Flags &^= SYN
			s.Seq++
		}
	}
	// PAWS comes before the sequence check (RFC 7323 section 5.3).
	if c.ts.ok && s.Options.HasTimestamps && s.Flags&RST == 0 && c.ts.old(&s.Options, now) {
		c.pr.stats.add(pawsEstab)
		c.duplicateLocked(s)
		if s.n > 0 || !c.rateLimited(now, ackSkippedPAWS) {
			c.ack.force()
		}
		return c.drop(p, link.TCPRFC7323PAWS)
	}
	// First, check the sequence number.
	if !c.rcv.acceptable(s.Seq, s.len()) {
		c.duplicateLocked(s)
		switch {
		case s.Flags&RST != 0:
		case s.Flags&SYN != 0:
			c.pr.stats.add(synChallenge)
			c.challengeLocked(now)
		// Segments with data get their ACK always: they are no part of a
		// loop of ACKs, and their sender may have lost the last one.
		case s.n > 0 || !c.rateLimited(now, ackSkippedSeq):
			c.ack.force()
		}
		if s.Seq.Add(s.len()).LessEq(c.rcv.nxt) {
			return c.drop(p, link.TCPOldData)
		}
		return c.drop(p, link.TCPInvalidSequence)
	}
	// Second, check the RST bit, with RFC 5961 section 3.2.
	if s.Flags&RST != 0 {
		if s.Seq == c.rcv.nxt {
			c.resetLocked()
		} else {
			c.challengeLocked(now)
		}
		return c.drop(p, link.TCPReset)
	}
	// Fourth, check the SYN bit: RFC 5961 section 4.2.
	if s.Flags&SYN != 0 {
		c.pr.stats.add(synChallenge)
		c.challengeLocked(now)
		return c.drop(p, link.TCPInvalidSyn)
	}
	// Fifth, check the ACK field.
	if s.Flags&ACK == 0 {
		return c.drop(p, link.TCPFlags)
	}
	c.lastHeard = c.moment(now)
	if c.ts.ok && s.Options.HasTimestamps {
		c.ts.note(&s.Options, s.Seq, c.ack.acked, now)
	}
	if c.state == SynReceived {
		if s.Ack.LessEq(c.snd.una) || c.snd.nxt.Less(s.Ack) {
			c.replyResetLocked(s)
			return c.drop(p, link.TCPInvalidSequence)
		}
		if c.awaitsDataLocked(s) {
			// As if the ACK had been lost (TCP_DEFER_ACCEPT).
			c.shaken = true
			return c.drop(p, link.NotSpecified)
		}
		if !c.acceptLocked() {
			// The accept queue is full: as if the ACK had been lost
			// (tcp_abort_on_overflow off).
			return c.drop(p, link.TCPListenOverflow)
		}
		c.snd.wnd = int(s.Window) << c.snd.scale
		c.snd.maxWnd = max(c.snd.maxWnd, c.snd.wnd)
		c.snd.wl1, c.snd.wl2 = s.Seq, s.Ack
		c.advanceLocked(now, s)
		c.establishedLocked(now)
		c.queueLocked()
	} else if r := c.ackLocked(now, s); r != 0 {
		return c.drop(p, r)
	}
	switch {
	case c.state == Closed || c.state == TimeWait:
		return p
	case s.n > 0 || s.Flags&FIN != 0:
		// Sixth, URG: the pointer is ignored, urgent data is read in line (RFC
		// 6093 section 4). Seventh and eighth:
		return c.textLocked(now, s, p)
	}
	return p
}

// rateLimited reports whether an answer to an unacceptable segment would be one
// too many, and counts it under skipped then.
func (c *Conn) rateLimited(now time.Time, skipped counter) bool {
	at := c.moment(now)
	if c.lastOOW != 0 && at.sub(c.lastOOW) < invalidRateLimit {
		c.pr.stats.add(skipped)
		return true
	}
	c.lastOOW = at
	return false
}

// challengeLocked sends a challenge ACK (RFC 5961).
func (c *Conn) challengeLocked(now time.Time) {
	if !c.rateLimited(now, ackSkippedChallenge) {
		c.pr.stats.add(challengeACK)
		c.ack.force()
	}
}

// resetLocked is what a valid RST does (section 3.10.7.4, second check).
func (c *Conn) resetLocked() {
	err := syscall.ECONNRESET
	switch c.state {
	case SynReceived:
		err = syscall.ECONNREFUSED
		c.pr.stats.add(attemptFails)
	case CloseWait:
		err = syscall.EPIPE // Linux's tcp_reset
		c.pr.stats.add(estabResets)
	case Established:
		c.pr.stats.add(estabResets)
	}
	c.endLocked(err)
}

// ackLocked is the fifth check in the states from ESTABLISHED on. It returns a
// reason when the segment is to be dropped.
func (c *Conn) ackLocked(now time.Time, s *segment) link.DropReason {
	ack := s.Ack
	if c.snd.nxt.Less(ack) {
		c.challengeLocked(now)
		return link.TCPAckUnsent
	}
	if ack.Less(c.snd.una) {
		// RFC 5961 section 5.2: older than any window of ours is an attack.
		if ack.Less(c.snd.una.Add(-c.snd.maxWnd)) {
			c.challengeLocked(now)
			return link.TCPOldAck
		}
		// It was overtaken; what it says that the peer holds may still be news,
		// and its data good.
		if c.loss.sack && s.Options.NumSACK > 0 && c.snd.inFlight() > 0 {
			c.selectiveLocked(now, s, true)
		}
		return 0
	}
	c.probes = 0
	outstanding := c.snd.inFlight() > 0
	changed := c.snd.window(s.Seq, ack, int(s.Window)<<c.snd.scale)
	// A duplicate may be reported when nothing is in flight any more.
	if c.loss.sack && (outstanding || s.Options.NumSACK > 0) {
		advanced := c.snd.una.Less(ack)
		c.selectiveLocked(now, s, changed)
		if advanced {
			return c.finAckedLocked(now)
		}
		return 0
	}
	if c.snd.una.Less(ack) {
		c.advanceLocked(now, s)
		if s.Flags&ECE != 0 {
			c.echoedLocked(now)
		}
		return c.finAckedLocked(now)
	}
	// RFC 5681 section 2 defines a duplicate ACK by (a) data outstanding, (b)
	// no data, (c) no SYN nor FIN, (d) the ACK number, (e) the same window.
	if outstanding && s.len() == 0 && !changed {
		// It says that a segment left the network: the path works both ways.
		c.confirm = true
		if c.loss.duplicate(&c.snd.sent, c.snd.una, c.snd.nxt, &c.win, c.controlLocked(), now) {
			c.pr.stats.add(renoRecovery)
			c.force = true
		}
	}
	if changed && !outstanding {
		c.timers.clear(timerPersist)
		c.rto.backoff = 0
	}
	return 0
}

// roundLocked returns what is known of an ACK before it is taken in; una is
// SND.UNA after it.
func (c *Conn) roundLocked(now time.Time, una Seq) round {
	return round{prior: c.snd.una, una: una, nxt: c.snd.nxt, at: now.Sub(c.pr.epoch), mss: max(c.snd.mss, 1), maxWnd: c.snd.maxWnd,
		stamp: c.ts.value(now), low: c.snd.nxt, high: c.snd.una, advanced: c.snd.una.Less(una)}
}

// selectiveLocked takes in an ACK of a peer with SACK while something is in
// flight; changed says that it carries a new window.
func (c *Conn) selectiveLocked(now time.Time, s *segment, changed bool) {
	l, q := &c.loss, &c.snd.sent
	o := &s.Options
	a := c.roundLocked(now, maxSeq(c.snd.una, s.Ack))
	a.ecr, a.echoed = o.TSEcr, c.ts.ok && o.HasTimestamps && o.TSEcr != 0
	before := l.flight(q, c.snd.mss)
	blocks := o.SACK[:o.NumSACK]
	if l.r != nil && l.r.sacked > 0 {
		a.high = l.r.high
	}
	if len(blocks) > 0 {
		l.begin(&c.pr.stats, &c.rtt)
		l.selective(q, blocks, s.Ack, &c.rtt, &a)
	}
	a.duplicate = !a.advanced && !changed && !a.dsack && s.len() == 0
	if a.advanced {
		c.retries, c.softErr, c.force = 0, 0, false
	}
	_, sample, sampled := c.snd.acked(l, &c.rtt, &a)
	trip := c.sampleLocked(now, s, &a, sample, sampled)
	if l.r != nil {
		if a.low.Less(a.high) {
			l.r.late(a.low, &a)
		}
		a.reneged = q.n > 0 && q.at(0).sacked
		l.r.adapt(&a)
		l.probed(q, &c.win, c.controlLocked(), &a, now)
		if a.dsack || q.n+int32(before) > 0 && (a.duplicate || a.sacked || l.phase != phaseOpen) {
			more := (c.snd.unsent() > 0 || c.snd.finPending()) && c.snd.usable() > 0
			l.react(q, &c.win, c.controlLocked(), &c.rtt, &a, more, now)
		}
	}
	c.rearmLocked(now, &a)
	repair := l.phase == phaseRecovery
	if repair {
		l.r.prr.reduce(&c.win, l.flight(q, c.snd.mss), &a)
	}
	if repair || a.advanced || l.r != nil && l.r.reordering > initialReordering {
		c.grownLocked(now, a.delivered, c.snd.segments(a.delivered), trip, repair || a.delivered == 0)
	}
	if s.Flags&ECE != 0 && a.advanced {
		c.echoedLocked(now)
	}
	// Forward progress, or a duplicate: the path works both ways.
	if a.advanced || a.sacked || a.duplicate {
		c.confirm = true
	}
	c.acknowledgedLocked()
}

// sampleLocked measures the round trip by what an ACK acknowledges, else by what
// it acknowledges selectively, else by the timestamp it echoes. It returns 0 when
// none of them tells.
func (c *Conn) sampleLocked(now time.Time, s *segment, a *round, sample time.Duration, sampled bool) (trip time.Duration) {
	switch {
	case sampled:
		trip = a.at - sample
	case a.firstSack != 0:
		trip = a.at - a.firstSack
	case a.advanced && c.ts.ok && s.Options.HasTimestamps:
		// RFC 7323 section 4.1: the echo tells which transmission it was.
		d, ok := c.ts.sample(s.Options.TSEcr, now)
		if !ok {
			return 0
		}
		trip = d
	default:
		return 0
	}
	c.rtt.update(trip, a.at)
	c.rto.update(&c.rtt)
	return trip
}

// rearmLocked sets the timer after an ACK with SACK.
func (c *Conn) rearmLocked(now time.Time, a *round) {
	q := &c.snd.sent
	switch {
	case q.len() == 0:
		c.timers.clear(timerRTO) // RFC 6298 (5.2)
	case a.reneged && a.advanced:
		// Linux's tcp_check_sack_reneging: the timeout repairs it, soon.
		c.setRTOLocked(now.Add(max(c.rtt.srtt/2, 10*time.Millisecond)))
	case a.reorder > 0:
		c.loss.timeout = timeoutReorder
		c.timers.set(timerRTO, now.Add(min(a.reorder, c.rto.current())))
	case a.advanced || a.firstSack > q.at(0).at:
		// (5.3), but not by what was sent before the oldest was sent again.
		if !c.scheduleProbeLocked(now, true) {
			c.rearmRTOLocked(now)
		}
	}
}

// acknowledgedLocked wakes those who write if there is room again.
func (c *Conn) acknowledgedLocked() {
	if c.snd.buf.len() <= c.snd.capacity(c.win.cwnd)*2/3 {
		c.wakeWriter = true
	}
}

// advanceLocked takes in an ACK of something new.
func (c *Conn) advanceLocked(now time.Time, s *segment) {
	n := s.Ack.Sub(c.snd.una)
	a := c.roundLocked(now, s.Ack)
	segments, sample, sampled := c.snd.acked(&c.loss, &c.rtt, &a)
	c.confirm = true
	c.retries = 0
	c.softErr = 0
	c.force = false

	trip := c.sampleLocked(now, s, &a, sample, sampled)
	if c.snd.mss > 0 && c.win.cwnd > 0 {
		grow := c.loss.acked(&c.snd.sent, c.snd.una, segments, c.snd.inFlight(), &c.win)
		c.grownLocked(now, n, segments, trip, !grow)
		c.force = c.loss.phase == phaseRecovery && c.loss.lost > 0
	}
	if c.snd.inFlight() == 0 {
		c.timers.clear(timerRTO) // RFC 6298 (5.2)
	} else {
		c.setRTOLocked(now.Add(c.rto.current())) // (5.3)
	}
	c.acknowledgedLocked()
}

// finAckedLocked moves on if the peer has acknowledged our FIN.
func (c *Conn) finAckedLocked(now time.Time) link.DropReason {
	if !c.snd.finAcked() {
		return 0
	}
	switch c.state {
	case FinWait1:
		c.setStateLocked(FinWait2)
		if c.closed {
			c.timers.set(timerOrphan, now.Add(c.finTimeout()))
		}
	case Closing:
		c.timeWaitLocked(now)
	case LastAck:
		c.endLocked(nil)
	}
	return 0
}

// textLocked is the seventh step, the segment text, and the eighth, FIN.
func (c *Conn) textLocked(now time.Time, s *segment, p *link.Packet) *link.Packet {
	if !c.state.receivesData() {
		// After the peer's FIN there can be no more ("this should not occur").
		return p
	}
	fin := s.Flags&FIN != 0
	if s.n > 0 {
		if (c.closed || c.readEnd) && c.state != Established && c.rcv.nxt.Less(s.Seq.Add(s.n)) {
			// Nobody will read this: tell the peer (RFC 9293 section 3.6.1,
			// RFC 2525 section 2.17).
			c.pr.stats.add(abortOnData)
			c.abortLocked(now, nil)
			return c.drop(p, link.SocketClosed)
		}
		if s.mss > 0 {
			c.rcv.observe(min(s.mss, s.n))
		} else {
			c.rcv.observe(s.n)
		}
		c.ack.received(c.moment(now), c.rto.current())
		c.tuneLocked(now, s)
		c.markedLocked(s)
		var gone bool
		if p, fin, gone = c.storeLocked(s, p, fin); gone {
			return nil
		}
	}
	if fin {
		c.rcv.fin, c.rcv.finSeen = s.Seq.Add(s.n), true
		c.ack.force()
	}
	if c.rcv.consumeFIN() {
		c.finLocked(now)
	}
	return p
}

// storeLocked takes the payload to the reader or to reassembly. It returns what
// is left of p (nil once stored), whether a FIN behind it still counts, and
// whether nothing of the segment does.
func (c *Conn) storeLocked(s *segment, p *link.Packet, fin bool) (rest *link.Packet, finToo, gone bool) {
	// Trim to the window: "only those portions that are new".
	seq := s.Seq
	if old := c.rcv.nxt.Sub(seq); old > 0 {
		c.duplicateLocked(s)
		p.Skip(min(old, p.Len()))
		seq = c.rcv.nxt
	}
	if over := seq.Add(p.Len()).Sub(c.rcv.edge); over > 0 {
		fin = false
		c.ack.force()
		if over >= p.Len() {
			c.pr.stats.add(zeroWindowDrop)
			return c.drop(p, link.TCPZeroWindow), false, true
		}
		p.Trim(p.Len() - over)
	}
	if p.Len() == 0 {
		return p, fin, false // only its FIN is new
	}
	gap := !c.rcv.ofo.empty()
	end := seq.Add(p.Len())
	if c.loss.sack && gap {
		if twice, ok := c.rcv.ofo.overlap(seq, end); ok {
			c.reportLocked(twice, dsackOFOSent)
		}
	}
	moved, reason, ok := c.rcv.data(seq, p)
	if ok && c.loss.sack && (gap || !moved) {
		c.rcv.sacks(seq, end, moved)
	}
	if !ok {
		c.pr.stats.add(ofoDrop)
		c.ack.force()
		return c.drop(p, reason), false, true
	}
	if !moved {
		c.pr.stats.add(ofoQueue)
	} else {
		c.wakeReader = true
	}
	if gap || !moved {
		// RFC 5681 section 4.2: at once for what is out of order and for
		// what fills a gap.
		c.ack.force()
	}
	return nil, fin, false
}

// duplicateLocked has the next ACK report the part of s that had come before, if
// any, as a D-SACK (RFC 2883).
func (c *Conn) duplicateLocked(s *segment) {
	if s.n > 0 && s.Seq.Less(c.rcv.nxt) {
		c.reportLocked(SACKBlock{s.Seq, minSeq(s.Seq.Add(s.n), c.rcv.nxt)}, dsackOldSent)
	}
}

// reportLocked has the next ACK report b as a duplicate, counted as k.
func (c *Conn) reportLocked(b SACKBlock, k counter) {
	if !c.loss.sack || c.config.NoDSACK || c.pr.config.NoDSACK {
		return
	}
	c.pr.stats.add(k)
	c.rcv.blocksFor().duplicate = b
}

// finLocked is the eighth step: the peer's FIN has its turn.
func (c *Conn) finLocked(now time.Time) {
	c.ack.force()
	switch c.state {
	case SynReceived, Established:
		c.setStateLocked(CloseWait)
	case FinWait1: // our FIN is not acknowledged, or it would be FIN-WAIT-2
		c.setStateLocked(Closing)
	case FinWait2:
		c.sendACKLocked(now)
		c.timeWaitLocked(now)
	}
}
