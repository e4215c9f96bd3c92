package tcp

// undo is what it takes to return to the window before a loss that turns out to
// be none: by timestamps (Eifel, RFC 3522), by D-SACK (RFC 3708) or by F-RTO
// (RFC 5682).
type undo struct {
	on       bool
	marker   Seq    // SND.UNA when the window was reduced, while on
	retrans  int32  // segments sent again since that were not reported as duplicates; -1: none yet
	stamp    uint32 // our timestamp clock at the first of them; 0: none
	cwnd     int    // before
	ssthresh int
	cc       congestionControl // that reduced it
}

// begin remembers the window that is about to be reduced.
func (u *undo) begin(l *loss, w *window, cc congestionControl, una Seq) {
	u.on, u.marker, u.cc = true, una, cc
	u.retrans = -1
	if n := l.r.retrans; n > 0 {
		u.retrans = int32((n + w.mss - 1) / w.mss)
	} else {
		u.stamp = 0
	}
	u.cwnd = w.cwnd
	u.ssthresh = max(w.ssthresh, w.cwnd*3/4) // Linux's tcp_current_ssthresh
}

// delayed reports whether the ACK answers something sent before the first
// retransmission: that was late, not lost.
func (u *undo) delayed(a *round) bool { return u.stamp != 0 && a.before(u.stamp) }

// may reports whether all that was done about the loss was needless.
func (u *undo) may(a *round) bool { return u.on && (u.retrans == 0 || u.delayed(a)) }

// apply takes the reduction back; with unmark nothing counts as lost any more.
func (u *undo) apply(l *loss, q *sentQueue, w *window, unmark bool) {
	if unmark {
		for i := range q.len() {
			q.at(i).lost = false
		}
		l.lost = 0
	}
	u.cc.undo(w)
	w.set(max(w.cwnd, u.cwnd))
	w.ssthresh = max(w.ssthresh, u.ssthresh)
	u.on = false
	l.r.rack.advanced = true // look again: some may be lost all the same
}

// dsack undoes the reduction once each retransmission was reported as a
// duplicate.
func (u *undo) dsack(l *loss, q *sentQueue, w *window) bool {
	if !u.on || u.retrans != 0 {
		return false
	}
	l.r.rack.persist = min(l.r.rack.persist+1, reorderPersist)
	u.apply(l, q, w, false)
	l.r.stats.add(dsackUndo)
	return true
}

// undoRecovery ends a recovery of which everything is acknowledged. It reports
// whether there had been no need for it.
func (l *loss) undoRecovery(q *sentQueue, w *window, a *round) bool {
	r := l.r
	done := r.undo.may(a)
	switch {
	case done && l.phase == phaseLoss:
		r.undo.apply(l, q, w, false)
		r.stats.add(lossUndo)
	case done:
		r.undo.apply(l, q, w, false)
		r.stats.add(fullUndo)
	case r.rack.persist > 0:
		r.rack.persist--
	}
	l.phase = phaseOpen
	return done
}

// undoPartial looks at a partial acknowledgement in fast recovery: it may be of
// something that was late. It reports whether nothing more is to be done about
// losses now.
func (l *loss) undoPartial(q *sentQueue, w *window, a *round) bool {
	r := l.r
	if !r.undo.on || !r.undo.delayed(a) {
		return false
	}
	r.late(a.prior, a)
	if r.retrans > 0 {
		return true // more evidence is under way
	}
	r.undo.apply(l, q, w, true)
	r.stats.add(partialUndo)
	l.reopen(q, a)
	return false
}

// undoLoss undoes a timeout: for F-RTO, or because timestamps or duplicates tell.
func (l *loss) undoLoss(q *sentQueue, w *window, a *round, frto bool) bool {
	r := l.r
	if !frto && !r.undo.may(a) {
		return false
	}
	if r.undo.on {
		r.undo.apply(l, q, w, true)
	}
	r.stats.add(lossUndo)
	if frto {
		r.stats.add(spuriousRTOs)
	}
	r.frto = false
	l.phase = phaseOpen
	return true
}
