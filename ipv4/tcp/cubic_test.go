package tcp

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ccFixture drives an algorithm, ACK by ACK, over a path of constant round trip.
type ccFixture struct {
	w    window
	cc   congestionControl
	at   moment
	rtt  time.Duration
	una  Seq
	each int // segments that one ACK covers
}

func newCCFixture(cc congestionControl, rtt time.Duration, segments int) *ccFixture {
	f := &ccFixture{cc: cc, at: 1, rtt: rtt, each: 1}
	f.w.start(1000, false)
	f.w.set(1000 * segments)
	return f
}

// round lets a whole window be acknowledged in a round trip of sample.
func (f *ccFixture) round(sample time.Duration) {
	left := f.w.cwnd / f.w.mss
	step := f.rtt / time.Duration(left)
	flight := f.w.cwnd
	for left > 0 {
		k := min(f.each, left)
		left -= k
		f.at += moment(step * time.Duration(k))
		n := k * f.w.mss
		f.una = f.una.Add(n)
		flight -= n
		before := f.w.cwnd
		f.cc.acked(&f.w, acknowledgement{bytes: n, segments: k, una: f.una, nxt: f.una.Add(flight),
			sample: sample, srtt: sample, at: f.at})
		flight += n + f.w.cwnd - before
	}
}

func (f *ccFixture) congested() {
	f.cc.congested(&f.w, f.w.cwnd, time.Time{})
	f.w.set(f.w.ssthresh)
}

func (f *ccFixture) segments() float64 { return float64(f.w.cwnd) / float64(f.w.mss) }

// The window follows figure 1 of RFC 9438 where that is above Reno's.
func TestCubicCurve(t *testing.T) {
	for _, x := range []struct {
		rtt  time.Duration
		wmax float64
	}{{100 * time.Millisecond, 1000}, {200 * time.Millisecond, 2000}, {50 * time.Millisecond, 5000}} {
		t.Run(fmt.Sprintf("%v from %v segments", x.rtt, x.wmax), func(t *testing.T) {
			f := newCCFixture(new(cubic), x.rtt, int(x.wmax))
			f.congested()
			require.InDelta(t, 0.7*x.wmax, f.segments(), 1, "beta")
			k := math.Cbrt(x.wmax * 0.3 / 0.4)
			begin := f.at
			for f.at.sub(begin).Seconds() < 2*k {
				f.round(x.rtt)
				// The window is where the curve was going to be in a round trip
				// when that began, and lags behind it by no more.
				at := f.at.sub(begin).Seconds()
				low, high := at-x.rtt.Seconds(), at+x.rtt.Seconds()
				curve := func(t float64) float64 { return 0.4*math.Pow(t-k, 3) + x.wmax }
				require.GreaterOrEqual(t, f.segments(), curve(low)*0.995-1, "%.2f s, K is %.2f", at, k)
				require.LessOrEqual(t, f.segments(), curve(high)*1.005+1, "%.2f s, K is %.2f", at, k)
			}
			require.Greater(t, f.segments(), x.wmax, "past K it probes for more")
		})
	}
}

// On short and small paths the window is what Reno's would be on average: section
// 4.3.
func TestCubicRenoFriendly(t *testing.T) {
	f := newCCFixture(new(cubic), time.Millisecond, 40)
	f.congested()
	begin := f.segments()
	rounds := 0
	for ; f.segments() < 39; rounds++ {
		f.round(time.Millisecond)
	}
	// 3*0.3/1.7 = 0.53 of a segment in each round trip.
	require.InDelta(t, (39-begin)/cubicAlpha, rounds, 2)
	for f.segments() < 41 {
		f.round(time.Millisecond)
	}
	before := f.segments()
	for range 10 {
		f.round(time.Millisecond)
	}
	require.InDelta(t, before+10, f.segments(), 1.5, "one segment past cwnd_prior, as Reno")
}

func TestCubicEvents(t *testing.T) {
	now := time.Time{}
	t.Run("fast convergence", func(t *testing.T) {
		c := new(cubic)
		f := newCCFixture(c, 100*time.Millisecond, 1000)
		f.congested()
		require.EqualValues(t, 1000, c.max)
		f.congested()
		require.InDelta(t, 700*0.85, c.max, 1, "section 4.7: below W_max it gives way")
		require.InDelta(t, 700, c.priorW, 1)
		require.InDelta(t, 490, f.segments(), 1)
	})
	t.Run("ssthresh from what is in flight, two segments at least", func(t *testing.T) {
		f := newCCFixture(new(cubic), time.Second, 1000)
		f.cc.congested(&f.w, 100_000, now)
		require.Equal(t, 70_000, f.w.ssthresh)
		f.cc.congested(&f.w, 1000, now)
		require.Equal(t, 2000, f.w.ssthresh)
	})
	t.Run("timeout", func(t *testing.T) {
		c := new(cubic)
		f := newCCFixture(c, 100*time.Millisecond, 1000)
		f.cc.congested(&f.w, f.w.cwnd, now)
		f.cc.timedOut()
		f.w.cwnd = 1000
		for range 10 {
			f.round(f.rtt)
		}
		require.False(t, f.w.slowStart())
		require.Zero(t, c.k, "section 4.8: K is 0")
		require.InDelta(t, 700, c.max, 1, "and W_max the window that slow start ends with")
	})
	t.Run("undo", func(t *testing.T) {
		c := new(cubic)
		f := newCCFixture(c, 100*time.Millisecond, 1000)
		f.congested()
		for range 20 {
			f.round(f.rtt)
		}
		curve, cwnd, ssthresh := c.curve, f.w.cwnd, f.w.ssthresh
		f.congested()
		require.Less(t, f.w.cwnd, cwnd)
		f.cc.undo(&f.w)
		require.Equal(t, curve, c.curve, "section 4.9")
		require.Equal(t, cwnd, f.w.cwnd)
		require.Equal(t, ssthresh, f.w.ssthresh)
	})
	t.Run("time without use does not count", func(t *testing.T) {
		a, b := new(cubic), new(cubic)
		f, g := newCCFixture(a, 100*time.Millisecond, 1000), newCCFixture(b, 100*time.Millisecond, 1000)
		for _, x := range []*ccFixture{f, g} {
			x.congested()
			for range 10 {
				x.round(x.rtt)
			}
		}
		g.cc.unused(g.at)
		g.at += moment(time.Minute)
		g.cc.unused(g.at)
		for range 30 {
			f.round(f.rtt)
			g.round(g.rtt)
		}
		require.InDelta(t, f.segments(), g.segments(), 2)
	})
	t.Run("no more than half a window in a round trip", func(t *testing.T) {
		f := newCCFixture(new(cubic), 10*time.Second, 100)
		f.congested()
		for range 10 {
			before := f.segments()
			f.round(f.rtt)
			require.LessOrEqual(t, f.segments(), 1.7*before)
		}
	})
	t.Run("bounded", func(t *testing.T) {
		c := new(cubic)
		f := newCCFixture(c, time.Second, 10)
		f.w.ssthresh = f.w.cwnd
		for range 60 {
			f.at += moment(time.Hour)
			f.cc.acked(&f.w, acknowledgement{bytes: f.w.cwnd, segments: 1, srtt: time.Hour, at: f.at})
			require.Positive(t, f.w.cwnd)
		}
		require.Equal(t, maxCongestionWindow, f.w.cwnd)
	})
	t.Run("fresh until it has learned something", func(t *testing.T) {
		f := newCCFixture(new(cubic), time.Second, 10)
		f.round(f.rtt)
		require.True(t, f.cc.fresh())
		f.congested()
		require.False(t, f.cc.fresh())
	})
}
