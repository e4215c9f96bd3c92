package ipv4

import (
	"bytes"
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/random"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testHost is a Protocol whose neighbours and transports are the test: lo is
// interface 1 with 127.0.0.1/8, t0 is 2 with 10.0.0.2/24, t1 is 3 with
// 10.0.1.2/24, all up.
type testHost struct {
	*Protocol
	t      testing.TB
	drops  link.Drops
	lo     *Interface
	t0, t1 *Interface
	sent   []sentPacket
	got    []gotPacket
	errors []ErrorMessage
	about  [][]byte // what errors was about
	busy   error    // what the neighbours answer
}

type sentPacket struct {
	iface   int
	nextHop netip.Addr
	h       Header
	data    []byte
	raw     []byte
}

type gotPacket struct {
	h    Header
	data []byte
	in   int
}

const testProtocol = 200

func newTestHost(t testing.TB) *testHost {
	h := &testHost{t: t}
	h.Protocol = New(Config{Drops: &h.drops, Rand: random.New(1)})
	add := func(c InterfaceConfig, addr string) *Interface {
		i, err := h.AddInterface(c)
		require.NoError(t, err)
		require.NoError(t, h.AddAddress(c.Index, Address{Prefix: netip.MustParsePrefix(addr)}))
		h.SetUp(c.Index, true)
		return i
	}
	h.lo = add(InterfaceConfig{Index: 1, Name: "lo", MTU: 65536, Loopback: true, Neighbours: nextHop(func(_ netip.Addr, p *link.Packet) error {
		h.Input(h.lo, p)
		return nil
	})}, "127.0.0.1/8")
	out := func(index int) nextHop {
		return func(nh netip.Addr, p *link.Packet) error {
			defer p.Release()
			if h.busy != nil {
				return h.busy
			}
			b := append([]byte(nil), p.Bytes()...)
			ih, err := Parse(b)
			require.NoError(t, err)
			require.EqualValues(t, 0xffff, Sum(b[:ih.Len()], 0), "header checksum")
			require.Equal(t, len(b), ih.TotalLen)
			require.Equal(t, link.IPv4, p.EtherType)
			h.sent = append(h.sent, sentPacket{index, nh, ih, b[ih.Len():], b})
			return nil
		}
	}
	h.t0 = add(InterfaceConfig{Index: 2, Name: "t0", MTU: 1500, Neighbours: out(2)}, "10.0.0.2/24")
	h.t1 = add(InterfaceConfig{Index: 3, Name: "t1", MTU: 1500, Neighbours: out(3)}, "10.0.1.2/24")
	h.Handle(testProtocol, Handler{Input: func(ih Header, p *link.Packet) {
		require.NotNil(t, p.NetworkHeader())
		ih.Options = bytes.Clone(ih.Options)
		h.got = append(h.got, gotPacket{ih, append([]byte(nil), p.Bytes()...), p.In})
		p.Release()
	}})
	h.HandleErrors(func(p *link.Packet, m ErrorMessage) {
		h.errors = append(h.errors, m)
		h.about = append(h.about, append([]byte(nil), p.NetworkHeader()...))
	})
	t.Cleanup(func() {
		h.Close()
		require.Zero(t, link.LivePackets(), "packets left over")
	})
	return h
}

type nextHop func(netip.Addr, *link.Packet) error

func (f nextHop) Output(nh netip.Addr, p *link.Packet) error { return f(nh, p) }

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// datagram returns an IPv4 packet from src to dst with 26 bytes of data.
func (h *testHost) datagram(src, dst string, change ...func(*Header)) *link.Packet {
	return packetOf(src, dst, []byte("abcdefghijklmnopqrstuvwxyz"), change...)
}

func packetOf(src, dst string, data []byte, change ...func(*Header)) *link.Packet {
	ih := Header{TTL: 64, Protocol: testProtocol, ID: 7, Src: addr(src), Dst: addr(dst)}
	for _, c := range change {
		c(&ih)
	}
	ih.TotalLen = ih.Len() + len(data)
	p := link.NewPacket(ih.TotalLen)
	ih.Put(p.Bytes())
	copy(p.Bytes()[ih.Len():], data)
	p.EtherType = link.IPv4
	return p
}

// wantDrop runs f and checks that exactly one packet was dropped, for r.
func (h *testHost) wantDrop(r link.DropReason, f func()) {
	h.t.Helper()
	before := h.drops.Counts()
	f()
	after := h.drops.Counts()
	for name, n := range after {
		if n != before[name] {
			require.Equal(h.t, r.String(), name)
			require.Equal(h.t, before[name]+1, n, "%s counted once", name)
		}
	}
	require.Greater(h.t, after[r.String()], before[r.String()], "dropped for %s", r)
}

func (h *testHost) clear() { h.sent, h.got, h.errors, h.about = nil, nil, nil, nil }

func requireErrno(t testing.TB, want syscall.Errno, err error) {
	t.Helper()
	if want == 0 {
		require.NoError(t, err)
		return
	}
	require.Error(t, err)
	require.True(t, errors.Is(err, want), "want %s, have %v", want, err)
}
