package ipv4

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
)

func releaseHop(_ netip.Addr, p *link.Packet) error {
	p.Release()
	return nil
}

func segment(n int) *link.Packet {
	p := link.NewPacket(n)
	for k := range p.Bytes() {
		p.Bytes()[k] = byte(k)
	}
	return p
}

func TestOutput(t *testing.T) {
	h := newTestHost(t)
	p := segment(100)
	p.In, p.Type, p.Confirm = 2, link.Broadcast, true // an answer made in place of its question
	require.NoError(t, h.Output(p, Send{Dst: addr("10.0.0.9"), Protocol: 17, TOS: 4, DF: true, ID: 99}))
	require.Len(t, h.sent, 1)
	require.Equal(t, Header{TOS: 4, TotalLen: 120, ID: 99, DF: true, TTL: 64, Protocol: 17, Checksum: h.sent[0].h.Checksum, Src: addr("10.0.0.2"), Dst: addr("10.0.0.9")}, h.sent[0].h)
	require.Len(t, h.sent[0].data, 100)
	require.EqualValues(t, 99, h.sent[0].data[99])

	require.NoError(t, h.SetSysctl("ip_default_ttl", 33))
	require.NoError(t, h.Output(segment(1), Send{Dst: addr("10.0.0.9"), Protocol: 17}))
	require.EqualValues(t, 33, h.sent[1].h.TTL)
	require.NoError(t, h.Output(segment(1), Send{Dst: addr("10.0.0.9"), Protocol: 17, TTL: 5}))
	require.EqualValues(t, 5, h.sent[2].h.TTL)
	require.NotEqual(t, h.sent[1].h.ID, h.sent[2].h.ID, "RFC 6864: no value twice in a row without DF")

	require.NoError(t, h.Output(segment(1), Send{Dst: addr("10.0.0.9"), Protocol: 17, Interface: 3}))
	require.Equal(t, 3, h.sent[3].iface)
	require.EqualValues(t, 4, h.stats.OutRequests.Load())
}

func TestOutputToGroupsAndBroadcast(t *testing.T) {
	h := newTestHost(t)
	h.route(Route{Gateway: addr("10.0.0.1")})
	for _, tc := range []struct {
		dst  string
		ttl  uint8
		mine int // copies for ourselves
	}{{"10.0.0.255", 64, 1}, {"255.255.255.255", 64, 1}, {"224.0.0.5", 1, 0}, {"224.0.0.1", 1, 1}} {
		h.clear()
		require.NoError(t, h.Output(segment(8), Send{Dst: addr(tc.dst), Protocol: testProtocol}))
		require.Len(t, h.sent, 1)
		require.Equal(t, tc.dst, h.sent[0].nextHop.String(), "no gateway")
		require.Equal(t, tc.ttl, h.sent[0].h.TTL, tc.dst)
		require.Len(t, h.got, tc.mine, tc.dst)
	}
}

func TestOutputToOurselves(t *testing.T) {
	h := newTestHost(t)
	for _, tc := range []struct{ dst, src, wantSrc, wantDst string }{
		{"10.0.0.2", "", "10.0.0.2", "10.0.0.2"},
		{"10.0.1.2", "10.0.0.2", "10.0.0.2", "10.0.1.2"},
		{"127.0.0.1", "", "127.0.0.1", "127.0.0.1"},
		{"127.8.8.8", "", "127.0.0.1", "127.8.8.8"},
		{"0.0.0.0", "", "127.0.0.1", "127.0.0.1"},
	} {
		h.clear()
		s := Send{Dst: addr(tc.dst), Protocol: testProtocol}
		if tc.src != "" {
			s.Src = addr(tc.src)
		}
		require.NoError(t, h.Output(segment(3000), s))
		require.Empty(t, h.sent, "stays inside")
		require.Len(t, h.got, 1)
		require.Equal(t, tc.wantSrc, h.got[0].h.Src.String())
		require.Equal(t, tc.wantDst, h.got[0].h.Dst.String())
		require.Equal(t, 1, h.got[0].in)
	}
}

func TestOutputErrors(t *testing.T) {
	h := newTestHost(t)
	h.route(Route{Dst: prefix("30.0.0.0/8"), Type: Unreachable})
	for _, tc := range []struct {
		name   string
		n      int
		s      Send
		errno  syscall.Errno
		reason link.DropReason
	}{
		{"no route", 8, Send{Dst: addr("99.0.0.1")}, syscall.ENETUNREACH, link.IPOutNoRoutes},
		{"unreachable", 8, Send{Dst: addr("30.0.0.1")}, syscall.EHOSTUNREACH, link.IPOutNoRoutes},
		{"longer than the path, DF", 1481, Send{Dst: addr("10.0.0.9"), DF: true}, syscall.EMSGSIZE, link.IPFragNeeded},
		{"longer than 64 KiB", 65516, Send{Dst: addr("10.0.0.9")}, syscall.EMSGSIZE, link.PktTooBig},
		{"too many options", 8, Send{Dst: addr("10.0.0.9"), Options: make([]byte, 41)}, syscall.EMSGSIZE, link.PktTooBig},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h.wantDrop(tc.reason, func() { requireErrno(t, tc.errno, h.Output(segment(tc.n), tc.s)) })
		})
	}
	require.Empty(t, h.sent)
	h.busy = syscall.ENOBUFS
	require.ErrorIs(t, h.Output(segment(8), Send{Dst: addr("10.0.0.9")}), syscall.ENOBUFS, "the neighbour layer's errors come through")
	require.ErrorIs(t, h.Output(segment(4000), Send{Dst: addr("10.0.0.9")}), syscall.ENOBUFS)
}

func TestOutputFragments(t *testing.T) {
	h := newTestHost(t)
	opts := []byte{7, 7, 8, 1, 2, 3, 4, 148, 4, 0, 0, 0} // record route, full; router alert
	for _, s := range []Send{{Dst: addr("10.0.0.9"), Protocol: 17}, {Dst: addr("10.0.0.9"), Protocol: 17, DF: true, Want: true}, {Dst: addr("10.0.0.9"), Protocol: 17, Options: opts}} {
		h.clear()
		require.NoError(t, h.Output(segment(4008), s))
		require.Len(t, h.sent, 3)
		var offsets, lengths []int
		var data []byte
		for n, f := range h.sent {
			offsets, lengths = append(offsets, f.h.FragmentOffset), append(lengths, len(f.data))
			require.Equal(t, n < 2, f.h.MF)
			require.False(t, f.h.DF)
			require.Equal(t, h.sent[0].h.ID, f.h.ID)
			require.Equal(t, f.h.FragmentOffset, len(data))
			data = append(data, f.data...)
		}
		want := segment(4008)
		require.Equal(t, want.Bytes(), data)
		want.Release()
		if s.Options == nil {
			require.Equal(t, []int{0, 1480, 2960}, offsets)
			require.Equal(t, []int{1480, 1480, 1048}, lengths)
			continue
		}
		require.Equal(t, opts, h.sent[0].h.Options)
		require.Equal(t, []byte{1, 1, 1, 1, 1, 1, 1, 148, 4, 0, 0, 0}, h.sent[1].h.Options, "only what has the copied flag")
	}
	require.EqualValues(t, 3, h.stats.FragOKs.Load())
	require.EqualValues(t, 9, h.stats.FragCreates.Load())
}

func TestUnreachable(t *testing.T) {
	h := newTestHost(t)
	p := h.datagram("10.0.1.50", "10.0.0.9")
	h.wantDrop(link.NeighFailed, func() { h.Unreachable(p) })
	require.Equal(t, []ErrorMessage{{Type: 3, Code: 1, Reason: link.NeighFailed}}, h.errors)
	require.EqualValues(t, 0x45, h.about[0][0])
}

func TestOutputDoesNotAllocate(t *testing.T) {
	h := newTestHost(t)
	h.t0.config.Neighbours = nextHop(releaseHop)
	s := Send{Dst: addr("10.0.0.9"), Protocol: 17}
	linktest.WantNoAllocs(t, func() { h.Output(link.NewPacket(100), s) })
	s.DF = true
	linktest.WantNoAllocs(t, func() { h.Output(link.NewPacket(100), s) })
}

func BenchmarkOutput(b *testing.B) {
	h := newTestHost(b)
	h.t0.config.Neighbours = nextHop(releaseHop)
	s := Send{Dst: addr("10.0.0.9"), Protocol: 17, DF: true}
	b.ReportAllocs()
	for b.Loop() {
		h.Output(link.NewPacket(64), s)
	}
}
