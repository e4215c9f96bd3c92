package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSenderNext(t *testing.T) {
	type result struct {
		n       int
		fin, ok bool
	}
	for _, c := range []struct {
		name                 string
		buffered, wnd, maxWn int
		small, nagle, fin    bool
		flight, cwnd         int
		want                 result
	}{
		{"nothing", 0, 5000, 5000, false, false, false, 0, 10000, result{}},
		{"short", 10, 5000, 5000, false, false, false, 0, 10000, result{10, false, true}},
		{"several at once, and the rest", 2500, 5000, 5000, false, false, false, 0, 10000, result{2500, false, true}},
		{"whole ones only while more waits", 4500, 3300, 5000, false, false, false, 0, 10000, result{3000, false, true}},
		{"whole ones with Nagle", 2500, 5000, 5000, false, true, false, 0, 10000, result{2000, false, true}},
		{"as many as the congestion window takes", 5500, 9000, 9000, false, false, false, 6500, 10000, result{3000, false, true}},
		{"as many as a packet takes", 90000, 99000, 99000, false, false, false, 0, 100000, result{65000, false, true}},
		{"with FIN", 2500, 5000, 5000, false, false, true, 0, 10000, result{2500, true, true}},
		{"last with FIN", 10, 5000, 5000, false, false, true, 0, 10000, result{10, true, true}},
		{"FIN alone", 0, 5000, 5000, false, false, true, 0, 10000, result{0, true, true}},
		{"FIN finds no window", 0, 0, 5000, false, false, true, 0, 10000, result{}},
		{"FIN does not fit behind the data", 10, 10, 20, false, false, true, 0, 10000, result{10, false, true}},
		{"window closed", 10, 0, 5000, false, false, false, 0, 10000, result{}},
		{"window shrunk", 10, -500, 5000, false, false, false, 0, 10000, result{}},
		{"silly window", 2500, 300, 5000, false, false, false, 0, 10000, result{}},
		{"half of the largest window", 2500, 300, 600, false, false, false, 0, 10000, result{300, false, true}},
		{"congestion window full", 2500, 5000, 5000, false, false, false, 9500, 10000, result{}},
		{"congestion window under a segment, nothing in flight", 2500, 5000, 5000, false, false, false, 0, 500, result{1000, false, true}},
		{"Nagle, short one in flight", 10, 5000, 5000, true, true, false, 10, 10000, result{}},
		{"Nagle, only full ones in flight", 10, 5000, 5000, false, true, false, 1000, 10000, result{10, false, true}},
		{"Nagle, full segment", 1500, 5000, 5000, true, true, false, 10, 10000, result{1000, false, true}},
		{"Nagle, FIN", 10, 5000, 5000, true, true, true, 10, 10000, result{10, true, true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s sender
			s.start(0xffffff00)
			s.una, s.nxt = s.iss+1, s.iss+1
			s.mss, s.wnd, s.maxWnd, s.fin = 1000, c.wnd, c.maxWn, c.fin
			if c.small {
				s.small = s.una.Add(1)
			}
			s.buf.write(make([]byte, c.buffered))
			n, fin, ok := s.next(c.nagle, c.flight, c.cwnd)
			if !ok {
				n, fin = 0, false
			}
			require.Equal(t, c.want, result{n, fin, ok})
		})
	}
}

// ackedTo is acked for nothing but a number.
func (s *sender) ackedTo(l *loss, ack Seq) (segments int, sample time.Duration, sampled bool) {
	return s.acked(l, &rtt{}, &round{prior: s.una, una: ack, nxt: s.nxt, low: s.nxt, advanced: true})
}

func TestSenderAcked(t *testing.T) {
	var s sender
	var l loss
	s.start(0xffffff00)
	s.una, s.mss = s.iss+1, 100
	s.buf.write(make([]byte, 300))
	s.fin = true
	for i := range 3 {
		end := s.iss.Add(1 + 100*(i+1))
		if i == 2 {
			end++ // with FIN
		}
		s.sent.push(sentSegment{start: s.iss.Add(1 + 100*i), end: end, sent: 1})
		s.nxt = end
	}
	require.True(t, s.finSent())
	n, _, sampled := s.ackedTo(&l, s.iss.Add(151))
	require.Equal(t, 1, n)
	require.True(t, sampled)
	require.Equal(t, 150, s.buf.len())
	require.Equal(t, 50, s.sent.at(0).len(), "half acknowledged")
	s.sent.at(0).sent = 2
	n, _, sampled = s.ackedTo(&l, s.nxt)
	require.Equal(t, 2, n)
	require.False(t, sampled, "Karn")
	require.True(t, s.finAcked())
	require.Zero(t, s.buf.len())
}

func TestSenderMSS(t *testing.T) {
	s := sender{pmtu: 1500}
	s.setMSS(true)
	require.Equal(t, 524, s.mss, "a peer that says nothing accepts 536 with options")
	s.peerMSS = 9000
	s.setMSS(true)
	require.Equal(t, 1448, s.mss)
	s.setMSS(false)
	require.Equal(t, 1460, s.mss)
	s.peerMSS = 1
	s.setMSS(true)
	require.Equal(t, minMSS, s.mss)
}

func TestSenderAckedSuperSegment(t *testing.T) {
	var s sender
	var l loss
	s.start(0xffffff00)
	s.una, s.mss = s.iss+1, 100
	s.buf.write(make([]byte, 1000))
	s.nxt = s.iss.Add(1001)
	s.sent.push(sentSegment{start: s.iss.Add(1), end: s.nxt, sent: 1})
	n, _, sampled := s.ackedTo(&l, s.iss.Add(251))
	require.Equal(t, 2, n, "whole segments of it")
	require.True(t, sampled, "a measurement like any other")
	n, _, sampled = s.ackedTo(&l, s.iss.Add(301))
	require.Zero(t, n)
	require.False(t, sampled)
	l.markFirst(&s.sent, s.mss)
	require.Equal(t, 2, s.sent.len())
	require.EqualValues(t, 100, l.lost, "one segment is repaired at a time")
	require.Equal(t, 700-100, l.flight(&s.sent, s.mss))
	n, _, _ = s.ackedTo(&l, s.nxt)
	require.Equal(t, 7, n)
	require.Zero(t, l.lost)
}

func TestSenderCorked(t *testing.T) {
	var s sender
	s.start(7)
	s.una, s.nxt, s.mss, s.wnd, s.maxWnd, s.corked = s.iss+1, s.iss+1, 1000, 9000, 9000, true
	s.buf.write(make([]byte, 2500))
	n, _, ok := s.next(false, 0, 10000)
	require.True(t, ok)
	require.Equal(t, 2000, n)
	s.nxt = s.nxt.Add(n)
	_, _, ok = s.next(false, 2000, 10000)
	require.False(t, ok, "the rest fills a segment in a moment")
	s.una = s.nxt
	n, _, ok = s.next(false, 0, 10000)
	require.True(t, ok, "but it does not wait for nothing")
	require.Equal(t, 500, n)
}

// Sequence numbers are circular (RFC 9293 section 3.4): nothing may depend on
// how far the stream is from its start.
func TestSenderFarFromItsStart(t *testing.T) {
	var s sender
	var l loss
	s.start(0xffffff00)
	s.una, s.nxt, s.small = s.iss+1, s.iss+1, s.iss+1
	s.mss, s.wnd, s.maxWnd = 1000, 1<<20, 1<<20
	const step = 1 << 29
	for sent := uint64(0); sent < 5<<30; sent += step {
		s.buf.write(make([]byte, 1500))
		n, _, ok := s.next(true, 0, 1<<20)
		require.True(t, ok, "after %d", sent)
		require.Equal(t, 1000, n)
		s.nxt = s.nxt.Add(n)
		s.small = s.nxt // as if Nagle had to look after it
		s.sent.push(sentSegment{start: s.una, end: s.nxt, sent: 1})
		s.ackedTo(&l, s.nxt)
		n, _, ok = s.next(true, 0, 1<<20)
		require.True(t, ok, "after %d a short segment with nothing in flight", sent)
		require.Equal(t, 500, n)
		require.Equal(t, 500, s.buf.len(), "after %d", sent)
		// The same, step octets later.
		s.buf.discard(s.buf.end)
		s.buf.start, s.buf.end = sent+step, sent+step
		s.nxt = s.iss.Add(1 + int(s.buf.start))
		s.ackedTo(&l, s.nxt)
	}
}
