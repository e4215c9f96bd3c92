package pipe

import (
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
)

var _ link.Device = (*Device)(nil)

func TestPipeCarriesBothWays(t *testing.T) {
	linktest.WantNoPackets(t)
	a, b := New(Config{})
	defer a.Close()
	defer b.Close()
	require.NoError(t, a.Write(frame(b.Addr(), a.Addr(), "one")))
	require.NoError(t, a.Write(frame(b.Addr(), a.Addr(), "two")))
	require.NoError(t, b.Write(frame(a.Addr(), b.Addr(), "three")))
	require.Equal(t, []string{"one", "two"}, drain(t, b))
	require.Equal(t, []string{"three"}, drain(t, a))
}

func TestPipeConfig(t *testing.T) {
	a, b := New(Config{})
	require.Equal(t, "02:00:00:00:00:01 02:00:00:00:00:02", a.Addr().String()+" "+b.Addr().String())
	require.Equal(t, DefaultMTU, a.MTU())
	a, b = New(Config{Addrs: [2]link.Addr{{2, 9}, {}}, MTU: 9000})
	require.Equal(t, link.Addr{2, 9}, a.Addr())
	require.Equal(t, link.Addr{2, 0, 0, 0, 0, 2}, b.Addr())
	require.Equal(t, 9000, b.MTU())
}

func TestPipeKeepsHeadroom(t *testing.T) {
	linktest.WantNoPackets(t)
	a, b := New(Config{})
	p := frame(b.Addr(), a.Addr(), "x")
	require.NoError(t, a.Write(p))
	q, err := b.Read()
	require.NoError(t, err)
	require.Same(t, p, q, "the packet itself crosses, so that an answer can be built in place")
	q.Release()
	a.Close()
	b.Close()
}

func TestPipeQueueFull(t *testing.T) {
	linktest.WantNoPackets(t)
	a, b := New(Config{Queue: 2})
	require.NoError(t, a.Write(frame(b.Addr(), a.Addr(), "1")))
	require.NoError(t, a.Write(frame(b.Addr(), a.Addr(), "2")))
	require.ErrorIs(t, a.Write(frame(b.Addr(), a.Addr(), "3")), link.ErrQueueFull)
	require.EqualValues(t, 1, b.Missed())
	p, err := b.Read()
	require.NoError(t, err)
	p.Release()
	require.NoError(t, a.Write(frame(b.Addr(), a.Addr(), "4")))
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
}

func TestPipeClose(t *testing.T) {
	linktest.WantNoPackets(t)
	synctest.Test(t, func(t *testing.T) {
		a, b := New(Config{})
		done := make(chan error, 1)
		go func() {
			_, err := b.Read()
			done <- err
		}()
		time.Sleep(time.Minute)
		require.NoError(t, b.Close())
		require.ErrorIs(t, <-done, net.ErrClosed, "Close unblocks Read")
		require.ErrorIs(t, b.Write(frame(a.Addr(), b.Addr(), "x")), net.ErrClosed)
		require.NoError(t, a.Write(frame(b.Addr(), a.Addr(), "x")), "a pulled cable loses frames silently")

		require.NoError(t, b.Close(), "twice is once")
		require.NoError(t, a.Close())
	})
}

func TestPipeCloseReleasesUnread(t *testing.T) {
	linktest.WantNoPackets(t)
	a, b := New(Config{})
	for range 10 {
		require.NoError(t, a.Write(frame(b.Addr(), a.Addr(), "x")))
	}
	b.Close()
	_, err := b.Read()
	require.ErrorIs(t, err, net.ErrClosed, "what was not read before Close is gone")
	a.Close()
}

func TestPipeConcurrentClose(t *testing.T) {
	linktest.WantNoPackets(t)
	for range 50 {
		a, b := New(Config{Queue: 4})
		var wg sync.WaitGroup
		for _, d := range []*Device{a, b} {
			wg.Go(func() {
				for range 20 {
					_ = d.Write(frame(b.Addr(), a.Addr(), "x"))
				}
				d.Close()
			})
			wg.Go(func() {
				for {
					p, err := d.Read()
					if err != nil {
						return
					}
					p.Release()
				}
			})
		}
		wg.Wait()
	}
}

func TestLoopback(t *testing.T) {
	linktest.WantNoPackets(t)
	d := Loopback()
	require.Equal(t, 65536, d.MTU())
	require.True(t, d.Addr().IsZero())
	require.NoError(t, d.Write(frame(link.Addr{}, link.Addr{}, "one")))
	require.NoError(t, d.Write(frame(link.Addr{}, link.Addr{}, "two")))
	require.Equal(t, []string{"one", "two"}, drain(t, d))
	super := frame(link.Addr{}, link.Addr{}, "super")
	super.GSO, super.GSOSize, super.Checksum = link.GSOUDP, 1, link.ChecksumPartial
	require.True(t, d.Features().Take(super))
	require.NoError(t, d.Write(super))
	p, err := d.Read()
	require.NoError(t, err)
	require.Equal(t, link.GSOUDP, p.GSO, "what stays on the host needs no finishing")
	p.Release()
	big := link.NewPacket(65536 + link.EthernetHeaderLen)
	require.NoError(t, d.Write(big))
	require.NoError(t, d.Close())
	require.ErrorIs(t, d.Write(link.NewPacket(1)), net.ErrClosed)
}

func TestPipeDoesNotAllocate(t *testing.T) {
	linktest.WantNoPackets(t)
	a, b := New(Config{})
	defer a.Close()
	defer b.Close()
	linktest.WantNoAllocs(t, func() {
		_ = a.Write(link.NewPacket(64))
		p, _ := b.Read()
		p.Release()
	})
}

func BenchmarkPipe(b *testing.B) {
	x, y := New(Config{})
	defer x.Close()
	defer y.Close()
	b.ReportAllocs()
	for b.Loop() {
		_ = x.Write(link.NewPacket(1514))
		p, _ := y.Read()
		p.Release()
	}
}
