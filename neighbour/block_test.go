package neighbour

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDefaultsPropagate(t *testing.T) {
	locktime := func(b *bed, dev string) string {
		v, err := b.table.Sysctl(dev, "locktime")
		require.NoError(b.t, err)
		return v
	}
	for _, plain := range []bool{false, true} {
		inBubble(t, Config{Switches: Switches{PlainDefaults: plain}}, func(b *bed) { // ENT-5, ENT-7, SYSCTL-45, DEV-9
			add := func(n int) {
				_, err := b.table.AddInterface(InterfaceConfig{Index: n, Name: "t" + strconv.Itoa(n), Link: b})
				require.NoError(t, err)
			}
			add(2)
			add(3)
			b.table.AddressAdded(2, peerIP)
			require.NoError(t, b.table.SetSysctl("t3", "locktime", "7"))
			require.NoError(t, b.table.SetSysctl("default", "locktime", "50"))
			require.Equal(t, "50", locktime(b, "t0"), "follows")
			require.Equal(t, "100", locktime(b, "t2"), "has an address")
			require.Equal(t, "7", locktime(b, "t3"), "was set")
			add(4)
			require.Equal(t, "50", locktime(b, "t4"), "a copy")
			require.NoError(t, b.table.SetSysctl("default", "locktime", "60"))
			require.Equal(t, "60", locktime(b, "t0"))
			if plain {
				require.Equal(t, "60", locktime(b, "t4"))
			} else {
				require.Equal(t, "50", locktime(b, "t4"), "made after the default was written")
			}
		})
	}
}

func TestReachableTime(t *testing.T) {
	t.Run("TMR-6 bounds", func(t *testing.T) {
		p := DefaultParams()
		inBubble(t, Config{Params: &p}, func(b *bed) {
			var sum time.Duration
			low, high := 0, 0
			for range 400 {
				require.NoError(t, b.table.SetSysctl("t0", "base_reachable_time", "30")) // TMR-8: redrawn at each write
				d := b.reachable()
				require.GreaterOrEqual(t, d, 15*time.Second)
				require.Less(t, d, 45*time.Second)
				sum += d
				if d < 18*time.Second {
					low++
				} else if d > 42*time.Second {
					high++
				}
			}
			require.InDelta(t, 30, (sum / 400).Seconds(), 2)
			require.Positive(t, low*high)
			require.NoError(t, b.table.SetSysctl("t0", "base_reachable_time", "0"))
			require.Zero(t, b.reachable())
			require.NoError(t, b.table.SetSysctl("t0", "base_reachable_time", "-5"))
			require.Zero(t, b.reachable())
			require.NoError(t, b.reply(macA, Create))
			b.pass(0)
			require.NotEqual(t, Reachable, b.info().State)
		})
	})
	t.Run("TMR-8 a write to the default redraws no follower", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			before := b.reachable()
			require.NoError(t, b.table.SetSysctl("default", "base_reachable_time", "1000"))
			require.Equal(t, before, b.reachable())
			p, err := b.table.Params(1)
			require.NoError(t, err)
			require.Equal(t, 1000*time.Second, p.BaseReachableTime)
			d, err := b.table.ReachableTime(0)
			require.NoError(t, err)
			require.Greater(t, d, 400*time.Second)
		})
	})
	for _, busy := range []bool{false, true} {
		t.Run(fmt.Sprintf("TMR-7 redrawn by a periodic run, busy %v", busy), func(t *testing.T) {
			inBubble(t, Config{}, func(b *bed) {
				if busy {
					b.hear(1, 1)
				}
				first, _ := b.table.ReachableTime(0)
				due := 20*first + 300*time.Second
				// Runs are at first + n 10 s.
				redraw := first + (due-first+10*time.Second)/(10*time.Second)*(10*time.Second)
				before := b.reachable()
				b.pass(redraw - 1)
				require.Equal(t, before, b.reachable())
				b.pass(1)
				second := b.reachable()
				require.NotEqual(t, before, second)
				b.pass(310*time.Second - 1)
				require.Equal(t, second, b.reachable())
				b.pass(1)
				require.NotEqual(t, second, b.reachable())
			})
		})
	}
}
