package icmp

import (
	"net/netip"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/random"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testHost is ICMP on a host whose neighbours are the test: lo is interface 1,
// t0 is 2 with 10.0.0.2/24, t1 is 3 with 10.0.1.2/24; it is a router.
type testHost struct {
	*Protocol
	t      testing.TB
	drops  link.Drops
	lo     *ipv4.Interface
	t0, t1 *ipv4.Interface
	sent   []message
	// answer, if set, takes what t0 and t1 send instead.
	answer func(p *link.Packet)
	pongs  sync.WaitGroup // that are under way
}

// message is an ICMP message that was sent.
type message struct {
	iface   int
	nextHop netip.Addr
	ip      ipv4.Header
	Header
	data []byte // behind the header
}

type nextHop func(netip.Addr, *link.Packet) error

func (f nextHop) Output(nh netip.Addr, p *link.Packet) error { return f(nh, p) }

func newTestHost(t testing.TB) *testHost {
	h := &testHost{t: t}
	ip := ipv4.New(ipv4.Config{Drops: &h.drops, Rand: random.New(1)})
	h.Protocol = New(ip, Config{Drops: &h.drops, Rand: random.New(2)})
	add := func(c ipv4.InterfaceConfig, a string) *ipv4.Interface {
		i, err := ip.AddInterface(c)
		require.NoError(t, err)
		require.NoError(t, ip.AddAddress(c.Index, ipv4.Address{Prefix: netip.MustParsePrefix(a)}))
		ip.SetUp(c.Index, true)
		return i
	}
	h.lo = add(ipv4.InterfaceConfig{Index: 1, Name: "lo", MTU: 65536, Loopback: true, Neighbours: nextHop(func(_ netip.Addr, p *link.Packet) error {
		ip.Input(h.lo, p)
		return nil
	})}, "127.0.0.1/8")
	out := func(index int) nextHop {
		return func(nh netip.Addr, p *link.Packet) error {
			if h.answer != nil {
				h.answer(p)
				return nil
			}
			defer p.Release()
			b := append([]byte(nil), p.Bytes()...)
			ih, err := ipv4.Parse(b)
			require.NoError(h.t, err)
			m := message{iface: index, nextHop: nh, ip: ih}
			if ih.Protocol == ipv4.ProtocolICMP && ih.FragmentOffset == 0 {
				if !ih.MF {
					require.EqualValues(h.t, 0xffff, ipv4.Sum(b[ih.Len():], 0), "ICMP checksum")
				}
				m.Header, err = Parse(b[ih.Len():])
				require.NoError(h.t, err)
				m.data = b[ih.Len()+HeaderLen:]
			}
			h.sent = append(h.sent, m)
			return nil
		}
	}
	h.t0 = add(ipv4.InterfaceConfig{Index: 2, Name: "t0", MTU: 1500, Neighbours: out(2)}, "10.0.0.2/24")
	h.t1 = add(ipv4.InterfaceConfig{Index: 3, Name: "t1", MTU: 1500, Neighbours: out(3)}, "10.0.1.2/24")
	ip.SetForwarding(true)
	t.Cleanup(func() {
		h.pongs.Wait()
		h.Close()
		ip.Close()
		require.Zero(t, link.LivePackets(), "packets left over")
	})
	return h
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// packet returns an IPv4 packet with that data.
func packet(src, dst string, protocol uint8, data []byte, change ...func(*ipv4.Header)) *link.Packet {
	ih := ipv4.Header{TTL: 64, Protocol: protocol, ID: 7, Src: addr(src), Dst: addr(dst)}
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

// messageOf returns an ICMP message with its checksum.
func messageOf(h Header, data []byte) []byte {
	b := make([]byte, HeaderLen+len(data))
	h.Put(b)
	copy(b[HeaderLen:], data)
	SetChecksum(b)
	return b
}

// input has t0 receive a message from 10.0.0.9 to 10.0.0.2.
func (h *testHost) input(m []byte, change ...func(*ipv4.Header)) {
	h.ip.Input(h.t0, packet("10.0.0.9", "10.0.0.2", ipv4.ProtocolICMP, m, change...))
}

func (h *testHost) wantDrop(r link.DropReason, f func()) {
	h.t.Helper()
	before := h.drops.Count(r)
	f()
	require.Equal(h.t, before+1, h.drops.Count(r), "dropped for %s; all: %v", r, h.drops.Counts())
}
