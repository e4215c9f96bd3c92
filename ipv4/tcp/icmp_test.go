package tcp

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
)

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
