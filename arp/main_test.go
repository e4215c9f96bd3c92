package arp

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack/devconf"
	"github.com/tapstack/tapstack/stack/random"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// macFrame is the Ethernet source of all frames that tests deliver: ARP does not
// look at it.
var macFrame = link.Addr{0x02, 0xee, 0, 0, 0, 1}

// fakeHost is a network layer of addresses and routes written down by a test.
type fakeHost struct {
	addrs  map[int][]Address
	routes []fakeRoute
	rpf    bool // refuse sources without a route

	anySource bool // broadcast addresses may be sources, as without rp_filter
}

type fakeRoute struct {
	dst netip.Prefix
	out int
}

func (h *fakeHost) AddrType(ip netip.Addr) neighbour.AddrType {
	if ip.IsMulticast() {
		return neighbour.Multicast
	}
	if ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return neighbour.Broadcast
	}
	for i := range 8 {
		for _, a := range h.addrs[i] {
			if a.Prefix.Addr() == ip {
				return neighbour.Local
			}
			if lastOf(a.Prefix) == ip {
				return neighbour.Broadcast
			}
		}
	}
	return neighbour.Unicast
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for n := p.Bits(); n < 32; n++ {
		b[n/8] |= 1 << (7 - n%8)
	}
	return netip.AddrFrom4(b)
}

func (h *fakeHost) route(dst netip.Addr) (int, bool) {
	best, out := -1, 0
	for _, r := range h.routes {
		if r.dst.Contains(dst) && r.dst.Bits() > best {
			best, out = r.dst.Bits(), r.out
		}
	}
	return out, best >= 0
}

func (h *fakeHost) InputRoute(dst, src netip.Addr, _ int) (neighbour.AddrType, int, bool) {
	if t := h.AddrType(src); t != neighbour.Unicast && !h.anySource || src.IsLoopback() {
		return 0, 0, false
	}
	if _, ok := h.route(src); !ok && h.rpf {
		return 0, 0, false
	}
	if t := h.AddrType(dst); t != neighbour.Unicast {
		return t, 1, t == neighbour.Local
	}
	out, ok := h.route(dst)
	return neighbour.Unicast, out, ok
}

func (h *fakeHost) OutputInterface(dst, _ netip.Addr) (int, bool) { return h.route(dst) }

func (h *fakeHost) Addresses(iface int) []Address {
	if iface != 0 {
		return h.addrs[iface]
	}
	var all []Address
	for i := range 8 {
		all = append(all, h.addrs[i]...)
	}
	return all
}

func (h *fakeHost) SelectSource(iface int, target netip.Addr) netip.Addr {
	for _, a := range h.addrs[iface] {
		if a.Prefix.Masked().Contains(target) {
			return a.Prefix.Addr()
		}
	}
	if len(h.addrs[iface]) > 0 {
		return h.addrs[iface][0].Prefix.Addr()
	}
	return netip.IPv4Unspecified()
}

// wire writes down the frames that an interface sends, each as tcpdump -e would.
type wire struct {
	name string
	b    *bench
}

func (w wire) Write(p *link.Packet) error {
	defer p.Release()
	eth, n, err := link.ParseEthernet(p.Bytes())
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%s %s > %s %s, %d bytes", w.name, short(eth.Src), short(eth.Dst), eth.Type, p.Len())
	if a, err := Parse(p.Bytes()[n:]); eth.Type == link.ARP && err == nil {
		text = fmt.Sprintf("%s %s > %s %s: %s is-at %s, %s is-at %s, %d bytes", w.name, short(eth.Src), short(eth.Dst), a.Op,
			a.SenderIP, short(a.SenderAddr), a.TargetIP, short(a.TargetAddr), p.Len())
	}
	w.b.mu.Lock() // timers send from goroutines of their own
	w.b.log = append(w.b.log, text)
	w.b.mu.Unlock()
	return nil
}

// short names the addresses that the tests use.
func short(a link.Addr) string {
	switch a {
	case ourM:
		return "us"
	case macA:
		return "A"
	case macB:
		return "B"
	case link.BroadcastAddr:
		return "all"
	case link.Addr{}:
		return "-"
	}
	return a.String()
}

// bench is ARP with a real neighbour table between two wires: eth1 has
// 10.0.0.2/24, eth2 has 10.0.1.2/24, lo (3) has 127.0.0.1/8 and 10.9.9.9/32.
type bench struct {
	t     testing.TB
	host  *fakeHost
	conf  *devconf.Table
	table *neighbour.Table
	drops link.Drops
	arp   *Protocol
	mu    sync.Mutex
	log   []string
}

func newBench(t testing.TB) *bench {
	linktest.WantNoPackets(t)
	b := &bench{t: t, conf: devconf.New()}
	b.host = &fakeHost{
		addrs: map[int][]Address{
			1: {{Prefix: netip.MustParsePrefix("10.0.0.2/24")}},
			2: {{Prefix: netip.MustParsePrefix("10.0.1.2/24")}},
			3: {{Prefix: netip.MustParsePrefix("127.0.0.1/8"), Scope: ScopeHost}, {Prefix: netip.MustParsePrefix("10.9.9.9/32")}},
		},
		routes: []fakeRoute{{netip.MustParsePrefix("10.0.0.0/24"), 1}, {netip.MustParsePrefix("10.0.1.0/24"), 2}},
	}
	rnd := random.New(7)
	b.table = neighbour.New(neighbour.Config{
		Rand: rnd, Drops: &b.drops,
		Classify:    func(_ int, a netip.Addr) neighbour.AddrType { return b.host.AddrType(a) },
		Solicit:     func(s neighbour.Solicitation) { b.arp.Solicit(s) },
		Unreachable: func(p *link.Packet) { p.Release() },
	})
	b.arp = New(Config{Rand: rnd, Neighbours: b.table, Host: b.host, Drops: &b.drops})
	for i, name := range []string{1: "eth1", 2: "eth2"} {
		if i == 0 {
			continue
		}
		w := wire{name, b}
		conf := b.conf.AddInterface(i)
		_, err := b.table.AddInterface(neighbour.InterfaceConfig{Index: i, Name: name, Addr: ourM, Link: w})
		require.NoError(t, err)
		require.NoError(t, b.arp.AddInterface(InterfaceConfig{Index: i, Addr: ourM, Link: w, Conf: conf}))
	}
	t.Cleanup(func() {
		b.arp.Close()
		b.table.Close()
	})
	return b
}

// set writes sysctls: "arp_ignore=1" on eth1, "all.arp_ignore=1", "eth2.medium_id=5".
func (b *bench) set(sysctls ...string) {
	for _, s := range sysctls {
		key, val, _ := strings.Cut(s, "=")
		scope := 1
		if dev, k, ok := strings.Cut(key, "."); ok {
			key, scope = k, map[string]int{"all": devconf.All, "default": devconf.Default, "eth1": 1, "eth2": 2}[dev]
		}
		if _, ok := devconf.Lookup(key); !ok {
			require.NoError(b.t, b.table.SetSysctl("eth1", key, val), s)
			continue
		}
		k, _ := devconf.Lookup(key)
		var v int32
		_, err := fmt.Sscan(val, &v)
		require.NoError(b.t, err)
		require.True(b.t, b.conf.Set(scope, k, v))
	}
}

// in delivers a packet that arrived on interface i.
func (b *bench) in(i int, class link.PacketType, a Packet) {
	p := link.NewPacket(Len + 18)
	a.Put(p.Bytes())
	clear(p.Bytes()[Len:])
	p.In, p.Type, p.EtherType = i, class, link.ARP
	b.arp.Input(p, macFrame)
}

// wantSent says which frames have been sent since the last call.
func (b *bench) wantSent(why string, want ...string) {
	b.t.Helper()
	b.mu.Lock()
	got := b.log
	b.log = nil
	b.mu.Unlock()
	require.Equal(b.t, want, got, why)
}

// wantEntry says what is known of ip on eth1: "STALE A", or "" for nothing.
func (b *bench) wantEntry(why, addr, want string) {
	b.t.Helper()
	e, ok := b.table.Lookup(1, ip(addr))
	got := ""
	if ok {
		got = strings.TrimSpace(e.State.String() + " " + short(e.LLAddr))
	}
	require.Equal(b.t, want, got, why)
}

func pass(d time.Duration) { time.Sleep(d) } // virtual, inside a bubble
