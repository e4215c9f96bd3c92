package clock

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestZeroClockIsTheBubbles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Clock
		begin := c.Now()
		require.Equal(t, 2000, begin.UTC().Year(), "bubbles start in 2000")
		ran := make(chan time.Duration, 1)
		c.AfterFunc(time.Hour, func() { ran <- c.Since(begin) })
		stopped := c.AfterFunc(time.Minute, func() { t.Error("a stopped function ran") })
		require.True(t, stopped.Stop())
		require.Equal(t, time.Hour, <-ran)
		require.Equal(t, time.Hour, c.Now().Sub(begin))
	})
}

func TestClockDoesNotAllocate(t *testing.T) {
	real, virtual := Clock{}, New(NewVirtual(start))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		real.Since(real.Now())
		virtual.Since(virtual.Now())
	}))
}
