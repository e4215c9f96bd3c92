package tcp

import (
	"sync"
	"time"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/clock"
)

// timeWait is what is left of a connection in TIME-WAIT: enough to answer a
// repeated FIN and to tell old segments from a new connection.
type timeWait struct {
	key            tuple
	sndNxt, rcvNxt Seq
	window         uint16
	tos            uint8
	reuse          bool // SO_REUSEADDR
	ts             timestamps
	expires        time.Time
	lastACK        time.Time // of the rate limit
	prev, next     *timeWait
}

// timeWaits are a host's connections in TIME-WAIT. All wait equally long, so
// they are a list in order of expiry, and one timer serves it. The lock is a
// leaf but for the demux's.
type timeWaits struct {
	pr          *Protocol
	mu          sync.Mutex
	first, last *timeWait
	n           int
	timer       clock.Timer
	armed       bool
	closed      bool
}

func (t *timeWaits) pushLocked(w *timeWait, now time.Time) {
	w.expires = now.Add(t.pr.config.TimeWait)
	w.prev, w.next = t.last, nil
	if t.last != nil {
		t.last.next = w
	} else {
		t.first = w
	}
	t.last = w
	t.n++
	if t.armed || t.closed {
		return
	}
	t.armed = true
	d := t.first.expires.Sub(now)
	if t.timer == nil {
		t.timer = t.pr.config.Clock.AfterFunc(d, t.expire)
	} else {
		t.timer.Reset(d)
	}
}

func (t *timeWaits) unlinkLocked(w *timeWait) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		t.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		t.last = w.prev
	}
	w.prev, w.next = nil, nil
	t.n--
}

// onListLocked reports whether w has not ended yet.
func (t *timeWaits) onListLocked(w *timeWait) bool { return t.first == w || w.prev != nil }

// enter puts w in c's place. When there are too many already, c is just
// forgotten (tcp_max_tw_buckets). It is called with c.mu held.
func (t *timeWaits) enter(c *Conn, w *timeWait, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n >= t.pr.config.MaxTimeWait || t.closed {
		t.pr.stats.add(timeWaitOverflow)
		t.pr.demux.remove(w.key, endpoint{conn: c})
		return
	}
	if t.pr.demux.replace(w.key, endpoint{conn: c}, endpoint{tw: w}) {
		t.pushLocked(w, now)
	}
}

// expire ends those whose time is over.
func (t *timeWaits) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.pr.config.Clock.Now()
	t.armed = false
	for t.first != nil && !now.Before(t.first.expires) {
		t.pr.stats.add(timeWaited)
		t.removeLocked(t.first)
	}
	if t.first != nil && !t.closed {
		t.armed = true
		t.timer.Reset(t.first.expires.Sub(now))
	}
}

func (t *timeWaits) removeLocked(w *timeWait) {
	t.unlinkLocked(w)
	t.pr.demux.remove(w.key, endpoint{tw: w})
}

// reusable reports whether an active open may take the place of w: its
// timestamps will be newer than any of the old connection's (RFC 6191, Linux's
// tcp_tw_reuse), which takes the clock a second to prove.
func (t *timeWaits) reusable(w *timeWait, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return w.ts.ok && momentOf(now, t.pr.epoch).sub(w.ts.recentAt) > time.Second
}

// forget takes w off the list after somebody else has taken its tuple.
func (t *timeWaits) forget(w *timeWait) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.onListLocked(w) {
		t.unlinkLocked(w)
		t.pr.stats.add(timeWaitRecycled)
	}
}

// input handles a segment for w. done is false when the segment opens a new
// connection, with initial sequence number iss, and p is still the caller's;
// otherwise p has been taken.
func (t *timeWaits) input(w *timeWait, s *segment, p *link.Packet) (iss Seq, done bool) {
	now := t.pr.config.Clock.Now()
	t.mu.Lock()
	if !t.onListLocked(w) {
		t.mu.Unlock()
		return 0, false
	}
	old := w.ts.ok && s.Options.HasTimestamps && w.ts.old(&s.Options, now)
	// The order is Linux's tcp_timewait_state_process.
	reason := link.TCPOldData
	var answer bool
	switch {
	case !old && s.Seq == w.rcvNxt && s.Flags&RST != 0:
		// RFC 9293 section 3.10.7.4 ends TIME-WAIT here. RFC 1337 would rather
		// not, but Linux has tcp_rfc1337 off.
		t.removeLocked(w)
		reason = link.TCPReset
	case !old && s.Seq == w.rcvNxt && s.len() == 0:
		reason = link.NotSpecified // the last ACK again, or one that was late
		if s.Options.HasTimestamps && w.ts.ok {
			w.ts.recent, w.ts.recentAt = s.Options.TSVal, momentOf(now, t.pr.epoch)
		}
	case s.Flags&(SYN|ACK|RST) == SYN && !old && t.pr.demux.listener(w.key.laddr, w.key.lport) != nil &&
		(w.rcvNxt.Less(s.Seq) || w.ts.ok && s.Options.HasTimestamps && int32(w.ts.recent-s.Options.TSVal) < 0):
		// A new incarnation, which sequence number or timestamp prove newer
		// (RFC 9293 section 3.10.7.4, RFC 6191 section 2). Its numbers begin
		// past every one that the old peer may still accept.
		iss = w.sndNxt.Add(0xffff + 2)
		if iss == 0 {
			iss = 1
		}
		t.removeLocked(w)
		t.pr.stats.add(timeWaitRecycled)
		t.mu.Unlock()
		return iss, false
	case s.Flags&RST == 0:
		if old {
			t.pr.stats.add(pawsEstab)
			reason = link.TCPRFC7323PAWS
		}
		if old || s.Flags&ACK != 0 {
			// "Restart the 2 MSL time-wait timeout."
			t.unlinkLocked(w)
			t.pushLocked(w, now)
		}
		if answer = s.n > 0 || now.Sub(w.lastACK) >= invalidRateLimit; answer {
			w.lastACK = now
		}
	}
	h := Header{Seq: w.sndNxt, Ack: w.rcvNxt, Flags: ACK, Window: w.window}
	if w.ts.ok {
		h.Options.HasTimestamps, h.Options.TSVal, h.Options.TSEcr = true, w.ts.value(now), w.ts.recent
	}
	t.mu.Unlock()
	t.pr.config.Drops.Drop(p, reason)
	if answer {
		t.pr.reply(w.key, &h, w.tos)
	}
	return 0, true
}

// close forgets all.
func (t *timeWaits) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for t.first != nil {
		t.removeLocked(t.first)
	}
	if t.timer != nil {
		t.timer.Stop()
	}
}
