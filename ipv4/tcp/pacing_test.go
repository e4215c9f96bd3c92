package tcp

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPacingRate(t *testing.T) {
	var w window
	w.start(1000, false)
	require.EqualValues(t, 200_000, pacingRate(&w, 0, 100*time.Millisecond, 0), "slow start: two windows in a round trip")
	w.ssthresh = 10_000
	require.EqualValues(t, 120_000, pacingRate(&w, 0, 100*time.Millisecond, 0), "after it 1.2")
	require.EqualValues(t, 50_000, pacingRate(&w, 0, 100*time.Millisecond, 50_000), "the user's bound")
	require.EqualValues(t, 0, pacingRate(&w, 0, 0, 0), "nothing is known yet")
	w.set(maxCongestionWindow)
	require.Positive(t, pacingRate(&w, 0, time.Microsecond, 0))
}

func TestPacing(t *testing.T) {
	bubble(t, "spreads a window", Config{}, func(tc *testConn) {
		sc := plain
		sc.MaxPacingRate = 100_000 // two segments in 20 ms
		tc.active(sc)
		tc.write(bytesOf('a', 10_000))
		synctest.Wait()
		start := time.Now()
		sent := 0
		for sent < 10_000 {
			for s, ok := tc.take(); ok; s, ok = tc.take() {
				sent += len(s.data)
			}
			require.LessOrEqual(tc.t, sent, 2000+int(time.Since(start).Seconds()*100_000+100))
			tc.advance(time.Millisecond)
		}
		require.InDelta(tc.t, 0.08, time.Since(start).Seconds(), 0.02)
		require.EqualValues(tc.t, 100_000, tc.conn.Info().PacingRate)
		require.Zero(tc.t, tc.pr.Stats()["TcpRetransSegs"])
	})
	bubble(t, "slower than the persist timer", Config{}, func(tc *testConn) {
		sc := plain
		sc.MaxPacingRate = 1000 // a second for each segment
		tc.active(sc)
		tc.write(bytesOf('a', 4000))
		for i := range 4 {
			tc.want("in its turn", seg{flags: ACK, seq: 1 + 1000*i, ack: 1, data: bytesOf('a', 1000)})
			if i%2 == 1 { // two leave at once
				tc.deliver(seg{flags: ACK, seq: 1, ack: 1001 + 1000*i})
				tc.wantIdle("before")
				tc.advance(1900 * time.Millisecond)
				tc.wantIdle("before, still")
				tc.advance(100 * time.Millisecond)
			}
		}
	})
	bubble(t, "off by default", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.write(bytesOf('a', 10_000))
		synctest.Wait()
		require.Len(tc.t, tc.sent, 10)
		require.Zero(tc.t, tc.conn.Info().PacingRate)
		tc.sent = nil
	})
	bubble(t, "a connection that ends leaves the heap", Config{}, func(tc *testConn) {
		sc := plain
		sc.MaxPacingRate = 1000
		tc.active(sc)
		tc.write(bytesOf('a', 10_000))
		synctest.Wait()
		require.Len(tc.t, tc.pr.pacer.heap, 1)
		tc.conn.Abort()
		require.Empty(tc.t, tc.pr.pacer.heap)
		tc.sent = nil
	})
}

// Many connections share one timer, and each has its rate.
func TestPacingMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPair(t, faults{delay: 5 * time.Millisecond}, 1, Config{})
		defer p.close(t)
		done := make(chan time.Duration)
		const conns, size = 20, 200_000
		for range conns {
			client, server := p.connect(t, SocketConfig{MaxPacingRate: 100_000, Pacing: true})
			go func() {
				io.Copy(client, pattern(7, size))
				client.CloseWrite()
				client.Close()
			}()
			go func() {
				start := time.Now()
				io.Copy(io.Discard, server)
				server.Close()
				done <- time.Since(start)
			}()
		}
		for range conns {
			require.InDelta(t, 2, (<-done).Seconds(), 0.1)
		}
		require.Zero(t, p.a.Stats()["TcpRetransSegs"])
		p.a.pacer.mu.Lock()
		require.Empty(t, p.a.pacer.heap)
		p.a.pacer.mu.Unlock()
	})
}
