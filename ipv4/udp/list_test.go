package udp

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSocketsAreListed(t *testing.T) {
	h := newTestHost(t, "1")
	defer h.Close()
	require.Empty(t, h.Sockets())
	at := netip.MustParseAddrPort
	b, err := h.Listen(at("0.0.0.0:700"), SocketConfig{ReadBuffer: 5000})
	require.NoError(t, err)
	a, err := h.Dial(at("10.0.0.1:70"), at("10.0.0.1:700"), SocketConfig{Interface: 1})
	require.NoError(t, err)
	_, err = a.Write([]byte("hello"))
	require.NoError(t, err)
	all := h.Sockets()
	require.Len(t, all, 2)
	require.Equal(t, Info{Local: at("10.0.0.1:70"), Remote: at("10.0.0.1:700"), Interface: 1, ReadBuffer: DefaultReadBuffer}, all[0])
	require.Equal(t, b.Info(), all[1])
	require.Greater(t, all[1].Unread, 5, "what the datagram costs, not what it holds")
	require.Equal(t, 10000, all[1].ReadBuffer)
	require.False(t, all[1].Remote.IsValid())
	require.NoError(t, a.Close())
	require.Len(t, h.Sockets(), 1)
	require.NoError(t, b.Close())
}
