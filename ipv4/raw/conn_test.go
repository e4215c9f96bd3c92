package raw

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/stack/random"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testHost is raw sockets over a real ipv4.Protocol: lo is interface 1, t0 is 2
// with 10.0.0.2/24, t1 is 3 with 10.0.1.2/24.
type testHost struct {
	*Protocol
	t      testing.TB
	ip     *ipv4.Protocol
	drops  link.Drops
	lo, t0 *ipv4.Interface
	sent   []sentPacket
	errors []ipv4.ErrorMessage
	busy   error
}

type sentPacket struct {
	iface int
	to    netip.Addr
	h     ipv4.Header
	data  string
}

type nextHop func(netip.Addr, *link.Packet) error

func (f nextHop) Output(nh netip.Addr, p *link.Packet) error { return f(nh, p) }

func newTestHost(t testing.TB) *testHost {
	linktest.WantNoPackets(t)
	h := &testHost{t: t}
	h.ip = ipv4.New(ipv4.Config{Drops: &h.drops, Rand: random.New(1)})
	add := func(c ipv4.InterfaceConfig, a string) *ipv4.Interface {
		i, err := h.ip.AddInterface(c)
		require.NoError(t, err)
		require.NoError(t, h.ip.AddAddress(c.Index, ipv4.Address{Prefix: netip.MustParsePrefix(a)}))
		h.ip.SetUp(c.Index, true)
		return i
	}
	h.lo = add(ipv4.InterfaceConfig{Index: 1, Name: "lo", MTU: 65536, Loopback: true, Neighbours: nextHop(func(_ netip.Addr, p *link.Packet) error {
		h.ip.Input(h.lo, p)
		return nil
	})}, "127.0.0.1/8")
	out := func(index int) nextHop {
		return func(nh netip.Addr, p *link.Packet) error {
			defer p.Release()
			if h.busy != nil {
				return h.busy
			}
			ih, err := ipv4.Parse(p.Bytes())
			require.NoError(t, err)
			require.EqualValues(t, 0xffff, ipv4.Sum(p.Bytes()[:ih.Len()], 0))
			if len(h.sent) < 100 {
				h.sent = append(h.sent, sentPacket{index, nh, ih, string(p.Bytes()[ih.Len():])})
			}
			return nil
		}
	}
	h.t0 = add(ipv4.InterfaceConfig{Index: 2, Name: "t0", MTU: 1500, Neighbours: out(2)}, "10.0.0.2/24")
	add(ipv4.InterfaceConfig{Index: 3, Name: "t1", MTU: 1500, Neighbours: out(3)}, "10.0.1.2/24")
	require.NoError(t, h.ip.AddRoute(ipv4.Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Interface: 2, Gateway: addr("10.0.0.254")}))
	h.ip.HandleErrors(func(_ *link.Packet, m ipv4.ErrorMessage) { h.errors = append(h.errors, m) })
	h.Protocol = New(h.ip, Config{Drops: &h.drops, Rand: random.New(2)})
	t.Cleanup(func() {
		h.Close()
		h.ip.Close()
	})
	return h
}

func addr(s string) netip.Addr {
	if s == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(s)
}

func (h *testHost) listen(laddr string, protocol uint8, sc ...SocketConfig) *Conn {
	h.t.Helper()
	c, err := h.Listen(addr(laddr), protocol, append(sc, SocketConfig{})[0])
	require.NoError(h.t, err)
	return c
}

func (h *testHost) dial(raddr string, protocol uint8, sc ...SocketConfig) *Conn {
	h.t.Helper()
	c, err := h.Dial(netip.Addr{}, addr(raddr), protocol, append(sc, SocketConfig{})[0])
	require.NoError(h.t, err)
	return c
}

// receive takes a packet from t0's link.
func (h *testHost) receive(src, dst string, protocol uint8, data string) {
	p := link.NewPacketFrom([]byte(data))
	ipv4.Header{TotalLen: ipv4.HeaderLen + len(data), TTL: 7, Protocol: protocol, Src: addr(src), Dst: addr(dst)}.Put(p.Push(ipv4.HeaderLen))
	if addr(dst).IsMulticast() {
		p.Type = link.Multicast
	}
	h.ip.Input(h.t0, p)
}

// unread returns what is in the packets that a socket has.
func (c *Conn) unread() (all []string) {
	for {
		c.mu.Lock()
		n := c.queue.Len()
		c.mu.Unlock()
		if n == 0 {
			return all
		}
		b := make([]byte, 70000)
		n, _, err := c.ReadFrom(b)
		if err != nil {
			return append(all, err.Error())
		}
		all = append(all, string(b[:n]))
	}
}

func wantErrno(t testing.TB, want error, err error) {
	t.Helper()
	require.ErrorIs(t, err, want)
	if want != nil {
		var op *net.OpError
		require.True(t, errors.As(err, &op), "%T", err)
	}
}

func TestWhoReceives(t *testing.T) {
	h := newTestHost(t)
	conns := []struct {
		name string
		c    *Conn
	}{
		{"any", h.listen("", 89)},
		{"again", h.listen("0.0.0.0", 89)},
		{"bound", h.listen("10.0.0.2", 89)},
		{"connected", h.dial("10.0.0.9", 89)},
		{"on t1", h.listen("", 89, SocketConfig{Interface: 3})},
		{"other protocol", h.listen("", 90)},
	}
	for _, x := range []struct {
		src, dst string
		want     []string
	}{
		{"10.0.0.9", "10.0.0.2", []string{"any", "again", "bound", "connected"}},
		{"10.0.0.8", "10.0.0.2", []string{"any", "again", "bound"}},
		{"10.0.0.9", "10.0.0.255", []string{"any", "again"}},
		{"10.0.0.9", "10.0.1.2", []string{"any", "again"}},
	} {
		h.receive(x.src, x.dst, 89, "data")
		var got []string
		for _, c := range conns {
			if u := c.c.unread(); len(u) > 0 {
				require.Equal(t, []string{"data"}, u)
				got = append(got, c.name)
			}
		}
		require.Equal(t, x.want, got, "%s to %s", x.src, x.dst)
	}
	require.Empty(t, h.errors)
}

// A protocol that no socket takes is unknown, whatever other sockets there are; one
// that has a transport goes there too.
func TestBesideTransports(t *testing.T) {
	h := newTestHost(t)
	c := h.listen("", 89)
	transport := 0
	h.ip.Handle(6, ipv4.Handler{Input: func(_ ipv4.Header, p *link.Packet) { transport++; p.Release() }})
	tcp := h.listen("", 6)
	h.receive("10.0.0.9", "10.0.0.2", 89, "x")
	h.receive("10.0.0.9", "10.0.0.2", 6, "y")
	require.Empty(t, h.errors)
	require.Equal(t, []string{"x"}, c.unread())
	require.Equal(t, []string{"y"}, tcp.unread())
	require.Equal(t, 1, transport)
	h.receive("10.0.0.9", "10.0.0.2", 90, "x")
	require.NoError(t, c.Close())
	h.receive("10.0.0.9", "10.0.0.2", 89, "x")
	require.Len(t, h.errors, 2)
	require.EqualValues(t, ipv4.CodeProtocolUnreachable, h.errors[1].Code)
	require.EqualValues(t, 2, h.ip.Stats().InUnknownProtos.Load())
	require.EqualValues(t, 2, h.ip.Stats().InDelivers.Load())
	require.NoError(t, tcp.Close())
	h.receive("10.0.0.9", "10.0.0.2", 6, "y")
	require.Equal(t, 2, transport)
}

func TestReading(t *testing.T) {
	h := newTestHost(t)
	c := h.listen("", 89)
	b := make([]byte, 100)
	for range 5 {
		h.receive("10.0.0.9", "10.0.0.2", 89, "data")
	}
	n, from, err := c.ReadFrom(b)
	require.NoError(t, err)
	require.Equal(t, "data", string(b[:n]))
	require.Equal(t, &net.IPAddr{IP: net.IP{10, 0, 0, 9}}, from)
	n, err = c.Read(b)
	require.NoError(t, err)
	ih, err := ipv4.Parse(b[:n])
	require.NoError(t, err)
	require.Equal(t, 24, ih.TotalLen)
	require.EqualValues(t, 7, ih.TTL)
	n, info, err := c.ReadPacket(b)
	require.NoError(t, err)
	require.Equal(t, 24, n)
	require.Equal(t, Info{addr("10.0.0.9"), 2, 24}, info)
	n, oobn, flags, ip, err := c.ReadMsgIP(b[:22], nil)
	require.NoError(t, err)
	require.Equal(t, []any{22, 0, MsgTrunc, "10.0.0.9"}, []any{n, oobn, flags, ip.String()})
	n, ip, err = c.ReadFromIP(b[:2])
	require.NoError(t, err)
	require.Equal(t, "da", string(b[:n]))
	require.Equal(t, "10.0.0.9", ip.String())

	// Fragments are put together first.
	whole := make([]byte, 3000)
	whole[2999] = 1
	p := link.NewPacketFrom(whole)
	require.NoError(t, h.ip.Output(p, ipv4.Send{Dst: addr("10.0.0.9"), Protocol: 89}))
	for _, s := range h.sent {
		q := link.NewPacketFrom([]byte(s.data))
		s.h.Src, s.h.Dst = addr("10.0.0.9"), addr("10.0.0.2")
		s.h.Put(q.Push(ipv4.HeaderLen))
		h.ip.Input(h.t0, q)
	}
	require.Equal(t, []string{string(whole)}, c.unread())
}

func TestICMPFilter(t *testing.T) {
	h := newTestHost(t)
	h.ip.Handle(1, ipv4.Handler{Input: func(_ ipv4.Header, p *link.Packet) { p.Release() }})
	c := h.listen("", 1)
	require.NoError(t, c.SetICMPFilter(^uint32(1<<0)))
	for _, d := range []string{"\x00 reply", "\x08 echo", "\x28 unknown", ""} {
		h.receive("10.0.0.9", "10.0.0.2", 1, d)
	}
	require.Equal(t, []string{"\x00 reply", "\x28 unknown"}, c.unread())
}

func TestGroups(t *testing.T) {
	h := newTestHost(t)
	g := addr("224.0.0.5")
	member, picky, other := h.listen("", 89), h.listen("", 89), h.listen("", 89)
	require.NoError(t, member.JoinGroup(2, g))
	require.NoError(t, picky.JoinSourceSpecificGroup(2, g, addr("10.0.0.8")))
	require.NoError(t, other.SetMulticastAll(false))
	h.receive("10.0.0.9", "224.0.0.5", 89, "x")
	require.Equal(t, [][]string{{"x"}, nil, nil}, [][]string{member.unread(), picky.unread(), other.unread()})
	require.NoError(t, picky.SetSourceFilter(2, g, ipv4.SourceFilter{}))
	require.NoError(t, picky.ExcludeSourceSpecificGroup(2, g, addr("10.0.0.9")))
	require.NoError(t, picky.IncludeSourceSpecificGroup(2, g, addr("10.0.0.9")))
	wantErrno(t, syscall.EADDRNOTAVAIL, other.LeaveGroup(2, g))
	wantErrno(t, syscall.EINVAL, other.LeaveSourceSpecificGroup(2, g, addr("10.0.0.8")))

	_, err := other.WriteToAddr([]byte("y"), g)
	require.NoError(t, err)
	require.EqualValues(t, 1, h.sent[0].h.TTL)
	require.Equal(t, []string{"y"}, member.unread(), "our own copy")
	require.NoError(t, other.SetMulticastTTL(0))
	_, err = other.WriteToAddr([]byte("z"), g)
	require.NoError(t, err)
	require.Len(t, h.sent, 1)
	require.Equal(t, []string{"z"}, member.unread())
	require.NoError(t, other.SetMulticastTTL(3))
	require.NoError(t, other.SetMulticastLoopback(false))
	require.NoError(t, other.SetMulticastInterface(3))
	_, err = other.WriteToAddr([]byte("t1"), g)
	require.NoError(t, err)
	require.Equal(t, 3, h.sent[1].iface)
	require.EqualValues(t, 3, h.sent[1].h.TTL)
	require.Empty(t, member.unread())
	wantErrno(t, syscall.EADDRNOTAVAIL, other.SetMulticastInterface(9))
	wantErrno(t, syscall.EINVAL, h.listen("", 89, SocketConfig{Interface: 2}).SetMulticastInterface(3))
	require.NoError(t, other.SetMulticastInterface(0))
	require.NoError(t, member.Close())
	require.NoError(t, picky.Close())
	require.Len(t, h.t0.Groups(), 1, "no membership outlives its socket")
}

func TestSending(t *testing.T) {
	h := newTestHost(t)
	c := h.listen("", 89)
	require.NoError(t, c.SetTTL(9))
	require.NoError(t, c.SetTOS(0xc0))
	n, err := c.WriteTo([]byte("data"), &net.IPAddr{IP: net.IPv4(10, 0, 0, 9)})
	require.NoError(t, err)
	require.Equal(t, 4, n)
	s := h.sent[0]
	require.Equal(t, "data", s.data)
	require.Equal(t, ipv4.Header{TOS: 0xc0, TotalLen: 24, DF: true, TTL: 9, Protocol: 89, Checksum: s.h.Checksum, Src: addr("10.0.0.2"), Dst: addr("10.0.0.9")}, s.h)
	d := h.dial("10.0.1.9", 89)
	require.Equal(t, "10.0.1.2", d.LocalAddr().String())
	require.Equal(t, "10.0.1.9", d.RemoteAddr().String())
	require.Nil(t, c.RemoteAddr())
	h.sent = nil
	for range 2 {
		_, err = d.Write([]byte("x"))
		require.NoError(t, err)
	}
	require.Equal(t, h.sent[0].h.ID+1, h.sent[1].h.ID)
	h.sent = nil
	_, err = c.WriteToIP(make([]byte, 3000), &net.IPAddr{IP: net.IPv4(10, 0, 0, 9)})
	require.NoError(t, err)
	require.Len(t, h.sent, 3)
	require.NoError(t, c.SetDontFragment(true))
	to := &net.IPAddr{IP: net.IPv4(10, 0, 0, 9)}
	var nobody *net.IPAddr
	for _, x := range []struct {
		name string
		call func() (int, error)
		want error
	}{
		{"too long for the path", func() (int, error) { return c.WriteToIP(make([]byte, 1481), to) }, syscall.EMSGSIZE},
		{"too long for IPv4", func() (int, error) { return c.WriteToIP(make([]byte, 65536), to) }, syscall.EMSGSIZE},
		{"nobody", func() (int, error) { return c.WriteToIP(nil, nobody) }, syscall.EDESTADDRREQ},
		{"no peer", func() (int, error) { return c.Write(nil) }, syscall.EDESTADDRREQ},
		{"IPv6", func() (int, error) { return c.WriteToAddr(nil, addr("::2")) }, syscall.EAFNOSUPPORT},
		{"another address", func() (int, error) { return c.WriteTo(nil, &net.UDPAddr{}) }, syscall.EINVAL},
		{"broadcast", func() (int, error) { return c.WriteToAddr(nil, addr("10.0.0.255")) }, syscall.EACCES},
		{"connected", func() (int, error) { return d.WriteToIP(nil, to) }, net.ErrWriteToConnected},
		{"control message", func() (int, error) { n, _, err := c.WriteMsgIP(nil, []byte{1}, to); return n, err }, syscall.EINVAL},
		{"message", func() (int, error) { n, _, err := c.WriteMsgIP(nil, nil, to); return n, err }, nil},
	} {
		_, err := x.call()
		wantErrno(t, x.want, err)
	}
	require.NoError(t, c.SetBroadcast(true))
	_, err = c.WriteToAddr([]byte("all"), addr("10.0.0.255"))
	require.NoError(t, err)
	require.Equal(t, []string{"all"}, c.unread(), "our own copy")
	for _, x := range []struct{ from, plain, told error }{
		{syscall.ENOBUFS, nil, syscall.ENOBUFS}, {link.ErrQueueFull, nil, syscall.ENOBUFS}, {syscall.EIO, nil, nil}, {syscall.ENETDOWN, syscall.ENETDOWN, syscall.ENETDOWN},
	} {
		h.busy = x.from
		require.NoError(t, c.SetReceiveErrors(false))
		_, err := c.WriteToIP(nil, to)
		wantErrno(t, x.plain, err)
		require.NoError(t, c.SetReceiveErrors(true))
		_, err = c.WriteToIP(nil, to)
		wantErrno(t, x.told, err)
	}
}

func TestHeaderIncluded(t *testing.T) {
	h := newTestHost(t)
	c := h.listen("", 255)
	packet := func(ih ipv4.Header, data string) []byte {
		b := make([]byte, ih.Len()+len(data))
		ih.Put(b)
		copy(b[ih.Len():], data)
		return b
	}
	// Nearly everything is the program's business.
	_, err := c.WriteToAddr(packet(ipv4.Header{TTL: 3, TOS: 4, Protocol: 77, ID: 5, Src: addr("192.0.2.1"), Dst: addr("192.0.2.2"), MF: true, FragmentOffset: 8}, "data"), addr("10.0.0.9"))
	require.NoError(t, err)
	s := h.sent[0]
	require.Equal(t, addr("10.0.0.9"), s.to, "it goes where it is sent, and says otherwise")
	require.Equal(t, ipv4.Header{TotalLen: 24, TTL: 3, TOS: 4, Protocol: 77, ID: 5, Src: addr("192.0.2.1"), Dst: addr("192.0.2.2"), MF: true, FragmentOffset: 8, Checksum: s.h.Checksum}, s.h)
	_, err = c.WriteToAddr(packet(ipv4.Header{TTL: 3, Protocol: 77, Src: addr("0.0.0.0"), Dst: addr("10.0.0.9")}, "data"), addr("10.0.0.9"))
	require.NoError(t, err)
	require.Equal(t, addr("10.0.0.2"), h.sent[1].h.Src)
	require.NotZero(t, h.sent[1].h.ID)
	good := packet(ipv4.Header{TTL: 3, Protocol: 77, Src: addr("0.0.0.0"), Dst: addr("10.0.0.9")}, "data")
	for _, x := range []struct {
		b    []byte
		want error
	}{
		{good[:19], syscall.EINVAL},
		{append([]byte{0x44}, good[1:]...), syscall.EINVAL},
		{append([]byte{0x4f}, good[1:]...), syscall.EINVAL},
		{make([]byte, 1501), syscall.EMSGSIZE},
	} {
		_, err := c.WriteToAddr(x.b, addr("10.0.0.9"))
		wantErrno(t, x.want, err)
	}
	d := h.listen("", 77)
	require.NoError(t, d.SetHeaderIncluded(true))
	_, err = d.WriteToAddr(packet(ipv4.Header{TTL: 3, Protocol: 77, Src: addr("127.0.0.1"), Dst: addr("127.0.0.1")}, "to ourselves"), addr("127.0.0.1"))
	require.NoError(t, err)
	require.Equal(t, []string{"to ourselves"}, d.unread())
}

func TestErrors(t *testing.T) {
	h := newTestHost(t)
	plain, told, connected := h.listen("", 89), h.listen("", 89, SocketConfig{ReceiveErrors: true}), h.dial("10.0.0.9", 89)
	stranger := h.dial("10.0.0.8", 89)
	report := func(code uint8, errno syscall.Errno, hard bool) {
		h.ip.DeliverError(ipv4.TransportError{Type: ipv4.TypeUnreachable, Code: code, Info: 1400, From: addr("10.0.0.254"), Errno: errno, Hard: hard,
			Inner: ipv4.Header{Protocol: 89, Src: addr("10.0.0.2"), Dst: addr("10.0.0.9")}, Payload: []byte("12345678")})
	}
	next := func(c *Conn) error {
		require.NoError(t, c.SetReadDeadline(time.Unix(1, 0)))
		_, err := c.Read(nil)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			require.NoError(t, c.SetReadDeadline(time.Time{}))
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.takeErrorLocked(false)
		}
		return err
	}
	report(ipv4.CodeHostUnreachable, syscall.EHOSTUNREACH, false)
	require.NoError(t, next(plain))
	require.NoError(t, next(connected), "it may pass")
	require.ErrorIs(t, next(told), syscall.EHOSTUNREACH)
	e, ok := told.NextError()
	require.True(t, ok)
	require.Equal(t, QueuedError{Errno: syscall.EHOSTUNREACH, Origin: ICMP, Type: 3, Code: 1, Info: 1400, Offender: addr("10.0.0.254"), To: addr("10.0.0.9"), Data: []byte("12345678")}, e)
	_, ok = told.NextError()
	require.False(t, ok)
	report(ipv4.CodeProtocolUnreachable, syscall.ENOPROTOOPT, true)
	require.NoError(t, next(plain))
	require.ErrorIs(t, next(connected), syscall.ENOPROTOOPT)
	require.NoError(t, next(stranger))
	report(ipv4.CodeFragNeeded, syscall.EMSGSIZE, false)
	require.ErrorIs(t, next(connected), syscall.EMSGSIZE)
	path, err := h.ip.OutputPath(addr("10.0.0.9"), netip.Addr{}, 0)
	require.NoError(t, err)
	require.Equal(t, 1400, path.MTU)
	require.ErrorIs(t, next(told), syscall.EMSGSIZE, "the newest")
}

func TestBuffer(t *testing.T) {
	h := newTestHost(t)
	c := h.listen("", 89, SocketConfig{ReadBuffer: 2000})
	for range 6 {
		h.receive("10.0.0.9", "10.0.0.2", 89, "x")
	}
	require.Len(t, c.unread(), 4)
	require.EqualValues(t, 2, c.Dropped())
	require.EqualValues(t, 2, h.drops.Count(link.SocketRcvBuff))
	require.Empty(t, h.errors, "there is a socket, if a full one")
	require.NoError(t, c.SetReadBuffer(1<<20))
	require.NoError(t, c.SetWriteBuffer(1<<20))
	h.receive("10.0.0.9", "10.0.0.2", 89, "unread")
	require.NoError(t, c.Close())
	require.EqualValues(t, 1, h.drops.Count(link.SocketClosed))
}

func TestOpening(t *testing.T) {
	h := newTestHost(t)
	for _, x := range []struct {
		name     string
		laddr    string
		protocol uint8
		sc       SocketConfig
		want     error
	}{
		{"ours", "10.0.0.2", 89, SocketConfig{}, nil},
		{"broadcast", "10.0.0.255", 89, SocketConfig{}, nil},
		{"group", "224.0.0.5", 89, SocketConfig{}, nil},
		{"IPv6's any", "::", 89, SocketConfig{}, nil},
		{"not ours", "10.0.0.9", 89, SocketConfig{}, syscall.EADDRNOTAVAIL},
		{"IPv6", "::1", 89, SocketConfig{}, syscall.EAFNOSUPPORT},
		{"protocol 0", "", 0, SocketConfig{}, syscall.EPROTONOSUPPORT},
		{"interface", "", 89, SocketConfig{Interface: 9}, syscall.ENODEV},
	} {
		_, err := h.Listen(addr(x.laddr), x.protocol, x.sc)
		wantErrno(t, x.want, err)
	}
	_, err := h.Dial(netip.Addr{}, addr("10.0.0.255"), 89, SocketConfig{})
	wantErrno(t, syscall.EACCES, err)
	_, err = h.Dial(netip.Addr{}, addr("::1"), 89, SocketConfig{})
	wantErrno(t, syscall.EAFNOSUPPORT, err)
	require.NoError(t, h.ip.DeleteRoute(ipv4.Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Interface: 2, Gateway: addr("10.0.0.254")}))
	_, err = h.Dial(netip.Addr{}, addr("192.0.2.1"), 89, SocketConfig{Network: "ip4:ospf"})
	wantErrno(t, syscall.ENETUNREACH, err)
	require.Contains(t, err.Error(), "dial ip4:ospf 192.0.2.1: connect: network is unreachable")
	self := h.dial("0.0.0.0", 89)
	require.True(t, self.RemoteAddr().(*net.IPAddr).IP.IsLoopback())
	h.Close()
	_, err = h.Listen(netip.Addr{}, 89, SocketConfig{})
	wantErrno(t, net.ErrClosed, err)
}

func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		c := h.listen("", 89)
		begin := time.Now()
		require.NoError(t, c.SetDeadline(begin.Add(time.Second)))
		_, _, err := c.ReadFrom(nil)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, time.Second, time.Since(begin))
		_, err = c.WriteToAddr(nil, addr("10.0.0.9"))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		errs := make(chan error)
		read := func() { _, err := c.Read(nil); errs <- err }
		go read()
		synctest.Wait()
		h.receive("10.0.0.9", "10.0.0.2", 89, "x")
		require.NoError(t, <-errs)
		go read()
		synctest.Wait()
		require.NoError(t, c.Close())
		require.ErrorIs(t, <-errs, net.ErrClosed)
		require.ErrorIs(t, c.Close(), net.ErrClosed)
		require.ErrorIs(t, c.SetTTL(1), net.ErrClosed)
		_, err = c.WriteToAddr(nil, addr("10.0.0.9"))
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

func TestRaces(t *testing.T) {
	h := newTestHost(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				c := h.listen("", 89)
				c.SetTTL(3)
				h.receive("10.0.0.9", "10.0.0.2", 89, "x")
				c.SetReadDeadline(time.Unix(1, 0))
				c.Read(nil)
				c.Close()
			}
		})
	}
	wg.Wait()
}

func TestSendingDoesNotAllocate(t *testing.T) {
	h := newTestHost(t)
	c := h.listen("", 89)
	to, b := addr("127.0.0.1"), make([]byte, 100)
	linktest.WantNoAllocs(t, func() {
		if _, err := c.WriteToAddr(b, to); err != nil {
			t.Error(err)
		}
		if _, _, err := c.ReadPacket(b); err != nil {
			t.Error(err)
		}
	})
}
