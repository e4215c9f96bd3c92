package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestUsage(t *testing.T) {
	start := func() (u usage, w window) {
		w.start(1000, false)
		return usage{end: 1}, w
	}
	t.Run("slow start needs half of the window", func(t *testing.T) {
		u, w := start()
		u.sent(5000, 1, 5001, false, &w, 1)
		require.False(t, u.full(&w), "5 of 10")
		u.sent(6000, 1, 6001, false, &w, 1)
		require.True(t, u.full(&w))
	})
	t.Run("congestion avoidance needs all of it, once in a round trip", func(t *testing.T) {
		u, w := start()
		w.ssthresh = 10_000
		u.sent(9000, 1, 9001, false, &w, 1)
		require.False(t, u.full(&w))
		u.sent(10_000, 1, 10_001, true, &w, 1)
		require.True(t, u.full(&w))
		u.sent(3000, 8000, 11_000, false, &w, 1)
		require.True(t, u.full(&w), "in the same round trip")
		u.sent(3000, 10_001, 13_000, false, &w, 1)
		require.False(t, u.full(&w), "in the next")
	})
	t.Run("unused for a timeout it decays halfway", func(t *testing.T) {
		u, w := start()
		w.set(100_000)
		w.ssthresh = 50_000
		at := moment(1)
		u.decay(&w, time.Second, at)
		u.sent(20_000, 1, 20_001, false, &w, at)
		u.decay(&w, time.Second, at+moment(time.Second)-1)
		require.Equal(t, 100_000, w.cwnd)
		u.decay(&w, time.Second, at+moment(time.Second))
		require.Equal(t, 60_000, w.cwnd)
		require.Equal(t, 75_000, w.ssthresh, "three quarters of what it was good for")
		u.decay(&w, time.Second, at+moment(2*time.Second))
		require.Equal(t, 35_000, w.cwnd, "nothing was used: to the initial window")
	})
}

func TestIdleRestart(t *testing.T) {
	t.Run("halved for each timeout, to the initial window", func(t *testing.T) {
		for _, x := range []struct {
			pause time.Duration
			want  int
		}{{time.Second, 100_000}, {1500 * time.Millisecond, 50_000}, {2500 * time.Millisecond, 25_000}, {time.Minute, 10_000}} {
			var w window
			w.start(1000, false)
			w.set(100_000)
			w.restart(x.pause, time.Second)
			require.Equal(t, x.want, w.cwnd, "%v", x.pause)
			require.Equal(t, maxCongestionWindow, w.ssthresh)
		}
	})
	for _, keep := range []bool{false, true} {
		name := map[bool]string{false: "by default", true: "not with tcp_slow_start_after_idle=0"}[keep]
		bubble(t, name, Config{NoSlowStartAfterIdle: keep}, func(tc *testConn) {
			tc.active(plain)
			tc.conn.mu.Lock()
			tc.conn.win.set(50_000)
			tc.conn.win.ssthresh = 40_000
			tc.conn.mu.Unlock()
			tc.advance(time.Minute)
			tc.write("x")
			tc.want("the first after a pause", seg{flags: ACK, seq: 1, ack: 1, data: "x"})
			want := 10_000
			if keep {
				want = 50_000
			}
			require.Equal(tc.t, want, tc.conn.Info().SndCwnd)
		})
	}
}

func TestDeliveryRate(t *testing.T) {
	f := &flow{}
	at := moment(time.Second)
	f.arrived(1000, 1000, 11_000, false, at)
	require.Zero(t, f.rate)
	for i := range 10 {
		f.arrived(1000, Seq(2000+1000*i), Seq(12_000+1000*i), false, at+moment(10*time.Millisecond)*moment(i+1))
	}
	require.EqualValues(t, 100_000, f.rate, "a window of 10000 in 100 ms")
	f.arrived(10_000, 31_000, 31_000, true, at+moment(time.Minute))
	require.EqualValues(t, 100_000, f.rate, "the application was slow, not the path")
}
