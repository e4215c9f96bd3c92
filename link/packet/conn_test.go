package packet

import (
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/bpf"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
)

var (
	us    = link.Addr{2, 0, 0, 0, 0, 1}
	peer  = link.Addr{2, 0, 0, 0, 0, 2}
	other = link.Addr{2, 0, 0, 0, 0, 3}
)

// testTable has the interfaces 1 and 2, which are up, and 3, which is not. What is
// sent is in sent.
type testTable struct {
	*Table
	t    testing.TB
	sent [][]byte
}

func newTestTable(t testing.TB) *testTable {
	linktest.WantNoPackets(t)
	tt := &testTable{t: t}
	tt.Table = New(Config{Link: func(index int) (Link, bool) {
		return Link{Addr: us, MTU: 100, Up: index < 3, Write: func(p *link.Packet, from *Conn) error {
			tt.Sent(index, p, from)
			tt.sent = append(tt.sent, append([]byte(nil), p.Bytes()...))
			p.Release()
			return nil
		}}, index >= 1 && index <= 3
	}})
	t.Cleanup(tt.Close)
	return tt
}

func (tt *testTable) listen(sc SocketConfig) *Conn {
	tt.t.Helper()
	c, err := tt.Listen(sc)
	require.NoError(tt.t, err)
	return c
}

func ethernet(dst, src link.Addr, e link.EtherType, data string) *link.Packet {
	p := link.NewPacketFrom([]byte(data))
	link.Ethernet{Dst: dst, Src: src, Type: e}.Put(p.Push(link.EthernetHeaderLen))
	return p
}

// receive has the table see a frame that an interface received.
func (tt *testTable) receive(index int, p *link.Packet) {
	eth, n, err := link.ParseEthernet(p.Bytes())
	require.NoError(tt.t, err)
	p.In, p.EtherType, p.Type = index, eth.Type, link.Classify(eth.Dst, us)
	tt.Received(p, n)
	p.Release()
}

// unread returns what a socket has, in order.
func (c *Conn) unread() (all []string) {
	for {
		c.mu.Lock()
		n := len(c.queue) - c.next
		c.mu.Unlock()
		if n == 0 {
			return all
		}
		b := make([]byte, 2000)
		n, _, err := c.ReadFrame(b)
		if err != nil {
			return append(all, err.Error())
		}
		all = append(all, string(b[:n]))
	}
}

func TestWhoSeesWhat(t *testing.T) {
	tt := newTestTable(t)
	require.False(t, tt.Any())
	conns := map[string]*Conn{
		"all":      tt.listen(SocketConfig{Cooked: true}),
		"one":      tt.listen(SocketConfig{Cooked: true, Interface: 1}),
		"arp":      tt.listen(SocketConfig{Cooked: true, Protocol: link.ARP}),
		"ip on 2":  tt.listen(SocketConfig{Cooked: true, Interface: 2, Protocol: link.IPv4}),
		"incoming": tt.listen(SocketConfig{Cooked: true}),
	}
	require.NoError(t, conns["incoming"].SetIgnoreOutgoing(true))
	require.True(t, tt.Any())
	tt.receive(1, ethernet(us, peer, link.ARP, "arp in 1"))
	tt.receive(1, ethernet(link.BroadcastAddr, peer, link.IPv4, "ip in 1"))
	tt.receive(2, ethernet(link.Addr{1, 0, 0x5e, 0, 0, 1}, peer, link.IPv4, "ip in 2"))
	tt.receive(1, ethernet(other, peer, link.IPv4, "other"))
	for _, x := range []struct {
		index int
		e     link.EtherType
		data  string
	}{{1, link.ARP, "arp out 1"}, {2, link.IPv4, "ip out 2"}} {
		p := ethernet(peer, us, x.e, x.data)
		tt.Sent(x.index, p, nil)
		p.Release()
	}
	for name, want := range map[string][]string{
		"all":      {"arp in 1", "ip in 1", "ip in 2", "arp out 1", "ip out 2"},
		"one":      {"arp in 1", "ip in 1", "arp out 1"},
		"arp":      {"arp in 1"},
		"ip on 2":  {"ip in 2"},
		"incoming": {"arp in 1", "ip in 1", "ip in 2"},
	} {
		require.Equal(t, want, conns[name].unread(), name)
		require.NoError(t, conns[name].Close())
	}
	require.False(t, tt.Any(), "nobody listens any more")
}

func TestFrames(t *testing.T) {
	tt := newTestTable(t)
	raw, cooked := tt.listen(SocketConfig{Interface: 1}), tt.listen(SocketConfig{Interface: 1, Cooked: true})
	tt.receive(1, ethernet(us, peer, link.IPv4, "data"))
	b := make([]byte, 100)
	n, f, err := raw.ReadFrame(b)
	require.NoError(t, err)
	require.Equal(t, string(us[:])+string(peer[:])+"\x08\x00data", string(b[:n]))
	require.Equal(t, 18, f.Len)
	require.WithinDuration(t, time.Now(), f.Time, time.Minute)
	want := Addr{Interface: 1, Protocol: link.IPv4, Type: link.Host, Addr: peer}
	require.Equal(t, want, f.Addr)
	n, from, err := cooked.ReadFrom(b[:2])
	require.NoError(t, err)
	require.Equal(t, "da", string(b[:n]))
	require.Equal(t, &want, from)
	require.Equal(t, "packet", from.Network())
	require.Equal(t, "02:00:00:00:00:02/IPv4%1", from.String())
	require.Equal(t, "all%1", raw.LocalAddr().String())

	// A priority tag is a header of the link's, too.
	p := ethernet(us, peer, link.VLAN, "\x00\x00\x08\x00tagged")
	tt.receive(1, p)
	require.Equal(t, []string{"tagged"}, cooked.unread())
	require.Len(t, raw.unread(), 1)

	// What leaves is complete.
	q := link.NewPacketFrom([]byte("\x00\x00\x00\x00"))
	q.SetPartialChecksum(2)
	link.Ethernet{Dst: peer, Src: us, Type: link.IPv4}.Put(q.Push(link.EthernetHeaderLen))
	tt.Sent(1, q, nil)
	require.Equal(t, link.ChecksumPartial, q.Checksum)
	q.Release()
	require.Equal(t, []string{"\x00\x00\xff\xff"}, cooked.unread())
	_, f, err = raw.ReadFrame(b)
	require.NoError(t, err)
	require.Equal(t, link.Outgoing, f.Type)
	require.Equal(t, "outgoing", f.Type.String())
}

func TestPromiscuous(t *testing.T) {
	tt := newTestTable(t)
	a, b := tt.listen(SocketConfig{Cooked: true, Interface: 1}), tt.listen(SocketConfig{Cooked: true, Interface: 1})
	c := tt.listen(SocketConfig{Cooked: true})
	hear := func() {
		tt.receive(1, ethernet(other, peer, link.IPv4, "x"))
		tt.receive(2, ethernet(other, peer, link.IPv4, "y"))
	}
	require.ErrorIs(t, c.SetPromiscuous(true), syscall.ENODEV)
	require.NoError(t, a.SetPromiscuous(true))
	require.NoError(t, a.SetPromiscuous(true))
	require.NoError(t, b.SetPromiscuous(true))
	require.Equal(t, 2, tt.Promiscuity(1))
	require.Zero(t, tt.Promiscuity(2))
	require.NoError(t, a.SetPromiscuous(false))
	hear()
	for _, s := range []*Conn{a, b, c} {
		require.Equal(t, []string{"x"}, s.unread(), "the interface is promiscuous, not the socket")
	}
	require.NoError(t, a.SetAllMulticast(true))
	require.Equal(t, 1, tt.AllMulti(1))
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
	require.Zero(t, tt.Promiscuity(1))
	require.Zero(t, tt.AllMulti(1))
	hear()
	require.Empty(t, c.unread())
	require.ErrorIs(t, a.SetPromiscuous(true), net.ErrClosed)
	require.NoError(t, c.Close())
	require.Zero(t, tt.Promiscuity(1)+tt.AllMulti(1))
}

func assemble(t testing.TB, program ...bpf.Instruction) []bpf.RawInstruction {
	raw, err := bpf.Assemble(program)
	require.NoError(t, err)
	return raw
}

func TestFilter(t *testing.T) {
	tt := newTestTable(t)
	arp := assemble(t,
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(link.ARP), SkipFalse: 1},
		bpf.RetConstant{Val: 16},
		bpf.RetConstant{Val: 0})
	c := tt.listen(SocketConfig{Filter: arp})
	first := tt.listen(SocketConfig{Cooked: true, Filter: assemble(t, bpf.LoadAbsolute{Off: 3, Size: 1}, bpf.RetA{})})
	tt.receive(1, ethernet(us, peer, link.ARP, "abcdefgh"))
	tt.receive(1, ethernet(us, peer, link.IPv4, "abc\x02efgh"))
	tt.receive(1, ethernet(us, peer, link.IPv4, "abc"))
	b := make([]byte, 100)
	n, f, err := c.ReadFrame(b)
	require.NoError(t, err)
	require.Equal(t, 16, n)
	require.Equal(t, 22, f.Len)
	require.Empty(t, c.unread())
	require.Equal(t, []string{"abcdefgh", "ab"}, first.unread(), "past the end there is nothing")
	require.Equal(t, Stats{Packets: 1}, c.Stats(), "what the filter refuses is not counted")
	require.NoError(t, c.SetBPF(nil))
	tt.receive(1, ethernet(us, peer, link.IPv4, "x"))
	require.Len(t, c.unread(), 1)
	require.ErrorIs(t, c.SetBPF([]bpf.RawInstruction{{Op: 0xffff}}), syscall.EINVAL)
	require.ErrorIs(t, c.SetBPF(assemble(t, bpf.LoadConstant{Val: 1})), syscall.EINVAL)
	_, err = tt.Listen(SocketConfig{Filter: []bpf.RawInstruction{{Op: 0xffff}}})
	require.ErrorIs(t, err, syscall.EINVAL)
	var _ bpf.Setter = c
}

func TestBuffer(t *testing.T) {
	tt := newTestTable(t)
	c := tt.listen(SocketConfig{ReadBuffer: 2000})
	for range 6 {
		tt.receive(1, ethernet(us, peer, link.IPv4, "x"))
	}
	require.Equal(t, Stats{Packets: 6, Drops: 2}, c.Stats(), "four frames of 832 bytes fit")
	require.Equal(t, Stats{}, c.Stats(), "since the last call")
	require.Len(t, c.unread(), 4)
	require.NoError(t, c.SetReadBuffer(100000))
	for range 200 {
		tt.receive(1, ethernet(us, peer, link.IPv4, "x"))
		tt.receive(1, ethernet(us, peer, link.IPv4, "y"))
		_, _, err := c.ReadFrame(nil)
		require.NoError(t, err)
	}
	require.Len(t, c.unread(), 200)
	require.Zero(t, c.cost)
	tt.receive(1, ethernet(us, peer, link.IPv4, "unread"))
}

func TestSend(t *testing.T) {
	tt := newTestTable(t)
	raw, cooked, any := tt.listen(SocketConfig{Interface: 1}), tt.listen(SocketConfig{Interface: 1, Cooked: true, Protocol: link.ARP}), tt.listen(SocketConfig{})
	p := ethernet(peer, other, link.IPv4, "data")
	whole := string(p.Bytes())
	p.Release()
	n, err := raw.Write([]byte(whole))
	require.NoError(t, err)
	require.Equal(t, len(whole), n)
	_, err = cooked.WriteTo([]byte("arp"), &Addr{Addr: peer})
	require.NoError(t, err)
	_, err = cooked.WriteTo([]byte("ip"), &Addr{Addr: peer, Protocol: link.IPv4, Interface: 2})
	require.NoError(t, err)
	_, err = any.WriteTo([]byte(whole), &Addr{Interface: 2})
	require.NoError(t, err)
	head := string(peer[:]) + string(us[:])
	require.Equal(t, [][]byte{[]byte(whole), []byte(head + "\x08\x06arp"), []byte(head + "\x08\x00ip"), []byte(whole)}, tt.sent)
	require.Equal(t, []string{head + "\x08\x06arp"}, raw.unread(), "not what it sent itself")
	require.Len(t, any.unread(), 3)
	long := func(n int, e link.EtherType) []byte {
		p := ethernet(peer, us, e, string(make([]byte, n)))
		defer p.Release()
		return append([]byte(nil), p.Bytes()...)
	}
	var nobody *Addr
	for _, x := range []struct {
		name string
		c    *Conn
		b    []byte
		to   net.Addr
		want error
	}{
		{"no interface", any, []byte(whole), nil, syscall.ENXIO},
		{"typed nil", any, []byte(whole), nobody, syscall.ENXIO},
		{"unknown interface", any, []byte(whole), &Addr{Interface: 9}, syscall.ENXIO},
		{"down", any, []byte(whole), &Addr{Interface: 3}, syscall.ENETDOWN},
		{"half a header", raw, []byte(whole)[:13], nil, syscall.EINVAL},
		{"as long as it may be", raw, long(100, link.IPv4), nil, nil},
		{"longer", raw, long(101, link.IPv4), nil, syscall.EMSGSIZE},
		{"as long as it may be with a tag", raw, long(104, link.VLAN), nil, nil},
		{"longer with a tag", raw, long(105, link.VLAN), nil, syscall.EMSGSIZE},
		{"cooked and long", cooked, make([]byte, 101), &Addr{Addr: peer}, syscall.EMSGSIZE},
		{"another address", raw, []byte(whole), &net.UDPAddr{}, syscall.EINVAL},
	} {
		_, err := x.c.WriteTo(x.b, x.to)
		require.ErrorIs(t, err, x.want, x.name)
		if x.want != nil {
			var op *net.OpError
			require.ErrorAs(t, err, &op)
		}
	}
}

func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tt := newTestTable(t)
		c := tt.listen(SocketConfig{Interface: 1})
		begin := time.Now()
		require.NoError(t, c.SetDeadline(begin.Add(time.Second)))
		_, _, err := c.ReadFrom(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, time.Second, time.Since(begin))
		_, err = c.Write(make([]byte, 14))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		require.NoError(t, c.SetWriteDeadline(time.Time{}))

		errs := make(chan error)
		read := func() {
			_, _, err := c.ReadFrame(make([]byte, 1))
			errs <- err
		}
		go read()
		synctest.Wait()
		tt.Down(2)
		tt.Down(1)
		require.ErrorIs(t, <-errs, syscall.ENETDOWN)
		go read()
		synctest.Wait()
		tt.receive(1, ethernet(us, peer, link.IPv4, "x"))
		require.NoError(t, <-errs)
		go read()
		synctest.Wait()
		require.NoError(t, c.Close())
		require.ErrorIs(t, <-errs, net.ErrClosed)
		require.ErrorIs(t, c.Close(), net.ErrClosed)
		require.ErrorIs(t, c.SetDeadline(time.Time{}), net.ErrClosed)
		_, err = c.Write(make([]byte, 14))
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = tt.Listen(SocketConfig{Interface: 9})
		require.ErrorIs(t, err, syscall.ENODEV)
		tt.Close()
		_, err = tt.Listen(SocketConfig{})
		require.ErrorIs(t, err, net.ErrClosed)
		tt.Down(1)
	})
}

func TestRaces(t *testing.T) {
	tt := newTestTable(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				c := tt.listen(SocketConfig{Interface: 1})
				wg.Go(func() { c.SetPromiscuous(true) })
				tt.receive(1, ethernet(us, peer, link.IPv4, "x"))
				c.SetReadDeadline(time.Unix(1, 0))
				c.ReadFrame(make([]byte, 10))
				c.Close()
			}
		})
	}
	wg.Wait()
	require.False(t, tt.Any())
	require.Zero(t, tt.Promiscuity(1))
}

func TestNobodyListensCostsNothing(t *testing.T) {
	tt := newTestTable(t)
	p := ethernet(us, peer, link.IPv4, "x")
	defer p.Release()
	linktest.WantNoAllocs(t, func() {
		if tt.Any() {
			tt.Received(p, link.EthernetHeaderLen)
		}
	})
}

func BenchmarkNobodyListens(b *testing.B) {
	tt := newTestTable(b)
	b.ReportAllocs()
	for b.Loop() {
		if tt.Any() {
			b.Fatal("who?")
		}
	}
}

func BenchmarkFiltered(b *testing.B) {
	tt := newTestTable(b)
	tt.listen(SocketConfig{Filter: assemble(b, bpf.LoadAbsolute{Off: 12, Size: 2}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(link.ARP), SkipFalse: 1}, bpf.RetConstant{Val: 16}, bpf.RetConstant{Val: 0})})
	p := ethernet(us, peer, link.IPv4, "x")
	defer p.Release()
	b.ReportAllocs()
	for b.Loop() {
		tt.Received(p, link.EthernetHeaderLen)
	}
}
