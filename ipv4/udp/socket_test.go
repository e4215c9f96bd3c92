package udp

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNotify(t *testing.T) {
	h := newTestHost(t, "1")
	c, err := h.Dial(netip.AddrPort{}, netip.MustParseAddrPort("127.0.0.1:7"), SocketConfig{})
	require.NoError(t, err)
	events := 0
	c.Notify(func() {
		events++
		_ = c.Ready() // no lock is held
	})
	_, _, _, err = c.TryRead(nil, 0)
	require.ErrorIs(t, err, syscall.EAGAIN)
	require.Equal(t, Readiness{Writable: true}, c.Ready())

	_, err = c.Write([]byte("nobody listens"))
	require.NoError(t, err)
	require.Equal(t, 1, events)
	require.Equal(t, Readiness{Error: true, Writable: true}, c.Ready())
	_, _, _, err = c.TryRead(nil, 0)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)

	s, err := h.Listen(netip.MustParseAddrPort("127.0.0.1:7"), SocketConfig{})
	require.NoError(t, err)
	_, err = s.WriteToUDPAddrPort([]byte("hello"), c.LocalAddrPort())
	require.NoError(t, err)
	require.Equal(t, 2, events)
	require.Equal(t, Readiness{Readable: true, Next: 5, Writable: true}, c.Ready())
	b := make([]byte, 3)
	for _, flags := range []int{MsgPeek, MsgTrunc} {
		n, from, truncated, err := c.TryRead(b, flags)
		require.NoError(t, err)
		require.Equal(t, map[int]int{MsgPeek: 3, MsgTrunc: 5}[flags], n)
		require.Equal(t, s.LocalAddrPort(), from)
		require.True(t, truncated)
	}
	require.Equal(t, Readiness{Writable: true}, c.Ready())
	require.NoError(t, s.Close())
	require.NoError(t, c.Close())
}
