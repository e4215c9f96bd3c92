package tcp

import (
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

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
