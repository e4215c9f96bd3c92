package tcp

import (
	"io"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A socket that never waits, driven by what Notify tells.
func TestSocketWithoutWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPair(t, faults{delay: time.Millisecond}, 1, Config{})
		defer p.close(t)
		settle := func() { time.Sleep(300 * time.Millisecond) }

		b, err := p.b.Bind(p.listenAddr, false)
		require.NoError(t, err)
		l, err := b.Listen(SocketConfig{})
		require.NoError(t, err)
		var knocks, events atomic.Int32
		l.Notify(func() { knocks.Add(1) })
		_, err = l.TryAccept()
		require.ErrorIs(t, err, syscall.EAGAIN)

		c, err := p.a.Start(netip.AddrPort{}, p.listenAddr, SocketConfig{})
		require.NoError(t, err)
		c.Notify(func() { events.Add(1) })
		require.Equal(t, SynSent, c.Ready().State)
		_, err = c.TryRead(make([]byte, 1), false)
		require.ErrorIs(t, err, syscall.EAGAIN)
		settle()
		require.Equal(t, Readiness{State: Established, Writable: true}, c.Ready())
		require.Positive(t, events.Swap(0))
		require.Positive(t, knocks.Load())
		require.Equal(t, 1, l.Pending())
		s, err := l.TryAccept()
		require.NoError(t, err)
		s.Notify(nil)

		// MSG_PEEK, MSG_TRUNC, and what is left.
		n, err := s.TryWrite([]byte("hello, world"), false)
		require.NoError(t, err)
		require.Equal(t, 12, n)
		_, out := s.Queued()
		require.Equal(t, 12, out)
		settle()
		require.Positive(t, events.Swap(0))
		in, _ := c.Queued()
		require.Equal(t, 12, in)
		buf := make([]byte, 5)
		n, err = c.TryRead(buf, true)
		require.NoError(t, err)
		require.Equal(t, "hello", string(buf[:n]))
		n, err = c.Discard(7)
		require.NoError(t, err)
		require.Equal(t, 7, n)
		n, err = c.TryRead(make([]byte, 99), false)
		require.NoError(t, err)
		require.Equal(t, 5, n)

		// MSG_MORE waits for 200 ms, TCP_CORK as well.
		for _, cork := range []bool{false, true} {
			require.NoError(t, c.SetCork(cork))
			_, err = c.TryWrite([]byte("x"), !cork)
			require.NoError(t, err)
			time.Sleep(100 * time.Millisecond)
			require.Zero(t, s.Ready().Readable, "cork %v", cork)
			time.Sleep(200 * time.Millisecond)
			require.Equal(t, 1, s.Ready().Readable, "cork %v", cork)
			_, err = s.Discard(1)
			require.NoError(t, err)
		}
		_, err = c.TryWrite([]byte("y"), false)
		require.NoError(t, err)
		require.NoError(t, c.SetCork(false))
		time.Sleep(50 * time.Millisecond)
		require.Equal(t, 1, s.Ready().Readable, "uncorked")
		_, err = s.Discard(1)
		require.NoError(t, err)

		// A full buffer is told once a third is free again.
		require.NoError(t, c.SetWriteBuffer(10000))
		total := 0
		for err = nil; err == nil; total += n {
			n, err = c.TryWrite(make([]byte, 4000), false)
		}
		require.ErrorIs(t, err, syscall.EAGAIN)
		require.Equal(t, 10000, total)
		require.False(t, c.Ready().Writable)
		events.Store(0)
		settle()
		require.Positive(t, events.Load())
		require.True(t, c.Ready().Writable)
		require.NoError(t, c.Configure(func(sc *SocketConfig) { sc.NotSentLowat = 1 }))
		require.True(t, c.Ready().Writable)
		_, err = s.Discard(total)
		require.NoError(t, err)

		// The end of the stream, and a reset.
		require.NoError(t, c.CloseWrite())
		settle()
		_, err = s.TryRead(buf, false)
		require.ErrorIs(t, err, io.EOF)
		require.NoError(t, s.Abort())
		settle()
		require.True(t, c.Ready().Error)
		require.Equal(t, syscall.ECONNRESET, c.SocketError(false))
		require.Equal(t, Readiness{State: Closed, EOF: true, Writable: true}, c.Ready())
		_, err = c.TryRead(buf, false)
		require.ErrorIs(t, err, io.EOF)
		_, err = c.TryWrite(buf, false)
		require.ErrorIs(t, err, syscall.EPIPE)
		require.NoError(t, c.Close())
		require.NoError(t, l.Close())
		b.Release()

		c, err = p.a.Start(netip.AddrPort{}, p.listenAddr, SocketConfig{})
		require.NoError(t, err)
		settle()
		require.Equal(t, syscall.ECONNREFUSED, c.SocketError(true))
		require.NoError(t, c.Close())
	})
}

func TestBind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPair(t, faults{delay: time.Millisecond}, 1, Config{})
		defer p.close(t)
		bind := func(addr string, reuse bool) (*Binding, error) { return p.b.Bind(netip.MustParseAddrPort(addr), reuse) }
		ok := func(addr string, reuse bool) *Binding {
			t.Helper()
			b, err := bind(addr, reuse)
			require.NoError(t, err)
			return b
		}
		refused := func(addr string, reuse bool, want syscall.Errno) {
			t.Helper()
			_, err := bind(addr, reuse)
			require.ErrorIs(t, err, want)
		}
		refused("10.0.0.9:80", false, syscall.EADDRNOTAVAIL)
		b := ok("10.0.0.2:80", false)
		require.Equal(t, "10.0.0.2:80", b.LocalAddrPort().String())
		refused("0.0.0.0:80", false, syscall.EADDRINUSE)
		refused("10.0.0.2:80", true, syscall.EADDRINUSE) // both must want it
		b.SetReuse(true)
		b2 := ok("0.0.0.0:80", true)
		require.NotZero(t, ok("0.0.0.0:0", false).LocalAddrPort().Port())
		_, err := p.b.Listen(p.listenAddr, SocketConfig{})
		require.NoError(t, err, "package net's listeners reuse")
		_, err = b.Listen(SocketConfig{})
		require.ErrorIs(t, err, syscall.EADDRINUSE, "one listener at a time")
		refused("10.0.0.2:80", true, syscall.EADDRINUSE)
		b.Release()
		b.Release()
		b2.Release()

		// What is left of a connection keeps the port, unless both reuse it.
		for _, reuse := range []bool{false, true} {
			b := ok("10.0.0.2:99", reuse)
			l, err := b.Listen(SocketConfig{ReuseAddr: reuse})
			require.NoError(t, err)
			c, err := p.a.Dial(t.Context(), netip.AddrPort{}, b.LocalAddrPort(), SocketConfig{})
			require.NoError(t, err)
			s, err := l.AcceptTCP()
			require.NoError(t, err)
			require.NoError(t, l.Close())
			b.Release()
			check := func() {
				refused("10.0.0.2:99", !reuse, syscall.EADDRINUSE)
				if b, err := bind("10.0.0.2:99", reuse); reuse {
					require.NoError(t, err)
					b.Release()
				} else {
					require.ErrorIs(t, err, syscall.EADDRINUSE)
				}
			}
			check()
			require.NoError(t, s.Close())
			require.NoError(t, c.Close())
			time.Sleep(time.Second)
			check()
			time.Sleep(2 * time.Minute)
		}
	})
}
