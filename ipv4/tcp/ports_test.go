package tcp

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/stack/random"
)

func TestPortRange(t *testing.T) {
	pr := newProtocol(&testIP{}, Config{Rand: random.New(1)})
	first, last := pr.PortRange()
	require.Equal(t, []uint16{32768, 60999}, []uint16{first, last})
	for _, r := range [][2]uint16{{2000, 2003}, {65535, 65535}, {1, 65535}, {65000, 65535}} {
		pr.SetPortRange(r[0], r[1])
		got := map[uint16]bool{}
		_, ok := pr.ephemeral(addr{10}, addr{11}, 80, func(port uint16) bool {
			require.GreaterOrEqual(t, port, r[0])
			require.LessOrEqual(t, port, r[1])
			got[port] = true
			return false
		})
		require.False(t, ok)
		require.Len(t, got, int(r[1]-r[0])+1, "each of them is tried")
	}
}
