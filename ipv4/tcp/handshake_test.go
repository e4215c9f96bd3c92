package tcp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHandshake(t *testing.T) {
	bubble(t, "active", Config{}, func(tc *testConn) {
		done := tc.dial(SocketConfig{})
		syn := tc.want("SYN with every option", seg{flags: SYN, mss: 1460, ws: 8, win: 65535})
		require.NotZero(tc.t, syn.ts)
		require.True(tc.t, syn.df)
		tc.deliver(seg{flags: SYN | ACK, ack: 1, mss: 1460, ws: 3, ts: 7, ecr: syn.ts})
		require.NoError(tc.t, <-done)
		ack := tc.want("ACK", seg{flags: ACK, seq: 1, ack: 1, confirm: true})
		require.EqualValues(tc.t, 7, ack.ecr)
		i := tc.conn.Info()
		require.Equal(tc.t, Established, i.State)
		require.Equal(tc.t, 1448, i.SndMSS)
		require.Equal(tc.t, uint8(2), i.SndWScale)
		require.Equal(tc.t, uint8(7), i.RcvWScale)
		require.Equal(tc.t, 14480, i.SndCwnd)
		require.True(tc.t, i.Timestamps)
		require.EqualValues(tc.t, 1, tc.pr.Stats()["TcpActiveOpens"])
		require.EqualValues(tc.t, 1, tc.pr.Stats()["TcpCurrEstab"])
	})
	bubble(t, "active, peer without options", Config{}, func(tc *testConn) {
		done := tc.dial(SocketConfig{})
		tc.want("SYN", seg{flags: SYN})
		tc.deliver(seg{flags: SYN | ACK, ack: 1})
		require.NoError(tc.t, <-done)
		require.Zero(tc.t, tc.want("ACK", seg{flags: ACK, seq: 1, ack: 1, win: 65535}).ts)
		i := tc.conn.Info()
		require.Equal(tc.t, 536, i.SndMSS)
		require.Zero(tc.t, i.RcvWScale)
		require.False(tc.t, i.WindowScaling)
	})
	bubble(t, "passive", Config{}, func(tc *testConn) {
		tc.listen(SocketConfig{})
		tc.deliver(seg{flags: SYN, mss: 1400, ws: 1, ts: 9})
		sa := tc.want("SYN-ACK that echoes the options", seg{flags: SYN | ACK, ack: 1, mss: 1460, ws: 8, win: 65535})
		require.EqualValues(tc.t, 9, sa.ecr)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, ts: 10, ecr: sa.ts})
		tc.accept()
		require.Equal(tc.t, 1388, tc.conn.Info().SndMSS)
		require.EqualValues(tc.t, 1, tc.pr.Stats()["TcpPassiveOpens"])
		require.Equal(tc.t, "10.0.0.1:80", tc.conn.LocalAddr().String())
		require.Equal(tc.t, "10.0.0.2:5000", tc.conn.RemoteAddr().String())
	})
	bubble(t, "passive, data with the last ACK", Config{}, func(tc *testConn) {
		tc.listen(plain)
		tc.deliver(seg{flags: SYN})
		tc.want("SYN-ACK", seg{flags: SYN | ACK, ack: 1})
		tc.deliver(seg{flags: ACK | FIN, seq: 1, ack: 1, data: "hello"})
		tc.want("ACK", seg{flags: ACK, seq: 1, ack: 7})
		tc.accept()
		tc.read("hello")
		tc.wantState(CloseWait)
	})
	bubble(t, "active, data and FIN with the SYN-ACK", Config{}, func(tc *testConn) {
		done := tc.dial(plain)
		tc.want("SYN", seg{flags: SYN})
		tc.deliver(seg{flags: SYN | ACK | FIN, ack: 1, mss: 1000, data: "hello"})
		require.NoError(tc.t, <-done)
		tc.want("ACK of everything", seg{flags: ACK, seq: 1, ack: 7})
		tc.read("hello")
		tc.wantState(CloseWait)
	})
	bubble(t, "simultaneous open", Config{}, func(tc *testConn) {
		// RFC 9293 figure 8.
		done := tc.dial(plain)
		tc.want("SYN", seg{flags: SYN})
		tc.deliver(seg{flags: SYN, mss: 1000})
		tc.want("SYN-ACK", seg{flags: SYN | ACK, seq: 0, ack: 1})
		tc.deliver(seg{flags: SYN | ACK, seq: 0, ack: 1, mss: 1000})
		require.NoError(tc.t, <-done)
		tc.wantState(Established)
		tc.wantIdle("the peer has everything")
		tc.write("x")
		tc.want("data", seg{flags: ACK, seq: 1, ack: 1, data: "x"})
	})
	bubble(t, "simultaneous open ended by a plain ACK", Config{}, func(tc *testConn) {
		done := tc.dial(plain)
		tc.want("SYN", seg{flags: SYN})
		tc.deliver(seg{flags: SYN, mss: 1000})
		tc.want("SYN-ACK", seg{flags: SYN | ACK, ack: 1})
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1})
		require.NoError(tc.t, <-done)
	})
	bubble(t, "half-open peer: an ACK out of nowhere is reset", Config{}, func(tc *testConn) {
		// RFC 9293 figure 10.
		done := tc.dial(plain)
		tc.want("SYN", seg{flags: SYN})
		tc.deliver(seg{flags: ACK, seq: 300, ack: 100})
		tc.want("RST", seg{flags: RST, seq: 100})
		tc.advance(time.Second)
		tc.want("SYN again", seg{flags: SYN})
		tc.deliver(seg{flags: SYN | ACK, ack: 1})
		require.NoError(tc.t, <-done)
	})
}

func TestHandshakeFailures(t *testing.T) {
	bubble(t, "refused", Config{}, func(tc *testConn) {
		done := tc.dial(plain)
		tc.want("SYN", seg{flags: SYN})
		tc.deliver(seg{flags: RST | ACK, ack: 1})
		err := <-done
		require.ErrorIs(tc.t, err, syscall.ECONNREFUSED)
		var op *net.OpError
		require.ErrorAs(tc.t, err, &op)
		require.Equal(tc.t, "dial", op.Op)
		require.Regexp(tc.t, `^dial tcp 10.0.0.1:\d+->10.0.0.2:80: connect: connection refused$`, err.Error())
		tc.wantIdle("no answer to a reset")
	})
	bubble(t, "a reset without ACK or for another SYN is ignored", Config{}, func(tc *testConn) {
		done := tc.dial(plain)
		tc.want("SYN", seg{flags: SYN})
		tc.deliver(seg{flags: RST, seq: 0})
		tc.deliver(seg{flags: RST | ACK, ack: 5})
		tc.deliver(seg{flags: SYN | ACK, ack: 1})
		require.NoError(tc.t, <-done)
	})
	bubble(t, "no answer", Config{}, func(tc *testConn) {
		done := tc.dial(plain)
		start := time.Now()
		tc.want("SYN", seg{flags: SYN})
		for i, at := range []int{1, 3, 7, 15, 31, 63} {
			tc.advance(time.Until(start.Add(time.Duration(at)*time.Second - 1)))
			tc.wantIdle("not yet")
			tc.advance(1)
			tc.want("SYN again", seg{flags: SYN})
			require.EqualValues(tc.t, i+1, tc.pr.Stats()["TcpExtTCPSynRetrans"])
		}
		require.ErrorIs(tc.t, <-done, syscall.ETIMEDOUT)
		require.Equal(tc.t, 127*time.Second, time.Since(start))
	})
	bubble(t, "no answer to the SYN-ACK", Config{}, func(tc *testConn) {
		tc.listen(plain)
		tc.deliver(seg{flags: SYN})
		n := 0
		for tc.advance(64 * time.Second); ; n++ {
			if _, ok := tc.take(); !ok {
				break
			}
		}
		require.Equal(tc.t, 6, n, "tcp_synack_retries 5")
		require.Nil(tc.t, tc.pr.demux.lookup(tc.key).conn)
		require.Zero(tc.t, tc.half())
	})
	bubble(t, "retransmitted SYN is answered by the SYN-ACK again", Config{}, func(tc *testConn) {
		tc.state(SynReceived)
		tc.deliver(seg{flags: SYN, mss: 1000})
		tc.want("SYN-ACK", seg{flags: SYN | ACK, ack: 1})
	})
	bubble(t, "context ends", Config{}, func(tc *testConn) {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() {
			_, err := tc.pr.Dial(ctx, netip.AddrPort{}, netip.MustParseAddrPort("10.0.0.2:80"), plain)
			done <- err
		}()
		tc.want("SYN", seg{flags: SYN})
		cancel()
		require.ErrorIs(tc.t, <-done, context.Canceled)
		tc.advance(time.Minute)
		tc.wantIdle("given up")
		require.Empty(tc.t, tc.pr.demux.all())
	})
	bubble(t, "deadline of the context is a timeout", Config{}, func(tc *testConn) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, err := tc.pr.Dial(ctx, netip.AddrPort{}, netip.MustParseAddrPort("10.0.0.2:80"), plain)
		var ne net.Error
		require.True(tc.t, errors.As(err, &ne) && ne.Timeout())
	})
	bubble(t, "addresses", Config{}, func(tc *testConn) {
		dial := func(l, r string) error {
			var laddr netip.AddrPort
			if l != "" {
				laddr = netip.MustParseAddrPort(l)
			}
			_, err := tc.pr.Dial(context.Background(), laddr, netip.MustParseAddrPort(r), plain)
			return err
		}
		require.ErrorIs(tc.t, dial("", "203.0.113.1:80"), syscall.ENETUNREACH)
		require.ErrorIs(tc.t, dial("10.9.9.9:0", "10.0.0.2:80"), syscall.EADDRNOTAVAIL)
		require.ErrorIs(tc.t, dial("", "[2001:db8::1]:80"), syscall.EAFNOSUPPORT)
		_, err := tc.pr.Listen(netip.MustParseAddrPort("10.9.9.9:80"), plain)
		require.ErrorIs(tc.t, err, syscall.EADDRNOTAVAIL)
		l, err := tc.pr.Listen(netip.MustParseAddrPort("0.0.0.0:80"), plain)
		require.NoError(tc.t, err)
		_, err = tc.pr.Listen(netip.MustParseAddrPort("10.0.0.1:80"), plain)
		require.ErrorIs(tc.t, err, syscall.EADDRINUSE)
		require.EqualError(tc.t, err, "listen tcp 10.0.0.1:80: bind: address already in use")
		require.NoError(tc.t, l.Close())
		l, err = tc.pr.Listen(netip.AddrPort{}, plain)
		require.NoError(tc.t, err)
		require.GreaterOrEqual(tc.t, l.Addr().(*net.TCPAddr).Port, firstEphemeral)
	})
	bubble(t, "fixed local port is claimed once", Config{}, func(tc *testConn) {
		laddr := netip.MustParseAddrPort("10.0.0.1:4000")
		raddr := netip.MustParseAddrPort("10.0.0.2:80")
		done := make(chan error)
		go func() {
			_, err := tc.pr.Dial(context.Background(), laddr, raddr, plain)
			done <- err
		}()
		synctest.Wait()
		_, err := tc.pr.Dial(context.Background(), laddr, raddr, plain)
		require.ErrorIs(tc.t, err, syscall.EADDRINUSE)
		tc.want("SYN", seg{flags: SYN})
		tc.deliver(seg{flags: RST | ACK, ack: 1})
		require.Error(tc.t, <-done)
	})
	bubble(t, "closed host", Config{}, func(tc *testConn) {
		done := tc.dial(plain)
		tc.pr.Close()
		require.ErrorIs(tc.t, <-done, net.ErrClosed)
		_, err := tc.pr.Listen(netip.AddrPort{}, plain)
		require.ErrorIs(tc.t, err, net.ErrClosed)
	})
}
