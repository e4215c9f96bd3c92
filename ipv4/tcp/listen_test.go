package tcp

import (
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// from makes the peer another one: its port is n, its numbers fresh.
func (tc *testConn) from(n int) {
	tc.key.rport = uint16(n)
	tc.haveISS = false
}

// knock completes a handshake from port n as far as the host lets it.
func (tc *testConn) knock(n int) (established bool) {
	tc.t.Helper()
	key := tc.key
	tc.from(n)
	key.rport = uint16(n)
	tc.key = key
	tc.deliver(seg{flags: SYN, mss: 1000})
	if _, ok := tc.take(); !ok {
		return false
	}
	tc.deliver(seg{flags: ACK, seq: 1, ack: 1})
	c := tc.pr.demux.lookup(tc.key).conn
	return c != nil && c.Info().State == Established
}

// half returns the length of the SYN queue.
func (tc *testConn) half() int {
	tc.l.mu.Lock()
	defer tc.l.mu.Unlock()
	return len(tc.l.half)
}

func TestListener(t *testing.T) {
	bubble(t, "backlog", Config{}, func(tc *testConn) {
		tc.listen(SocketConfig{NoTimestamps: true, Backlog: 2})
		for i := range 3 {
			require.True(tc.t, tc.knock(5000+i), "backlog and one more, as Linux")
		}
		require.Equal(tc.t, 3, tc.l.Info().RecvQ)
		tc.from(6000)
		tc.deliver(seg{flags: SYN})
		tc.wantIdle("SYN dropped: the accept queue is full")
		require.EqualValues(tc.t, 1, tc.pr.Stats()["TcpExtListenOverflows"])
		require.EqualValues(tc.t, 1, tc.pr.Stats()["TcpExtListenDrops"])
		require.EqualValues(tc.t, 1, tc.pr.config.Drops.Counts()["TCP_LISTEN_OVERFLOW"])
		tc.accept()
		require.Equal(tc.t, "10.0.0.2:5000", tc.conn.RemoteAddr().String(), "oldest first")
		require.True(tc.t, tc.knock(6000), "room again")
	})
	bubble(t, "SYN queue", Config{}, func(tc *testConn) {
		tc.listen(SocketConfig{Backlog: 3})
		for i := range 4 {
			tc.from(5000 + i)
			tc.deliver(seg{flags: SYN})
		}
		require.Equal(tc.t, 3, tc.half())
		tc.advance(2 * time.Minute)
		require.Zero(tc.t, tc.half(), "they time out")
		require.Empty(tc.t, tc.pr.demux.all())
	})
	bubble(t, "accept queue fills during the handshake", Config{}, func(tc *testConn) {
		tc.listen(SocketConfig{NoTimestamps: true, Backlog: 2})
		tc.from(7000)
		tc.deliver(seg{flags: SYN})
		tc.want("SYN-ACK", seg{flags: SYN | ACK, ack: 1})
		iss := tc.iss
		for i := range 3 {
			require.True(tc.t, tc.knock(5000+i))
		}
		tc.key.rport, tc.iss = 7000, iss
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1})
		require.Equal(tc.t, SynReceived, tc.pr.demux.lookup(tc.key).conn.Info().State, "the ACK is as if lost")
		tc.accept()
		tc.advance(time.Second)
		tc.want("SYN-ACK again", seg{flags: SYN | ACK, ack: 1})
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1})
		require.Equal(tc.t, Established, tc.pr.demux.lookup(tc.key).conn.Info().State)
	})
	bubble(t, "close resets what nobody accepted", Config{}, func(tc *testConn) {
		tc.listen(plain)
		require.True(tc.t, tc.knock(5000))
		tc.from(5001)
		tc.deliver(seg{flags: SYN})
		tc.take()
		require.NoError(tc.t, tc.l.Close())
		s, ok := tc.take()
		require.True(tc.t, ok)
		require.NotZero(tc.t, s.flags&RST)
		s, ok = tc.take()
		require.True(tc.t, ok)
		require.NotZero(tc.t, s.flags&RST)
		require.Empty(tc.t, tc.pr.demux.all())
		require.ErrorIs(tc.t, tc.l.Close(), net.ErrClosed)
		_, err := tc.l.Accept()
		require.ErrorIs(tc.t, err, net.ErrClosed)
	})
	bubble(t, "close wakes Accept; accepted connections live on", Config{}, func(tc *testConn) {
		tc.passive(plain)
		done := make(chan error)
		go func() {
			_, err := tc.l.Accept()
			done <- err
		}()
		synctest.Wait()
		require.NoError(tc.t, tc.l.Close())
		require.ErrorIs(tc.t, <-done, net.ErrClosed)
		tc.wantState(Established)
		tc.write("x")
		tc.want("data", seg{flags: ACK, seq: 1, ack: 1, data: "x"})
	})
	bubble(t, "SYN to a broadcast address", Config{}, func(tc *testConn) {
		l, err := tc.pr.Listen(netip.AddrPortFrom(netip.IPv4Unspecified(), 80), plain)
		require.NoError(tc.t, err)
		tc.key = tuple{laddr: addr{10, 0, 0, 255}, raddr: addr{10, 0, 0, 2}, lport: 80, rport: 5000}
		tc.deliver(seg{flags: SYN})
		tc.wantIdle("RFC 9293 MUST-57")
		require.Zero(tc.t, l.Info().RecvQ)
	})
	bubble(t, "bound to an interface", Config{}, func(tc *testConn) {
		tc.listen(SocketConfig{Interface: 3})
		in := func(iface int) {
			h, p := tc.packet(seg{flags: SYN})
			p.In = iface
			tc.ip.handler.Input(h, p)
		}
		in(2)
		s, ok := tc.take()
		require.True(tc.t, ok)
		require.Equal(tc.t, RST|ACK, s.flags, "nobody listens there")
		in(3)
		s, ok = tc.take()
		require.True(tc.t, ok)
		require.Equal(tc.t, SYN|ACK, s.flags)
	})
	bubble(t, "deadline", Config{}, func(tc *testConn) {
		tc.listen(plain)
		require.NoError(tc.t, tc.l.SetDeadline(time.Now().Add(time.Second)))
		start := time.Now()
		_, err := tc.l.Accept()
		require.ErrorIs(tc.t, err, os.ErrDeadlineExceeded)
		require.Equal(tc.t, time.Second, time.Since(start))
		require.NoError(tc.t, tc.l.SetDeadline(time.Time{}))
	})
	bubble(t, "reset in SYN-RECEIVED returns to LISTEN", Config{}, func(tc *testConn) {
		tc.state(SynReceived)
		tc.deliver(seg{flags: RST, seq: 1})
		require.Zero(tc.t, tc.half())
		require.True(tc.t, tc.knock(5000))
	})
	bubble(t, "a connection that is reset before Accept is still accepted", Config{}, func(tc *testConn) {
		tc.listen(plain)
		require.True(tc.t, tc.knock(5000))
		tc.deliver(seg{flags: RST, seq: 1})
		tc.accept()
		_, err := tc.conn.Read(make([]byte, 1))
		require.Error(tc.t, err)
	})
}
