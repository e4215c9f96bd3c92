package icmp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
)

// pong answers what t0 sends, after a while, from a host with TTL 60.
func (h *testHost) pong(after time.Duration) {
	h.answer = func(p *link.Packet) {
		b := append([]byte(nil), p.Bytes()...)
		p.Release()
		h.pongs.Add(1)
		time.AfterFunc(after, func() {
			defer h.pongs.Done()
			ih, _ := ipv4.Parse(b)
			m := b[ih.Len():]
			m[0] = TypeEchoReply
			SetChecksum(m)
			h.ip.Input(h.t0, packet(ih.Dst.String(), ih.Src.String(), ipv4.ProtocolICMP, m, func(ih *ipv4.Header) { ih.TTL = 60 }))
		})
	}
}

func (h *testHost) listen(laddr string) *EchoConn {
	var a netip.Addr
	if laddr != "" {
		a = addr(laddr)
	}
	c, err := h.ListenEcho(a, 0)
	require.NoError(h.t, err)
	return c
}

func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		h.pong(30 * time.Millisecond)
		c := h.listen("")
		for seq := range 3 {
			require.NoError(t, c.Send(EchoRequest{Dst: addr("10.0.0.9"), Seq: uint16(seq), Payload: []byte(fmt.Sprint("ping ", seq))}))
			r, err := c.Receive(context.Background())
			require.NoError(t, err)
			require.Equal(t, EchoReply{From: addr("10.0.0.9"), Seq: uint16(seq), TTL: 60, RTT: 30 * time.Millisecond, Payload: []byte(fmt.Sprint("ping ", seq))}, r)
		}
		require.NoError(t, c.Close())
	})
}

func TestPingRequest(t *testing.T) {
	h := newTestHost(t)
	c := h.listen("10.0.1.2")
	defer c.Close()
	require.NoError(t, c.Send(EchoRequest{Dst: addr("10.0.0.9"), Seq: 5, Payload: make([]byte, 10), TTL: 3, TOS: 8}))
	m := h.sent[0]
	require.Equal(t, Header{Type: TypeEcho, Checksum: m.Checksum, Info: uint32(c.ID())<<16 | 5}, m.Header)
	require.Equal(t, addr("10.0.1.2"), m.ip.Src)
	require.Equal(t, []any{uint8(3), uint8(8), true}, []any{m.ip.TTL, m.ip.TOS, m.ip.DF})
	require.NoError(t, c.Send(EchoRequest{Dst: addr("10.0.0.9"), Payload: make([]byte, 3000)}))
	require.Len(t, h.sent, 4, "fragments")
	require.ErrorIs(t, c.Send(EchoRequest{Dst: addr("10.0.0.9"), Payload: make([]byte, 3000), DF: true}), syscall.EMSGSIZE)
	require.ErrorIs(t, c.Send(EchoRequest{Dst: addr("10.0.0.9"), Payload: make([]byte, 65508)}), syscall.EMSGSIZE)
	require.ErrorIs(t, c.Send(EchoRequest{Dst: addr("99.0.0.1")}), syscall.ENETUNREACH)
}

func TestPingOurselves(t *testing.T) {
	h := newTestHost(t)
	c := h.listen("")
	defer c.Close()
	for _, dst := range []string{"10.0.0.2", "127.0.0.1"} {
		require.NoError(t, c.Send(EchoRequest{Dst: addr(dst), Payload: []byte("x")}))
		r, err := c.Receive(context.Background())
		require.NoError(t, err)
		require.Equal(t, dst, r.From.String())
		require.EqualValues(t, 64, r.TTL)
		require.Empty(t, h.sent)
	}
}

func TestPingSocketsAreIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		h.pong(time.Millisecond)
		var wg sync.WaitGroup
		ids := make(map[uint16]bool)
		for n := range 20 {
			c := h.listen("")
			ids[c.ID()] = true
			wg.Go(func() {
				defer c.Close()
				for seq := range uint16(10) {
					want := fmt.Sprint(n, " ", seq)
					if err := c.Send(EchoRequest{Dst: addr("10.0.0.9"), Seq: seq, Payload: []byte(want)}); err != nil {
						t.Error(err)
					}
					r, err := c.Receive(context.Background())
					if err != nil || string(r.Payload) != want || r.Seq != seq {
						t.Errorf("have %+v, %v; want %q", r, err, want)
					}
				}
			})
		}
		wg.Wait()
		require.Len(t, ids, 20)
	})
}

func TestPingErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		c := h.listen("")
		defer c.Close()
		var waiting *link.Packet
		h.answer = func(p *link.Packet) { waiting = p }
		require.NoError(t, c.Send(EchoRequest{Dst: addr("10.0.0.50"), Seq: 9}))
		time.Sleep(3 * time.Second)
		h.ip.Unreachable(waiting)
		r, err := c.Receive(context.Background())
		require.NoError(t, err)
		require.Equal(t, EchoReply{From: addr("10.0.0.2"), Seq: 9, RTT: 3 * time.Second, Err: syscall.EHOSTUNREACH, Type: 3, Code: 1}, r, "From 10.0.0.2: Destination Host Unreachable")

		h.answer = nil
		require.NoError(t, c.Send(EchoRequest{Dst: addr("10.0.0.9"), Seq: 10}))
		inner := quoteOf("10.0.0.2", "10.0.0.9", ipv4.ProtocolICMP, messageOf(h.sent[0].Header, nil))
		h.input(messageOf(Header{Type: 3, Code: 4, Info: 1200}, inner), func(ih *ipv4.Header) { ih.Src = addr("10.0.0.1") })
		r, err = c.Receive(context.Background())
		require.NoError(t, err)
		require.Equal(t, []any{addr("10.0.0.1"), error(syscall.EMSGSIZE), uint32(1200)}, []any{r.From, r.Err, r.Info})
		p, err := h.ip.OutputPath(addr("10.0.0.9"), netip.Addr{}, 0)
		require.NoError(t, err)
		require.Equal(t, 1200, p.MTU, "path MTU discovery")

		// Errors about other sockets, or what is no request, go nowhere.
		h.input(messageOf(Header{Type: 3, Code: 1}, quoteOf("10.0.0.2", "10.0.0.9", 1, messageOf(Header{Type: TypeEcho, Info: uint32(c.ID()+1) << 16}, nil))))
		h.input(messageOf(Header{Type: 3, Code: 1}, quoteOf("10.0.0.2", "10.0.0.9", 1, messageOf(Header{Type: TypeEchoReply, Info: uint32(c.ID()) << 16}, nil))))
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
		_, err = c.Receive(context.Background())
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	})
}

func TestPingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		h.pong(10 * time.Second)
		c := h.listen("")
		start := time.Now()

		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, err := c.Receive(ctx)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))

		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
		for range 2 { // it stays passed
			_, err = c.Receive(context.Background())
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.Equal(t, 2*time.Second, time.Since(start))
		}
		require.NoError(t, c.SetReadDeadline(time.Now().Add(-time.Second)))
		_, err = c.Receive(context.Background())
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		require.NoError(t, c.Send(EchoRequest{Dst: addr("10.0.0.9")}))
		_, err = c.Receive(context.Background())
		require.NoError(t, err)
		require.Equal(t, 12*time.Second, time.Since(start))

		// A deadline reaches a call that waits already.
		go func() {
			time.Sleep(time.Second)
			c.SetReadDeadline(time.Now())
		}()
		_, err = c.Receive(context.Background())
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, c.SetReadDeadline(time.Time{}))

		go func() {
			time.Sleep(time.Second)
			c.Close()
		}()
		_, err = c.Receive(context.Background())
		require.ErrorIs(t, err, net.ErrClosed)
		require.ErrorIs(t, c.Close(), net.ErrClosed)
		require.ErrorIs(t, c.Send(EchoRequest{Dst: addr("10.0.0.9")}), net.ErrClosed)
		require.ErrorIs(t, c.SetReadDeadline(time.Time{}), net.ErrClosed)
	})
}

func TestListenEchoErrors(t *testing.T) {
	h := newTestHost(t)
	_, err := h.ListenEcho(addr("10.0.0.77"), 0)
	require.ErrorIs(t, err, syscall.EADDRNOTAVAIL)
	_, err = h.ListenEcho(netip.Addr{}, 99)
	require.ErrorIs(t, err, syscall.ENODEV)
	c := h.listen("0.0.0.0")
	h.wantDrop(link.NoSocket, func() { h.input(messageOf(Header{Type: TypeEchoReply, Info: uint32(c.ID()+1) << 16}, nil)) })
	bound, err := h.ListenEcho(addr("10.0.1.2"), 3)
	require.NoError(t, err)
	h.wantDrop(link.NoSocket, func() { h.input(messageOf(Header{Type: TypeEchoReply, Info: uint32(bound.ID()) << 16}, nil)) })
	for range echoQueue {
		h.input(messageOf(Header{Type: TypeEchoReply, Info: uint32(c.ID()) << 16}, nil))
	}
	h.wantDrop(link.SocketRcvBuff, func() { h.input(messageOf(Header{Type: TypeEchoReply, Info: uint32(c.ID()) << 16}, nil)) })
	h.Close()
	_, err = h.ListenEcho(netip.Addr{}, 0)
	require.ErrorIs(t, err, syscall.ENETDOWN)
	require.ErrorIs(t, c.Send(EchoRequest{Dst: addr("10.0.0.9")}), net.ErrClosed)
}

func TestSysctls(t *testing.T) {
	h := newTestHost(t)
	for name, want := range map[string]int{"icmp_echo_ignore_all": 0, "icmp_echo_ignore_broadcasts": 1, "icmp_ratelimit": 1000, "icmp_ratemask": 0x1818,
		"icmp_msgs_per_sec": 1000, "icmp_msgs_burst": 50, "icmp_errors_use_inbound_ifaddr": 0} {
		v, err := h.Sysctl(name)
		require.NoError(t, err)
		require.Equal(t, want, v, name)
		require.ErrorIs(t, h.SetSysctl(name, -1), syscall.EINVAL)
		require.NoError(t, h.SetSysctl(name, 1))
	}
	require.Len(t, SysctlNames(), 7)
	require.ErrorIs(t, h.SetSysctl("icmp_nonsense", 1), syscall.ENOENT)
	_, err := h.Sysctl("icmp_nonsense")
	require.ErrorIs(t, err, syscall.ENOENT)
	names := make(map[string]bool)
	for name := range h.Stats().All() {
		require.False(t, names[name], name)
		names[name] = true
	}
	require.True(t, names["IcmpInDestUnreachs"])
}
