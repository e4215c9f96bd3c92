package icmp

import (
	"net"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNotify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		h.pong(time.Millisecond)
		c, err := h.ListenEchoID(netip.Addr{}, 0, 1234)
		require.NoError(t, err)
		require.EqualValues(t, 1234, c.ID())
		_, err = h.ListenEchoID(netip.Addr{}, 0, 1234)
		require.ErrorIs(t, err, syscall.EADDRINUSE)
		events := make(chan struct{}, 9)
		c.Notify(func() { events <- struct{}{} })
		_, err = c.TryReceive()
		require.ErrorIs(t, err, syscall.EAGAIN)
		require.NoError(t, c.Send(EchoRequest{Dst: addr("10.0.0.9"), Seq: 7}))
		<-events
		r, err := c.TryReceive()
		require.NoError(t, err)
		require.EqualValues(t, 7, r.Seq)
		require.NoError(t, c.Close())
		_, err = c.TryReceive()
		require.ErrorIs(t, err, net.ErrClosed)
	})
}
