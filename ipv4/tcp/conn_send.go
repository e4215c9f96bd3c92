package tcp

import (
	"errors"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/link"
)

// outBatch is how many segments are built before the lock is released to
// transmit them.
const outBatch = 32

// outputLocked sends what may be sent: retransmissions first, then new data,
// then an acknowledgement if nothing carried it.
func (c *Conn) outputLocked(now time.Time) {
	if c.state.synchronized() && c.state != TimeWait {
		c.retransmitLocked(now)
		c.sendDataLocked(now)
		if r := c.loss.r; r != nil && r.hold && c.snd.nxt == c.loss.recover {
			// F-RTO found nothing new that could go: conventional recovery
			// (RFC 5682 section 2.1 step 2b).
			r.hold, r.frto = false, false
			c.retransmitLocked(now)
		}
	}
	switch {
	case !c.ack.wanted:
		c.timers.clear(timerDelack)
	case c.state == SynSent || c.state == Closed:
	case c.ack.due(c.rcv.nxt, int(c.rcv.mss)) || !c.rcv.ofo.empty():
		c.sendACKLocked(now)
	case !c.timers.armed(timerDelack):
		c.timers.set(timerDelack, now.Add(c.ack.delay()))
	}
}

// retransmitLocked sends again what is marked lost, as far as the congestion
// window allows.
func (c *Conn) retransmitLocked(now time.Time) {
	if r := c.loss.r; r != nil && r.hold {
		return // F-RTO: first new data
	}
	for c.loss.lost > 0 {
		i := c.snd.sent.firstLost()
		x := c.snd.sent.at(i)
		if i > 0 && c.snd.una.Add(c.snd.wnd).Less(x.end) {
			return // the peer shrank its window; the first is a probe of it
		}
		if n := c.dataLen(x); n > c.snd.mss {
			c.snd.sent.split(i, x.start.Add(c.snd.mss)) // the path's MTU fell
			x = c.snd.sent.at(i)
		}
		flight := c.loss.flight(&c.snd.sent, c.snd.mss)
		if !c.force && flight > 0 && flight+x.len() > c.win.cwnd {
			return
		}
		if c.out.Len() >= outBatch {
			c.more = true
			return
		}
		if c.loss.phase == phaseLoss {
			c.pr.stats.add(slowStartRetrans)
		} else {
			c.pr.stats.add(fastRetrans)
		}
		c.force = false
		c.resendLocked(now, i, false)
	}
}

// dataLen returns how many octets of x are data.
func (c *Conn) dataLen(x *sentSegment) int {
	start := maxSeq(x.start, c.snd.first()) // a SYN is no data
	return max(minSeq(x.end, c.snd.end()).Sub(start), 0)
}

// resendLocked retransmits the i-th segment in flight, as a probe or because it is
// lost.
func (c *Conn) resendLocked(now time.Time, i int, probe bool) {
	x := c.snd.sent.at(i)
	n := c.dataLen(x)
	flags := ACK
	if c.snd.end().Less(x.end) {
		flags |= FIN
	}
	c.pr.stats.add(retransSegs)
	c.resent++
	c.loss.retransmitted(&c.snd.sent, i)
	x.sent = min(x.sent, 254) + 1
	// Of two segments of one instant RACK takes the one with the higher number
	// for the later; this one is the later whatever has gone before it.
	x.at = max(now.Sub(c.pr.epoch), c.snd.sent.at(c.snd.sent.len()-1).at+1)
	if r := c.loss.r; r != nil {
		r.resent(x, c.snd.segments(n), c.ts.value(now), c.loss.phase, probe)
	}
	c.emitLocked(now, x.start, n, flags|PSH)
	// The timer is the oldest segment's: fast recovery gives its retransmission
	// the time that the first transmission had (as Linux).
	if !c.timers.armed(timerRTO) || i == 0 && c.loss.phase == phaseRecovery && c.loss.timeout != timeoutReorder {
		c.setRTOLocked(now.Add(c.rto.current()))
	}
}

// sendDataLocked sends new data and FIN as windows and Nagle allow.
func (c *Conn) sendDataLocked(now time.Time) {
	if c.snd.unsent() == 0 && !c.snd.finPending() {
		return
	}
	c.restartLocked(now)
	rate, paced := c.pacingRateLocked(), false
	began := c.snd.nxt
	for {
		flight := c.loss.flight(&c.snd.sent, c.snd.mss)
		cwnd := c.win.cwnd
		if rate > 0 {
			if paced = !c.mayLeaveLocked(now); paced {
				break
			}
			cwnd = min(cwnd, flight+max(int(rate/uint64(time.Second/pacingQuantum)), 2*c.snd.mss))
		}
		n, fin, ok := c.snd.next(c.config.Nagle, flight, cwnd)
		if !ok {
			break
		}
		if c.ecn&ecnCWR != 0 && n > c.snd.mss {
			n, fin = c.snd.mss, false // CWR is for one segment, not for all of several
		}
		if c.out.Len() >= outBatch {
			c.more = true
			break
		}
		c.sendNewLocked(now, n, fin)
		if rate > 0 {
			c.flow.pace.sent(n, rate, c.moment(now))
		}
	}
	if c.snd.nxt != began {
		c.usedLocked(now, c.loss.flight(&c.snd.sent, c.snd.mss))
	}
	if c.snd.nxt != began {
		c.scheduleProbeLocked(now, false)
	}
	// Nothing in flight will bring an ACK, and something waits: the window is
	// closed or too small. Probe it (section 3.8.6.1).
	if c.snd.inFlight() == 0 && (c.snd.unsent() > 0 || c.snd.finPending()) && !paced && !c.timers.armed(timerPersist) {
		c.timers.set(timerPersist, now.Add(c.rto.current()))
	}
}

// sendNewLocked sends the next n octets, and FIN.
func (c *Conn) sendNewLocked(now time.Time, n int, fin bool) {
	c.startFlowLocked()
	seq := c.snd.nxt
	flags := ACK
	length := n
	if c.ecn&ecnCWR != 0 && n > 0 {
		flags |= CWR
		c.ecn &^= ecnCWR
	}
	if n == c.snd.unsent() {
		flags |= PSH // the buffer is empty now (section 3.9.1.2)
	}
	if fin {
		flags |= FIN
		length++
	}
	c.snd.nxt = seq.Add(length)
	if n%c.snd.mss != 0 || n == 0 {
		c.snd.small = c.snd.nxt
	}
	c.snd.sent.push(sentSegment{start: seq, end: c.snd.nxt, at: now.Sub(c.pr.epoch), sent: 1})
	if n > 0 {
		c.pr.stats.addN(origDataSent, c.snd.segments(n))
		c.lastSent = c.moment(now)
		c.ack.sentData(c.lastSent)
	}
	c.emitLocked(now, seq, n, flags)
	if r := c.loss.r; r != nil && c.loss.phase == phaseRecovery {
		r.prr.out += length
	}
	c.timers.clear(timerPersist)
	if !c.timers.armed(timerRTO) {
		c.setRTOLocked(now.Add(c.rto.current())) // RFC 6298 (5.1)
	}
}

// shareAbove is the payload in bytes from which on a segment shows the send
// buffer's memory; shorter ones are cheaper copied.
const shareAbove = 2 << 10

// emitLocked queues a segment with the n octets from seq on, several segments at
// once if they do not fit one.
func (c *Conn) emitLocked(now time.Time, seq Seq, n int, flags Flags) {
	var p *link.Packet
	if n > shareAbove {
		p = link.NewPacket(0)
		c.snd.buf.share(p, c.snd.offset(seq), n)
	} else {
		p = link.NewPacket(n)
		if n > 0 {
			c.snd.buf.read(p.Bytes(), c.snd.offset(seq))
		}
	}
	if n > c.snd.mss {
		p.GSO, p.GSOSize = link.GSOTCP, c.snd.mss
	}
	h := Header{SrcPort: c.key.lport, DstPort: c.key.rport, Seq: seq, Flags: flags}
	if c.ts.ok {
		h.Options.HasTimestamps, h.Options.TSVal, h.Options.TSEcr = true, c.ts.value(now), c.ts.recent
	}
	if flags&ACK != 0 {
		h.Ack = c.rcv.nxt
		h.Window = uint16(min(c.rcv.advance()>>c.rcv.scale, 0xffff))
		// What the peer must learn about gaps goes with an ACK of its own where
		// data leaves no room for it.
		if b := c.rcv.blocks; b == nil || b.put(&h.Options, c.snd.mss-n, n == 0) {
			c.ack.sent(c.rcv.nxt)
			c.timers.clear(timerDelack)
		}
		if c.ecn&ecnEcho != 0 && flags&RST == 0 {
			h.Flags |= ECE
		}
	}
	c.queuePacketLocked(&h, p)
}

// queuePacketLocked completes p and queues it for transmission.
func (c *Conn) queuePacketLocked(h *Header, p *link.Packet) {
	seal(h, p, c.src(), c.dst())
	// Evidence that the next hop works goes with the next packet that is sent.
	p.Confirm, c.confirm = c.confirm, false
	n := 1
	if p.GSO != link.GSONone {
		n = c.snd.segments(p.Len() - h.Len())
	}
	c.pr.stats.addN(outSegs, n)
	c.out.Queue(p)
}

// sendACKLocked sends an ACK without data.
func (c *Conn) sendACKLocked(now time.Time) { c.emitLocked(now, c.snd.nxt, 0, ACK) }

// sendResetLocked sends a RST that the peer will accept.
func (c *Conn) sendResetLocked(now time.Time) {
	c.pr.stats.add(outRsts)
	c.emitLocked(now, c.snd.nxt, 0, RST|ACK)
}

// replyResetLocked answers s with a reset without touching the connection (RFC
// 9293 section 3.5.2, group 2).
func (c *Conn) replyResetLocked(s *segment) {
	h := resetFor(s)
	h.SrcPort, h.DstPort = c.key.lport, c.key.rport
	c.pr.stats.add(outRsts)
	c.queuePacketLocked(&h, link.NewPacket(0))
}

// sendSYNLocked sends the SYN for the first time: alone in SYN-SENT, with ACK
// in SYN-RECEIVED.
func (c *Conn) sendSYNLocked(now time.Time) {
	c.snd.nxt = c.snd.iss + 1
	c.snd.sent.push(sentSegment{start: c.snd.iss, end: c.snd.nxt, at: now.Sub(c.pr.epoch), sent: 1})
	c.emitSYNLocked(now)
	c.setRTOLocked(now.Add(c.rto.current()))
}

// resendSYNLocked sends it again, or for simultaneous open with an ACK now.
func (c *Conn) resendSYNLocked(now time.Time) {
	x := c.snd.sent.at(0)
	x.sent = min(x.sent, 254) + 1
	x.at = now.Sub(c.pr.epoch)
	c.emitSYNLocked(now)
}

func (c *Conn) emitSYNLocked(now time.Time) {
	h := Header{SrcPort: c.key.lport, DstPort: c.key.rport, Seq: c.snd.iss, Flags: SYN}
	o := &h.Options
	o.MSS = uint16(min(max(c.snd.pmtu-40, minMSS), maxMSS))
	if c.config.MSS > 0 {
		o.MSS = uint16(min(int(o.MSS), c.config.MSS))
	}
	window := min(c.rcv.limit, 0xffff) // never scaled (RFC 7323 section 2.2)
	if c.state == SynReceived {
		h.Flags |= ACK
		if c.ecn&ecnOK != 0 {
			h.Flags |= ECE
		}
		h.Ack = c.rcv.nxt
		c.ack.sent(c.rcv.nxt)
		o.HasTimestamps = c.ts.ok
		o.SACKPermitted = c.loss.sack
		o.HasWindowScale = c.scaling
	} else {
		h.Flags |= c.ecnSYN()
		o.HasTimestamps = !c.config.NoTimestamps
		o.SACKPermitted = !c.noSACK()
		o.HasWindowScale = !c.config.NoScaling
	}
	h.Window = uint16(window)
	if o.HasTimestamps {
		o.TSVal, o.TSEcr = c.ts.value(now), c.ts.recent
	}
	if o.HasWindowScale {
		o.WindowScale = c.rcv.scale
	}
	c.queuePacketLocked(&h, link.NewPacket(0))
}

// noSACK reports whether selective acknowledgements are off.
func (c *Conn) noSACK() bool { return c.config.NoSACK || c.pr.config.NoSACK }

// outputFailedLocked takes note of an error of our own IPv4. It ends an attempt
// to connect if no route is left; established connections try again.
func (c *Conn) outputFailedLocked(err error) {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return
	}
	switch errno {
	case syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EACCES, syscall.ENETDOWN:
		c.softErr = errno
		if c.state == SynSent {
			c.pr.stats.add(attemptFails)
			c.endLocked(errno)
		}
	case syscall.EMSGSIZE:
		// The interface's MTU fell.
		if path, err := c.pr.ip.OutputPath(c.dst(), c.src(), c.config.Interface); err == nil {
			c.setPMTULocked(c.now(), path.MTU)
		}
	}
}
