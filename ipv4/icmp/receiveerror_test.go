package icmp

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
)

func quoteOf(src, dst string, protocol uint8, data []byte, change ...func(*ipv4.Header)) []byte {
	p := packet(src, dst, protocol, data, change...)
	defer p.Release()
	return append([]byte(nil), p.Bytes()...)
}

func TestErrorsReachTheTransport(t *testing.T) {
	for _, tc := range []struct {
		name      string
		typ, code uint8
		info      uint32
		errno     syscall.Errno
		hard      bool
		wantInfo  uint32
	}{
		{"net unreachable", 3, 0, 0, syscall.ENETUNREACH, false, 0},
		{"host unreachable", 3, 1, 0, syscall.EHOSTUNREACH, false, 0},
		{"protocol unreachable", 3, 2, 0, syscall.ENOPROTOOPT, true, 0},
		{"port unreachable", 3, 3, 0, syscall.ECONNREFUSED, true, 0},
		{"fragmentation needed", 3, 4, 0xdead0240, syscall.EMSGSIZE, false, 576},
		{"source route failed", 3, 5, 0, syscall.EOPNOTSUPP, false, 0},
		{"net unknown", 3, 6, 0, syscall.ENETUNREACH, true, 0},
		{"host unknown", 3, 7, 0, syscall.EHOSTDOWN, true, 0},
		{"isolated", 3, 8, 0, errIsolated, true, 0},
		{"net prohibited", 3, 9, 0, syscall.ENETUNREACH, true, 0},
		{"host prohibited", 3, 10, 0, syscall.EHOSTUNREACH, true, 0},
		{"net and type of service", 3, 11, 0, syscall.ENETUNREACH, false, 0},
		{"host and type of service", 3, 12, 0, syscall.EHOSTUNREACH, false, 0},
		{"filtered", 3, 13, 0, syscall.EHOSTUNREACH, true, 0},
		{"precedence violation", 3, 14, 0, syscall.EHOSTUNREACH, true, 0},
		{"precedence cutoff", 3, 15, 0, syscall.EHOSTUNREACH, true, 0},
		{"TTL exceeded", 11, 0, 0, syscall.EHOSTUNREACH, false, 0},
		{"parameter problem", 12, 0, 20 << 24, syscall.EPROTO, true, 20},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newTestHost(t)
			var got []ipv4.TransportError
			h.ip.Handle(17, ipv4.Handler{Error: func(e ipv4.TransportError) {
				e.Payload = append([]byte(nil), e.Payload...)
				got = append(got, e)
			}})
			inner := quoteOf("10.0.0.2", "8.8.8.8", 17, []byte("12345678more"))
			h.input(messageOf(Header{Type: tc.typ, Code: tc.code, Info: tc.info}, append(inner, "extension"...)))
			require.Len(t, got, 1)
			e := got[0]
			require.Equal(t, []any{tc.typ, tc.code, tc.errno, tc.hard, tc.wantInfo}, []any{e.Type, e.Code, e.Errno, e.Hard, e.Info})
			require.Equal(t, addr("10.0.0.9"), e.From)
			require.Equal(t, addr("10.0.0.2"), e.Inner.Src)
			require.Equal(t, addr("8.8.8.8"), e.Inner.Dst)
			require.Equal(t, "12345678more", string(e.Payload), "what follows the packet is no part of it")
			require.Empty(t, h.drops.Counts())
		})
	}
	t.Run("quoted in part", func(t *testing.T) {
		h := newTestHost(t)
		var got []string
		h.ip.Handle(17, ipv4.Handler{Error: func(e ipv4.TransportError) { got = append(got, string(e.Payload)) }})
		inner := quoteOf("10.0.0.2", "8.8.8.8", 17, []byte("12345678more"))
		h.input(messageOf(Header{Type: 3, Code: 3}, inner[:28]))
		require.Equal(t, []string{"12345678"}, got)
	})
	t.Run("a transport without Error", func(t *testing.T) {
		h := newTestHost(t)
		h.input(messageOf(Header{Type: 3, Code: 3}, quoteOf("10.0.0.2", "8.8.8.8", 99, make([]byte, 8))))
		require.Empty(t, h.sent)
	})
}

func TestRedirectInput(t *testing.T) {
	h := newTestHost(t)
	require.NoError(t, h.ip.AddRoute(ipv4.Route{Gateway: addr("10.0.0.1")}))
	h.ip.SetForwarding(false) // routers do not listen
	via := func() netip.Addr {
		p, err := h.ip.OutputPath(addr("8.8.8.8"), netip.Addr{}, 0)
		require.NoError(t, err)
		return p.Gateway
	}
	inner := quoteOf("10.0.0.2", "8.8.8.8", 17, make([]byte, 8))
	fromRouter := func(ih *ipv4.Header) { ih.Src = addr("10.0.0.1") }
	redirect := messageOf(Header{Type: TypeRedirect, Code: 1, Info: 0x0a000007}, inner)
	h.wantDrop(link.ICMPIgnored, func() { h.input(redirect) }) // from 10.0.0.9
	require.Equal(t, addr("10.0.0.1"), via())
	h.wantDrop(link.ICMPIgnored, func() { h.input(messageOf(Header{Type: TypeRedirect, Code: 4, Info: 0x0a000007}, inner), fromRouter) })
	h.input(redirect, fromRouter)
	require.Equal(t, addr("10.0.0.7"), via())
}
