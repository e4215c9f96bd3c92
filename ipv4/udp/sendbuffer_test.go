package udp

import (
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

// A socket has so much on its way and no more: a writer waits, a call that may not
// gets EAGAIN, and room, a deadline, an error or the end of the socket end the wait
// (socket(7), SO_SNDBUF).
func TestWriteBuffer(t *testing.T) {
	for _, tc := range []struct {
		name  string
		event func(*Conn, *held)
		want  error
	}{
		{"half of the packets leave", func(_ *Conn, h *held) { h.release(h.n() / 2) }, nil},
		{"deadline", func(c *Conn, _ *held) { _ = c.SetWriteDeadline(time.Now().Add(time.Second)) }, os.ErrDeadlineExceeded},
		{"close", func(c *Conn, _ *held) { c.Close() }, net.ErrClosed},
		{"a larger buffer", func(c *Conn, _ *held) { _ = c.SetWriteBuffer(1 << 20) }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newTestHost(t, "1")
				var below held
				h.waits = &below
				c, err := h.Listen(netip.MustParseAddrPort("10.0.0.1:1000"), SocketConfig{})
				require.NoError(t, err)
				defer c.Close()
				require.NoError(t, c.SetWriteBuffer(8320/2))
				to := netip.MustParseAddrPort("10.0.0.2:9")
				for range 10 {
					_, err := c.WriteToUDPAddrPort([]byte("x"), to)
					require.NoError(t, err)
				}
				_, err = c.WriteBatch([]Message{{Buffers: [][]byte{{1}}, Addr: net.UDPAddrFromAddrPort(to)}}, MsgDontWait)
				require.ErrorIs(t, err, syscall.EAGAIN)
				done := make(chan error, 1)
				go func() {
					_, err := c.WriteToUDPAddrPort([]byte("x"), to)
					done <- err
				}()
				synctest.Wait()
				require.Empty(t, done, "the eleventh waits")
				tc.event(c, &below)
				require.ErrorIs(t, <-done, tc.want)
				below.release(below.n())
				require.Zero(t, c.sends.charged.Load())
			})
		})
	}
}

// A socket that writes to itself is not in its own way.
func TestWriteBufferIsFreedByTheReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t, "1")
		self := netip.MustParseAddrPort("10.0.0.1:1000")
		c, err := h.Listen(self, SocketConfig{})
		require.NoError(t, err)
		defer c.Close()
		require.NoError(t, c.SetWriteBuffer(1))
		for range 50 {
			_, err := c.WriteToUDPAddrPort([]byte("x"), self)
			require.NoError(t, err)
		}
		require.Zero(t, c.sends.charged.Load())
		_, _, err = c.ReadFromUDPAddrPort(make([]byte, 1))
		require.NoError(t, err)
	})
}

// held are packets that do not leave.
type held struct{ q link.Queue }

func (h *held) n() int { return h.q.Len() }

func (h *held) release(n int) {
	for range n {
		h.q.Pop().Release()
	}
}
