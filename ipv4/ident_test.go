package ipv4

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestIdents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		id := func(dst string) uint16 {
			return h.idents.choose(addr("10.0.0.2"), addr(dst), 17, 1)
		}
		first := id("10.0.0.9")
		require.Equal(t, first+1, id("10.0.0.9"), "in the same tick one after the other")
		require.Equal(t, first+2, h.idents.choose(addr("10.0.0.2"), addr("10.0.0.9"), 17, 3))
		require.Equal(t, first+5, id("10.0.0.9"), "the segments of a packet take one each")
		require.NotEqual(t, first+6, id("10.0.0.8"), "another destination counts on its own")
		seen := make(map[uint16]bool)
		for range 65536 {
			n := id("10.0.0.9")
			require.False(t, seen[n], "RFC 6864: no repetition within 65536")
			seen[n] = true
		}
	})
}

func TestIdentsJump(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		id := func() uint16 { return h.idents.choose(addr("10.0.0.2"), addr("10.0.0.9"), 17, 1) }
		last := id()
		for _, idle := range []time.Duration{10 * identTick, 1000 * identTick} {
			jumped := false
			for range 20 {
				time.Sleep(idle + time.Millisecond)
				next := id()
				step := next - last
				require.True(t, step >= 1 && step <= uint16(idle/identTick)+1, "%d after %v", step, idle)
				jumped = jumped || step > 1
				last = id()
				require.Equal(t, next+1, last, "in the same tick one after the other")
			}
			require.True(t, jumped, "after %v", idle)
		}
		h.Close()
		last = id()
		time.Sleep(1000 * identTick)
		require.NotEqual(t, last+1, id(), "a packet that comes late finds the time, too")
	})
}
