package tcp

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

// endQuickACKs brings a connection past the ACKs that are sent without delay,
// by segments of n bytes, and returns the next sequence number.
func (tc *testConn) endQuickACKs(n int) int {
	tc.t.Helper()
	seq := 1
	for range quickAcks {
		tc.deliver(seg{flags: ACK, seq: seq, ack: 1, data: bytesOf('q', n)})
		seq += n
		tc.want("quick ACK", seg{flags: ACK, seq: 1, ack: seq})
	}
	return seq
}

func TestACKs(t *testing.T) {
	bubble(t, "the first are quick, then delayed", Config{}, func(tc *testConn) {
		tc.active(plain)
		seq := tc.endQuickACKs(100)
		tc.deliver(seg{flags: ACK, seq: seq, ack: 1, data: "x"})
		tc.advance(40*time.Millisecond - 1)
		tc.wantIdle("delayed")
		tc.advance(1)
		tc.want("delayed ACK", seg{flags: ACK, seq: 1, ack: seq + 1})
		require.EqualValues(tc.t, 1, tc.pr.Stats()["TcpExtDelayedACKs"])
	})
	bubble(t, "every second full segment", Config{}, func(tc *testConn) {
		tc.active(plain)
		seq := tc.endQuickACKs(1000)
		for range 5 {
			tc.deliver(seg{flags: ACK, seq: seq, ack: 1, data: bytesOf('x', 1000)})
			tc.wantIdle("the first of two")
			tc.deliver(seg{flags: ACK, seq: seq + 1000, ack: 1, data: bytesOf('x', 1000)})
			seq += 2000
			tc.want("ACK of two", seg{flags: ACK, seq: 1, ack: seq})
		}
	})
	bubble(t, "data carries the ACK", Config{}, func(tc *testConn) {
		tc.active(plain)
		seq := tc.endQuickACKs(10)
		tc.deliver(seg{flags: ACK, seq: seq, ack: 1, data: "x"})
		tc.write("answer")
		tc.want("data", seg{flags: ACK, seq: 1, ack: seq + 1, data: "answer"})
		tc.advance(time.Second / 10)
		tc.wantIdle("no ACK of its own")
	})
	bubble(t, "a conversation delays from the start", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, data: "a"})
		tc.want("quick ACK", seg{flags: ACK, seq: 1, ack: 2})
		tc.write("b")
		tc.want("data", seg{flags: ACK, seq: 1, ack: 2, data: "b"})
		tc.deliver(seg{flags: ACK, seq: 2, ack: 2, data: "c"})
		tc.wantIdle("the answer will carry it")
		tc.write("d")
		tc.want("data", seg{flags: ACK, seq: 2, ack: 3, data: "d"})
	})
	bubble(t, "a duplicate ACK for each segment past a gap", Config{}, func(tc *testConn) {
		tc.active(plain)
		for i := range 3 {
			tc.deliver(seg{flags: ACK, seq: 1001 + 1000*i, ack: 1, data: bytesOf('b', 1000)})
			tc.want("duplicate ACK", seg{flags: ACK, seq: 1, ack: 1})
		}
		require.Equal(tc.t, 3, tc.conn.Info().OutOfOrder)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, data: bytesOf('a', 1000)})
		tc.want("ACK of all", seg{flags: ACK, seq: 1, ack: 4001})
		tc.read(bytesOf('a', 1000) + bytesOf('b', 3000))
	})
	bubble(t, "partly old data", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, data: "hello"})
		tc.want("ACK", seg{flags: ACK, seq: 1, ack: 6})
		tc.deliver(seg{flags: ACK, seq: 3, ack: 1, data: "llo world"})
		tc.want("ACK", seg{flags: ACK, seq: 1, ack: 12})
		tc.deliver(seg{flags: ACK | FIN, seq: 6, ack: 1, data: " world"})
		tc.want("only the FIN is new", seg{flags: ACK, seq: 1, ack: 13})
		tc.read("hello world")
		tc.wantState(CloseWait)
	})
	bubble(t, "the same past a gap twice", Config{}, func(tc *testConn) {
		tc.active(plain)
		for range 2 {
			tc.deliver(seg{flags: ACK, seq: 6, ack: 1, data: "world"})
			tc.want("duplicate ACK", seg{flags: ACK, seq: 1, ack: 1})
		}
		require.EqualValues(tc.t, 1, tc.pr.Stats()["TcpExtTCPOFODrop"])
	})
	bubble(t, "overlapping segments", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.deliver(seg{flags: ACK, seq: 4, ack: 1, data: "defg"})
		tc.deliver(seg{flags: ACK, seq: 10, ack: 1, data: "jkl"})
		tc.deliver(seg{flags: ACK, seq: 2, ack: 1, data: "bcdefghijk"})
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, data: "abc"})
		tc.read("abcdefghijkl")
	})
}

func TestReceiveWindow(t *testing.T) {
	small := SocketConfig{NoTimestamps: true, NoScaling: true, ReceiveBuffer: 8000}
	bubble(t, "fills, closes, and opens when the user reads", Config{}, func(tc *testConn) {
		tc.active(small)
		for i := range 8 {
			tc.deliver(seg{flags: ACK, seq: 1 + 1000*i, ack: 1, data: bytesOf('a', 1000)})
		}
		for i := range 8 {
			win := 8000 - 1000*(i+1)
			if win == 0 {
				win = -1
			}
			tc.want("ACK", seg{flags: ACK, seq: 1, ack: 1001 + 1000*i, win: win})
		}
		tc.deliver(seg{flags: ACK, seq: 8001, ack: 1, data: "x"})
		tc.want("window probe answered", seg{flags: ACK, seq: 1, ack: 8001, win: -1})
		require.EqualValues(tc.t, 1, tc.pr.config.Drops.Counts()["TCP_ZEROWINDOW"])
		tc.readN(500)
		tc.wantIdle("RFC 9293 3.8.6.2.2: not for half a segment")
		tc.readN(500)
		tc.want("window update", seg{flags: ACK, seq: 1, ack: 8001, win: 1000})
		tc.readN(7000)
		tc.want("window update", seg{flags: ACK, seq: 1, ack: 8001, win: 8000})
	})
	bubble(t, "SetReadBuffer", Config{}, func(tc *testConn) {
		tc.active(SocketConfig{NoTimestamps: true, NoScaling: true, ReceiveBuffer: 4096})
		require.Equal(tc.t, 4096, tc.conn.Info().RcvWnd)
		require.NoError(tc.t, tc.conn.SetReadBuffer(1<<30))
		require.Equal(tc.t, 6<<20, tc.conn.rcv.limit)
		tc.want("window update", seg{flags: ACK, seq: 1, ack: 1, win: 65535})
		require.NoError(tc.t, tc.conn.SetReadBuffer(5000))
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, data: bytesOf('a', 1000)})
		tc.want("the right edge never moves left", seg{flags: ACK, seq: 1, ack: 1001, win: 64535})
	})
	bubble(t, "data past the window is cut", Config{}, func(tc *testConn) {
		tc.active(small)
		for i := range 7 {
			tc.deliver(seg{flags: ACK, seq: 1 + 1000*i, ack: 1, data: bytesOf('a', 1000)})
			tc.want("ACK", seg{flags: ACK, seq: 1, ack: 1001 + 1000*i})
		}
		tc.deliver(seg{flags: ACK | FIN, seq: 7001, ack: 1, data: bytesOf('b', 1500)})
		tc.want("ACK of what fits", seg{flags: ACK, seq: 1, ack: 8001, win: -1})
		tc.wantState(Established)
	})
	bubble(t, "ACKs count while the window is closed", Config{}, func(tc *testConn) {
		tc.active(small)
		tc.write("hello")
		tc.want("data", seg{flags: ACK, seq: 1, ack: 1, data: "hello"})
		for i := range 8 {
			tc.deliver(seg{flags: ACK, seq: 1 + 1000*i, ack: 1, data: bytesOf('a', 1000)})
			tc.take()
		}
		tc.deliver(seg{flags: ACK, seq: 8001, ack: 6, data: "probe"})
		require.Zero(tc.t, tc.conn.Info().Unacked)
	})
	bubble(t, "memory is bounded when segments are tiny", Config{}, func(tc *testConn) {
		tc.active(SocketConfig{NoTimestamps: true, ReceiveBuffer: 100 << 10})
		for i := range 90 << 10 {
			tc.ip.handler.Input(tc.packet(seg{flags: ACK, seq: 1 + i, ack: 1, data: "x"}))
		}
		require.Equal(tc.t, 90<<10, tc.conn.Info().RecvQ)
		require.Less(tc.t, tc.conn.rcv.queue.cost, 3*(100<<10))
		n, err := io.ReadFull(tc.conn, make([]byte, 90<<10))
		require.NoError(tc.t, err)
		require.Equal(tc.t, 90<<10, n)
		require.Zero(tc.t, tc.conn.rcv.queue.cost)
	})
	bubble(t, "memory is bounded out of order", Config{}, func(tc *testConn) {
		tc.active(SocketConfig{NoTimestamps: true, ReceiveBuffer: 100 << 10})
		for i := range 4000 {
			tc.ip.handler.Input(tc.packet(seg{flags: ACK, seq: 3 + 2*i, ack: 1, data: "x"}))
		}
		require.LessOrEqual(tc.t, tc.conn.rcv.ofo.cost, 2*(100<<10))
		require.NotZero(tc.t, tc.pr.config.Drops.Count(link.TCPOfoDrop))
	})
}

// readN reads n bytes.
func (tc *testConn) readN(n int) {
	tc.t.Helper()
	_, err := io.ReadFull(tc.conn, make([]byte, n))
	require.NoError(tc.t, err)
	synctest.Wait()
}

func TestTimestamps(t *testing.T) {
	start := func(tc *testConn) uint32 {
		done := tc.dial(SocketConfig{})
		syn := tc.want("SYN", seg{flags: SYN})
		tc.deliver(seg{flags: SYN | ACK, ack: 1, mss: 1000, ts: 1000, ecr: syn.ts})
		require.NoError(tc.t, <-done)
		require.EqualValues(tc.t, 1000, tc.want("ACK", seg{flags: ACK, seq: 1, ack: 1}).ecr)
		return syn.ts
	}
	bubble(t, "PAWS drops what is old", Config{}, func(tc *testConn) {
		ecr := start(tc)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, data: "a", ts: 1001, ecr: ecr})
		require.EqualValues(tc.t, 1001, tc.want("ACK", seg{flags: ACK, seq: 1, ack: 2}).ecr)
		tc.deliver(seg{flags: ACK, seq: 2, ack: 1, data: "b", ts: 900, ecr: ecr})
		tc.want("ACK", seg{flags: ACK, seq: 1, ack: 2})
		require.EqualValues(tc.t, 1, tc.pr.Stats()["TcpExtPAWSEstab"])
		tc.advance(25 * 24 * time.Hour)
		tc.deliver(seg{flags: ACK, seq: 2, ack: 1, data: "b", ts: 900, ecr: ecr})
		tc.want("valid again after 24 days", seg{flags: ACK, seq: 1, ack: 3})
	})
	bubble(t, "RST is not subject to PAWS", Config{}, func(tc *testConn) {
		ecr := start(tc)
		tc.deliver(seg{flags: RST, seq: 1, ts: 1, ecr: ecr})
		tc.wantState(Closed)
	})
	bubble(t, "TS.Recent is of the segment at the left edge", Config{}, func(tc *testConn) {
		ecr := start(tc)
		tc.deliver(seg{flags: ACK, seq: 5, ack: 1, data: "b", ts: 1005, ecr: ecr})
		require.EqualValues(tc.t, 1000, tc.want("duplicate ACK", seg{flags: ACK, seq: 1, ack: 1}).ecr)
	})
	bubble(t, "a retransmission is timed by its echo", Config{}, func(tc *testConn) {
		start(tc)
		tc.write("x")
		tc.want("data", seg{flags: ACK, seq: 1, ack: 1, data: "x"})
		tc.advance(210 * time.Millisecond)
		again := tc.want("again", seg{flags: ACK, seq: 1, ack: 1, data: "x"})
		tc.advance(50 * time.Millisecond)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 2, ts: 1001, ecr: again.ts})
		i := tc.conn.Info()
		require.Zero(tc.t, i.Backoff)
		require.InDelta(tc.t, 60*time.Millisecond/8, i.RTT, float64(3*time.Millisecond))
	})
	bubble(t, "a SYN-ACK that echoes nothing of ours is reset", Config{}, func(tc *testConn) {
		tc.dial(SocketConfig{})
		syn := tc.want("SYN", seg{flags: SYN})
		tc.deliver(seg{flags: SYN | ACK, ack: 1, ts: 1000, ecr: syn.ts + 1<<30})
		tc.want("RST", seg{flags: RST, seq: 1})
	})
}

func TestMalformed(t *testing.T) {
	bubble(t, "counted by reason", Config{}, func(tc *testConn) {
		tc.active(plain)
		h, p := tc.packet(seg{flags: ACK, seq: 1, ack: 1, data: "x"})
		p.Bytes()[21-1] ^= 1
		tc.ip.handler.Input(h, p)
		tc.ip.handler.Input(h, link.NewPacketFrom([]byte("short")))
		h, p = tc.packet(seg{flags: ACK, seq: 1, ack: 1, data: "x"})
		p.Type = link.Broadcast
		tc.ip.handler.Input(h, p)
		tc.wantIdle("no answers")
		require.Equal(tc.t, map[string]uint64{"TCP_CSUM": 1, "TCP_INHDR": 1, "OTHERHOST": 1}, tc.pr.config.Drops.Counts())
		require.EqualValues(tc.t, 1, tc.pr.Stats()["TcpInCsumErrors"])
		require.EqualValues(tc.t, 2, tc.pr.Stats()["TcpInErrs"])
	})
}
