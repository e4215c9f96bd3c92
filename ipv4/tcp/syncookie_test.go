package tcp

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/stack/random"
)

func TestCookie(t *testing.T) {
	r := random.New(1)
	s := newSecret(r)
	k := tuple{laddr: addr{10, 0, 0, 1}, raddr: addr{10, 0, 0, 2}, lport: 80, rport: 5000}
	for _, x := range []struct{ mss, want uint16 }{{0, 536}, {536, 536}, {1000, 536}, {1300, 1300}, {1448, 1440}, {1460, 1460}, {9000, 1460}} {
		for range 100 {
			irs, uptime := Seq(r.Uint32()), time.Duration(r.Int64N(int64(1000*time.Hour)))
			c := s.cookie(k, irs, x.mss, uptime)
			got, ok := s.checkCookie(k, c, irs, uptime+time.Duration(r.Int64N(int64(time.Minute))))
			require.True(t, ok)
			require.Equal(t, x.want, got)
			_, ok = s.checkCookie(k, c, irs, uptime+2*time.Minute)
			require.False(t, ok, "too old")
			_, ok = s.checkCookie(k, c, irs+100, uptime)
			require.False(t, ok, "of another SYN")
		}
	}
	forged := 0
	for range 100_000 {
		if _, ok := s.checkCookie(k, Seq(r.Uint32()), Seq(r.Uint32()), time.Hour); ok {
			forged++
		}
	}
	require.Zero(t, forged, "two in 2^32 / 4 are good by chance")
}

func TestCookieStamp(t *testing.T) {
	for _, now := range []uint32{0, 5, 63, 64, 1 << 31, 0xffffffff} {
		for scale := range uint8(15) {
			ts := cookieStamp(now, &Options{HasWindowScale: true, WindowScale: scale, SACKPermitted: scale%2 == 0}, true, true)
			require.LessOrEqual(t, int32(ts-now), int32(0), "never ahead")
			require.Greater(t, int32(ts-now), int32(-64))
			var o Options
			stampOptions(ts, &o)
			require.Equal(t, Options{HasWindowScale: true, WindowScale: scale, SACKPermitted: scale%2 == 0}, o)
		}
		var o Options
		stampOptions(cookieStamp(now, &Options{SACKPermitted: true}, true, false), &o)
		require.Equal(t, Options{}, o)
	}
}

// flood fills the SYN queue from ports of its own.
func (tc *testConn) flood(n int) {
	for i := range n {
		tc.from(20_000 + i)
		tc.deliver(seg{flags: SYN, mss: 1460})
		tc.take()
	}
	tc.from(5000)
}

func TestSyncookies(t *testing.T) {
	const backlog = 16
	listen := func(tc *testConn, sc SocketConfig) {
		sc.Backlog = backlog
		tc.listen(sc)
		tc.flood(backlog)
		tc.sent = nil
	}
	bubble(t, "a connection from a cookie", Config{}, func(tc *testConn) {
		listen(tc, SocketConfig{})
		tc.deliver(seg{flags: SYN, mss: 1460, ws: 8, ts: 100})
		s := tc.want("the SYN-ACK", seg{flags: SYN | ACK, ack: 1, mss: 1460})
		require.Equal(tc.t, backlog, tc.half(), "nothing is remembered")
		require.EqualValues(tc.t, 100, s.ecr)
		require.Nil(tc.t, tc.pr.demux.lookup(tc.key).conn)
		tc.advance(30 * time.Second)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, ts: 101, ecr: s.ts, data: "hello", win: 1000})
		tc.accept()
		i := tc.conn.Info()
		require.Equal(tc.t, Established, i.State)
		require.Equal(tc.t, 1448, i.SndMSS)
		require.True(tc.t, i.Timestamps)
		require.EqualValues(tc.t, 7, i.SndWScale)
		require.Equal(tc.t, 128_000, i.SndWnd)
		require.EqualValues(tc.t, s.ws-1, i.RcvWScale, "what the SYN-ACK said")
		tc.read("hello")
		tc.sent = nil
		tc.write("world")
		tc.want("it works", seg{flags: ACK, seq: 1, ack: 6, data: "world"})
		stats := tc.pr.Stats()
		require.EqualValues(tc.t, 1, stats["TcpExtSyncookiesSent"])
		require.EqualValues(tc.t, 1, stats["TcpExtSyncookiesRecv"])
		require.EqualValues(tc.t, 1, stats["TcpExtTCPReqQFullDoCookies"])
	})
	bubble(t, "without timestamps there is no scaling", Config{}, func(tc *testConn) {
		listen(tc, SocketConfig{})
		tc.deliver(seg{flags: SYN, mss: 1000, ws: 8})
		s := tc.want("the SYN-ACK", seg{flags: SYN | ACK, ack: 1})
		require.Zero(tc.t, s.ws)
		require.Zero(tc.t, s.ts)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1})
		tc.accept()
		i := tc.conn.Info()
		require.Equal(tc.t, 536, i.SndMSS, "the next size below")
		require.False(tc.t, i.WindowScaling)
	})
	bubble(t, "forged", Config{}, func(tc *testConn) {
		listen(tc, SocketConfig{})
		tc.deliver(seg{flags: SYN, mss: 1460})
		tc.want("the SYN-ACK", seg{flags: SYN | ACK, ack: 1})
		tc.deliver(seg{flags: ACK, seq: 1, ack: 2})
		tc.want("refused", seg{flags: RST, seq: 2})
		require.EqualValues(tc.t, 1, tc.pr.Stats()["TcpExtSyncookiesFailed"])
	})
	bubble(t, "too late", Config{}, func(tc *testConn) {
		listen(tc, SocketConfig{})
		tc.deliver(seg{flags: SYN, mss: 1460})
		tc.want("the SYN-ACK", seg{flags: SYN | ACK, ack: 1})
		tc.advance(3 * time.Minute)
		tc.sent = nil
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1})
		tc.want("refused", seg{flags: RST, seq: 1})
		require.Zero(tc.t, tc.pr.Stats()["TcpExtSyncookiesFailed"], "none is out")
	})
	bubble(t, "off", Config{NoSyncookies: true}, func(tc *testConn) {
		listen(tc, SocketConfig{})
		tc.deliver(seg{flags: SYN, mss: 1460})
		tc.wantIdle("dropped")
		require.EqualValues(tc.t, 1, tc.pr.Stats()["TcpExtTCPReqQFullDrop"])
	})
}

// A flood of SYNs from everywhere keeps nobody out and costs no memory.
func TestSYNFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tc := newTestConn(t, Config{})
		defer tc.pr.Close()
		const backlog, flood, honest = 128, 20_000, 200
		tc.listen(SocketConfig{Backlog: backlog})
		r := random.New(7)
		established := 0
		for i := range flood {
			key := tc.key
			tc.key.raddr, tc.key.rport = addr{203, byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}, uint16(r.Uint32N(60000)+1)
			tc.haveISS = false
			h, p := tc.packet(seg{flags: SYN, mss: 1460})
			tc.ip.handler.Input(h, p)
			tc.sent = nil
			tc.key = key
			if i%(flood/honest) == 0 {
				if tc.knock(1000 + i) {
					tc.accept()
					established++
				}
				tc.sent = nil
				time.Sleep(time.Millisecond)
			}
		}
		require.Equal(t, honest, established, "every one of the honest")
		require.LessOrEqual(t, tc.half(), backlog)
		require.LessOrEqual(t, len(tc.pr.demux.all()), backlog+honest)
		require.Greater(t, tc.pr.Stats()["TcpExtSyncookiesSent"], uint64(flood/2))
		t.Log(fmt.Sprint(tc.pr.Stats()["TcpExtSyncookiesSent"], " cookies"))
	})
}

func BenchmarkCookie(b *testing.B) {
	s := newSecret(random.New(1))
	k := tuple{laddr: addr{10, 0, 0, 1}, raddr: addr{10, 0, 0, 2}, lport: 80, rport: 5000}
	b.ReportAllocs()
	for b.Loop() {
		s.cookie(k, 1, 1460, time.Hour)
	}
}
