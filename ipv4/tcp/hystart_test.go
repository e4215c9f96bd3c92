package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHystart(t *testing.T) {
	const ms = time.Millisecond
	slow := func(each int) (*ccFixture, *cubic) {
		c := new(cubic)
		f := newCCFixture(c, 100*ms, 10)
		f.w.ssthresh = maxCongestionWindow
		f.each = each
		return f, c
	}
	t.Run("doubles while round trips stay as they are", func(t *testing.T) {
		f, c := slow(2)
		for _, want := range []float64{20, 40, 80, 160} {
			f.round(100 * ms)
			require.Equal(t, want, f.segments())
		}
		f.round(112 * ms) // the threshold is an eighth: 12.5 ms
		require.Equal(t, 320.0, f.segments())
		require.Zero(t, c.hystart.css)
	})
	t.Run("a longer one leads to CSS, five rounds of it to the end", func(t *testing.T) {
		f, c := slow(2)
		for range 3 {
			f.round(100 * ms)
		}
		f.round(113 * ms)
		require.NotZero(t, c.hystart.css)
		require.Less(t, f.segments(), 160.0, "a quarter of slow start from where it was seen")
		rounds := 1 // the partial one counts
		for f.w.ssthresh == maxCongestionWindow {
			before := f.segments()
			f.round(113 * ms)
			require.Less(t, f.segments(), before*1.26)
			rounds++
		}
		require.InDelta(t, 5, rounds, 1, "its rounds are not quite the test's")
		require.InEpsilon(t, f.w.cwnd, f.w.ssthresh, 0.01)
		cwnd := f.segments()
		f.round(113 * ms)
		require.Less(t, f.segments(), cwnd*1.1, "congestion avoidance")
	})
	t.Run("a shorter one takes CSS back", func(t *testing.T) {
		f, c := slow(2)
		for range 3 {
			f.round(100 * ms)
		}
		f.round(113 * ms)
		require.NotZero(t, c.hystart.css)
		f.round(100 * ms)
		require.Zero(t, c.hystart.css)
		before := f.segments()
		f.round(100 * ms)
		require.InDelta(t, 2*before, f.segments(), 1)
	})
	for _, x := range []struct {
		last, now time.Duration
		css       bool
	}{{1 * ms, 4900 * time.Microsecond, false}, {1 * ms, 5 * ms, true}, {200 * ms, 215 * ms, false}, {200 * ms, 216 * ms, true}} {
		t.Run("threshold between 4 and 16 ms: "+x.last.String()+" to "+x.now.String(), func(t *testing.T) {
			f, c := slow(2)
			for range 3 {
				f.round(x.last)
			}
			f.round(x.now)
			require.Equal(t, x.css, c.hystart.css > 0)
		})
	}
	t.Run("fewer than eight samples decide nothing", func(t *testing.T) {
		f, c := slow(1)
		f.round(100 * ms)
		f.w.set(7000)
		c.hystart = hystart{last: 1000}
		f.round(500 * ms)
		require.Zero(t, c.hystart.css)
	})
	t.Run("one ACK for a super-segment is many samples", func(t *testing.T) {
		f, c := slow(44)
		for range 4 {
			f.round(100 * ms)
		}
		require.Equal(t, 160.0, f.segments(), "and the growth of them all")
		f.round(120 * ms)
		require.NotZero(t, c.hystart.css)
	})
	t.Run("only the first slow start", func(t *testing.T) {
		f, c := slow(2)
		for range 3 {
			f.round(100 * ms)
		}
		f.cc.congested(&f.w, 1_000_000, time.Time{})
		f.cc.timedOut()
		f.w.cwnd = 20_000
		f.round(500 * ms)
		require.Equal(t, 40.0, f.segments())
		require.Zero(t, c.hystart.css)
	})
}
