package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// script is a connection with SACK to a peer that the test plays: segments of
// 1000 octets, a round trip of 100 ms.
type script struct {
	*testConn
	sent int // octets that the user has written
	ts   uint32
	ecr  uint32 // echoed by the peer
}

const scriptRTT = 100 * time.Millisecond

// play runs f on a fresh connection, for which the round trip has been measured.
func play(t *testing.T, name string, f func(s *script)) {
	t.Helper()
	playConfig(t, name, SocketConfig{NoTimestamps: true}, f)
}

func playConfig(t *testing.T, name string, sc SocketConfig, f func(s *script)) {
	t.Helper()
	bubble(t, name, Config{}, func(tc *testConn) {
		s := &script{testConn: tc}
		done := tc.dial(sc)
		syn := tc.want("SYN", seg{flags: SYN})
		require.True(s.t, syn.sackOK, "SACK is offered")
		if !sc.NoTimestamps {
			s.ts, s.ecr = 1000, syn.ts
		}
		tc.advance(scriptRTT)
		tc.deliver(seg{flags: SYN | ACK, ack: 1, mss: 1000, win: 60000, sackOK: true, ts: s.ts, ecr: s.ecr})
		require.NoError(s.t, <-done)
		tc.want("ACK", seg{flags: ACK, seq: 1, ack: 1})
		if !sc.NoTimestamps {
			tc.conn.mu.Lock()
			tc.conn.snd.mss, tc.conn.win.mss = 1000, 1000 // round numbers
			tc.conn.mu.Unlock()
		}
		tc.wantIdle("after the handshake")
		f(s)
		checkScoreboard(t, tc.conn)
	})
}

// write has the user write n segments.
func (s *script) write(n int) {
	s.testConn.write(bytesOf('a', 1000*n))
	s.sent += n
}

// data wants segments from the first up to the last, counted from 0.
func (s *script) data(why string, first, last int) {
	s.t.Helper()
	for i := first; i <= last; i++ {
		x := s.want(why, seg{flags: ACK, seq: 1 + 1000*i, ack: 1, data: bytesOf('a', 1000)})
		if x.ts != 0 {
			s.ecr = x.ts
		}
	}
}

// ack lets an ACK arrive of everything before segment n, with blocks in segments.
func (s *script) ack(n int, blocks ...[2]int) {
	s.t.Helper()
	x := seg{flags: ACK, seq: 1, ack: 1 + 1000*n, win: 60000, ts: s.ts, ecr: s.ecr}
	for _, b := range blocks {
		x.sack = append(x.sack, [2]int{1 + 1000*b[0], 1 + 1000*b[1]})
	}
	s.deliver(x)
	checkScoreboard(s.t, s.conn)
}

func (s *script) stat(name string) int { return int(s.pr.Stats()["TcpExtTCP"+name]) }

func (s *script) info() Info { return s.conn.Info() }

// drain forgets what was sent.
func (s *script) drain() (n int) {
	for _, ok := s.take(); ok; _, ok = s.take() {
		n++
	}
	return n
}

func TestRACK(t *testing.T) {
	play(t, "three segments behind a gap: fast retransmission, only of the gap", func(s *script) {
		s.write(10)
		s.data("the initial window", 0, 9)
		s.advance(scriptRTT)
		s.ack(2)
		s.ack(2, [2]int{3, 4})
		require.Equal(s.t, "disorder", s.info().CAState)
		require.Equal(s.t, 1000, s.info().Sacked)
		s.ack(2, [2]int{3, 5})
		s.wantIdle("it may be late")
		s.ack(2, [2]int{3, 6})
		s.data("the gap", 2, 2)
		s.wantIdle("no more")
		require.Equal(s.t, "recovery", s.info().CAState)
		require.Equal(s.t, 1000, s.info().Retrans)
		s.ack(2, [2]int{3, 10})
		s.advance(scriptRTT)
		s.ack(10)
		require.Equal(s.t, "open", s.info().CAState)
		require.Equal(s.t, s.info().SndSsthresh, s.info().SndCwnd)
		require.Equal(s.t, 1, s.stat("SackRecovery"))
		require.Equal(s.t, 1, s.stat("FastRetrans"))
		require.Zero(s.t, s.stat("Timeouts"))
		require.Zero(s.t, s.info().Unacked)
	})
	play(t, "fewer: after a quarter of the round trip", func(s *script) {
		s.write(3)
		s.data("data", 0, 2)
		s.advance(scriptRTT)
		s.ack(0, [2]int{1, 2})
		s.advance(scriptRTT/4 + probeSlack - 1)
		s.wantIdle("within the reordering window")
		s.advance(1)
		s.data("the gap", 0, 0)
		require.Equal(s.t, "recovery", s.info().CAState)
	})
	play(t, "a lost retransmission is found by what was sent after it", func(s *script) {
		s.write(30)
		s.data("the initial window", 0, 9)
		s.advance(scriptRTT)
		s.ack(0, [2]int{1, 9})
		s.data("the gap", 0, 0)
		s.ack(0, [2]int{1, 10})
		s.drain()
		for i := 10; s.stat("LostRetransmit") == 0 && i < 20; i++ {
			s.advance(scriptRTT)
			s.ack(0, [2]int{1, i + 1})
		}
		require.Equal(s.t, 1, s.stat("LostRetransmit"))
		require.Zero(s.t, s.stat("Timeouts"))
		again := false
		for x, ok := s.take(); ok; x, ok = s.take() {
			again = again || x.seq == 1
		}
		require.True(s.t, again, "sent a third time")
	})
	play(t, "reordering is remembered", func(s *script) {
		s.write(10)
		s.data("data", 0, 9)
		s.advance(scriptRTT)
		s.ack(0, [2]int{1, 3})
		s.wantIdle("it may be late")
		s.ack(3)
		require.Equal(s.t, 1, s.info().ReordSeen)
		require.Equal(s.t, "open", s.info().CAState)
		s.ack(3, [2]int{4, 10})
		s.wantIdle("six behind a gap are no evidence any more")
		s.advance(scriptRTT / 4)
		s.ack(10)
		require.Equal(s.t, 2, s.info().ReordSeen)
		require.Equal(s.t, 7, s.info().Reordering)
		require.Equal(s.t, 2, s.stat("SACKReorder"))
		require.Zero(s.t, s.stat("FastRetrans"))
	})
	t.Run("the window grows with duplicates, a step a round", func(t *testing.T) {
		r := &recovery{reordSeen: 1}
		r.rack.steps = 1
		a := round{dsack: true, una: 100, nxt: 1000}
		r.adapt(&a)
		r.adapt(&a)
		require.EqualValues(t, 2, r.rack.steps, "once a round")
		a.una, a.nxt = 1000, 2000
		r.adapt(&a)
		require.EqualValues(t, 3, r.rack.steps)
		require.EqualValues(t, reorderPersist, r.rack.persist)
		a = round{una: 2000, nxt: 3000}
		r.adapt(&a)
		require.EqualValues(t, 3, r.rack.steps, "it persists")
		r.rack.persist = 0
		r.adapt(&a)
		require.EqualValues(t, 1, r.rack.steps)
		a = round{dsack: true, dsackTLP: true, una: 2000, nxt: 3000}
		r.adapt(&a)
		require.EqualValues(t, 1, r.rack.steps, "probes don't count")
		r.reordSeen = 0
		r.adapt(&round{dsack: true, una: 3000, nxt: 3000})
		require.EqualValues(t, 1, r.rack.steps, "nor does what no reordering explains")
	})
	t.Run("the window is bounded by the smoothed round trip", func(t *testing.T) {
		l := loss{r: &recovery{reordSeen: 1}}
		e := rtt{min: 40 * ms, srtt: 50 * ms}
		for steps, want := range map[uint8]time.Duration{1: 10 * ms, 3: 30 * ms, 5: 50 * ms, 200: 50 * ms} {
			l.r.rack.steps = steps
			require.Equal(t, want, l.reorderWindow(&sentQueue{}, &e, 1000))
		}
	})
}

func TestLossProbe(t *testing.T) {
	play(t, "the last segment again, and a loss that costs a reduction", func(s *script) {
		s.write(4)
		s.data("data", 0, 3)
		s.advance(scriptRTT)
		s.ack(2) // the rest is lost
		s.advance(2*scriptRTT + probeSlack - 1)
		s.wantIdle("two round trips")
		s.advance(1)
		s.data("the probe", 3, 3)
		require.Equal(s.t, 1, s.stat("LossProbes"))
		s.advance(scriptRTT)
		s.ack(2, [2]int{3, 4})
		s.advance(scriptRTT)
		s.data("what RACK finds", 2, 2)
		s.advance(scriptRTT)
		s.ack(4)
		require.Zero(s.t, s.stat("Timeouts"))
		require.Equal(s.t, "open", s.info().CAState)
	})
	play(t, "a probe that repaired a loss", func(s *script) {
		s.write(4)
		s.data("data", 0, 3)
		s.advance(scriptRTT)
		s.ack(3)
		cwnd := s.info().SndCwnd
		s.advance(3 * scriptRTT) // a single one: its ACK may be delayed, and the RTO comes first
		s.data("the probe", 3, 3)
		s.write(1)
		s.data("more", 4, 4)
		s.ack(5)
		require.Equal(s.t, 1, s.stat("LossProbeRecovery"))
		require.Less(s.t, s.info().SndCwnd, cwnd)
	})
	play(t, "a probe that was needless", func(s *script) {
		s.write(2)
		s.data("data", 0, 1)
		s.advance(2*scriptRTT + probeSlack)
		s.data("the probe", 1, 1)
		cwnd := s.info().SndCwnd
		s.ack(2)
		s.ack(2, [2]int{1, 2}) // D-SACK
		s.write(1)
		s.advance(scriptRTT)
		s.ack(3)
		require.Zero(s.t, s.stat("LossProbeRecovery"))
		require.GreaterOrEqual(s.t, s.info().SndCwnd, cwnd)
		require.Equal(s.t, 1, s.info().DSACKDups)
	})
	play(t, "new data if there is some", func(s *script) {
		s.write(12)
		s.data("the initial window", 0, 9)
		s.advance(2*scriptRTT + probeSlack)
		s.data("the probe, past the congestion window", 10, 10)
		s.wantIdle("one")
		s.ack(11)
		s.data("the rest", 11, 11)
		require.Zero(s.t, s.stat("LossProbeRecovery"))
	})
	play(t, "only one, then the timeout", func(s *script) {
		s.write(2)
		s.data("data", 0, 1)
		s.advance(2*scriptRTT + probeSlack)
		s.data("the probe", 1, 1)
		rto := s.info().RTO
		s.advance(rto - 1)
		s.wantIdle("the RTO begins with the probe")
		s.advance(1)
		s.data("the first", 0, 0)
		require.Equal(s.t, 1, s.stat("Timeouts"))
		require.Equal(s.t, "loss", s.info().CAState)
	})
}

func TestTimeoutWithSACK(t *testing.T) {
	t.Run("what was sent recently is not lost", func(t *testing.T) {
		b := newBoard(t, 0xffffff00, 100) // the round trip is 20 ms
		for range 3 {
			b.send(100)
			b.now += 15 * time.Millisecond
		}
		w := window{cwnd: 1000, ssthresh: maxCongestionWindow, mss: 100}
		a := b.round(b.una)
		b.l.expiredSelective(&b.q, &w, &reno{}, &a, true, time.Time{})
		require.EqualValues(t, 200, b.l.lost, "the third was sent 15 ms ago")
		require.Equal(t, 200, w.cwnd, "one segment more than is in flight")
		require.Equal(t, 200, w.ssthresh)
		require.Equal(t, phaseLoss, b.l.phase)
		require.True(t, b.l.r.frto)
	})
	play(t, "F-RTO: new data first, and back if the timeout was spurious", func(s *script) {
		s.write(20)
		s.data("the initial window", 0, 9)
		cwnd := s.info().SndCwnd
		s.advance(2*scriptRTT + probeSlack)
		s.data("the probe", 10, 10)
		s.advance(s.info().RTO)
		s.data("the first", 0, 0)
		require.Equal(s.t, "loss", s.info().CAState)
		s.ack(1) // of the original, which was only late
		s.data("new data instead of retransmissions", 11, 12)
		s.wantIdle("two segments")
		s.ack(2)
		require.Equal(s.t, "open", s.info().CAState)
		require.Equal(s.t, 1, s.stat("SpuriousRTOs"))
		require.GreaterOrEqual(s.t, s.info().SndCwnd, cwnd)
		require.Zero(s.t, s.info().Lost)
	})
	play(t, "F-RTO: a real loss", func(s *script) {
		s.write(20)
		s.data("the initial window", 0, 9)
		s.advance(2*scriptRTT + probeSlack)
		s.data("the probe", 10, 10)
		s.advance(s.info().RTO)
		s.data("the first", 0, 0)
		s.ack(1)
		s.data("new data", 11, 12)
		s.ack(1, [2]int{11, 12})
		require.Equal(s.t, "loss", s.info().CAState)
		require.Zero(s.t, s.stat("SpuriousRTOs"))
		s.data("now what is lost", 1, 1)
		s.ack(2, [2]int{11, 12})
		s.data("in slow start", 2, 3)
	})
	play(t, "a peer that has thrown away what it held", func(s *script) {
		s.write(10)
		s.data("data", 0, 9)
		s.advance(scriptRTT)
		s.ack(0, [2]int{1, 10})
		s.data("the gap", 0, 0)
		s.ack(1) // and not 10
		s.advance(scriptRTT)
		s.data("all over again", 1, 1)
		require.Equal(s.t, 1, s.stat("SACKReneging"))
		require.Zero(s.t, s.info().Sacked)
		require.Equal(s.t, "loss", s.info().CAState)
		s.ack(10)
		require.Equal(s.t, "open", s.info().CAState)
	})
}

func TestUndo(t *testing.T) {
	play(t, "each retransmission is reported as a duplicate", func(s *script) {
		s.write(10)
		s.data("data", 0, 9)
		s.advance(scriptRTT)
		s.ack(0, [2]int{1, 5})
		s.data("the gap", 0, 0)
		before := s.conn.loss.r.undo.cwnd
		s.ack(5)
		s.ack(5, [2]int{0, 1})
		require.Equal(s.t, 1, s.stat("DSACKUndo"))
		require.Equal(s.t, 1, s.stat("DSACKRecv"))
		require.Equal(s.t, before, s.info().SndCwnd)
		require.Equal(s.t, "open", s.info().CAState)
	})
	playConfig(t, "timestamps: the ACK answers the original", SocketConfig{}, func(s *script) {
		s.write(9)
		s.data("data", 0, 8)
		s.advance(scriptRTT)
		s.ack(0, [2]int{1, 9})
		ecr := s.ecr
		s.data("the gap", 0, 0)
		cwnd := s.conn.loss.r.undo.cwnd
		require.Less(s.t, s.info().SndCwnd, cwnd)
		s.advance(scriptRTT / 10)
		s.ecr = ecr
		s.ack(9)
		require.Equal(s.t, 1, s.stat("FullUndo"))
		require.GreaterOrEqual(s.t, s.info().SndCwnd, cwnd, "and it goes on growing")
		require.Equal(s.t, "open", s.info().CAState)
	})
	playConfig(t, "timestamps: the ACK answers the retransmission", SocketConfig{}, func(s *script) {
		s.write(9)
		s.data("data", 0, 8)
		s.advance(scriptRTT)
		s.ack(0, [2]int{1, 9})
		s.data("the gap", 0, 0)
		s.advance(scriptRTT)
		s.ack(9)
		require.Zero(s.t, s.stat("FullUndo"))
		require.Equal(s.t, s.info().SndSsthresh, s.info().SndCwnd)
	})
	playConfig(t, "timestamps: a timeout that was spurious", SocketConfig{}, func(s *script) {
		s.write(1)
		s.data("data", 0, 0)
		ecr := s.ecr
		cwnd := s.info().SndCwnd
		s.advance(s.info().RTO)
		s.drain() // the probe
		s.advance(s.info().RTO)
		s.data("again", 0, 0)
		require.Equal(s.t, "loss", s.info().CAState)
		s.ecr = ecr
		s.ack(1)
		require.Equal(s.t, 1, s.stat("LossUndo"))
		require.GreaterOrEqual(s.t, s.info().SndCwnd, cwnd)
		require.Equal(s.t, "open", s.info().CAState)
	})
}

func TestSACKGeneration(t *testing.T) {
	play(t, "the most recent first, until the gap is filled", func(s *script) {
		in := func(n int) { s.deliver(seg{flags: ACK, seq: 1 + 100*n, ack: 1, data: bytesOf('b', 100), win: 60000}) }
		b := func(first, last int) [2]int { return [2]int{1 + 100*first, 1 + 100*last} }
		in(2)
		s.want("one block", seg{flags: ACK, seq: 1, ack: 1, sack: [][2]int{b(2, 3)}})
		in(4)
		s.want("two", seg{flags: ACK, seq: 1, ack: 1, sack: [][2]int{b(4, 5), b(2, 3)}})
		in(3)
		s.want("joined", seg{flags: ACK, seq: 1, ack: 1, sack: [][2]int{b(2, 5)}})
		in(3)
		s.want("a duplicate past the gap", seg{flags: ACK, seq: 1, ack: 1, sack: [][2]int{b(3, 4), b(2, 5)}})
		require.Equal(s.t, 1, s.stat("DSACKOfoSent"))
		in(0)
		s.want("the front moves", seg{flags: ACK, seq: 1, ack: 101, sack: [][2]int{b(2, 5)}})
		in(1)
		x := s.want("all", seg{flags: ACK, seq: 1, ack: 501})
		require.Empty(s.t, x.sack)
		in(1)
		s.want("old data", seg{flags: ACK, seq: 1, ack: 501, sack: [][2]int{b(1, 2)}})
		require.Equal(s.t, 1, s.stat("DSACKOldSent"))
		in(5)
		require.Empty(s.t, s.want("reported once", seg{flags: ACK, seq: 1, ack: 601}).sack)
	})
	playConfig(t, "no D-SACK", SocketConfig{NoTimestamps: true, NoDSACK: true}, func(s *script) {
		for range 2 {
			s.deliver(seg{flags: ACK, seq: 1, ack: 1, data: "x", win: 60000})
			require.Empty(s.t, s.want("ACK", seg{flags: ACK, seq: 1, ack: 2}).sack)
		}
	})
	play(t, "data that leaves no room is followed by an ACK", func(s *script) {
		s.deliver(seg{flags: ACK, seq: 101, ack: 1, data: "x", win: 60000})
		s.want("ACK", seg{flags: ACK, seq: 1, ack: 1, sack: [][2]int{{101, 102}}})
		s.write(1)
		s.want("full", seg{flags: ACK, seq: 1, ack: 1, data: bytesOf('a', 1000)})
		s.testConn.write("y")
		s.want("short", seg{flags: ACK, seq: 1001, ack: 1, data: "y", sack: [][2]int{{101, 102}}})
	})
	for name, c := range map[string]struct {
		pr Config
		sc SocketConfig
	}{"host": {pr: Config{NoSACK: true}}, "socket": {sc: SocketConfig{NoSACK: true}}} {
		bubble(t, "off for the "+name, c.pr, func(tc *testConn) {
			tc.dial(c.sc)
			require.False(t, tc.want("SYN", seg{flags: SYN}).sackOK)
		})
		bubble(t, "refused by the "+name, c.pr, func(tc *testConn) {
			tc.listen(c.sc)
			tc.deliver(seg{flags: SYN, mss: 1000, sackOK: true})
			require.False(t, tc.want("SYN-ACK", seg{flags: SYN | ACK, ack: 1}).sackOK)
		})
	}
	bubble(t, "accepted", Config{}, func(tc *testConn) {
		tc.listen(plain)
		tc.deliver(seg{flags: SYN, mss: 1000, sackOK: true})
		require.True(t, tc.want("SYN-ACK", seg{flags: SYN | ACK, ack: 1}).sackOK)
	})
	bubble(t, "not offered, not accepted", Config{}, func(tc *testConn) {
		tc.listen(plain)
		tc.deliver(seg{flags: SYN, mss: 1000})
		require.False(t, tc.want("SYN-ACK", seg{flags: SYN | ACK, ack: 1}).sackOK)
	})
}
