package tcp

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestECNNegotiation(t *testing.T) {
	for _, x := range []struct {
		name string
		mode ECN
		asks bool // our SYN
		ok   bool // as the passive side, of a SYN that asks
	}{{"passive", ECNPassive, false, true}, {"off", ECNOff, false, false}, {"on", ECNOn, true, true}} {
		bubble(t, x.name+", active open", Config{ECN: x.mode}, func(tc *testConn) {
			done := tc.dial(plain)
			flags := SYN
			if x.asks {
				flags |= ECE | CWR
			}
			tc.want("the SYN", seg{flags: flags})
			tc.deliver(seg{flags: SYN | ACK | ECE, ack: 1, mss: 1000})
			require.NoError(tc.t, <-done)
			require.Equal(tc.t, x.asks, tc.conn.Info().ECN)
		})
		bubble(t, x.name+", passive open", Config{ECN: x.mode}, func(tc *testConn) {
			tc.listen(plain)
			tc.deliver(seg{flags: SYN | ECE | CWR, mss: 1000})
			flags := SYN | ACK
			if x.ok {
				flags |= ECE
			}
			tc.want("the SYN-ACK", seg{flags: flags, ack: 1})
			tc.deliver(seg{flags: ACK, seq: 1, ack: 1})
			tc.accept()
			require.Equal(tc.t, x.ok, tc.conn.Info().ECN)
		})
	}
	bubble(t, "a SYN that is sent again does not ask", Config{ECN: ECNOn}, func(tc *testConn) {
		done := tc.dial(plain)
		tc.want("the SYN", seg{flags: SYN | ECE | CWR})
		tc.advance(time.Second)
		tc.want("the second", seg{flags: SYN})
		tc.deliver(seg{flags: SYN | ACK, ack: 1, mss: 1000})
		require.NoError(tc.t, <-done)
		require.False(tc.t, tc.conn.Info().ECN)
	})
	for name, s := range map[string]seg{"a marked SYN": {flags: SYN | ECE | CWR, tos: 2}, "ECE alone": {flags: SYN | ECE}} {
		bubble(t, name+" is not believed", Config{}, func(tc *testConn) {
			tc.listen(plain)
			tc.deliver(s)
			tc.want("the SYN-ACK", seg{flags: SYN | ACK, ack: 1})
		})
	}
	bubble(t, "a SYN-ACK that reflects both flags is not believed", Config{ECN: ECNOn}, func(tc *testConn) {
		done := tc.dial(plain)
		tc.want("the SYN", seg{flags: SYN | ECE | CWR})
		tc.deliver(seg{flags: SYN | ACK | ECE | CWR, ack: 1, mss: 1000})
		require.NoError(tc.t, <-done)
		require.False(tc.t, tc.conn.Info().ECN)
	})
}

// activeECN establishes a connection that uses ECN.
func (tc *testConn) activeECN() {
	tc.t.Helper()
	done := tc.dial(plain)
	tc.want("the SYN", seg{flags: SYN | ECE | CWR})
	tc.deliver(seg{flags: SYN | ACK | ECE, ack: 1, mss: 1000, win: 60000})
	require.NoError(tc.t, <-done)
	s := tc.want("the last ACK of the handshake", seg{flags: ACK, seq: 1, ack: 1})
	require.Zero(tc.t, s.tos, "an ACK is not ECN-capable")
}

func TestECN(t *testing.T) {
	bubble(t, "the receiver echoes until it hears CWR", Config{ECN: ECNOn}, func(tc *testConn) {
		tc.activeECN()
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, data: "a", tos: ecnCE})
		tc.want("at once", seg{flags: ACK | ECE, seq: 1, ack: 2})
		tc.deliver(seg{flags: ACK, seq: 2, ack: 1, data: "b", tos: ecnECT0})
		tc.want("still", seg{flags: ACK | ECE, seq: 1, ack: 3})
		tc.deliver(seg{flags: ACK | CWR, seq: 3, ack: 1, data: "c", tos: ecnECT0})
		tc.want("no more", seg{flags: ACK, seq: 1, ack: 4})
		tc.deliver(seg{flags: ACK | CWR, seq: 4, ack: 1, data: "d", tos: ecnCE})
		tc.want("CWR and a new mark", seg{flags: ACK | ECE, seq: 1, ack: 5})
		require.EqualValues(tc.t, 2, tc.pr.Stats()["IpExtInCEPkts"])
	})
	bubble(t, "the sender reduces once in a window", Config{ECN: ECNOn, Congestion: "reno"}, func(tc *testConn) {
		tc.activeECN()
		tc.write(bytesOf('a', 10_000))
		for i := range 10 {
			s := tc.want("the first window", seg{flags: ACK, seq: 1 + 1000*i, ack: 1, data: bytesOf('a', 1000)})
			require.EqualValues(tc.t, ecnECT0, s.tos)
		}
		tc.deliver(seg{flags: ACK | ECE, seq: 1, ack: 5001})
		require.Equal(tc.t, 2500, tc.conn.Info().SndCwnd, "half of what is in flight")
		tc.deliver(seg{flags: ACK | ECE, seq: 1, ack: 8001})
		require.EqualValues(tc.t, 1, tc.pr.Stats()["TcpExtTCPECNReductions"], "the same window")
		tc.deliver(seg{flags: ACK | ECE, seq: 1, ack: 9001})
		tc.write(bytesOf('b', 2000))
		s := tc.want("new data says so", seg{flags: ACK | CWR, seq: 10_001, ack: 1, data: bytesOf('b', 1000)})
		require.EqualValues(tc.t, ecnECT0, s.tos)
		tc.deliver(seg{flags: ACK | ECE, seq: 1, ack: 10_001})
		tc.want("once", seg{flags: ACK, seq: 11_001, ack: 1, data: bytesOf('b', 1000)})
		tc.deliver(seg{flags: ACK | ECE, seq: 1, ack: 11_001})
		require.EqualValues(tc.t, 2, tc.pr.Stats()["TcpExtTCPECNReductions"], "the next window")
	})
	bubble(t, "a retransmission is not ECN-capable", Config{ECN: ECNOn}, func(tc *testConn) {
		tc.activeECN()
		tc.write("x")
		require.EqualValues(tc.t, ecnECT0, tc.want("new", seg{flags: ACK, seq: 1, ack: 1, data: "x"}).tos)
		tc.advance(time.Second)
		require.Zero(tc.t, tc.want("again", seg{flags: ACK, seq: 1, ack: 1, data: "x"}).tos)
	})
}

// Through a bottleneck that marks instead of dropping nothing is lost.
func TestECNTransfer(t *testing.T) {
	for _, ecn := range []ECN{ECNOff, ECNOn} {
		synctest.Test(t, func(t *testing.T) {
			p := newTestPair(t, faults{delay: 10 * time.Millisecond, rate: 2_500_000, queue: 100_000, mark: 20_000}, 1, Config{ECN: ecn})
			defer p.close(t)
			client, server := p.connect(t, SocketConfig{})
			const size = 8 << 20
			go func() {
				io.Copy(client, pattern(7, size))
				client.CloseWrite()
			}()
			start := time.Now()
			n, err := io.Copy(io.Discard, server)
			require.NoError(t, err)
			require.EqualValues(t, size, n)
			stats := p.a.Stats()
			t.Logf("ECN %v: %v, %d retransmitted, %d reductions", ecn == ECNOn, time.Since(start), stats["TcpRetransSegs"], stats["TcpExtTCPECNReductions"])
			if ecn == ECNOn {
				require.Positive(t, stats["TcpExtTCPECNReductions"])
				require.Less(t, stats["TcpRetransSegs"], uint64(20), "slow start may still overrun the queue")
				require.Less(t, time.Since(start), 5*time.Second)
			} else {
				require.Zero(t, stats["TcpExtTCPECNReductions"])
			}
			client.Close()
			server.Close()
		})
	}
}
