package tcp

import (
	"context"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// passiveTimeWait brings a connection that the peer opened into TIME-WAIT.
func (tc *testConn) passiveTimeWait(sc SocketConfig, ts uint32) {
	tc.t.Helper()
	tc.listen(sc)
	tc.deliver(seg{flags: SYN, mss: 1000, ts: ts})
	sa := tc.want("SYN-ACK", seg{flags: SYN | ACK, ack: 1})
	tc.deliver(seg{flags: ACK, seq: 1, ack: 1, ts: ts, ecr: sa.ts})
	tc.accept()
	require.NoError(tc.t, tc.conn.Close())
	tc.want("FIN", seg{flags: FIN | ACK, seq: 1, ack: 1})
	tc.deliver(seg{flags: FIN | ACK, seq: 1, ack: 2, ts: ts, ecr: sa.ts})
	tc.want("ACK", seg{flags: ACK, seq: 2, ack: 2})
	require.NotNil(tc.t, tc.pr.demux.lookup(tc.key).tw)
}

func TestTimeWait(t *testing.T) {
	bubble(t, "lasts 60 s", Config{}, func(tc *testConn) {
		tc.state(TimeWait)
		tc.advance(time.Minute - 1)
		require.NotNil(tc.t, tc.pr.demux.lookup(tc.key).tw)
		require.Equal(tc.t, TimeWait, tc.pr.Sockets()[0].State)
		tc.advance(1)
		require.Empty(tc.t, tc.pr.demux.all())
		require.EqualValues(tc.t, 1, tc.pr.Stats()["TcpExtTW"])
	})
	bubble(t, "the peer's FIN again restarts it", Config{}, func(tc *testConn) {
		tc.state(TimeWait)
		tc.advance(50 * time.Second)
		tc.deliver(seg{flags: FIN | ACK, seq: 1, ack: 2})
		tc.want("ACK again", seg{flags: ACK, seq: 2, ack: 2})
		tc.advance(50 * time.Second)
		require.NotNil(tc.t, tc.pr.demux.lookup(tc.key).tw)
		tc.advance(10 * time.Second)
		require.Empty(tc.t, tc.pr.demux.all())
	})
	bubble(t, "SYN with a higher number opens a new connection", Config{}, func(tc *testConn) {
		tc.passiveTimeWait(plain, 0)
		old := tc.iss
		tc.haveISS = false
		tc.irs = tc.irs.Add(100000)
		tc.deliver(seg{flags: SYN})
		tc.want("SYN-ACK", seg{flags: SYN | ACK, ack: 1})
		require.Equal(tc.t, old.Add(2+0xffff+2), tc.iss, "numbers past the old connection's")
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1})
		tc.accept()
	})
	bubble(t, "SYN with a lower number does not", Config{}, func(tc *testConn) {
		tc.passiveTimeWait(plain, 0)
		tc.deliver(seg{flags: SYN, seq: -100})
		tc.want("ACK", seg{flags: ACK, seq: 2, ack: 2})
		require.NotNil(tc.t, tc.pr.demux.lookup(tc.key).tw)
	})
	bubble(t, "SYN with a lower number but a newer timestamp does, RFC 6191", Config{}, func(tc *testConn) {
		tc.passiveTimeWait(SocketConfig{}, 1000)
		tc.haveISS = false
		tc.irs = tc.irs.Add(-100000)
		tc.deliver(seg{flags: SYN, ts: 1001})
		tc.want("SYN-ACK", seg{flags: SYN | ACK, ack: 1})
	})
	bubble(t, "SYN without a listener does not", Config{}, func(tc *testConn) {
		tc.state(TimeWait)
		tc.deliver(seg{flags: SYN, seq: 100000})
		tc.want("ACK", seg{flags: ACK, seq: 2, ack: 2})
	})
	bubble(t, "the user reads what is left", Config{}, func(tc *testConn) {
		tc.state(FinWait2)
		tc.deliver(seg{flags: FIN | ACK, seq: 1, ack: 2, data: "last words"})
		tc.want("ACK", seg{flags: ACK, seq: 2, ack: 12})
		tc.wantState(TimeWait)
		tc.advance(2 * time.Minute)
		tc.read("last words")
		require.NoError(tc.t, tc.conn.Close())
		tc.wantIdle("long gone")
	})
	bubble(t, "Dial takes the place of an old one", Config{}, func(tc *testConn) {
		laddr, raddr := netip.MustParseAddrPort("10.0.0.1:4000"), netip.MustParseAddrPort("10.0.0.2:80")
		done := make(chan error, 1)
		dial := func() {
			c, err := tc.pr.Dial(context.Background(), laddr, raddr, SocketConfig{})
			tc.conn = c
			done <- err
		}
		go dial()
		syn := tc.want("SYN", seg{flags: SYN})
		tc.deliver(seg{flags: SYN | ACK, ack: 1, ts: 1000, ecr: syn.ts})
		require.NoError(tc.t, <-done)
		require.NoError(tc.t, tc.conn.Close())
		tc.deliver(seg{flags: FIN | ACK, seq: 1, ack: 2, ts: 1000, ecr: syn.ts})
		require.NotNil(tc.t, tc.pr.demux.lookup(tc.key).tw)
		for _, ok := tc.take(); ok; _, ok = tc.take() {
		}
		go dial()
		require.ErrorIs(tc.t, <-done, syscall.EADDRINUSE, "its timestamps prove nothing yet")
		tc.advance(2 * time.Second)
		old := tc.iss
		tc.haveISS = false
		go dial()
		tc.want("SYN", seg{flags: SYN})
		require.Equal(tc.t, old.Add(2+0xffff+2), tc.iss)
		require.EqualValues(tc.t, 1, tc.pr.Stats()["TcpExtTWRecycled"])
		tc.advance(2 * time.Minute)
		require.NotNil(tc.t, tc.pr.demux.lookup(tc.key).conn, "the old one's end takes nothing along")
		tc.deliver(seg{flags: RST | ACK, ack: 1})
		require.Error(tc.t, <-done)
	})
	bubble(t, "no more than tcp_max_tw_buckets", Config{MaxTimeWait: 2}, func(tc *testConn) {
		tc.listen(plain)
		for i := range 4 {
			require.True(tc.t, tc.knock(5000+i))
			tc.accept()
			require.NoError(tc.t, tc.conn.Close())
			tc.take()
			tc.deliver(seg{flags: FIN | ACK, seq: 1, ack: 2})
			tc.take()
		}
		require.Len(tc.t, tc.pr.demux.all(), 2)
		require.EqualValues(tc.t, 2, tc.pr.Stats()["TcpExtTCPTimeWaitOverflow"])
	})
}
