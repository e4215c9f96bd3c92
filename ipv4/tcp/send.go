package tcp

import (
	"time"

	"github.com/tapstack/tapstack/ipv4"
)

// sender is the sending half of a connection (RFC 9293 section 3.3.1).
type sender struct {
	iss      Seq
	una, nxt Seq
	wl1, wl2 Seq // segment of the last window update
	small    Seq // end of the last segment sent that was not full
	wnd      int // SND.WND, scaled
	maxWnd   int // largest window the peer ever offered

	pmtu int
	mss  int // payload of a full segment

	buf     sendBuffer
	limit   int  // bytes the buffer takes at most
	fixed   bool // it takes that many whatever the congestion window
	corked  bool // the user has more to come at once: a short segment waits for it
	fin     bool
	held    bool // TCP_CORK, MSG_MORE: a short segment waits for more
	cork    bool // TCP_CORK
	scale   uint8
	peerMSS uint16 // payload and options that the peer accepts (RFC 6691), 0: it has not said
	sent    sentQueue
}

// start begins at iss with nothing sent.
func (s *sender) start(iss Seq) { s.iss, s.una, s.nxt, s.small = iss, iss, iss, iss }

// minSendBuffer is what the buffer takes however small the congestion window.
const minSendBuffer = 64 << 10

// capacity returns how many bytes the buffer takes now: unless the user has
// said, twice the congestion window, so that one is there to send while the
// other is in flight, and slow peers hold no memory (Linux's
// tcp_sndbuf_expand).
func (s *sender) capacity(cwnd int) int {
	if s.fixed {
		return s.limit
	}
	return min(s.limit, max(minSendBuffer, 2*cwnd))
}

// defaultMSS is what a peer accepts that says nothing (RFC 9293 section 3.7.1).
const defaultMSS = 536

// minMSS keeps a peer from making every byte a packet of its own (Linux's
// TCP_MIN_SND_MSS less its options).
const minMSS = 8

// setMSS computes the size of full segments: the least of what the peer
// accepts and what the path carries, less options (RFC 6691 section 2).
func (s *sender) setMSS(timestamps bool) {
	n := s.pmtu - 40
	if s.peerMSS > 0 {
		n = min(n, int(s.peerMSS))
	} else {
		n = min(n, defaultMSS)
	}
	if timestamps {
		n -= timestampsLen
	}
	s.mss = max(n, minMSS)
}

// end returns the sequence number after the last octet the user has written.
func (s *sender) end() Seq { return s.iss + 1 + Seq(uint32(s.buf.end)) }

// unsent returns how many octets of data were never sent.
func (s *sender) unsent() int { return max(s.end().Sub(s.nxt), 0) }

// finSent reports whether the FIN has been sent.
func (s *sender) finSent() bool { return s.fin && s.end().Less(s.nxt) }

// finPending reports whether a FIN waits behind the data.
func (s *sender) finPending() bool { return s.fin && !s.finSent() }

// finAcked reports whether the peer has acknowledged our FIN.
func (s *sender) finAcked() bool { return s.finSent() && s.una == s.nxt }

// inFlight returns the sequence numbers sent and not acknowledged.
func (s *sender) inFlight() int { return s.nxt.Sub(s.una) }

// usable returns how many octets the peer's window still takes.
func (s *sender) usable() int { return s.una.Add(s.wnd).Sub(s.nxt) }

// first returns the sequence number of the first octet in the buffer. The
// initial sequence number says nothing about the order of others: it is 2^31
// octets behind soon, which is the same as ahead.
func (s *sender) first() Seq { return s.iss + 1 + Seq(uint32(s.buf.start)) }

// offset returns the place in the stream of the octet numbered seq, which is
// in the buffer.
func (s *sender) offset(seq Seq) uint64 { return s.buf.start + uint64(seq-s.first()) }

// maxBurst is the most payload of a super-segment: what fits an IPv4 packet with
// all options of TCP.
const maxBurst = ipv4.MaxPacketLen - ipv4.HeaderLen - 60

// burst returns how many octets leave at once: whole segments, as many as make a
// super-segment.
func (s *sender) burst() int { return max(maxBurst/s.mss*s.mss, s.mss) }

// next decides on the next new segment, or several at once: how many octets of
// data and whether FIN goes with them. ok is false when nothing may be sent now; flight and cwnd
// are those of congestion control.
func (s *sender) next(nagle bool, flight, cwnd int) (n int, fin, ok bool) {
	unsent, usable := s.unsent(), s.usable()
	n = min(unsent, s.burst(), max(usable, 0))
	if unsent == 0 {
		// A FIN needs room in the window too; a zero window is probed first.
		ok = s.finPending() && usable > 0
		return 0, ok, ok
	}
	if n > s.mss {
		n = min(n, max(cwnd-flight, s.mss))
		if n < unsent || nagle || s.corked || s.held {
			n -= n % s.mss
		}
	}
	fin = s.fin && n == unsent && usable > n
	switch {
	case n == 0:
		return 0, false, false
	case flight > 0 && flight+n > cwnd:
		return 0, false, false
	case n >= s.mss:
	case s.held && !s.fin:
		// The persist timer is the limit, as in Linux.
		return 0, false, false
	case s.corked && n == unsent && s.nxt != s.una:
		return 0, false, false
	case n < unsent:
		// The window cuts the segment short. Silly window avoidance, RFC 9293
		// section 3.8.6.2.1 (3): only if it is half of the largest window.
		// Otherwise the persist timer overrides.
		if n < s.maxWnd/2 {
			return 0, false, false
		}
	case nagle && !s.fin && s.una.Less(s.small):
		// Nagle (section 3.7.4) with Minshall's amendment as in Linux: a
		// short segment waits only for another short one.
		return 0, false, false
	}
	return n, fin, true
}

// window takes in the window of an acceptable ACK (RFC 9293 section 3.10.7.4,
// "the send window should be updated") and reports whether it changed.
func (s *sender) window(seq, ack Seq, wnd int) bool {
	if !(s.wl1.Less(seq) || s.wl1 == seq && s.wl2.LessEq(ack)) {
		return false
	}
	changed := s.wnd != wnd
	s.wnd, s.wl1, s.wl2 = wnd, seq, ack
	s.maxWnd = max(s.maxWnd, wnd)
	return changed
}

// segments returns how many segments n octets are, at least one.
func (s *sender) segments(n int) int { return max((n+s.mss-1)/max(s.mss, 1), 1) }

// acked moves SND.UNA to a.una and forgets what it covers: of the buffer and of
// the segments in flight. It returns how many of those were covered whole, and
// when the oldest of them that is news was sent as a sample of the round trip,
// provided that none was sent twice (Karn's rule, RFC 6298 section 3).
func (s *sender) acked(l *loss, e *rtt, a *round) (segments int, sample time.Duration, sampled bool) {
	ack := a.una
	s.una = ack
	karn := true
	s.small = maxSeq(s.small, ack) // far behind it would seem ahead
	if end := minSeq(ack, s.end()); s.first().Less(end) {
		s.buf.discard(s.offset(end))
	}
	for s.sent.n > 0 {
		x := s.sent.at(0)
		if !x.start.Less(ack) {
			break
		}
		whole := x.end.LessEq(ack)
		end := minSeq(ack, x.end)
		n := end.Sub(x.start)
		l.arrived(x, n, end, e, a)
		k := n / max(s.mss, 1)
		if whole {
			if s.end().Less(x.end) {
				n-- // FIN
			}
			k = s.segments(n)
		}
		if k > 0 {
			if !sampled && !x.sacked {
				sample, sampled = x.at, true
			}
			karn = karn && x.sent == 1
			segments += k
		}
		if !whole { // part of it: the rest stays
			x.start = ack
			break
		}
		s.sent.pop()
	}
	return segments, sample, sampled && karn
}
