package tcp

import (
	"context"
	"crypto/sha256"
	"io"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/random"
)

// nextHop is a function as ipv4.NextHop.
type nextHop func(to netip.Addr, p *link.Packet) error

func (f nextHop) Output(to netip.Addr, p *link.Packet) error { return f(to, p) }

// realHost is IPv4 and TCP as they are, on lo and t0.
type realHost struct {
	ip     *ipv4.Protocol
	tcp    *Protocol
	lo, t0 *ipv4.Interface
}

func newRealHost(t *testing.T, addr string, seed uint64, out nextHop) *realHost {
	t.Helper()
	h := &realHost{ip: ipv4.New(ipv4.Config{Drops: new(link.Drops), Rand: random.New(seed)})}
	add := func(c ipv4.InterfaceConfig, prefix string) *ipv4.Interface {
		i, err := h.ip.AddInterface(c)
		require.NoError(t, err)
		require.NoError(t, h.ip.AddAddress(c.Index, ipv4.Address{Prefix: netip.MustParsePrefix(prefix)}))
		h.ip.SetUp(c.Index, true)
		return i
	}
	h.lo = add(ipv4.InterfaceConfig{Index: 1, Name: "lo", MTU: 65536, Loopback: true, Neighbours: later(func(p *link.Packet) { h.ip.Input(h.lo, p) })}, "127.0.0.1/8")
	h.t0 = add(ipv4.InterfaceConfig{Index: 2, Name: "t0", MTU: 1500, Neighbours: out}, addr)
	h.tcp = New(h.ip, Config{Rand: random.New(seed)})
	return h
}

func (h *realHost) close() {
	h.tcp.Close()
	time.Sleep(time.Second)
	h.ip.Close()
}

// later hands packets to f in order, a microsecond after they were sent.
func later(f func(p *link.Packet)) nextHop {
	queue := make(chan *link.Packet, 1<<16)
	return func(_ netip.Addr, p *link.Packet) error {
		queue <- p
		time.AfterFunc(time.Microsecond, func() { f(<-queue) })
		return nil
	}
}

func TestOverIPv4(t *testing.T) {
	transfer := func(t *testing.T, client, server *realHost, to string) {
		l, err := server.tcp.Listen(netip.AddrPortFrom(netip.IPv4Unspecified(), 80), SocketConfig{})
		require.NoError(t, err)
		defer l.Close()
		go func() {
			c, err := l.Accept()
			if err == nil {
				io.Copy(c, c)
				c.Close()
			}
		}()
		c, err := client.tcp.Dial(context.Background(), netip.AddrPort{}, netip.MustParseAddrPort(to), SocketConfig{})
		require.NoError(t, err)
		const size = 1 << 20
		sums := make(chan [32]byte, 1)
		go func() {
			h := sha256.New()
			io.Copy(c, io.TeeReader(pattern(1, size), h))
			c.CloseWrite()
			sums <- [32]byte(h.Sum(nil))
		}()
		h := sha256.New()
		n, err := io.Copy(h, c)
		require.NoError(t, err)
		require.EqualValues(t, size, n)
		require.Equal(t, <-sums, [32]byte(h.Sum(nil)))
		require.NoError(t, c.Close())
	}
	t.Run("two hosts", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var a, b *realHost
			a = newRealHost(t, "10.0.0.1/24", 1, later(func(p *link.Packet) { b.ip.Input(b.t0, p) }))
			b = newRealHost(t, "10.0.0.2/24", 2, later(func(p *link.Packet) { a.ip.Input(a.t0, p) }))
			transfer(t, a, b, "10.0.0.2:80")
			a.close()
			b.close()
			require.Zero(t, link.LivePackets())
		})
	})
	t.Run("to itself", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := newRealHost(t, "10.0.0.1/24", 1, func(_ netip.Addr, p *link.Packet) error { panic("left the host") })
			transfer(t, a, a, "127.0.0.1:80")
			transfer(t, a, a, "10.0.0.1:80")
			a.close()
			require.Zero(t, link.LivePackets())
		})
	})
	t.Run("an ICMP error that returns within Output", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var a *realHost
			a = newRealHost(t, "10.0.0.1/24", 1, func(_ netip.Addr, p *link.Packet) error {
				h, err := ipv4.Parse(p.Bytes())
				require.NoError(t, err)
				a.ip.DeliverError(ipv4.TransportError{Type: ipv4.TypeUnreachable, Code: ipv4.CodeHostUnreachable,
					Inner: h, Payload: p.Bytes()[h.Len():][:8], Errno: syscall.EHOSTUNREACH})
				p.Release()
				return nil
			})
			start := time.Now()
			_, err := a.tcp.Dial(context.Background(), netip.AddrPort{}, netip.MustParseAddrPort("10.0.0.2:80"), SocketConfig{})
			require.ErrorIs(t, err, syscall.EHOSTUNREACH)
			require.Zero(t, time.Since(start))
			_, err = a.tcp.Dial(context.Background(), netip.AddrPort{}, netip.MustParseAddrPort("192.0.2.1:80"), SocketConfig{})
			require.ErrorIs(t, err, syscall.ENETUNREACH)
			_, err = a.tcp.Dial(context.Background(), netip.AddrPort{}, netip.MustParseAddrPort("10.0.0.255:80"), SocketConfig{})
			require.ErrorIs(t, err, syscall.ENETUNREACH, "broadcast")
			_, err = a.tcp.Listen(netip.MustParseAddrPort("10.0.0.1:80"), SocketConfig{})
			require.NoError(t, err)
			a.close()
			require.Zero(t, link.LivePackets())
		})
	})
}
