package tcp

import "time"

// maxPlainWindow is the largest window in bytes that tuning offers to a peer whose
// data comes in plain frames: the queue of a Linux TAP device holds 1000 of them,
// and a peer that fills a larger window at once overruns it. Super-segments take a
// place each, and know no such bound.
const maxPlainWindow = 1 << 20

// tuneAfter is from how many bytes on a stream is bulk, whose buffer is worth tuning:
// more than a first window.
const tuneAfter = 16 << 10

// minTuneTime is the shortest time in which the reader's rate is measured: the
// timestamps of RFC 7323 tell no shorter round trip.
const minTuneTime = time.Millisecond

// rcvTune sizes the receive buffer: twice what the user reads in a round trip, so
// that the window lets the sender's double, and more while that grows (Linux's
// tcp_rcv_space_adjust).
type rcvTune struct {
	seq    Seq           // the user had read up to it when the measurement began
	ecr    uint32        // timestamp echo that the last sample came from
	at     moment        // when
	space  int           // most bytes read in a round trip so far
	rtt    time.Duration // as the receiver sees it, 0: not known
	merged bool          // the link delivers super-segments
}

// sample takes in a round trip that an echoed timestamp measured.
func (t *rcvTune) sample(ecr uint32, d time.Duration) {
	switch {
	case ecr == t.ecr:
		return // of the same ACK: later data waited for nothing of ours
	case t.rtt == 0:
		t.rtt = d
	default:
		t.rtt += (d - t.rtt) / 8
	}
	t.ecr = ecr
}

// adjust is called when the user has read up to seq. It returns the size that the
// buffer should have at least, 0 for no opinion.
func (t *rcvTune) adjust(seq Seq, mss, most int, now moment) int {
	elapsed := now.sub(t.at)
	if elapsed < max(t.rtt, minTuneTime) {
		return 0
	}
	copied := seq.Sub(t.seq)
	t.seq, t.at = seq, now
	if copied <= t.space {
		return 0
	}
	// Slow start doubles what comes in a round trip: make room for two of them,
	// and for as much again as it grew by.
	size := 2*copied + 16*mss
	size += 2 * (size / max(t.space, 1) * (copied - t.space))
	t.space = copied
	if !t.merged {
		most = min(most, maxPlainWindow)
	}
	return min(size, most)
}

// tuneLocked takes in a segment with data.
func (c *Conn) tuneLocked(now time.Time, s *segment) {
	t := c.rcv.tune
	if t == nil {
		if n := s.Seq.Sub(c.rcv.irs); c.rcv.fixed || n >= 0 && n < tuneAfter || s.n < int(c.rcv.mss) {
			return
		}
		t = &rcvTune{seq: c.rcv.read(), at: c.moment(now), space: 10 * int(c.rcv.mss), rtt: c.rtt.srtt}
		c.rcv.tune = t
	}
	t.merged = t.merged || s.mss > 0
	if c.ts.ok && s.Options.HasTimestamps {
		if d, ok := c.ts.sample(s.Options.TSEcr, now); ok {
			t.sample(s.Options.TSEcr, d)
		}
	}
}

// adjustLocked lets the buffer grow with what the user reads.
func (c *Conn) adjustLocked() {
	t := c.rcv.tune
	p := c.pr.params.Load()
	if t == nil || c.rcv.fixed || !p.moderateRcvbuf {
		return
	}
	if size := t.adjust(c.rcv.read(), int(c.rcv.mss), min(p.rmem[2], 0xffff<<c.rcv.scale), c.moment(c.now())); size > c.rcv.limit {
		c.rcv.limit = size
	}
}
