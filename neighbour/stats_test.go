package neighbour

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHashGrows(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // ENT-4, STAT-4
		for _, c := range []struct {
			entries int
			grows   uint64
		}{{8, 0}, {9, 1}, {16, 1}, {17, 2}, {32, 2}, {33, 3}} {
			b.hear(1, c.entries)
			require.Equal(t, c.grows, b.table.Stats().HashGrows, c.entries)
		}
	})
}

func TestLookupsCount(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // STAT-5, STAT-6
		require.ErrorIs(t, b.hint(macA, 0), ErrNotFound) // ARP-26
		require.NoError(t, b.hint(macA, Create))
		require.NoError(t, b.hint(macA, 0))
		b.send(1, 2)
		b.iface.Lookup(peerIP)
		_, ok := b.table.Lookup(1, peerIP)
		require.True(t, ok)
		_, ok = b.table.Lookup(2, peerIP)
		require.False(t, ok)
		st := b.table.Stats()
		require.EqualValues(t, []uint64{4, 2}, []uint64{st.Lookups, st.Hits})
	})
}

func TestEntriesCount(t *testing.T) {
	// STAT-1, STAT-2, STAT-3: another goroutine makes the entry while this one is
	// about to.
	var b *bed
	first := true
	classify := func(int, netip.Addr) AddrType {
		if first {
			first = false
			require.NoError(t, b.setAddr(Permanent, macB, 0))
		}
		return Unicast
	}
	inBubble(t, Config{Classify: classify}, func(bb *bed) {
		b = bb
		require.ErrorIs(t, b.hint(macA, Create|Override), ErrNotPermitted)
		b.hear(1, 3)
		require.NoError(t, b.table.Delete(1, nth(1)))
		st := b.table.Stats()
		require.EqualValues(t, []uint64{3, 2, 5, 2}, []uint64{st.Entries, st.GCEntries, st.Allocs, st.Destroys})
		require.Equal(t, []uint64{0, 0}, []uint64{st.RcvProbesMcast, st.RcvProbesUcast}, "STAT-8, STAT-9")
		require.Equal(t, macB, b.info().LLAddr)
	})
}
