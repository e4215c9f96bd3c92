package udp

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDeadlineTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := newTestPair(t)
		c := a.listen("0.0.0.0:9")
		defer c.Close()
		for range 10 {
			require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Hour)))
		}
		require.Zero(t, c.reads.ArmedLocked(), "nobody waits")
		start := time.Now()
		done := make(chan time.Duration)
		wait := func() {
			_, err := c.Read(make([]byte, 1))
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			done <- time.Since(start)
		}
		go wait()
		synctest.Wait()
		armedFor := func() time.Time {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.reads.ArmedLocked()
		}
		armed := armedFor()
		require.NoError(t, c.SetReadDeadline(start.Add(2*time.Hour)))
		synctest.Wait()
		require.Equal(t, armed, armedFor(), "a later deadline leaves the timer alone")
		require.Equal(t, 2*time.Hour, <-done)
		require.NoError(t, c.SetReadDeadline(start.Add(24*time.Hour)))
		go wait()
		synctest.Wait()
		require.NoError(t, c.SetReadDeadline(start.Add(3*time.Hour)))
		require.Equal(t, 3*time.Hour, <-done, "an earlier one does not")
		require.NoError(t, c.SetReadDeadline(time.Unix(1, 0)))
		go wait()
		require.Equal(t, 3*time.Hour, <-done, "at once")
	})
}

// BenchmarkSetReadDeadline is what resolvers do before every read.
func BenchmarkSetReadDeadline(b *testing.B) {
	a, _ := newTestPair(b)
	c := a.listen("0.0.0.0:9")
	defer c.Close()
	at := time.Now().Add(time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		c.SetReadDeadline(at)
	}
}
