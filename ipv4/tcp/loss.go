package tcp

import "time"

// dupThresh is how many duplicate ACKs mean a loss (RFC 5681 section 3.2).
const dupThresh = 3

// phase is how far a connection believes in its path; the names are Linux's
// (tcpi_ca_state).
type phase uint8

const (
	phaseOpen     phase = iota
	phaseDisorder       // duplicate ACKs, too few to act on
	phaseRecovery       // fast recovery
	phaseLoss           // after a retransmission timeout
)

func (p phase) String() string {
	return [...]string{"open", "disorder", "recovery", "loss"}[p&3]
}

// timeout says what timerRTO waits for: as in Linux it is one of three, and only
// one at a time.
type timeout uint8

const (
	timeoutRetransmission timeout = iota
	timeoutProbe                  // tail loss probe, RFC 8985 section 7
	timeoutReorder                // RACK's reordering window, RFC 8985 section 6.3
)

// loss detects losses and keeps count of what is in the network. With SACK that
// is RACK's work (RFC 8985), in recovery.go and what belongs to it. Without, it
// is fast retransmit and NewReno fast recovery (RFC 5681 section 3.2, RFC 6582),
// and what follows a retransmission timeout. Where RFC 6582 inflates the window
// by duplicate ACKs, the bytes they stand for are taken out of flight here; the
// sums are the same.
type loss struct {
	dupAcks int32 // without SACK
	lost    int32 // bytes in q marked lost
	recover Seq   // RFC 6582's recover, plus one: SND.NXT at the last loss
	phase   phase
	timeout timeout
	sack    bool // negotiated
	r       *recovery
}

// flight returns how many bytes are believed to be in the network (RFC 6675's
// pipe).
func (l *loss) flight(q *sentQueue, mss int) int {
	if q.n == 0 {
		return 0
	}
	total := q.at(q.len() - 1).end.Sub(q.at(0).start)
	if l.r != nil {
		return total - int(l.lost) - l.r.sacked
	}
	// Each duplicate ACK says that one segment left the network; the first in
	// the queue is the one that did not.
	left := min(int(l.dupAcks)*mss, total-min(q.at(0).len(), mss))
	return max(total-int(l.lost)-left, 0)
}

// mark marks the i-th segment for retransmission.
func (l *loss) mark(q *sentQueue, i int) {
	s := q.at(i)
	if s.lost || s.sacked {
		return
	}
	s.lost = true
	l.lost += int32(s.len())
	if s.retrans { // in vain
		s.retrans = false
		l.r.retrans -= s.len()
		l.r.stats.addN(lostRetransmit, 1)
	}
}

// markFirst marks the oldest segment; of several that were sent at once, the
// first.
func (l *loss) markFirst(q *sentQueue, mss int) {
	// FIN may make a segment longer by one.
	if s := q.at(0); !s.lost && s.len() > mss+1 {
		q.split(0, s.start.Add(mss))
	}
	l.mark(q, 0)
}

// retransmitted takes note that the i-th segment went out again.
func (l *loss) retransmitted(q *sentQueue, i int) {
	if s := q.at(i); s.lost {
		s.lost = false
		l.lost -= int32(s.len())
	}
}

// duplicate takes in a duplicate ACK. It reports whether fast retransmit begins.
func (l *loss) duplicate(q *sentQueue, una, nxt Seq, w *window, cc congestionControl, now time.Time) bool {
	if l.phase == phaseLoss || q.n == 0 {
		return false
	}
	l.dupAcks++
	if l.phase == phaseOpen {
		l.phase = phaseDisorder
	}
	// RFC 6582 section 3.2 step 1: not again for the window that is being
	// repaired.
	if l.phase == phaseRecovery || l.dupAcks < dupThresh || una.LessEq(l.recover) {
		return false
	}
	cc.congested(w, nxt.Sub(una), now)
	w.set(w.ssthresh)
	l.phase, l.recover = phaseRecovery, nxt
	l.markFirst(q, w.mss)
	return true
}

// expired takes in an expired retransmission timer: everything in flight is
// taken for lost (RFC 5681 section 3.1, RFC 6298 section 5).
func (l *loss) expired(q *sentQueue, una, nxt Seq, w *window, cc congestionControl, now time.Time) {
	// Equation 4 applies to the first loss of a segment only; a timeout in a
	// row holds ssthresh.
	if l.phase != phaseLoss || l.recover.LessEq(una) {
		cc.congested(w, nxt.Sub(una), now)
	}
	w.cwnd = w.mss // the loss window
	l.phase, l.recover, l.dupAcks = phaseLoss, nxt, 0
	for i := range q.len() {
		l.mark(q, i)
	}
}

// acked takes in the cumulative acknowledgement of everything before una, of
// which segments were n whole ones; q holds what is left. It reports whether
// the window may grow from it.
func (l *loss) acked(q *sentQueue, una Seq, segments int, flight int, w *window) (grow bool) {
	switch l.phase {
	case phaseOpen, phaseDisorder:
		l.phase, l.dupAcks = phaseOpen, 0
		// Far behind it would seem ahead, numbers being circular.
		l.recover = maxSeq(l.recover, una-1)
		return true
	case phaseLoss:
		if l.recover.LessEq(una) {
			l.phase, l.dupAcks = phaseOpen, 0
		}
		return true
	}
	if l.recover.LessEq(una) {
		// Full acknowledgement: RFC 6582 section 3.2 step 3, option 1.
		w.set(min(w.ssthresh, max(flight, w.mss)+w.mss))
		l.phase, l.dupAcks = phaseOpen, 0
		return false
	}
	// Partial acknowledgement: the next hole is lost too. All but one of the
	// segments it covers had been counted by duplicate ACKs.
	l.dupAcks = max(l.dupAcks-int32(segments-1), 0)
	if q.n > 0 {
		l.markFirst(q, w.mss)
	}
	return false
}
