package deadline

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/stack/clock"
)

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d Deadline
		var mu sync.Mutex
		d.Init(sync.NewCond(&mu), clock.Clock{})
		start := time.Now()
		done := make(chan time.Duration)
		wait := func() {
			mu.Lock()
			for !d.PassedLocked() {
				d.WaitLocked()
			}
			mu.Unlock()
			done <- time.Since(start)
		}
		set := func(after time.Duration) {
			mu.Lock()
			d.SetLocked(start.Add(after))
			mu.Unlock()
		}
		armed := func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return d.ArmedLocked()
		}
		set(time.Hour)
		require.Zero(t, armed(), "nobody waits")
		go wait()
		synctest.Wait()
		set(2 * time.Hour)
		synctest.Wait()
		require.Equal(t, start.Add(time.Hour), armed(), "a later one leaves the timer alone")
		require.Equal(t, 2*time.Hour, <-done)
		set(9 * time.Hour)
		go wait()
		synctest.Wait()
		set(3 * time.Hour)
		require.Equal(t, 3*time.Hour, <-done, "an earlier one does not")
		mu.Lock()
		d.StopLocked()
		require.False(t, d.PassedLocked())
		mu.Unlock()
	})
}
