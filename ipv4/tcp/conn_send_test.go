package tcp

import (
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
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
	bubble(t, "fast retransmit and recovery", Config{}, func(tc *testConn) {
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

func TestZeroWindow(t *testing.T) {
	bubble(t, "probes for ever while the peer answers", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, win: -1})
		tc.write("hello")
		tc.wantIdle("the window is closed")
		require.Equal(tc.t, "persist", tc.conn.Info().Timer)
		for i := range 40 {
			tc.advance(min(200*time.Millisecond<<i, maxRTO))
			if i >= 10 {
				tc.advance(maxRTO)
			}
			for ok := true; ok; {
				var s seg
				if s, ok = tc.take(); ok {
					require.Equal(tc.t, 0, s.seq, "an old octet, without data")
					tc.deliver(seg{flags: ACK, seq: 1, ack: 1, win: -1})
				}
			}
		}
		require.Greater(tc.t, tc.pr.Stats()["TcpExtTCPWinProbe"], uint64(15))
		tc.wantState(Established)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, win: 1000})
		tc.want("window opened", seg{flags: ACK, seq: 1, ack: 1, data: "hello"})
	})
	bubble(t, "backoff, and the end without answers", Config{Retries: 4}, func(tc *testConn) {
		tc.active(plain)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, win: -1})
		tc.write("hello")
		rto := tc.conn.Info().RTO
		for i := range 4 {
			tc.advance(rto<<i - 1)
			tc.wantIdle("not yet")
			tc.advance(1)
			tc.want("probe", seg{flags: ACK, seq: 0, ack: 1})
		}
		tc.advance(rto << 4)
		tc.wantState(Closed)
		_, err := tc.conn.Write([]byte("x"))
		require.ErrorIs(tc.t, err, syscall.ETIMEDOUT)
	})
	bubble(t, "a window too small is used in the end", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, win: 100})
		tc.write(bytesOf('a', 1000))
		tc.wantIdle("silly window avoidance")
		tc.advance(tc.conn.Info().RTO)
		tc.want("override", seg{flags: ACK, seq: 1, ack: 1, data: bytesOf('a', 100)})
	})
	bubble(t, "FIN waits for the window", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, win: -1})
		require.NoError(tc.t, tc.conn.CloseWrite())
		tc.wantIdle("no room for it")
		tc.advance(tc.conn.Info().RTO)
		tc.want("probe", seg{flags: ACK, seq: 0, ack: 1})
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, win: 100})
		tc.want("FIN", seg{flags: FIN | ACK, seq: 1, ack: 1})
	})
}

func TestKeepAlive(t *testing.T) {
	k := net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 10 * time.Second, Count: 3}
	bubble(t, "vanished peer", Config{}, func(tc *testConn) {
		tc.active(plain)
		require.NoError(tc.t, tc.conn.SetKeepAliveConfig(k))
		tc.advance(time.Minute - 1)
		tc.wantIdle("not yet")
		tc.advance(1)
		tc.want("probe", seg{flags: ACK, seq: 0, ack: 1})
		tc.advance(10 * time.Second)
		tc.want("probe", seg{flags: ACK, seq: 0, ack: 1})
		tc.advance(10 * time.Second)
		tc.want("probe", seg{flags: ACK, seq: 0, ack: 1})
		tc.advance(10 * time.Second)
		tc.want("RST", seg{flags: RST | ACK, seq: 1, ack: 1})
		_, err := tc.conn.Read(make([]byte, 1))
		require.ErrorIs(tc.t, err, syscall.ETIMEDOUT)
	})
	bubble(t, "SetKeepAlivePeriod", Config{}, func(tc *testConn) {
		tc.active(plain)
		require.NoError(tc.t, tc.conn.SetKeepAlivePeriod(time.Second))
		tc.advance(time.Minute)
		tc.wantIdle("still off")
		require.NoError(tc.t, tc.conn.SetKeepAlive(true))
		tc.want("long idle", seg{flags: ACK, seq: 0, ack: 1})
		tc.advance(time.Second)
		tc.want("probe", seg{flags: ACK, seq: 0, ack: 1})
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1})
		tc.write("x")
		tc.want("data", seg{flags: ACK, seq: 1, ack: 1, data: "x"})
		tc.advance(1100 * time.Millisecond)
		for s, ok := tc.take(); ok; s, ok = tc.take() {
			require.Equal(tc.t, "x", s.data, "retransmission instead of probes")
		}
	})
	bubble(t, "peer that answers", Config{}, func(tc *testConn) {
		tc.active(SocketConfig{NoTimestamps: true, KeepAlive: k})
		for range 20 {
			tc.advance(time.Minute)
			tc.want("probe", seg{flags: ACK, seq: 0, ack: 1})
			tc.deliver(seg{flags: ACK, seq: 1, ack: 1})
		}
		require.NoError(tc.t, tc.conn.SetKeepAlive(false))
		tc.advance(time.Hour)
		tc.wantIdle("switched off")
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

func TestICMP(t *testing.T) {
	report := func(tc *testConn, e ipv4.TransportError, seq int) {
		h := Header{SrcPort: tc.key.lport, DstPort: tc.key.rport, Seq: tc.iss.Add(seq)}
		b := make([]byte, MinHeaderLen)
		h.Put(b)
		e.Payload = b[:8]
		e.Inner.Src, e.Inner.Dst = tc.ip.addr, tc.conn4()
		tc.ip.handler.Error(e)
	}
	unreachable := ipv4.TransportError{Type: ipv4.TypeUnreachable, Code: ipv4.CodeHostUnreachable, Errno: syscall.EHOSTUNREACH}
	bubble(t, "SYN-SENT fails at once", Config{}, func(tc *testConn) {
		done := tc.dial(plain)
		tc.want("SYN", seg{flags: SYN})
		report(tc, unreachable, 77)
		tc.wantIdle("not about our SYN")
		require.EqualValues(tc.t, 1, tc.pr.Stats()["TcpExtOutOfWindowIcmps"])
		report(tc, unreachable, 0)
		require.ErrorIs(tc.t, <-done, syscall.EHOSTUNREACH)
		require.Empty(tc.t, tc.pr.demux.all())
	})
	bubble(t, "established: kept, and the reason of a later timeout", Config{Retries: 2}, func(tc *testConn) {
		tc.active(plain)
		tc.write("x")
		report(tc, unreachable, 1)
		tc.wantState(Established)
		require.Equal(tc.t, syscall.EHOSTUNREACH, tc.conn.Info().SoftError)
		_, err := tc.conn.Read(make([]byte, 1))
		require.ErrorIs(tc.t, err, syscall.EHOSTUNREACH)
	})
	bubble(t, "established: hard errors are soft, RFC 5927", Config{}, func(tc *testConn) {
		tc.active(plain)
		report(tc, ipv4.TransportError{Type: ipv4.TypeUnreachable, Code: ipv4.CodePortUnreachable, Errno: syscall.ECONNREFUSED, Hard: true}, 1)
		tc.wantState(Established)
	})
	bubble(t, "fragmentation needed", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.write(bytesOf('a', 2000))
		tc.want("data", seg{flags: ACK, seq: 1, ack: 1, data: bytesOf('a', 1000)})
		tc.want("data", seg{flags: ACK, seq: 1001, ack: 1, data: bytesOf('a', 1000)})
		report(tc, ipv4.TransportError{Type: ipv4.TypeUnreachable, Code: ipv4.CodeFragNeeded, Errno: syscall.EMSGSIZE, Info: 640}, 1)
		for seq := 1; seq <= 1800; {
			s, ok := tc.take()
			require.True(tc.t, ok, "at %d", seq)
			require.Equal(tc.t, seq, s.seq)
			require.LessOrEqual(tc.t, len(s.data), 600)
			seq += len(s.data)
		}
		require.Equal(tc.t, 600, tc.conn.Info().SndMSS)
		require.Equal(tc.t, 10000, tc.conn.Info().SndCwnd, "no congestion")
	})
	bubble(t, "a path MTU under min_pmtu is left to fragmentation", Config{}, func(tc *testConn) {
		tc.active(plain)
		report(tc, ipv4.TransportError{Type: ipv4.TypeUnreachable, Code: ipv4.CodeFragNeeded, Errno: syscall.EMSGSIZE, Info: 100}, 1)
		require.Equal(tc.t, 512, tc.conn.Info().SndMSS)
		tc.write("x")
		require.False(tc.t, tc.want("data", seg{flags: ACK, seq: 1, ack: 1, data: "x"}).df)
	})
	bubble(t, "an unreachable message undoes a doubling of the timeout, RFC 6069", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.write("x")
		data := seg{flags: ACK, seq: 1, ack: 1, data: "x"}
		tc.want("data", data)
		rto := tc.conn.Info().RTO
		report(tc, unreachable, 1)
		tc.wantIdle("not a retransmission")
		tc.advance(rto)
		tc.want("retransmission", data)
		tc.advance(rto / 2)
		report(tc, unreachable, 1)
		require.Zero(tc.t, tc.conn.Info().Backoff)
		tc.advance(rto/2 - 1)
		tc.wantIdle("not yet")
		tc.advance(1)
		tc.want("retransmission", data)
		tc.advance(rto * 3 / 2)
		report(tc, unreachable, 1)
		tc.want("the shorter timeout is over", data)
	})
	bubble(t, "SYN-RECEIVED", Config{}, func(tc *testConn) {
		tc.state(SynReceived)
		hard := ipv4.TransportError{Type: ipv4.TypeUnreachable, Code: ipv4.CodePortUnreachable, Errno: syscall.ECONNREFUSED, Hard: true}
		report(tc, hard, 0)
		tc.wantState(SynReceived)
		report(tc, unreachable, 1)
		tc.wantState(SynReceived)
		report(tc, unreachable, 0)
		tc.wantState(Closed)
		require.Zero(tc.t, tc.half())
	})
	bubble(t, "others are ignored", Config{}, func(tc *testConn) {
		tc.active(plain)
		report(tc, ipv4.TransportError{Type: ipv4.TypeRedirect}, 1)
		tc.ip.handler.Error(ipv4.TransportError{Payload: []byte("short")})
		require.NoError(tc.t, tc.conn.Info().SoftError)
		require.NoError(tc.t, tc.conn.Abort())
		report(tc, unreachable, 1)
	})
	bubble(t, "the interface's MTU falls", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.mu.Lock()
		tc.fail = syscall.EMSGSIZE
		tc.mu.Unlock()
		tc.ip.mtu = 840
		tc.write(bytesOf('a', 1000))
		require.Equal(tc.t, 800, tc.conn.Info().SndMSS)
		tc.mu.Lock()
		tc.fail = nil
		tc.mu.Unlock()
		tc.advance(time.Second)
		tc.want("in smaller segments", seg{flags: ACK, seq: 1, ack: 1, data: bytesOf('a', 800)})
	})
	bubble(t, "no route when connecting", Config{}, func(tc *testConn) {
		tc.fail = syscall.EHOSTUNREACH
		require.ErrorIs(tc.t, <-tc.dial(plain), syscall.EHOSTUNREACH)
	})
}
