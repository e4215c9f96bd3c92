package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
)

func TestBothWays(t *testing.T) {
	a, b := newTestPair(t)
	server, client := b.listen("0.0.0.0:53"), a.dial("10.0.0.2:53")
	require.Equal(t, "10.0.0.1", client.LocalAddrPort().Addr().String(), "the route chose the address")

	n, err := client.Write([]byte("question"))
	require.NoError(t, err)
	require.Equal(t, 8, n)
	buf := make([]byte, 100)
	n, from, err := server.ReadFrom(buf)
	require.NoError(t, err)
	require.Equal(t, "question", string(buf[:n]))
	require.Equal(t, client.LocalAddr(), from)

	n, err = server.WriteTo([]byte("answer"), from)
	require.NoError(t, err)
	require.Equal(t, 6, n)
	n, err = client.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "answer", string(buf[:n]))

	require.Equal(t, "10.0.0.2", b.sent[0].h.Src.String(), "a wildcard socket answers from the address of the route")
	require.EqualValues(t, 1, a.stats.OutDatagrams.Load())
	require.EqualValues(t, 1, a.stats.InDatagrams.Load())
}

func TestAddresses(t *testing.T) {
	h := newTestHost(t, "2")
	c, l := h.dial("10.0.0.1:9"), h.listen("0.0.0.0:53")
	require.Equal(t, &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1).To4(), Port: 9}, c.RemoteAddr())
	require.Equal(t, "10.0.0.2", c.LocalAddr().(*net.UDPAddr).IP.String())
	require.Equal(t, "0.0.0.0:53", l.LocalAddr().String())
	require.Nil(t, l.RemoteAddr(), "no peer: a nil interface, as package net's")
	require.False(t, l.RemoteAddrPort().IsValid())
	require.Equal(t, ap("10.0.0.1:9"), c.RemoteAddrPort())
}

func TestOwnAddresses(t *testing.T) {
	h := newTestHost(t, "2")
	server := h.listen("0.0.0.0:53")
	for _, c := range []struct{ to, from string }{
		{"127.0.0.1:53", "127.0.0.1"}, {"10.0.0.2:53", "10.0.0.2"}, {"10.0.1.2:53", "10.0.1.2"}, {"0.0.0.0:53", "127.0.0.1"},
	} {
		client := h.dial(c.to)
		_, err := client.Write([]byte("x"))
		require.NoError(t, err)
		_, from, err := server.ReadFromUDPAddrPort(nil)
		require.NoError(t, err)
		require.Equal(t, c.from, from.Addr().String(), c.to)
		_, err = server.WriteToUDPAddrPort([]byte("y"), from)
		require.NoError(t, err)
		require.Equal(t, []string{"y"}, unread(t, client), c.to)

		free := h.listen("0.0.0.0:0")
		send(t, free, "z", c.to)
		require.Equal(t, []string{"z"}, unread(t, server))
	}
	require.Empty(t, h.sent, "nothing leaves the host")
}

func TestSizes(t *testing.T) {
	a, b := newTestPair(t)
	server, client := b.listen("0.0.0.0:53", SocketConfig{ReadBuffer: 1 << 20}), a.dial("10.0.0.2:53")
	for _, n := range []int{0, 1, 1472, 1473, 9000, MaxPayload} {
		data := strings.Repeat("0123456789abcdef", n/16+1)[:n]
		wrote, err := client.Write([]byte(data))
		require.NoError(t, err)
		require.Equal(t, n, wrote)
		require.Equal(t, []string{data}, unread(t, server), "%d bytes", n)
	}
	wrote, err := client.Write(make([]byte, MaxPayload+1))
	wantErrno(t, syscall.EMSGSIZE, err)
	require.Zero(t, wrote)
	require.Contains(t, err.Error(), "message too long")

	_, err = client.Write([]byte("too long for it"))
	require.NoError(t, err)
	buf := make([]byte, 3)
	n, err := server.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "too", string(buf[:n]))
	require.Empty(t, unread(t, server), "the rest of a datagram is lost")
}

func TestHeaderOfWhatIsSent(t *testing.T) {
	h := newTestHost(t, "2")
	c := h.dial("10.0.0.1:9", SocketConfig{TTL: 7, TOS: 0x10})
	last := func() sentPacket { return h.sent[len(h.sent)-1] }
	write := func(n int) {
		t.Helper()
		_, err := c.Write(make([]byte, n))
		require.NoError(t, err)
	}
	write(10)
	require.Equal(t, []any{uint8(7), uint8(0x10), true, false}, []any{last().h.TTL, last().h.TOS, last().h.DF, last().confirm})
	require.Equal(t, Header{SrcPort: c.LocalAddrPort().Port(), DstPort: 9, Length: 18, Checksum: last().udp.Checksum}, last().udp)
	id := last().h.ID
	write(10)
	require.Equal(t, id+1, last().h.ID)

	write(2000)
	require.False(t, last().h.DF, "Want: longer ones are fragmented")
	require.NoError(t, c.SetPathMTU(Dont))
	write(10)
	require.False(t, last().h.DF)
	require.NoError(t, c.SetPathMTU(Do))
	_, err := c.Write(make([]byte, 1473))
	wantErrno(t, syscall.EMSGSIZE, err)
	write(1472)
	require.True(t, last().h.DF)

	require.NoError(t, c.SetTTL(0))
	require.NoError(t, c.SetTOS(0))
	write(1)
	require.Equal(t, []any{uint8(64), uint8(0)}, []any{last().h.TTL, last().h.TOS})

	_, err = c.Send([]byte("x"), netip.AddrPort{}, SendOptions{Confirm: true})
	require.NoError(t, err)
	require.True(t, last().confirm, "MSG_CONFIRM reaches the neighbour layer")
	_, err = c.Send([]byte("x"), ap("10.0.1.1:99"), SendOptions{})
	require.NoError(t, err)
	require.Equal(t, "10.0.1.1", last().h.Dst.String(), "sendmsg goes where it is told")
	require.Equal(t, "10.0.0.2", last().h.Src.String(), "a connected socket keeps its address")
}

func TestMulticastTTL(t *testing.T) {
	h := newTestHost(t, "2")
	c := h.listen("0.0.0.0:9", SocketConfig{TTL: 7})
	send(t, c, "x", "224.1.2.3:9")
	require.EqualValues(t, 1, h.sent[0].h.TTL, "RFC 1112 6.1, whatever IP_TTL says")
}

func TestWriteErrors(t *testing.T) {
	h := newTestHost(t, "2")
	c, peer := h.listen("0.0.0.0:0"), h.dial("10.0.0.1:9")
	require.NoError(t, h.ip.AddRoute(ipv4.Route{Dst: netip.MustParsePrefix("203.0.113.0/24"), Type: ipv4.Unreachable}))

	_, err := c.Write([]byte("x"))
	wantErrno(t, syscall.EDESTADDRREQ, err)
	_, err = c.Send([]byte("x"), netip.AddrPort{}, SendOptions{})
	wantErrno(t, syscall.EDESTADDRREQ, err)
	_, err = c.WriteToUDP([]byte("x"), nil)
	wantErrno(t, syscall.EDESTADDRREQ, err)
	_, err = c.WriteToUDPAddrPort([]byte("x"), ap("203.0.113.1:9"))
	wantErrno(t, syscall.EHOSTUNREACH, err)
	require.Contains(t, err.Error(), "sendto: no route to host")
	_, err = c.WriteToUDPAddrPort([]byte("x"), ap("10.0.0.1:0"))
	wantErrno(t, syscall.EINVAL, err)
	_, err = c.WriteToUDPAddrPort([]byte("x"), ap("[fd00::1]:9"))
	wantErrno(t, syscall.EAFNOSUPPORT, err)
	_, err = c.WriteTo([]byte("x"), &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 9})
	wantErrno(t, syscall.EINVAL, err)
	_, err = peer.WriteTo([]byte("x"), peer.RemoteAddr())
	require.ErrorIs(t, err, net.ErrWriteToConnected)
	_, err = h.Dial(netip.AddrPort{}, ap("203.0.113.1:9"), SocketConfig{})
	wantErrno(t, syscall.EHOSTUNREACH, err)
	require.Equal(t, "dial udp 203.0.113.1:9: connect: no route to host", err.Error())
	_, err = h.Dial(netip.AddrPort{}, ap("[fd00::1]:9"), SocketConfig{})
	wantErrno(t, syscall.EAFNOSUPPORT, err)
	require.Empty(t, h.sent)
}

func TestErrorsFromBelow(t *testing.T) {
	h := newTestHost(t, "2")
	for _, c := range []struct {
		name            string
		busy            error
		asked, notAsked syscall.Errno
	}{
		{"GC-13: no neighbour entry", fmt.Errorf("neighbour: table full: %w", syscall.ENOBUFS), syscall.ENOBUFS, 0},
		{"the device's queue is full", link.ErrQueueFull, syscall.ENOBUFS, 0},
		{"the device is down", syscall.ENETDOWN, syscall.ENETDOWN, syscall.ENETDOWN},
		{"nothing at the device's other end", fmt.Errorf("tap: down: %w", syscall.EIO), 0, 0},
		{"the device is closed", net.ErrClosed, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.busy = c.busy
			for _, asked := range []bool{true, false} {
				s := h.dial("10.0.0.1:9", SocketConfig{ReceiveErrors: asked})
				want := c.notAsked
				if asked {
					want = c.asked
				}
				_, err := s.Write([]byte("x"))
				if want == 0 {
					require.NoError(t, err)
				} else {
					wantErrno(t, want, err)
				}
				s.Close()
			}
		})
	}
	require.EqualValues(t, 2, h.stats.SndbufErrors.Load())
	require.EqualValues(t, 4, h.stats.OutDatagrams.Load())
}

func TestPortUnreachable(t *testing.T) {
	t.Run("to a connected socket", func(t *testing.T) {
		a, b := newTestPair(t)
		c := a.dial("10.0.0.2:9")
		_, err := c.Write([]byte("x"))
		require.NoError(t, err)
		require.EqualValues(t, 1, b.stats.NoPorts.Load())
		require.EqualValues(t, 1, b.drops.Count(link.NoSocket))
		_, err = c.Read(nil)
		wantErrno(t, syscall.ECONNREFUSED, err)
		require.Equal(t, fmt.Sprintf("read udp %v->10.0.0.2:9: read: connection refused", c.LocalAddr()), err.Error())

		_, err = c.Write([]byte("x"))
		require.NoError(t, err)
		_, err = c.Write([]byte("x"))
		wantErrno(t, syscall.ECONNREFUSED, err)
		require.Len(t, a.sent, 2, "the call that tells of it sends nothing")
		_, err = c.Write([]byte("x"))
		require.NoError(t, err, "and it is told once")
	})
	t.Run("comes before data", func(t *testing.T) {
		a, b := newTestPair(t)
		c := a.dial("10.0.0.2:9")
		_, err := c.Write([]byte("x"))
		require.NoError(t, err)
		late := b.listen("10.0.0.2:9")
		send(t, late, "data", c.LocalAddr().String())
		_, err = c.Read(make([]byte, 10))
		wantErrno(t, syscall.ECONNREFUSED, err)
		require.Equal(t, []string{"data"}, unread(t, c))
	})
	t.Run("ends a read that waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, _ := newTestPair(t)
			c := a.dial("10.0.0.2:9")
			done := make(chan error)
			go func() { _, err := c.Read(nil); done <- err }()
			synctest.Wait()
			_, err := c.Write([]byte("x"))
			require.NoError(t, err)
			wantErrno(t, syscall.ECONNREFUSED, <-done)
		})
	})
	t.Run("not to an unconnected socket", func(t *testing.T) {
		a, b := newTestPair(t)
		c := a.listen("0.0.0.0:1000")
		send(t, c, "x", "10.0.0.2:9")
		require.EqualValues(t, 1, b.errors.Load())
		send(t, c, "x", "10.0.0.2:9")
		require.Len(t, a.sent, 2)
	})
	t.Run("not about somebody else's datagram", func(t *testing.T) {
		a, _ := newTestPair(t)
		c, other := a.dial("10.0.0.2:9"), a.dial("10.0.0.2:10")
		_, err := other.Write([]byte("x"))
		require.NoError(t, err)
		_, err = c.Write([]byte("x"))
		require.NoError(t, err)
		_, err = c.Write([]byte("x"))
		wantErrno(t, syscall.ECONNREFUSED, err)
	})
	t.Run("on the host itself", func(t *testing.T) {
		a, _ := newTestPair(t)
		c := a.dial("127.0.0.1:9")
		_, err := c.Write([]byte("x"))
		require.NoError(t, err)
		_, err = c.Read(nil)
		wantErrno(t, syscall.ECONNREFUSED, err)
	})
}

func TestBroadcast(t *testing.T) {
	a, b := newTestPair(t)
	c := a.listen("0.0.0.0:1000")
	for _, to := range []string{"10.0.0.255:9", "255.255.255.255:9"} {
		_, err := c.WriteToUDPAddrPort([]byte("x"), ap(to))
		wantErrno(t, syscall.EACCES, err)
		require.Contains(t, err.Error(), "permission denied")
		_, err = a.Dial(netip.AddrPort{}, ap(to), SocketConfig{})
		wantErrno(t, syscall.EACCES, err)
	}
	require.NoError(t, c.SetBroadcast(true))

	r := SocketConfig{ReuseAddr: true}
	peer, err := b.Dial(ap("0.0.0.0:9"), ap("10.0.0.1:2000"), r)
	require.NoError(t, err)
	all := []*Conn{b.listen("0.0.0.0:9", r), b.listen("0.0.0.0:9", r), b.listen("10.0.0.255:9", r), b.listen("10.0.0.2:9", r), peer}
	send(t, c, "x", "10.0.0.255:9")
	for i, want := range [][]string{{"x"}, {"x"}, {"x"}, nil, nil} {
		require.Equal(t, want, unread(t, all[i]), "socket %d", i)
	}
	send(t, c, "y", "255.255.255.255:9")
	for i, want := range [][]string{{"y"}, {"y"}, nil, nil, nil} {
		require.Equal(t, want, unread(t, all[i]), "socket %d", i)
	}

	bound := b.listen("10.0.0.255:99")
	send(t, bound, "from a broadcast address", "10.0.0.1:1000")
	require.Equal(t, "10.0.0.2", b.sent[0].h.Src.String(), "such a socket only receives there")

	send(t, c, "z", "10.0.0.255:10")
	require.Zero(t, a.errors.Load()+b.errors.Load(), "RFC 1122 3.2.2: no error about a broadcast")
	require.EqualValues(t, 1, b.stats.IgnoredMulti.Load())
	require.EqualValues(t, 1, b.drops.Count(link.NoSocket))
}

func TestMulticastToMembers(t *testing.T) {
	a, b := newTestPair(t)
	group := netip.MustParseAddr("239.1.2.3")
	c, s := a.listen("0.0.0.0:1000"), b.listen("0.0.0.0:9")
	send(t, c, "x", "239.1.2.3:9")
	require.Empty(t, unread(t, s))
	require.NoError(t, b.ip.JoinGroup(2, group))
	send(t, c, "y", "239.1.2.3:9")
	require.Equal(t, []string{"y"}, unread(t, s))
}

func TestHostUnreachable(t *testing.T) {
	unreachable := func(h *testHost, c *Conn, code uint8) {
		p := link.NewPacket(ipv4.HeaderLen + HeaderLen + 4)
		ipv4.Header{TotalLen: p.Len(), TTL: 64, Protocol: ipv4.ProtocolUDP, Src: netip.MustParseAddr("10.0.0.2"), Dst: netip.MustParseAddr("10.0.0.1")}.Put(p.Bytes())
		Header{SrcPort: c.LocalAddrPort().Port(), DstPort: 9, Length: HeaderLen + 4}.Put(p.Bytes()[ipv4.HeaderLen:])
		copy(p.Bytes()[ipv4.HeaderLen+HeaderLen:], "data")
		p.SetNetworkHeader()
		h.ip.ReportError(p, ipv4.ErrorMessage{Type: ipv4.TypeUnreachable, Code: code, Info: 1400, Reason: link.NeighFailed})
	}
	t.Run("L3-11: silent on a connected socket", func(t *testing.T) {
		h := newTestHost(t, "2")
		c := h.dial("10.0.0.1:9")
		unreachable(h, c, ipv4.CodeHostUnreachable)
		_, err := c.Write([]byte("x"))
		require.NoError(t, err)
		_, ok := c.NextError()
		require.False(t, ok)
	})
	t.Run("fragmentation needed is not", func(t *testing.T) {
		h := newTestHost(t, "2")
		c := h.dial("10.0.0.1:9")
		unreachable(h, c, ipv4.CodeFragNeeded)
		_, err := c.Write([]byte("x"))
		wantErrno(t, syscall.EMSGSIZE, err)
		require.NoError(t, c.SetPathMTU(Dont))
		unreachable(h, c, ipv4.CodeFragNeeded)
		_, err = c.Write([]byte("x"))
		require.NoError(t, err, "who sends without DF need not know")
	})
	for _, connected := range []bool{true, false} {
		t.Run(fmt.Sprintf("L3-11: with the error queue, connected %v", connected), func(t *testing.T) {
			h := newTestHost(t, "2")
			var c *Conn
			if connected {
				c = h.dial("10.0.0.1:9", SocketConfig{ReceiveErrors: true})
			} else {
				c = h.listen("0.0.0.0:0")
				require.NoError(t, c.SetReceiveErrors(true))
			}
			unreachable(h, c, ipv4.CodeHostUnreachable)
			unreachable(h, c, ipv4.CodePortUnreachable)
			_, err := c.Send([]byte("x"), ap("10.0.0.1:9"), SendOptions{})
			wantErrno(t, syscall.ECONNREFUSED, err)
			_, err = c.Send([]byte("x"), ap("10.0.0.1:9"), SendOptions{})
			require.NoError(t, err, "the newest was told, once")

			e, ok := c.NextError()
			require.True(t, ok)
			require.Equal(t, QueuedError{
				Errno: syscall.EHOSTUNREACH, Origin: ICMP, Type: 3, Code: 1, Info: 1400,
				Offender: netip.MustParseAddr("10.0.0.254"), To: ap("10.0.0.1:9"), Data: []byte("data"),
			}, e)
			_, err = c.Read(nil)
			wantErrno(t, syscall.ECONNREFUSED, err) // that of the next in the queue
			e, ok = c.NextError()
			require.True(t, ok)
			require.Equal(t, syscall.ECONNREFUSED, e.Errno)
			_, ok = c.NextError()
			require.False(t, ok)
			_, err = c.Send([]byte("x"), ap("10.0.0.1:9"), SendOptions{})
			require.NoError(t, err)
		})
	}
	t.Run("reading the queue settles the error", func(t *testing.T) {
		h := newTestHost(t, "2")
		c := h.dial("10.0.0.1:9", SocketConfig{ReceiveErrors: true})
		unreachable(h, c, ipv4.CodeHostUnreachable)
		_, ok := c.NextError()
		require.True(t, ok)
		_, err := c.Write([]byte("x"))
		require.NoError(t, err)
	})
	t.Run("turned off, the queue is gone", func(t *testing.T) {
		h := newTestHost(t, "2")
		c := h.dial("10.0.0.1:9", SocketConfig{ReceiveErrors: true})
		unreachable(h, c, ipv4.CodeHostUnreachable)
		require.NoError(t, c.SetReceiveErrors(false))
		_, ok := c.NextError()
		require.False(t, ok)
	})
	t.Run("errors share the receive buffer", func(t *testing.T) {
		h := newTestHost(t, "2")
		c := h.dial("10.0.0.1:9", SocketConfig{ReceiveErrors: true, ReadBuffer: 1})
		for range 10 {
			unreachable(h, c, ipv4.CodeHostUnreachable)
		}
		n := 0
		for _, ok := c.NextError(); ok; _, ok = c.NextError() {
			n++
		}
		require.Equal(t, 2, n)
	})
	t.Run("too long for the path, found here", func(t *testing.T) {
		h := newTestHost(t, "2")
		c := h.dial("10.0.0.1:9", SocketConfig{ReceiveErrors: true, PathMTU: Do})
		_, err := c.Write(make([]byte, 2000))
		wantErrno(t, syscall.EMSGSIZE, err)
		e, ok := c.NextError()
		require.True(t, ok)
		require.Equal(t, QueuedError{Errno: syscall.EMSGSIZE, Origin: Local, Info: 1500, To: ap("10.0.0.1:9")}, e)
	})
}

func TestReceiveBuffer(t *testing.T) {
	for _, c := range []struct{ size, fit int }{{3, 256}, {1400, 92}} {
		a, b := newTestPair(t)
		server, client := b.listen("0.0.0.0:9"), a.dial("10.0.0.2:9")
		for range 300 {
			_, err := client.Write(make([]byte, c.size))
			require.NoError(t, err)
		}
		lost := uint64(300 - c.fit)
		require.Equal(t, lost, server.Dropped())
		require.Equal(t, lost, b.drops.Count(link.SocketRcvBuff))
		require.Equal(t, lost, b.stats.RcvbufErrors.Load())
		require.Len(t, unread(t, server), c.fit, "as many as on Linux")
		_, err := client.Write([]byte("room again"))
		require.NoError(t, err)
		require.Equal(t, []string{"room again"}, unread(t, server))
	}
	t.Run("one fits always", func(t *testing.T) {
		a, b := newTestPair(t)
		server, client := b.listen("0.0.0.0:9"), a.dial("10.0.0.2:9")
		require.NoError(t, server.SetReadBuffer(0))
		for range 2 {
			_, err := client.Write(make([]byte, 60_000))
			require.NoError(t, err)
		}
		require.Len(t, unread(t, server), 1)
	})
}

func TestMalformed(t *testing.T) {
	h := newTestHost(t, "2")
	c := h.listen("0.0.0.0:9")
	src, dst := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	for _, tc := range []struct {
		name   string
		change func(b []byte) []byte // of a datagram with 4 bytes of data
		reason link.DropReason
	}{
		{"ok", func(b []byte) []byte { return b }, link.NotSpecified},
		{"ok, no checksum", func(b []byte) []byte { b[6], b[7] = 0, 0; return b }, link.NotSpecified},
		{"ok, shorter than the packet", func(b []byte) []byte { return append(b, 0xff) }, link.NotSpecified},
		{"bad, cut off in the header", func(b []byte) []byte { return b[:7] }, link.UDPInHdr},
		{"bad, no header", func(b []byte) []byte { return nil }, link.UDPInHdr},
		{"bad, length under 8", func(b []byte) []byte { b[5] = 7; return b }, link.UDPInHdr},
		{"bad, longer than the packet", func(b []byte) []byte { return b[:11] }, link.UDPInHdr},
		{"bad, checksum", func(b []byte) []byte { b[8] ^= 1; return b }, link.UDPCsum},
		{"bad, checksum and port", func(b []byte) []byte { b[3] ^= 1; return b }, link.UDPCsum},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := make([]byte, HeaderLen+4)
			Header{SrcPort: 1000, DstPort: 9, Length: len(b)}.Put(b)
			copy(b[HeaderLen:], "data")
			SetChecksum(b, src, dst)
			b = tc.change(b)
			p := link.NewPacketFrom(b)
			ipv4.Header{TotalLen: ipv4.HeaderLen + len(b), TTL: 64, Protocol: ipv4.ProtocolUDP, Src: src, Dst: dst}.Put(p.Push(ipv4.HeaderLen))
			before := h.drops.Count(tc.reason)
			h.ip.Input(h.t0, p)
			if tc.reason == link.NotSpecified {
				require.Equal(t, []string{"data"}, unread(t, c))
				return
			}
			require.Equal(t, before+1, h.drops.Count(tc.reason))
			require.Empty(t, unread(t, c))
			require.Zero(t, h.errors.Load(), "no error is sent")
		})
	}
	require.EqualValues(t, 6, h.stats.InErrors.Load())
	require.EqualValues(t, 2, h.stats.InCsumErrors.Load())
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newTestPair(t)
		server, client := b.listen("0.0.0.0:9"), a.dial("10.0.0.2:9")
		for range 3 {
			_, err := client.Write([]byte("x"))
			require.NoError(t, err)
		}
		require.NoError(t, server.Close())
		require.EqualValues(t, 3, b.drops.Count(link.SocketClosed), "what was not read is lost, and counted")
		again := b.listen("0.0.0.0:9") // the port is free
		require.NoError(t, again.Close())

		var reads sync.WaitGroup
		for range 3 {
			reads.Go(func() {
				_, err := client.Read(nil)
				require.ErrorIs(t, err, net.ErrClosed)
			})
		}
		synctest.Wait()
		require.NoError(t, client.Close())
		reads.Wait()

		for name, f := range map[string]func() error{
			"Close":    client.Close,
			"Read":     func() error { _, err := client.Read(nil); return err },
			"ReadFrom": func() error { _, _, err := client.ReadFrom(nil); return err },
			"Write":    func() error { _, err := client.Write(nil); return err },
			"Send":     func() error { _, err := client.Send(nil, netip.AddrPort{}, SendOptions{}); return err },
			"Deadline": func() error { return client.SetDeadline(time.Time{}) },
			"TTL":      func() error { return client.SetTTL(1) },
		} {
			err := f()
			require.ErrorIs(t, err, net.ErrClosed, name)
			var op *net.OpError
			require.True(t, errors.As(err, &op), name)
		}
	})
}

func TestDeadlines(t *testing.T) {
	read := func(c *Conn) (time.Duration, error) {
		begin := time.Now()
		_, err := c.Read(make([]byte, 10))
		return time.Since(begin), err
	}
	timeout := func(t *testing.T, err error) {
		t.Helper()
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		var e net.Error
		require.True(t, errors.As(err, &e) && e.Timeout())
	}
	run := func(name string, f func(t *testing.T, c, other *Conn)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := newTestPair(t)
				server := b.listen("0.0.0.0:9")
				c := a.dial("10.0.0.2:9")
				f(t, c, server)
				c.Close()
			})
		})
	}
	run("exact", func(t *testing.T, c, _ *Conn) {
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
		took, err := read(c)
		timeout(t, err)
		require.Equal(t, time.Second, took)
		took, err = read(c)
		timeout(t, err)
		require.Zero(t, took, "it has passed for good")
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
		took, err = read(c)
		timeout(t, err)
		require.Equal(t, time.Minute, took, "until it is moved")
	})
	run("past", func(t *testing.T, c, s *Conn) {
		_, err := c.Write([]byte("x"))
		require.NoError(t, err)
		_, from, err := s.ReadFromUDPAddrPort(nil)
		require.NoError(t, err)
		send(t, s, "data", from.String())
		require.NoError(t, c.SetReadDeadline(time.Unix(1, 0)))
		_, err = read(c)
		timeout(t, err)
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		require.Equal(t, []string{"data"}, unread(t, c), "nothing is lost by it")
	})
	run("moved while a read waits", func(t *testing.T, c, _ *Conn) {
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Hour)))
		go func() {
			time.Sleep(time.Second)
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
		}()
		took, err := read(c)
		timeout(t, err)
		require.Equal(t, 2*time.Second, took, "earlier")

		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
		go func() {
			time.Sleep(time.Second / 2)
			_ = c.SetDeadline(time.Now().Add(time.Minute))
		}()
		took, err = read(c)
		timeout(t, err)
		require.Equal(t, time.Minute+time.Second/2, took, "later")

		require.NoError(t, c.SetReadDeadline(time.Time{}))
		go func() {
			time.Sleep(time.Second)
			_ = c.SetReadDeadline(time.Now())
		}()
		took, err = read(c)
		timeout(t, err)
		require.Equal(t, time.Second, took, "now")
	})
	run("taken away", func(t *testing.T, c, s *Conn) {
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
		go func() {
			time.Sleep(time.Second / 2)
			_ = c.SetReadDeadline(time.Time{})
			time.Sleep(time.Hour)
			_, _ = s.WriteTo([]byte("x"), c.LocalAddr())
		}()
		took, err := read(c)
		require.NoError(t, err)
		require.Equal(t, time.Hour+time.Second/2, took)
	})
	run("all readers", func(t *testing.T, c, _ *Conn) {
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				_, err := read(c)
				timeout(t, err)
			})
		}
		wg.Wait()
	})
	run("write", func(t *testing.T, c, _ *Conn) {
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
		_, err := c.Write([]byte("x"))
		require.NoError(t, err)
		time.Sleep(time.Second)
		_, err = c.Write([]byte("x"))
		timeout(t, err)
		require.NoError(t, c.SetDeadline(time.Time{}))
		_, err = c.Write([]byte("x"))
		require.NoError(t, err)
	})
}

func TestDoesNotAllocate(t *testing.T) {
	h := newTestHost(t, "2")
	server, client := h.listen("127.0.0.1:9"), h.dial("127.0.0.1:9")
	data, buf := make([]byte, 100), make([]byte, 100)
	linktest.WantNoAllocs(t, func() {
		if _, err := client.Write(data); err != nil {
			t.Error(err)
		}
		_, from, err := server.ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Error(err)
		}
		if _, err := server.WriteToUDPAddrPort(data, from); err != nil {
			t.Error(err)
		}
		if _, err := client.Read(buf); err != nil {
			t.Error(err)
		}
	})
}

// TestRacy uses everything at once; the race detector judges.
func TestRacy(t *testing.T) {
	h := newTestHost(t, "2")
	server := h.listen("127.0.0.1:9")
	var echo sync.WaitGroup
	for range 2 {
		echo.Go(func() {
			b := make([]byte, 100)
			for {
				n, from, err := server.ReadFromUDPAddrPort(b)
				if err != nil {
					return
				}
				_, _ = server.WriteToUDPAddrPort(b[:n], from)
			}
		})
	}
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			c, err := h.Dial(netip.AddrPort{}, ap("127.0.0.1:9"), SocketConfig{ReceiveErrors: i%2 == 0})
			if err != nil {
				t.Error(err)
				return
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				for {
					if _, err := c.Read(make([]byte, 100)); errors.Is(err, net.ErrClosed) {
						return
					}
				}
			})
			for n := range 100 {
				_, _ = c.Write([]byte("x"))
				_ = c.SetReadDeadline(time.Now().Add(time.Duration(n-50) * time.Microsecond))
				_ = c.SetReadBuffer(n)
				c.NextError()
			}
			c.Close()
			wg.Wait()
		})
	}
	for i := range 4 {
		clients.Go(func() {
			c, err := h.Listen(ap("0.0.0.0:99"), SocketConfig{ReusePort: true, Broadcast: true})
			if err != nil {
				t.Error(err)
				return
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				ms := []Message{{Buffers: [][]byte{make([]byte, 1000)}, OOB: make([]byte, 200)}, {Buffers: [][]byte{nil}}}
				for {
					if _, err := c.ReadBatch(ms, 0); errors.Is(err, net.ErrClosed) {
						return
					}
				}
			})
			group := netip.AddrFrom4([4]byte{239, 1, 1, byte(i)})
			for n := range 100 {
				_ = c.Connect(ap("127.0.0.1:9"))
				_ = c.Connect(netip.AddrPort{})
				_ = c.SetCoalescing(n%2 == 0)
				_ = c.SetPacketInfo(n%3 == 0)
				_ = c.JoinGroup(2, group)
				_, _ = c.Send(make([]byte, 100), netip.AddrPortFrom(group, 99), SendOptions{SegmentSize: 30})
				_, _ = c.Send(make([]byte, 100), ap("127.0.0.1:99"), SendOptions{SegmentSize: 30})
				_ = c.ExcludeSourceSpecificGroup(2, group, netip.AddrFrom4([4]byte{1, 1, 1, byte(n)}))
				if n%2 == 0 {
					_ = c.LeaveGroup(2, group)
				}
			}
			c.Close()
			wg.Wait()
		})
	}
	clients.Wait()
	server.Close()
	echo.Wait()
	require.Zero(t, h.memory.used.Load(), "closed sockets hold nothing")
}

func BenchmarkLoopback(b *testing.B) {
	h := newTestHost(b, "2")
	server, client := h.listen("127.0.0.1:9"), h.dial("127.0.0.1:9")
	data, buf := make([]byte, 64), make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Write(data); err != nil {
			b.Fatal(err)
		}
		if _, _, err := server.ReadFromUDPAddrPort(buf); err != nil {
			b.Fatal(err)
		}
	}
}
