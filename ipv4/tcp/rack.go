package tcp

import "time"

// rack is the state of RACK (RFC 8985 section 5.2): the time at which segments
// were sent, not their numbers, tells which are lost.
type rack struct {
	at       time.Duration // RACK.xmit_ts: when the latest that arrived was sent
	end      Seq           // RACK.end_seq: its end
	rtt      time.Duration // RACK.rtt
	round    Seq           // RACK.dsack_round, while inRound
	steps    uint8         // RACK.reo_wnd_mult
	persist  uint8         // RACK.reo_wnd_persist
	inRound  bool
	advanced bool // something has arrived since losses were looked for
}

const (
	// reorderPersist is for how many recoveries a wider reordering window is
	// kept (RFC 8985 section 6.2, step 4).
	reorderPersist = 16
	// probeSlack is Linux's TCP_TIMEOUT_MIN, two ticks of its clock: what a
	// timer of less than a round trip allows for.
	probeSlack = 2 * time.Millisecond
)

// sentAfter is RACK_sent_after.
func sentAfter(at1 time.Duration, end1 Seq, at2 time.Duration, end2 Seq) bool {
	return at1 > at2 || at1 == at2 && end2.Less(end1)
}

// delivered takes note that x, or the part of it before end, has arrived (RFC
// 8985 section 6.2, steps 1 and 2).
func (k *rack) delivered(x *sentSegment, end Seq, e *rtt, now time.Duration) {
	rtt := now - x.at
	if x.sent > 1 && rtt < e.min {
		return // it is the original that has arrived
	}
	k.advanced, k.rtt = true, rtt
	if sentAfter(x.at, end, k.at, k.end) {
		k.at, k.end = x.at, end
	}
}

// remaining returns for how long x may still be under way.
func (k *rack) remaining(x *sentSegment, now, window time.Duration) time.Duration {
	return k.rtt + window - (now - x.at)
}

// adapt widens the reordering window after each round trip that brought a
// duplicate, as its retransmission was needless (RFC 8985 section 6.2, step 4).
func (r *recovery) adapt(a *round) {
	k := &r.rack
	if k.inRound && k.round.LessEq(a.una) {
		k.inRound = false
	}
	// As in Linux a duplicate without reordering says nothing, nor does that of
	// a probe, which is sent by a timer.
	if a.dsack && !a.dsackTLP && r.reordSeen > 0 && !k.inRound {
		k.inRound, k.round = true, a.nxt
		k.persist = reorderPersist
		if k.steps < 255 {
			k.steps++
		}
	} else if k.persist == 0 {
		k.steps = 1
	}
}

// reorderWindow returns how much later than its successors a segment may come
// (RFC 8985 section 6.2, step 4): nothing while no reordering has been seen and
// enough has arrived out of order.
func (l *loss) reorderWindow(q *sentQueue, e *rtt, mss int) time.Duration {
	r := l.r
	if r.reordSeen == 0 && (l.phase >= phaseRecovery || r.atLeast(q, int(r.reordering), mss)) {
		return 0
	}
	return min(e.min/4*time.Duration(r.rack.steps), e.srtt)
}

// atLeast reports whether the peer holds n segments or more past SND.UNA.
func (r *recovery) atLeast(q *sentQueue, n, mss int) bool {
	if r.sacked == 0 {
		return false
	}
	if r.sacked >= n*mss {
		return true
	}
	for i := range q.len() {
		if x := q.at(i); x.sacked {
			if n -= (x.len() + mss - 1) / mss; n <= 0 {
				return true
			}
		}
	}
	return false
}

// detect marks as lost what was sent so long before something that has arrived
// that it cannot be late only (RACK_detect_loss). For what can, a.reorder is how
// long to wait.
func (l *loss) detect(q *sentQueue, e *rtt, a *round) {
	r := l.r
	window := l.reorderWindow(q, e, a.mss)
	for i := range q.len() {
		x := q.at(i)
		if !sentAfter(r.rack.at, r.rack.end, x.at, x.end) {
			if x.sent == 1 {
				return // all that follow were sent later
			}
			continue
		}
		if x.lost || x.sacked {
			continue
		}
		if left := r.rack.remaining(x, a.at, window); left > 0 {
			a.reorder = max(a.reorder, left)
			continue
		}
		a.relost = a.relost || x.retrans
		a.lost += x.len()
		l.mark(q, i)
	}
}

// late takes note of reordering: what begins at low came later than what it was
// sent before (RFC 4737's extent; Linux's tcp_check_sack_reordering).
func (r *recovery) late(low Seq, a *round) {
	high := a.una
	if r.sacked > 0 {
		high = r.high
	}
	if !low.Less(high) {
		return
	}
	if n := (high.Sub(low) + a.mss - 1) / a.mss; n > int(r.reordering) {
		r.reordering = int32(min(n, maxReordering))
	}
	r.reordSeen++
	r.stats.add(sackReorder)
}
