package icmp

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/random"
)

func TestErrorsAreSent(t *testing.T) {
	for _, tc := range []struct {
		name       string
		dst        string
		protocol   uint8
		change     func(*ipv4.Header)
		size       int
		setup      func(h *testHost)
		typ, code  uint8
		info       uint32
		src        string
		quote      int // bytes
		wantTOS    uint8
		wantReason link.DropReason
	}{
		{name: "protocol unreachable", dst: "10.0.0.2", protocol: 253, size: 8, typ: 3, code: 2, src: "10.0.0.2", quote: 28, wantTOS: 0xc0, wantReason: link.IPNoProto},
		{name: "from the address that was asked", dst: "10.0.1.2", protocol: 253, size: 8, typ: 3, code: 2, src: "10.0.1.2", quote: 28, wantTOS: 0xc0, wantReason: link.IPNoProto},
		{name: "TTL", dst: "10.0.1.50", protocol: 17, change: func(ih *ipv4.Header) { ih.TTL = 1 }, size: 9, typ: 11, src: "10.0.0.2", quote: 29, wantTOS: 0xc0, wantReason: link.IPTTLExpired},
		{name: "no route", dst: "192.168.77.1", protocol: 17, size: 8, typ: 3, code: 0, src: "10.0.0.2", quote: 28, wantTOS: 0xc0, wantReason: link.IPInNoRoutes},
		{name: "fragmentation needed", dst: "10.0.1.50", protocol: 17, change: func(ih *ipv4.Header) { ih.DF = true }, size: 1208,
			setup: func(h *testHost) { require.NoError(h.t, h.ip.SetMTU(3, 1000)) }, typ: 3, code: 4, info: 1000, src: "10.0.0.2", quote: 548, wantTOS: 0xc0, wantReason: link.IPFragNeeded},
		{name: "type of service is kept, precedence and ECN are not", dst: "10.0.0.2", protocol: 253, change: func(ih *ipv4.Header) { ih.TOS = 0xb9 }, size: 8, typ: 3, code: 2, src: "10.0.0.2", quote: 28, wantTOS: 0xd8, wantReason: link.IPNoProto},
		{name: "quotes what fits into 576 bytes", dst: "10.0.0.2", protocol: 253, size: 1400, typ: 3, code: 2, src: "10.0.0.2", quote: 548, wantTOS: 0xc0, wantReason: link.IPNoProto},
		{name: "quotes options", dst: "10.0.0.2", protocol: 253, change: func(ih *ipv4.Header) { ih.Options = []byte{1, 1, 1, 1} }, size: 8, typ: 3, code: 2, src: "10.0.0.2", quote: 32, wantTOS: 0xc0, wantReason: link.IPNoProto},
		{name: "first fragment", dst: "10.0.1.50", protocol: 17, change: func(ih *ipv4.Header) { ih.TTL, ih.MF = 1, true }, size: 16, typ: 11, src: "10.0.0.2", quote: 36, wantTOS: 0xc0, wantReason: link.IPTTLExpired},
		{name: "bad option", dst: "10.0.0.2", protocol: 17, change: func(ih *ipv4.Header) { ih.Options = []byte{7, 99, 4, 0} }, size: 8, typ: 12, info: 20 << 24, src: "10.0.0.2", quote: 32, wantTOS: 0xc0, wantReason: link.IPOptions},
		{name: "about an echo request", dst: "192.168.77.1", protocol: 1, size: 0, typ: 3, code: 0, src: "10.0.0.2", quote: 28, wantTOS: 0xc0, wantReason: link.IPInNoRoutes},
		{name: "icmp_errors_use_inbound_ifaddr", dst: "192.168.77.1", protocol: 17, size: 8, setup: func(h *testHost) { require.NoError(h.t, h.SetSysctl("icmp_errors_use_inbound_ifaddr", 1)) }, typ: 3, code: 0, src: "10.0.0.2", quote: 28, wantTOS: 0xc0, wantReason: link.IPInNoRoutes},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newTestHost(t)
			if tc.setup != nil {
				tc.setup(h)
			}
			if tc.change == nil {
				tc.change = func(*ipv4.Header) {}
			}
			data := make([]byte, tc.size)
			if tc.protocol == ipv4.ProtocolICMP {
				data = messageOf(Header{Type: TypeEcho}, data)
			}
			p := packet("10.0.0.9", tc.dst, tc.protocol, data, tc.change)
			original := append([]byte(nil), p.Bytes()...)
			h.wantDrop(tc.wantReason, func() { h.ip.Input(h.t0, p) })
			require.Len(t, h.sent, 1)
			m := h.sent[0]
			require.Equal(t, Header{Type: tc.typ, Code: tc.code, Checksum: m.Checksum, Info: tc.info}, m.Header)
			require.Equal(t, original[:tc.quote], m.data)
			require.Equal(t, addr(tc.src), m.ip.Src)
			require.Equal(t, addr("10.0.0.9"), m.ip.Dst)
			require.Equal(t, tc.wantTOS, m.ip.TOS)
			require.EqualValues(t, 64, m.ip.TTL)
			require.False(t, m.ip.DF)
			require.LessOrEqual(t, m.ip.TotalLen, 576)
		})
	}
}

// TestErrorsAreNotSent is RFC 1122 section 3.2.2 and RFC 1812 section 4.3.2.7.
func TestErrorsAreNotSent(t *testing.T) {
	quote := packet("10.0.0.2", "10.0.0.9", 17, make([]byte, 8))
	inner := append([]byte(nil), quote.Bytes()...)
	quote.Release()
	unreachable := ipv4.ErrorMessage{Type: 3, Code: 3, Reason: link.NoSocket}
	for _, tc := range []struct {
		name     string
		src, dst string
		protocol uint8
		data     []byte
		change   func(*ipv4.Header)
		typ      link.PacketType
	}{
		{name: "about an unreachable", protocol: 1, data: messageOf(Header{Type: 3}, inner)},
		{name: "about a time exceeded", protocol: 1, data: messageOf(Header{Type: 11}, inner)},
		{name: "about a parameter problem", protocol: 1, data: messageOf(Header{Type: 12}, inner)},
		{name: "about a redirect", protocol: 1, data: messageOf(Header{Type: 5}, inner)},
		{name: "about a source quench", protocol: 1, data: messageOf(Header{Type: 4}, inner)},
		{name: "about ICMP of unknown type", protocol: 1, data: messageOf(Header{Type: 99}, nil)},
		{name: "about ICMP without a type", protocol: 1},
		{name: "about a subnet broadcast", dst: "10.0.0.255", protocol: 17},
		{name: "about a limited broadcast", dst: "255.255.255.255", protocol: 17},
		{name: "about a group", dst: "224.0.0.1", protocol: 17},
		{name: "about a link broadcast", protocol: 17, typ: link.Broadcast},
		{name: "about a link multicast", protocol: 17, typ: link.Multicast},
		{name: "about a later fragment", protocol: 17, change: func(ih *ipv4.Header) { ih.FragmentOffset = 8 }},
		{name: "to 0.0.0.0", src: "0.0.0.0", protocol: 17},
		{name: "to a broadcast", src: "10.0.0.255", protocol: 17},
		{name: "to a group", src: "224.0.0.1", protocol: 17},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newTestHost(t)
			if tc.src == "" {
				tc.src = "10.0.0.9"
			}
			if tc.dst == "" {
				tc.dst = "10.0.0.2"
			}
			if tc.change == nil {
				tc.change = func(*ipv4.Header) {}
			}
			p := packet(tc.src, tc.dst, tc.protocol, tc.data, tc.change)
			p.SetNetworkHeader()
			p.Type = tc.typ
			h.wantDrop(link.NoSocket, func() { h.ip.ReportError(p, unreachable) })
			require.Empty(t, h.sent)
		})
	}
	t.Run("about what is no packet", func(t *testing.T) {
		h := newTestHost(t)
		h.wantDrop(link.NoSocket, func() { h.ip.ReportError(link.NewPacket(0), unreachable) })
	})
	t.Run("to where no route goes", func(t *testing.T) {
		h := newTestHost(t)
		h.ip.Input(h.t0, packet("99.0.0.1", "10.0.0.2", 253, nil))
		require.Empty(t, h.sent)
		require.EqualValues(t, 1, h.stats.OutErrors.Load())
	})
}

// TestHostUnreachable is L3-9 and L3-11.
func TestHostUnreachable(t *testing.T) {
	t.Run("forwarded", func(t *testing.T) {
		h := newTestHost(t)
		var waiting *link.Packet
		h.answer = func(p *link.Packet) { waiting = p }
		h.ip.Input(h.t0, packet("10.0.0.9", "10.0.1.50", 17, make([]byte, 8)))
		h.answer = nil
		h.wantDrop(link.NeighFailed, func() { h.ip.Unreachable(waiting) })
		require.Len(t, h.sent, 1)
		require.Equal(t, []any{uint8(3), uint8(1)}, []any{h.sent[0].Type, h.sent[0].Code})
		require.Equal(t, addr("10.0.0.2"), h.sent[0].ip.Src)
		require.EqualValues(t, 0xc0, h.sent[0].ip.TOS)
	})
	t.Run("our own", func(t *testing.T) {
		h := newTestHost(t)
		var got []ipv4.TransportError
		h.ip.Handle(17, ipv4.Handler{Error: func(e ipv4.TransportError) { got = append(got, e) }})
		var waiting *link.Packet
		h.answer = func(p *link.Packet) { waiting = p }
		require.NoError(t, h.ip.Output(link.NewPacketFrom([]byte("12345678")), ipv4.Send{Dst: addr("10.0.0.50"), Protocol: 17}))
		h.wantDrop(link.NeighFailed, func() { h.ip.Unreachable(waiting) })
		require.Len(t, got, 1)
		require.Equal(t, "no route to host", got[0].Errno.Error())
		require.False(t, got[0].Hard)
		require.Equal(t, addr("10.0.0.2"), got[0].From)
		require.Equal(t, addr("10.0.0.50"), got[0].Inner.Dst)
		require.Equal(t, "12345678", string(got[0].Payload))
	})
}

// TestRateLimits is L3-10.
func TestRateLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		burst := func(n int, src string) int {
			h.sent = nil
			for range n {
				h.ip.Input(h.t0, packet(src, "10.0.0.2", 253, nil))
			}
			return len(h.sent)
		}
		require.Equal(t, 6, burst(20, "10.0.0.9"), "six at once")
		require.Equal(t, 6, burst(20, "10.0.0.8"), "each destination")
		time.Sleep(time.Second)
		require.Equal(t, 1, burst(5, "10.0.0.9"), "then one a second")
		time.Sleep(3 * time.Second)
		require.Equal(t, 3, burst(5, "10.0.0.9"))
		require.Positive(t, h.stats.OutRateLimitHost.Load())
		require.NoError(t, h.SetSysctl("icmp_ratelimit", 0))
		time.Sleep(time.Second)
		require.Greater(t, burst(20, "10.0.0.9"), 15, "no limit for a destination")
		require.NoError(t, h.SetSysctl("icmp_ratemask", 0))
		require.Equal(t, 500, burst(500, "10.0.0.9"), "no type is limited")
	})
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		require.NoError(t, h.SetSysctl("icmp_ratelimit", 0))
		for range 250 {
			h.ip.Input(h.t0, packet("10.0.0.9", "10.0.0.2", 253, nil))
		}
		require.InDelta(t, 50, len(h.sent), 25, "icmp_msgs_burst")
		require.EqualValues(t, 250-len(h.sent), h.stats.OutRateLimitGlobal.Load())
		h.sent = nil
		for range 200 {
			h.ip.Input(h.t0, packet("10.0.0.9", "10.0.1.50", 17, make([]byte, 1600), func(ih *ipv4.Header) { ih.DF = true }))
		}
		require.Len(t, h.sent, 200, "path MTU discovery is never limited")
	})
	t.Run("loopback is exempt from the limit per destination", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newTestHost(t)
			got := 0
			h.ip.Handle(17, ipv4.Handler{Error: func(ipv4.TransportError) { got++ }})
			for range 20 {
				p := packet("10.0.0.2", "10.0.0.50", 17, make([]byte, 8))
				h.ip.Unreachable(p)
			}
			require.Equal(t, 20, got)
			for range 200 {
				require.NoError(t, h.ip.Output(link.NewPacket(8), ipv4.Send{Dst: addr("10.0.0.2"), Protocol: 253}))
			}
			require.EqualValues(t, 200, h.drops.Count(link.IPNoProto))
			require.Zero(t, h.stats.OutRateLimitHost.Load())
		})
	})
	t.Run("errors about missing routes cost twice", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newTestHost(t)
			burst := func(n int) int {
				h.sent = nil
				for range n {
					h.ip.Input(h.t0, packet("10.0.0.9", "192.168.77.1", 17, nil))
				}
				return len(h.sent)
			}
			require.Equal(t, 2, burst(10))
			time.Sleep(10 * time.Second)
			require.Equal(t, 2, burst(10))
			require.NoError(t, h.SetSysctl("icmp_ratelimit", 0))
			time.Sleep(10 * time.Second)
			require.Equal(t, 5, burst(10), "route.error_burst is there without icmp_ratelimit")
			time.Sleep(time.Second)
			require.Equal(t, 1, burst(10))
		})
	})
	t.Run("replies only when the mask says so", func(t *testing.T) {
		h := newTestHost(t)
		echo := messageOf(Header{Type: TypeEcho}, nil)
		for range 100 {
			h.input(echo)
		}
		require.Len(t, h.sent, 100)
		require.NoError(t, h.SetSysctl("icmp_ratemask", 1))
		h.sent = nil
		for range 10 {
			h.input(echo)
		}
		require.Len(t, h.sent, 6)
		require.EqualValues(t, 4, h.drops.Count(link.ICMPRateLimit))
	})
}

func TestLimiter(t *testing.T) {
	now := time.Unix(1000, 0)
	t.Run("global", func(t *testing.T) {
		var l limiter
		r := random.New(7)
		count := func(n int) (ok int) {
			for range n {
				if l.global(now, 1000, 50, r) {
					ok++
				}
			}
			return ok
		}
		require.InDelta(t, 50, count(1000), 25)
		now = now.Add(19 * time.Millisecond)
		require.Zero(t, count(100), "filled every 20 ms")
		total := 0
		for range 1000 {
			now = now.Add(20 * time.Millisecond)
			total += count(100)
		}
		require.InDelta(t, 20000, total, 2000, "1000 a second on average")
		require.False(t, l.global(now, 0, 0, r))
	})
	t.Run("destinations that are remembered are bounded", func(t *testing.T) {
		var l limiter
		for n := range 20000 {
			require.True(t, l.host(now, netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}), time.Second))
			require.LessOrEqual(t, len(l.recent)+len(l.earlier), 2*limitPeers)
		}
		last := netip.AddrFrom4([4]byte{10, 1, 19999 >> 8, 19999 & 0xff})
		for range 5 {
			require.True(t, l.host(now, last, time.Second))
		}
		require.False(t, l.host(now, last, time.Second), "and not forgotten at once")
	})
}
