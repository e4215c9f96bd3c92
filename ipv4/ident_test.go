package ipv4

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestIdents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		id := func(dst string) uint16 {
			return h.idents.choose(addr("10.0.0.2"), addr(dst), 17, 1, h.config.Clock.Now())
		}
		first := id("10.0.0.9")
		require.Equal(t, first+1, id("10.0.0.9"), "in the same tick one after the other")
		require.Equal(t, first+2, h.idents.choose(addr("10.0.0.2"), addr("10.0.0.9"), 17, 3, h.config.Clock.Now()))
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
