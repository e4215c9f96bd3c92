package tcp

import "time"

// Linux's TCP_DELACK_MIN, TCP_DELACK_MAX and TCP_MAX_QUICKACKS. RFC 9293
// section 3.8.6.3 allows up to 500 ms.
const (
	delackMin = 40 * time.Millisecond
	delackMax = 200 * time.Millisecond
	quickAcks = 16
)

// acker decides when to acknowledge (RFC 9293 section 3.8.6.3, RFC 5681 section
// 4.2): at once for the first segments of a flow, so that slow start is fed,
// for gaps and for every second full segment; else after a delay, which a
// segment of our own may use to carry it.
type acker struct {
	acked    Seq // Last.ACK.sent
	wanted   bool
	now      bool
	quick    uint8 // ACKs still to be sent without delay
	pingpong bool  // the user answers what it reads: wait for the answer
	ato      time.Duration
	last     moment // when data arrived
}

// received takes note that data has arrived.
func (a *acker) received(now moment, rto time.Duration) {
	a.wanted = true
	gap := now.sub(a.last)
	a.last = now
	switch {
	case a.ato == 0: // the first data
		a.quick, a.ato = quickAcks, delackMin
	case gap <= delackMin/2:
		a.ato = a.ato/2 + delackMin/2
	case gap < a.ato:
		a.ato = min(a.ato/2+gap, rto)
	case gap > rto:
		// The sender paused and may be in slow start again.
		a.quick = quickAcks
	}
}

// force asks for an ACK without delay.
func (a *acker) force() { a.wanted, a.now = true, true }

// due reports whether an ACK must go out now: nxt is RCV.NXT, mss the size of
// the peer's segments.
func (a *acker) due(nxt Seq, mss int) bool {
	return a.wanted && (a.now || nxt.Sub(a.acked) > mss || a.quick > 0 && !a.pingpong)
}

// delay is for how long an ACK that is not due may wait.
func (a *acker) delay() time.Duration { return min(max(a.ato, delackMin), delackMax) }

// sent takes note that a segment acknowledged everything before nxt.
func (a *acker) sent(nxt Seq) {
	a.acked, a.wanted, a.now = nxt, false, false
	if a.quick > 0 {
		a.quick--
	}
}

// sentData takes note that the user sent something: soon after data arrived,
// it is a conversation.
func (a *acker) sentData(now moment) {
	if a.ato > 0 && now.sub(a.last) < a.ato {
		a.pingpong = true
	}
}

// late takes note that the delay ran out: no answer came to carry the ACK.
func (a *acker) late(rto time.Duration) {
	if a.pingpong {
		a.pingpong, a.ato = false, delackMin
	} else {
		a.ato = min(a.ato*2, rto)
	}
	a.force()
}
