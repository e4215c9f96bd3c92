package icmp

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPingSocketsAreListed(t *testing.T) {
	h := newTestHost(t)
	a := h.listen("10.0.1.2")
	b := h.listen("10.0.1.2")
	all := h.Sockets()
	require.Len(t, all, 2)
	require.Less(t, all[0].ID, all[1].ID)
	require.ElementsMatch(t, []uint16{a.ID(), b.ID()}, []uint16{all[0].ID, all[1].ID})
	require.Equal(t, addr("10.0.1.2"), all[0].Local)
	a.Close()
	require.Equal(t, []Info{{ID: b.ID(), Local: addr("10.0.1.2")}}, h.Sockets())
	b.Close()
	require.Empty(t, h.Sockets())
}
