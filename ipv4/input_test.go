package ipv4

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
)

func TestInputDelivers(t *testing.T) {
	h := newTestHost(t)
	p := packetOf("10.0.0.9", "10.0.0.2", []byte("data"), func(ih *Header) { ih.TOS, ih.Options = 0x10, []byte{1, 1, 1, 0} })
	padded := link.NewPacketFrom(append(append([]byte(nil), p.Bytes()...), make([]byte, 18)...))
	p.Release()
	h.Input(h.t0, padded)
	require.Len(t, h.got, 1)
	require.Equal(t, "data", string(h.got[0].data), "the link's padding is cut off")
	require.Equal(t, addr("10.0.0.9"), h.got[0].h.Src)
	require.EqualValues(t, 0x10, h.got[0].h.TOS)
	require.Equal(t, 2, h.got[0].in)
	require.EqualValues(t, 1, h.stats.InReceives.Load())
	require.EqualValues(t, 1, h.stats.InDelivers.Load())
	require.Empty(t, h.drops.Counts())

	// TTL does not matter at the destination.
	h.Input(h.t0, h.datagram("10.0.0.9", "10.0.0.2", func(ih *Header) { ih.TTL = 0 }))
	require.Len(t, h.got, 2)
}

func TestInputDrops(t *testing.T) {
	patch := func(at int, v byte) func(*link.Packet) {
		return func(p *link.Packet) {
			b := p.Bytes()
			b[at] = v
			b[10], b[11] = 0, 0
			binary.BigEndian.PutUint16(b[10:], Checksum(b[:20], 0))
		}
	}
	options := func(o ...byte) func(*Header) { return func(ih *Header) { ih.Options = o } }
	for _, tc := range []struct {
		name     string
		src, dst string // default 10.0.0.9 to 10.0.0.2
		header   func(*Header)
		patch    func(*link.Packet)
		setup    func(*testHost)
		want     link.DropReason
		report   *ErrorMessage
	}{
		{name: "another station's frame", patch: func(p *link.Packet) { p.Type = link.OtherHost }, want: link.OtherHostFrame},
		{name: "interface down", setup: func(h *testHost) { h.SetUp(2, false) }, want: link.DevReady},
		{name: "19 bytes", patch: func(p *link.Packet) { p.Trim(19) }, want: link.IPInHdr},
		{name: "empty", patch: func(p *link.Packet) { p.Trim(0) }, want: link.IPInHdr},
		{name: "version 5", patch: patch(0, 0x55), want: link.IPInHdr},
		{name: "IHL 4", patch: patch(0, 0x44), want: link.IPInHdr},
		{name: "IHL past the end", patch: func(p *link.Packet) { p.Bytes()[0] = 0x4f }, want: link.IPInHdr},
		{name: "checksum", patch: func(p *link.Packet) { p.Bytes()[10] ^= 1 }, want: link.IPCsum},
		{name: "total length under header length", patch: patch(3, 19), want: link.IPInHdr},
		{name: "total length past the frame", patch: patch(2, 1), want: link.PktTooSmall},
		{name: "source multicast", src: "224.0.0.1", want: link.IPInvalidSource},
		{name: "source ours", src: "10.0.0.2", want: link.IPLocalSource},
		{name: "source 127/8", src: "127.0.0.1", want: link.IPLocalNet},
		{name: "destination 127/8", dst: "127.0.0.1", want: link.IPInvalidDest},
		{name: "destination 0.0.0.0", dst: "0.0.0.0", want: link.IPInvalidDest},
		{name: "rp_filter", src: "10.0.1.9", setup: func(h *testHost) { h.SetConf("t0", "rp_filter", 1) }, want: link.IPRPFilter},
		{name: "a group that is not ours", dst: "239.1.1.1", want: link.IPMulticast},
		{name: "for others, host", dst: "10.0.1.50", want: link.IPInAddrErrors},
		{name: "no route, host", dst: "99.0.0.1", want: link.IPInAddrErrors},
		{name: "no route, router", dst: "99.0.0.1", setup: (*testHost).forward, want: link.IPInNoRoutes, report: &ErrorMessage{Type: 3, Code: 0, Reason: link.IPInNoRoutes}},
		{name: "unreachable route", dst: "99.0.0.1", setup: func(h *testHost) { h.forward(); h.route(Route{Dst: prefix("99.0.0.0/8"), Type: Unreachable}) }, want: link.IPInNoRoutes, report: &ErrorMessage{Type: 3, Code: 1, Reason: link.IPInNoRoutes}},
		{name: "prohibit route", dst: "99.0.0.1", setup: func(h *testHost) { h.forward(); h.route(Route{Dst: prefix("99.0.0.0/8"), Type: Prohibit}) }, want: link.IPInNoRoutes, report: &ErrorMessage{Type: 3, Code: 13, Reason: link.IPInNoRoutes}},
		{name: "blackhole route", dst: "99.0.0.1", setup: func(h *testHost) { h.forward(); h.route(Route{Dst: prefix("99.0.0.0/8"), Type: Blackhole}) }, want: link.IPInNoRoutes},
		{name: "TTL 1, router", dst: "10.0.1.50", header: func(ih *Header) { ih.TTL = 1 }, setup: (*testHost).forward, want: link.IPTTLExpired, report: &ErrorMessage{Type: 11, Reason: link.IPTTLExpired}},
		{name: "TTL 0, router", dst: "10.0.1.50", header: func(ih *Header) { ih.TTL = 0 }, setup: (*testHost).forward, want: link.IPTTLExpired, report: &ErrorMessage{Type: 11, Reason: link.IPTTLExpired}},
		{name: "too long with DF, router", dst: "10.0.1.50", header: func(ih *Header) { ih.DF = true }, setup: func(h *testHost) { h.forward(); h.t1.mtu.Store(40) }, want: link.IPFragNeeded, report: &ErrorMessage{Type: 3, Code: 4, Info: 40, Reason: link.IPFragNeeded}},
		{name: "link broadcast, router", dst: "10.0.1.50", patch: func(p *link.Packet) { p.Type = link.Broadcast }, setup: (*testHost).forward, want: link.UnicastInL2Multicast},
		{name: "link broadcast, drop_unicast_in_l2_multicast", patch: func(p *link.Packet) { p.Type = link.Broadcast }, setup: func(h *testHost) { h.SetConf("all", "drop_unicast_in_l2_multicast", 1) }, want: link.UnicastInL2Multicast},
		{name: "loose source route", header: options(131, 7, 4, 1, 2, 3, 4, 0), want: link.IPOptions},
		{name: "strict source route", header: options(137, 7, 4, 1, 2, 3, 4, 0), want: link.IPOptions},
		{name: "option longer than the header", header: options(7, 11, 4, 0), want: link.IPOptions, report: &ErrorMessage{Type: 12, Info: 20 << 24, Reason: link.IPOptions}},
		{name: "record route with pointer 3", header: options(1, 7, 7, 3, 0, 0, 0, 0), want: link.IPOptions, report: &ErrorMessage{Type: 12, Info: 23 << 24, Reason: link.IPOptions}},
		{name: "no such protocol", header: func(ih *Header) { ih.Protocol = 253 }, want: link.IPNoProto, report: &ErrorMessage{Type: 3, Code: 2, Reason: link.IPNoProto}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newTestHost(t)
			if tc.setup != nil {
				tc.setup(h)
			}
			if tc.src == "" {
				tc.src = "10.0.0.9"
			}
			if tc.dst == "" {
				tc.dst = "10.0.0.2"
			}
			if tc.header == nil {
				tc.header = func(*Header) {}
			}
			p := h.datagram(tc.src, tc.dst, tc.header)
			original := append([]byte(nil), p.Bytes()...)
			if tc.patch != nil {
				tc.patch(p)
			}
			h.wantDrop(tc.want, func() { h.Input(h.t0, p) })
			require.Empty(t, h.got)
			require.Empty(t, h.sent)
			if tc.report == nil {
				require.Empty(t, h.errors)
				return
			}
			require.Equal(t, []ErrorMessage{*tc.report}, h.errors)
			require.Equal(t, original, h.about[0], "as it was received")
		})
	}
}

func (h *testHost) forward()      { h.SetForwarding(true) }
func (h *testHost) route(r Route) { require.NoError(h.t, h.AddRoute(r)) }

func TestInputCounters(t *testing.T) {
	h := newTestHost(t)
	h.Input(h.t0, h.datagram("10.0.0.9", "10.0.0.255"))
	h.Input(h.t0, h.datagram("10.0.0.9", "224.0.0.1"))
	h.Input(h.t0, h.datagram("10.0.0.9", "10.0.0.2", func(ih *Header) { ih.Protocol = 1 }))
	h.SetConf("t0", "rp_filter", 1)
	h.Input(h.t0, h.datagram("10.0.1.9", "10.0.0.2"))
	n := make(map[string]uint64)
	for name, v := range h.Stats().All() {
		if v > 0 {
			n[name] = v
		}
	}
	require.Equal(t, map[string]uint64{"IpInReceives": 4, "IpInDelivers": 2, "IpInUnknownProtos": 1, "IpExtInBcastPkts": 1, "IpExtInMcastPkts": 1, "IpExtInBcastOctets": 46, "IpExtInMcastOctets": 46, "TcpExtIPReversePathFilter": 1}, n)
}

func TestInputDeliverDoesNotAllocate(t *testing.T) {
	h := newTestHost(t)
	h.Handle(testProtocol, Handler{Input: func(_ Header, p *link.Packet) { p.Release() }})
	p := h.datagram("10.0.0.9", "10.0.0.2")
	frame := append([]byte(nil), p.Bytes()...)
	p.Release()
	linktest.WantNoAllocs(t, func() { h.Input(h.t0, link.NewPacketFrom(frame)) })
}

func BenchmarkInputDeliver(b *testing.B) {
	h := newTestHost(b)
	h.Handle(testProtocol, Handler{Input: func(_ Header, p *link.Packet) { p.Release() }})
	p := h.datagram("10.0.0.9", "10.0.0.2")
	frame := append([]byte(nil), p.Bytes()...)
	p.Release()
	b.ReportAllocs()
	for b.Loop() {
		h.Input(h.t0, link.NewPacketFrom(frame))
	}
}
