package tcp

import (
	"slices"
	"time"
)

// recovery is what loss detection with selective acknowledgements has to
// remember. A connection gets one when it first needs it: most never do.
type recovery struct {
	stats *stats

	// The scoreboard; the segments themselves are marked.
	sacked  int                      // bytes that the peer holds past SND.UNA
	retrans int                      // bytes whose retransmission is under way
	high    Seq                      // end of the highest octet it holds, while sacked > 0
	seen    [maxSACKBlocks]SACKBlock // of the last ACK: they are marked

	reordering    int32 // segments: tcp_reordering, or more once seen
	reordSeen     int32
	dsackDups     int32 // segments that the peer said it got twice
	retransmitted int32 // segments

	rack  rack
	prr   prr
	probe probe
	undo  undo
	frto  bool // it is open whether the timeout was spurious
	hold  bool // F-RTO sends new data first: no retransmission before the next ACK
}

const (
	initialReordering = 3   // tcp_reordering
	maxReordering     = 300 // tcp_max_reordering
)

// begin makes sure that there is a recovery.
func (l *loss) begin(s *stats, e *rtt) *recovery {
	if l.r == nil {
		l.r = &recovery{stats: s, reordering: initialReordering}
		l.r.rack.steps, l.r.rack.rtt = 1, e.latest
	}
	return l.r
}

// round is what one ACK brings.
type round struct {
	prior, una, nxt Seq           // SND.UNA before and after it, SND.NXT
	at              time.Duration // when, since the connection's epoch
	mss             int
	maxWnd          int    // the largest window that the peer ever offered
	stamp           uint32 // our timestamp clock at the time
	ecr             uint32 // echoed
	echoed          bool   // ecr counts

	advanced  bool // SND.UNA has
	duplicate bool // a pure ACK that says nothing new
	sacked    bool // selectively acknowledged something
	dsack     bool // reports a duplicate
	dsackTLP  bool // of a tail loss probe
	original  bool // something that was sent once before SND.NXT at the last loss has arrived
	reneged   bool // the peer holds no more what it held
	relost    bool // a retransmission was lost

	delivered int           // bytes that have newly arrived
	lost      int           // bytes found lost
	low       Seq           // lowest that arrived late: reordering. SND.NXT: none
	high      Seq           // end of the highest that was acknowledged before, either way
	firstSack time.Duration // when the first of what it acknowledges selectively was sent; 0: nothing sent once
	reorder   time.Duration // for how long to wait for what may only be late; 0: for nothing
}

// before reports whether the ACK answers something sent before our timestamp
// clock showed t.
func (a *round) before(t uint32) bool { return a.echoed && int32(a.ecr-t) < 0 }

// react moves between the phases as the ACK demands (Linux's
// tcp_fastretrans_alert). What it finds lost is marked.
func (l *loss) react(q *sentQueue, w *window, cc congestionControl, e *rtt, a *round, more bool, now time.Time) {
	r := l.r
	r.hold = false
	if a.reneged && a.advanced {
		return // only the retransmission timer repairs that
	}
	switch {
	case l.phase == phaseOpen:
		r.undo.stamp = 0
	case l.phase == phaseRecovery && l.recover.LessEq(a.una):
		if !l.undoRecovery(q, w, a) && r.undo.on {
			w.set(w.ssthresh) // RFC 6937: what PRR was heading for
		}
	}
	switch l.phase {
	case phaseRecovery:
		if a.advanced && l.undoPartial(q, w, a) {
			return
		}
		if r.undo.dsack(l, q, w) {
			l.reopen(q, a)
		}
		l.identify(q, e, a)
		if l.phase != phaseRecovery && l.lost > 0 {
			l.enter(w, cc, a, now)
		}
		return
	case phaseLoss:
		l.afterTimeout(q, w, a, more)
		l.identify(q, e, a)
		if l.phase == phaseLoss && !a.relost {
			return
		}
	}
	if l.phase <= phaseDisorder {
		r.undo.dsack(l, q, w)
	}
	l.identify(q, e, a)
	if l.lost > 0 {
		l.enter(w, cc, a, now)
	} else {
		l.reopen(q, a)
	}
}

// enter begins fast recovery.
func (l *loss) enter(w *window, cc congestionControl, a *round, now time.Time) {
	l.r.stats.add(sackRecovery)
	l.r.undo.begin(l, w, cc, a.una)
	l.reduce(w, cc, a, now)
	l.phase = phaseRecovery
}

// reduce has congestion control set ssthresh, once for a window of data.
func (l *loss) reduce(w *window, cc congestionControl, a *round, now time.Time) {
	l.recover = a.nxt
	l.r.probe.on = false
	l.r.prr = prr{prior: w.cwnd}
	// RFC 5681 section 3.2 (2): not what limited transmit has sent beyond the
	// window.
	cc.congested(w, min(a.nxt.Sub(a.una), w.cwnd), now)
}

// reopen returns to the open phase, or to disorder while something is missing.
func (l *loss) reopen(q *sentQueue, a *round) {
	p := phaseOpen
	if l.r.sacked > 0 || l.lost > 0 || l.r.retrans > 0 || q.n > 0 && q.at(0).sent > 1 {
		p = phaseDisorder
	}
	if l.phase != p {
		l.phase, l.recover = p, a.nxt
	}
}

// identify has RACK look for losses.
func (l *loss) identify(q *sentQueue, e *rtt, a *round) {
	if !l.r.rack.advanced || q.n == 0 {
		return
	}
	l.r.rack.advanced = false
	l.detect(q, e, a)
	if a.reorder > 0 {
		a.reorder += probeSlack
	}
}

// afterTimeout is what an ACK means after a retransmission timeout: F-RTO with
// SACK (RFC 5682 section 3.1), else slow start until everything sent before is
// acknowledged. more says that new data could be sent.
func (l *loss) afterTimeout(q *sentQueue, w *window, a *round, more bool) {
	r := l.r
	recovered := l.recover.LessEq(a.una)
	if a.advanced && l.undoLoss(q, w, a, false) {
		return
	}
	if r.frto {
		// Step 3.b: something has arrived that was sent only once.
		if a.original && l.undoLoss(q, w, a, true) {
			return
		}
		if l.recover.Less(a.nxt) {
			if a.sacked || a.duplicate {
				r.frto = false // step 3.a: the loss was real
			}
		} else if a.advanced && !recovered {
			// Step 2.b: two new segments, instead of a retransmission.
			l.recover = a.nxt
			if more {
				r.hold = true
				return
			}
			r.frto = false
		}
	}
	if recovered {
		l.undoRecovery(q, w, a)
	}
}

// expiredSelective is expired for a connection with SACK: what was sent
// recently, by RACK's measure, is not lost yet (RFC 8985 section 6.3). progress
// says that the timeout before this one, if any, brought something.
func (l *loss) expiredSelective(q *sentQueue, w *window, cc congestionControl, a *round, progress bool, now time.Time) {
	r := l.r
	// RFC 2018 section 8: a peer that said it holds the first would have
	// acknowledged it. It has thrown away what it held.
	renege := q.at(0).sacked
	if renege {
		r.stats.add(sackReneging)
		r.sacked, r.seen = 0, [maxSACKBlocks]SACKBlock{}
	}
	many := r.sacked >= initialReordering*w.mss
	for i := range q.len() {
		x := q.at(i)
		if renege {
			x.sacked = false
		} else if i > 0 && r.rack.remaining(x, a.at, 0) > 0 {
			continue
		}
		l.mark(q, i)
	}
	first := l.phase <= phaseDisorder
	if first || l.recover.LessEq(a.una) || l.phase == phaseLoss && progress {
		r.undo.begin(l, w, cc, a.una)
		cc.congested(w, min(a.nxt.Sub(a.una), w.cwnd), now)
	}
	w.cwnd = l.flight(q, w.mss) + w.mss
	if first && many {
		// So many and still a timeout: less is reordered than was thought.
		r.reordering = min(r.reordering, initialReordering)
	}
	l.phase, l.recover = phaseLoss, a.nxt
	r.probe.on, r.hold = false, false
	r.frto = first || !progress
}

// simpleRetransmit takes note that segments were lost by no congestion: the
// path's MTU fell (Linux's tcp_simple_retransmit).
func (l *loss) simpleRetransmit(nxt Seq) {
	l.phase, l.recover = phaseLoss, nxt
	l.r.undo.on, l.r.frto, l.r.hold = false, false, false
}

// resent takes note that segments segments, n octets, went out again, at t of
// our timestamp clock. The retransmission of a probe repairs nothing.
func (r *recovery) resent(x *sentSegment, segments int, t uint32, p phase, probe bool) {
	r.retransmitted += int32(segments)
	if probe {
		return
	}
	if !x.retrans {
		x.retrans = true
		r.retrans += x.len()
	}
	r.undo.retrans = max(r.undo.retrans, 0) + int32(segments)
	if r.undo.stamp == 0 {
		r.undo.stamp = t
	}
	if p == phaseRecovery {
		r.prr.out += x.len()
	}
}

// arrived takes note that the n octets of x up to end are acknowledged.
func (l *loss) arrived(x *sentSegment, n int, end Seq, e *rtt, a *round) {
	if x.lost {
		l.lost -= int32(n)
	}
	r := l.r
	if r == nil {
		a.delivered += n
		return
	}
	if x.retrans {
		r.retrans -= n
	}
	if x.sacked {
		r.sacked -= n
		return
	}
	a.delivered += n
	if x.sent == 1 {
		a.low = minSeq(a.low, end.Add(-n))
		a.original = a.original || end.LessEq(l.recover)
	} else if a.before(a.stamp - uint32((a.at-x.at)/time.Millisecond)) {
		return // the echo is of an earlier transmission
	}
	r.rack.delivered(x, end, e, a.at)
}

// sortBlocks puts blocks in order of their numbers.
func sortBlocks(b []SACKBlock) {
	slices.SortFunc(b, func(x, y SACKBlock) int { return x.Start.Sub(y.Start) })
}
