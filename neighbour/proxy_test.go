package neighbour

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProxies(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // ENT-14, GC-16, NTF-2
		table := b.table
		require.ErrorIs(t, table.AddProxy(Proxy{IP: netip.MustParseAddr("::1")}), syscall.EINVAL)
		require.ErrorIs(t, table.AddProxy(Proxy{IP: nth(1), Interface: 9}), syscall.ENODEV)
		require.NoError(t, table.AddProxy(Proxy{IP: nth(2)}))
		require.NoError(t, table.AddProxy(Proxy{IP: nth(1), Interface: 1}))
		require.NoError(t, table.AddProxy(Proxy{IP: nth(1), Interface: 1, Protocol: 4}))
		require.Equal(t, []Proxy{{IP: nth(1), Interface: 1, Protocol: 4}, {IP: nth(2)}}, table.Proxies())

		_, ok := table.LookupProxy(1, nth(1))
		require.True(t, ok)
		_, ok = table.LookupProxy(2, nth(1))
		require.False(t, ok)
		_, ok = table.LookupProxy(2, nth(2))
		require.True(t, ok, "any interface")

		require.ErrorIs(t, table.DeleteProxy(1, nth(2)), syscall.ENOENT, "the exact interface")
		require.NoError(t, table.DeleteProxy(0, nth(2)))
		require.NoError(t, table.DeleteProxy(1, nth(1)))
		require.Empty(t, table.Proxies())
		require.Empty(t, b.events())
	})
}
