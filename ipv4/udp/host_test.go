package udp

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/stack/random"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testHost is UDP over a real ipv4.Protocol. Its neighbours are other testHosts
// or nobody, and ICMP errors come as if by an ICMP of the host's own. lo is
// interface 1; t0 is 2 and t1 is 3. Everything happens in the calls of the
// test, no goroutine is involved.
type testHost struct {
	*Protocol
	t      testing.TB
	ip     *ipv4.Protocol
	drops  link.Drops
	lo, t0 *ipv4.Interface
	t1     *ipv4.Interface
	peer   *testHost // at the other end of t0; nil: packets vanish
	noting sync.Mutex
	sent   []sentPacket
	errors atomic.Int32 // ICMP errors that were sent
	busy   error        // what t0's neighbours answer
	waits  *held        // where what t0 sends stays; nil: it leaves
}

// sentPacket is what went to t0 or t1.
type sentPacket struct {
	iface   int
	gso     int // bytes of each segment, 0 for a plain one
	h       ipv4.Header
	udp     Header
	data    string
	confirm bool
}

type nextHop func(netip.Addr, *link.Packet) error

func (f nextHop) Output(nh netip.Addr, p *link.Packet) error { return f(nh, p) }

// newTestHost returns a host with address 10.0.0.n/24 on t0 and 10.0.1.n/24 on
// t1, and a default route by t0.
func newTestHost(t testing.TB, n string) *testHost {
	linktest.WantNoPackets(t)
	return makeTestHost(t, n)
}

func makeTestHost(t testing.TB, n string) *testHost {
	h := &testHost{t: t}
	h.ip = ipv4.New(ipv4.Config{Drops: &h.drops, Rand: random.New(1)})
	add := func(c ipv4.InterfaceConfig, addr string) *ipv4.Interface {
		i, err := h.ip.AddInterface(c)
		require.NoError(t, err)
		require.NoError(t, h.ip.AddAddress(c.Index, ipv4.Address{Prefix: netip.MustParsePrefix(addr)}))
		h.ip.SetUp(c.Index, true)
		return i
	}
	h.lo = add(ipv4.InterfaceConfig{Index: 1, Name: "lo", MTU: 65536, Loopback: true, Neighbours: nextHop(func(_ netip.Addr, p *link.Packet) error {
		h.ip.Input(h.lo, p)
		return nil
	})}, "127.0.0.1/8")
	out := func(index int) nextHop {
		return func(nh netip.Addr, p *link.Packet) error {
			if h.busy != nil {
				p.Release()
				return h.busy
			}
			h.note(index, p)
			if h.waits != nil {
				h.waits.q.Queue(p)
				return nil
			}
			if h.peer == nil || index != 2 {
				p.Release()
				return nil
			}
			p.Type = link.Host
			if h.ip.AddrType(nh) == ipv4.Broadcast {
				p.Type = link.Broadcast
			}
			h.peer.ip.Input(h.peer.t0, p)
			return nil
		}
	}
	h.t0 = add(ipv4.InterfaceConfig{Index: 2, Name: "t0", MTU: 1500, Neighbours: out(2)}, "10.0.0."+n+"/24")
	h.t1 = add(ipv4.InterfaceConfig{Index: 3, Name: "t1", MTU: 1500, Neighbours: out(3)}, "10.0.1."+n+"/24")
	require.NoError(t, h.ip.AddRoute(ipv4.Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Interface: 2, Gateway: netip.MustParseAddr("10.0.0.254")}))
	h.ip.HandleErrors(h.report)
	h.Protocol = New(h.ip, Config{Drops: &h.drops, Rand: random.New(2)})
	t.Cleanup(func() {
		h.Close()
		h.ip.Close()
	})
	return h
}

// note records the first fragment of what is sent.
func (h *testHost) note(index int, p *link.Packet) {
	ih, err := ipv4.Parse(p.Bytes())
	require.NoError(h.t, err)
	if ih.FragmentOffset > 0 {
		return
	}
	u, err := Parse(p.Bytes()[ih.Len():])
	require.NoError(h.t, err)
	if !ih.MF && u.Checksum != 0 {
		require.Equal(h.t, link.ChecksumPartial, p.Checksum, "left to the device")
		q := p.Copy()
		q.CompleteChecksum()
		require.True(h.t, ValidChecksum(q.Bytes()[ih.Len():], ih.Src, ih.Dst))
		q.Release()
	}
	h.noting.Lock()
	defer h.noting.Unlock()
	if len(h.sent) < 1000 {
		h.sent = append(h.sent, sentPacket{index, p.GSOSize, ih, u, string(p.Bytes()[ih.Len()+HeaderLen:]), p.Confirm})
	}
}

// report tells who sent p about an error, in place of ICMP.
func (h *testHost) report(p *link.Packet, m ipv4.ErrorMessage) {
	h.errors.Add(1)
	ih, err := ipv4.Parse(p.NetworkHeader())
	require.NoError(h.t, err)
	e := ipv4.TransportError{
		Type: m.Type, Code: m.Code, Info: m.Info, From: netip.MustParseAddr("10.0.0.254"),
		Inner: ih, Payload: p.NetworkHeader()[ih.Len():],
	}
	switch m.Code {
	case ipv4.CodePortUnreachable:
		e.Errno, e.Hard, e.From = syscall.ECONNREFUSED, true, ih.Dst
	case ipv4.CodeHostUnreachable:
		e.Errno = syscall.EHOSTUNREACH
	case ipv4.CodeFragNeeded:
		e.Errno = syscall.EMSGSIZE
	}
	if to := h; h.ip.AddrType(ih.Src) != ipv4.Local {
		to = h.peer
		to.ip.DeliverError(e)
	} else {
		to.ip.DeliverError(e)
	}
}

// newTestPeer returns 10.0.0.1, to be told of errors.
func newTestPeer(t testing.TB) *testHost { return makeTestHost(t, "1") }

// newTestPair returns the hosts 10.0.0.1 and 10.0.0.2 on one link.
func newTestPair(t testing.TB) (a, b *testHost) {
	linktest.WantNoPackets(t)
	a, b = makeTestHost(t, "1"), makeTestHost(t, "2")
	a.peer, b.peer = b, a
	return a, b
}

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func (h *testHost) listen(laddr string, sc ...SocketConfig) *Conn {
	h.t.Helper()
	c, err := h.Listen(ap(laddr), append(sc, SocketConfig{})[0])
	require.NoError(h.t, err)
	return c
}

func (h *testHost) dial(raddr string, sc ...SocketConfig) *Conn {
	h.t.Helper()
	c, err := h.Dial(netip.AddrPort{}, ap(raddr), append(sc, SocketConfig{})[0])
	require.NoError(h.t, err)
	return c
}

func send(t testing.TB, c *Conn, data, to string) {
	t.Helper()
	n, err := c.WriteToUDPAddrPort([]byte(data), ap(to))
	require.NoError(t, err)
	require.Equal(t, len(data), n)
}

// unread returns the data of the datagrams that a socket has, in order.
func unread(t testing.TB, c *Conn) (all []string) {
	t.Helper()
	for {
		c.mu.Lock()
		n := c.queue.Len()
		c.mu.Unlock()
		if n == 0 {
			return all
		}
		b := make([]byte, MaxPayload)
		n, err := c.Read(b)
		require.NoError(t, err)
		all = append(all, string(b[:n]))
	}
}

// wantErrno checks that err is a *net.OpError with an errno in a system call.
func wantErrno(t testing.TB, want syscall.Errno, err error) {
	t.Helper()
	require.Error(t, err)
	require.ErrorIs(t, err, want)
	var op *net.OpError
	require.True(t, errors.As(err, &op), "%T", err)
	require.Equal(t, "udp", op.Net)
}
