package tcp

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSend(t *testing.T) {
	bubble(t, "segmentation", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.write(bytesOf('a', 2500))
		tc.want("first", seg{flags: ACK, seq: 1, ack: 1, data: bytesOf('a', 1000)})
		tc.want("second", seg{flags: ACK, seq: 1001, ack: 1, data: bytesOf('a', 1000)})
		s := tc.want("rest", seg{flags: ACK, seq: 2001, ack: 1, data: bytesOf('a', 500)})
		require.NotZero(tc.t, s.flags&PSH, "the last one pushes")
		tc.wantIdle("all sent")
	})
	bubble(t, "initial window of ten segments", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.write(bytesOf('a', 20000))
		for i := range 10 {
			tc.want("within IW10", seg{flags: ACK, seq: 1 + 1000*i, ack: 1, data: bytesOf('a', 1000)})
		}
		tc.wantIdle("window full")
		tc.deliver(seg{flags: ACK, seq: 1, ack: 2001, win: 60000})
		for i := range 4 {
			tc.want("slow start: two for each acknowledged", seg{flags: ACK, seq: 10001 + 1000*i, ack: 1, data: bytesOf('a', 1000)})
		}
		tc.wantIdle("window full")
	})
	bubble(t, "peer's window", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, win: 3000})
		tc.write(bytesOf('a', 5000))
		for i := range 3 {
			tc.want("in the window", seg{flags: ACK, seq: 1 + 1000*i, ack: 1, data: bytesOf('a', 1000)})
		}
		tc.wantIdle("window full")
		tc.deliver(seg{flags: ACK, seq: 1, ack: 3001, win: 600})
		tc.wantIdle("silly window avoided")
		tc.deliver(seg{flags: ACK, seq: 1, ack: 3001, win: 3000})
		tc.want("window opened", seg{flags: ACK, seq: 3001, ack: 1, data: bytesOf('a', 1000)})
		tc.want("window opened", seg{flags: ACK, seq: 4001, ack: 1, data: bytesOf('a', 1000)})
	})
	bubble(t, "small window of a small peer is used", Config{}, func(tc *testConn) {
		done := tc.dial(plain)
		tc.want("SYN", seg{flags: SYN})
		tc.deliver(seg{flags: SYN | ACK, ack: 1, mss: 1000, win: 300})
		require.NoError(tc.t, <-done)
		tc.want("ACK", seg{flags: ACK, seq: 1, ack: 1})
		tc.write(bytesOf('a', 1000))
		tc.want("half of the largest window, or more", seg{flags: ACK, seq: 1, ack: 1, data: bytesOf('a', 300)})
		tc.wantIdle("window full")
	})
	bubble(t, "no delay by default", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.write("a")
		tc.write("b")
		tc.want("a", seg{flags: ACK, seq: 1, ack: 1, data: "a"})
		tc.want("b", seg{flags: ACK, seq: 2, ack: 1, data: "b"})
	})
	bubble(t, "Nagle", Config{}, func(tc *testConn) {
		tc.active(SocketConfig{NoTimestamps: true, Nagle: true})
		tc.write("a")
		tc.want("nothing in flight", seg{flags: ACK, seq: 1, ack: 1, data: "a"})
		tc.write("b")
		tc.write("c")
		tc.wantIdle("a short segment in flight")
		tc.deliver(seg{flags: ACK, seq: 1, ack: 2, win: 60000})
		tc.want("together", seg{flags: ACK, seq: 2, ack: 1, data: "bc"})
		tc.write("d")
		tc.wantIdle("a short segment in flight")
		require.NoError(tc.t, tc.conn.SetNoDelay(true))
		tc.want("no delay", seg{flags: ACK, seq: 4, ack: 1, data: "d"})
	})
	bubble(t, "Nagle does not hold the last before FIN", Config{}, func(tc *testConn) {
		tc.active(SocketConfig{NoTimestamps: true, Nagle: true})
		tc.write("a")
		tc.write("b")
		require.NoError(tc.t, tc.conn.CloseWrite())
		tc.want("a", seg{flags: ACK, seq: 1, ack: 1, data: "a"})
		tc.want("b and FIN", seg{flags: ACK | FIN, seq: 2, ack: 1, data: "b"})
	})
	bubble(t, "the send buffer follows the congestion window", Config{}, func(tc *testConn) {
		tc.active(plain)
		go tc.conn.Write(make([]byte, 1<<20))
		tc.advance(time.Microsecond)
		require.Equal(tc.t, minSendBuffer, tc.conn.Info().SendQ)
		for acked := 1; tc.conn.Info().SndCwnd < 60000; {
			acked += tc.conn.Info().Unacked
			tc.deliver(seg{flags: ACK, seq: 1, ack: acked})
		}
		require.Greater(tc.t, tc.conn.Info().SendQ, 100000)
		require.NoError(tc.t, tc.conn.SetWriteBuffer(1<<20))
		tc.advance(time.Microsecond)
		tc.write("x")
	})
	bubble(t, "Write waits for room", Config{}, func(tc *testConn) {
		tc.active(SocketConfig{NoTimestamps: true, SendBuffer: 4096})
		done := make(chan int)
		go func() {
			n, _ := tc.conn.Write(make([]byte, 10000))
			done <- n
		}()
		tc.advance(time.Microsecond)
		require.Equal(tc.t, 4096, tc.conn.Info().SendQ)
		select {
		case <-done:
			tc.t.Fatal("Write returned")
		default:
		}
		tc.deliver(seg{flags: ACK, seq: 1, ack: 4097})
		tc.deliver(seg{flags: ACK, seq: 1, ack: 8193})
		require.Equal(tc.t, 10000, <-done)
	})
}

func TestRetransmission(t *testing.T) {
	bubble(t, "timeout and backoff", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.write("hello")
		data := seg{flags: ACK, seq: 1, ack: 1, data: "hello"}
		tc.want("data", data)
		rto := tc.conn.Info().RTO
		require.InDelta(tc.t, 200*time.Millisecond, rto, float64(time.Millisecond), "an RTT of nothing: the minimum")
		for i := range 4 {
			tc.advance(rto<<i - 1)
			tc.wantIdle("not yet")
			tc.advance(1)
			tc.want("retransmission", data)
		}
		i := tc.conn.Info()
		require.Equal(tc.t, "loss", i.CAState)
		require.Equal(tc.t, 1000, i.SndCwnd, "loss window")
		require.Equal(tc.t, 4, i.Retransmits)
		require.EqualValues(tc.t, 4, tc.pr.Stats()["TcpRetransSegs"])
		tc.deliver(seg{flags: ACK, seq: 1, ack: 6})
		i = tc.conn.Info()
		require.Equal(tc.t, "open", i.CAState)
		require.Zero(tc.t, i.Retransmits)
		// Karn: the ACK was no sample, the backoff stays until there is one.
		require.Equal(tc.t, 4, i.Backoff)
		tc.write("x")
		tc.want("data", seg{flags: ACK, seq: 6, ack: 1, data: "x"})
		tc.deliver(seg{flags: ACK, seq: 1, ack: 7})
		require.Zero(tc.t, tc.conn.Info().Backoff)
	})
	bubble(t, "ETIMEDOUT after tcp_retries2", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.write("x")
		start := time.Now()
		_, err := tc.conn.Read(make([]byte, 1))
		require.ErrorIs(tc.t, err, syscall.ETIMEDOUT)
		require.InDelta(tc.t, 924.6, time.Since(start).Seconds(), 0.1, "as documented for Linux")
		n := 0
		for _, ok := tc.take(); ok; _, ok = tc.take() {
			n++
		}
		require.Equal(tc.t, 16, n)
	})
	bubble(t, "user timeout", Config{}, func(tc *testConn) {
		tc.active(plain)
		require.NoError(tc.t, tc.conn.SetUserTimeout(5*time.Second))
		tc.write("x")
		start := time.Now()
		_, err := tc.conn.Read(make([]byte, 1))
		require.ErrorIs(tc.t, err, syscall.ETIMEDOUT)
		require.InDelta(tc.t, 5, time.Since(start).Seconds(), 0.01)
	})
	bubble(t, "go back after a timeout in slow start", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.write(bytesOf('a', 5000))
		for i := range 5 {
			tc.want("data", seg{flags: ACK, seq: 1 + 1000*i, ack: 1, data: bytesOf('a', 1000)})
		}
		tc.advance(tc.conn.Info().RTO)
		tc.want("the first", seg{flags: ACK, seq: 1, ack: 1, data: bytesOf('a', 1000)})
		tc.wantIdle("one segment")
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1001})
		tc.want("two more", seg{flags: ACK, seq: 1001, ack: 1, data: bytesOf('a', 1000)})
		tc.want("two more", seg{flags: ACK, seq: 2001, ack: 1, data: bytesOf('a', 1000)})
		tc.wantIdle("two segments")
		tc.deliver(seg{flags: ACK, seq: 1, ack: 5001})
		tc.wantIdle("everything is there")
		require.Equal(tc.t, "open", tc.conn.Info().CAState)
	})
	bubble(t, "fast retransmit and recovery", Config{Congestion: "reno"}, func(tc *testConn) {
		tc.active(plain)
		tc.write(bytesOf('a', 20000))
		for i := range 10 {
			tc.want("data", seg{flags: ACK, seq: 1 + 1000*i, ack: 1, data: bytesOf('a', 1000)})
		}
		dup := seg{flags: ACK, seq: 1, ack: 1, win: 60000}
		tc.deliver(dup)
		tc.want("limited transmit, RFC 3042", seg{flags: ACK, seq: 10001, ack: 1, data: bytesOf('a', 1000)})
		tc.deliver(dup)
		tc.want("limited transmit", seg{flags: ACK, seq: 11001, ack: 1, data: bytesOf('a', 1000)})
		tc.deliver(dup)
		tc.want("fast retransmit", seg{flags: ACK, seq: 1, ack: 1, data: bytesOf('a', 1000)})
		tc.wantIdle("half a window must leave first")
		i := tc.conn.Info()
		require.Equal(tc.t, "recovery", i.CAState)
		require.Equal(tc.t, 6000, i.SndSsthresh, "half of the 12 in flight")
		for range 3 {
			tc.deliver(dup)
		}
		tc.wantIdle("12 in flight, 6 have left, window 6")
		tc.deliver(dup)
		tc.want("new data on further duplicates", seg{flags: ACK, seq: 12001, ack: 1, data: bytesOf('a', 1000)})
		// Partial ACK: the fifth segment is lost as well.
		tc.deliver(seg{flags: ACK, seq: 1, ack: 4001, win: 60000})
		tc.want("RFC 6582: next hole at once", seg{flags: ACK, seq: 4001, ack: 1, data: bytesOf('a', 1000)})
		for s, ok := tc.take(); ok; s, ok = tc.take() {
			require.Greater(tc.t, s.seq, 12000, "only new data")
		}
		tc.deliver(seg{flags: ACK, seq: 1, ack: 13001, win: 60000})
		i = tc.conn.Info()
		require.Equal(tc.t, "open", i.CAState)
		require.LessOrEqual(tc.t, i.SndCwnd, 6000)
		require.EqualValues(tc.t, 2, tc.pr.Stats()["TcpExtTCPFastRetrans"])
		require.EqualValues(tc.t, 1, tc.pr.Stats()["TcpExtTCPRenoRecovery"])
		require.Zero(tc.t, tc.pr.Stats()["TcpExtTCPTimeouts"])
	})
	bubble(t, "what is no duplicate ACK", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.write(bytesOf('a', 10000))
		for range 10 {
			tc.take()
		}
		for i := range 4 { // window updates
			tc.deliver(seg{flags: ACK, seq: 1, ack: 1, win: 50000 + i})
		}
		for i := range 4 { // data
			tc.deliver(seg{flags: ACK, seq: 1 + i, ack: 1, data: "x", win: 50003})
			tc.want("ACK of the data", seg{flags: ACK, seq: 10001, ack: 2 + i})
		}
		tc.wantIdle("no retransmission")
		require.Equal(tc.t, "open", tc.conn.Info().CAState)
	})
	bubble(t, "FIN is retransmitted", Config{}, func(tc *testConn) {
		tc.state(FinWait1)
		tc.advance(201 * time.Millisecond)
		tc.want("FIN", seg{flags: FIN | ACK, seq: 1, ack: 1})
	})
	bubble(t, "partial acknowledgement of a segment", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.write("hello world")
		tc.want("data", seg{flags: ACK, seq: 1, ack: 1, data: "hello world"})
		tc.deliver(seg{flags: ACK, seq: 1, ack: 7})
		tc.advance(time.Second)
		tc.want("the rest", seg{flags: ACK, seq: 7, ack: 1, data: "world"})
	})
	bubble(t, "restart after idling", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.write(bytesOf('a', 20000))
		for ack := 1; ack < 20001; ack += 1000 {
			tc.deliver(seg{flags: ACK, seq: 1, ack: ack + 1000, win: 60000})
		}
		require.Greater(tc.t, tc.conn.Info().SndCwnd, 20000)
		tc.advance(time.Minute)
		for _, ok := tc.take(); ok; _, ok = tc.take() {
		}
		tc.write("x")
		tc.want("data", seg{flags: ACK, seq: 20001, ack: 1, data: "x"})
		require.Equal(tc.t, 10000, tc.conn.Info().SndCwnd, "RFC 5681 section 4.1")
	})
}

func TestConfirm(t *testing.T) {
	// L3-12, L3-13.
	bubble(t, "forward progress marks the next packet, once", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.write("a")
		require.False(tc.t, tc.want("data", seg{flags: ACK, seq: 1, ack: 1, data: "a"}).confirm)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 2})
		tc.write("b")
		require.True(tc.t, tc.want("data", seg{flags: ACK, seq: 2, ack: 1, data: "b"}).confirm)
		tc.write("c")
		require.False(tc.t, tc.want("data", seg{flags: ACK, seq: 3, ack: 1, data: "c"}).confirm)
	})
	bubble(t, "handshake", Config{}, func(tc *testConn) {
		done := tc.dial(plain)
		require.False(tc.t, tc.want("SYN", seg{flags: SYN}).confirm)
		tc.deliver(seg{flags: SYN | ACK, ack: 1, mss: 1000})
		require.NoError(tc.t, <-done)
		require.True(tc.t, tc.want("ACK", seg{flags: ACK, seq: 1, ack: 1}).confirm)
	})
	bubble(t, "pure duplicate ACK", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.write("a")
		tc.want("data", seg{flags: ACK, seq: 1, ack: 1, data: "a"})
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, win: 60000})
		tc.advance(201 * time.Millisecond)
		require.True(tc.t, tc.want("retransmission", seg{flags: ACK, seq: 1, ack: 1, data: "a"}).confirm)
	})
	bubble(t, "reception does not", Config{}, func(tc *testConn) {
		tc.active(plain)
		for i := range 5 {
			tc.deliver(seg{flags: ACK, seq: 1 + i, ack: 1, data: "x"})
			require.False(tc.t, tc.want("ACK", seg{flags: ACK, seq: 1, ack: 2 + i}).confirm)
		}
		tc.deliver(seg{flags: ACK, seq: 6, ack: 1, win: 1})
		tc.deliver(seg{flags: ACK, seq: 6, ack: 1, win: 2})
		tc.deliver(seg{flags: ACK, seq: -5, ack: 1})
		require.False(tc.t, tc.want("ACK", seg{flags: ACK, seq: 1, ack: 6}).confirm)
	})
}
