package stack_test

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack"
	"github.com/tapstack/tapstack/stack/stacktest"
)

var (
	askerMAC = link.Addr{2, 0, 0, 0, 0, 0xee}
	askedMAC = link.Addr{2, 0, 0, 0, 0, 0x11}
)

// arpBench is a host that decides as a real one does, 10.0.0.2/24 on eth0 and
// 10.0.1.2/24 on eth1, and a station on eth0's LAN that asks it.
type arpBench struct {
	t    *testing.T
	host *stack.Host
	peer *stacktest.Station
}

func newARPBench(t *testing.T) *arpBench {
	lan := stacktest.NewLAN(t)
	b := &arpBench{t: t, host: lan.Host(stacktest.HostConfig{Name: "host", MAC: askedMAC, Addr: "10.0.0.2/24"})}
	stacktest.NewLAN(t).Attach(b.host, "eth1", link.Addr{2, 0, 0, 0, 0, 0x12}, "10.0.1.2/24", nil)
	b.peer = lan.Station(askerMAC)
	return b
}

// set writes values of net.ipv4.conf, as "eth0.arp_ignore=1".
func (b *arpBench) set(values ...string) {
	b.t.Helper()
	for _, v := range values {
		name, value, _ := strings.Cut(v, "=")
		require.NoError(b.t, b.host.SetSysctl("net.ipv4.conf."+name, value))
	}
}

// ask broadcasts a request.
func (b *arpBench) ask(sip, tip string) {
	f := make([]byte, link.EthernetHeaderLen+arp.Len)
	link.Ethernet{Dst: link.BroadcastAddr, Src: askerMAC, Type: link.ARP}.Put(f)
	arp.Packet{Op: arp.Request, SenderAddr: askerMAC, SenderIP: netip.MustParseAddr(sip), TargetIP: netip.MustParseAddr(tip)}.Put(f[link.EthernetHeaderLen:])
	require.NoError(b.t, b.peer.Send(f))
	synctest.Wait()
}

// heard returns what the station has heard since the last call, a frame a line.
func (b *arpBench) heard() (lines []string) {
	synctest.Wait()
	for _, f := range b.peer.Take() {
		eth, n, err := link.ParseEthernet(f)
		require.NoError(b.t, err)
		line := eth.Type.String()
		if a, err := arp.Parse(f[n:]); eth.Type == link.ARP && err == nil {
			line = fmt.Sprintf("%s %s>%s", a.Op, a.SenderIP, a.TargetIP)
		}
		lines = append(lines, line)
	}
	return lines
}

// What an input route decides for a request: an answer, and the sender's entry.
func TestRequestsAndRoutes(t *testing.T) {
	for _, c := range []struct {
		name     string
		set      []string
		sip, tip string
		answer   bool
		entry    string
	}{
		{name: "ARP-12 for us", sip: "10.0.0.9", tip: "10.0.0.2", answer: true, entry: "STALE"},
		{name: "ARP-12 for us on another interface", sip: "10.0.0.9", tip: "10.0.1.2", answer: true, entry: "STALE"},
		{name: "ARP-12 multicast sender", sip: "224.0.0.5", tip: "10.0.0.2", entry: "absent"},
		{name: "ARP-12 limited broadcast sender", sip: "255.255.255.255", tip: "10.0.0.2", entry: "absent"},
		{name: "ARP-12 loopback sender", sip: "127.0.0.5", tip: "10.0.0.2", entry: "absent"},
		{name: "ARP-12 loopback sender with route_localnet", set: []string{"eth0.route_localnet=1"}, sip: "127.9.9.9", tip: "10.0.0.2", entry: "absent"}, // 127/8 is local
		{name: "ARP-12 ... and accept_local", set: []string{"eth0.route_localnet=1", "all.accept_local=1"}, sip: "127.9.9.9", tip: "10.0.0.2", answer: true, entry: "STALE"},
		{name: "ARP-12 ARP-13 our address as sender", sip: "10.0.0.2", tip: "10.0.0.2", entry: "absent"},
		{name: "ARP-12 ARP-13 our other address as sender", sip: "10.0.1.2", tip: "10.0.0.2", entry: "absent"},
		{name: "ARP-12 target 0.0.0.0", sip: "10.0.0.9", tip: "0.0.0.0", entry: "absent"},
		{name: "ARP-12 target subnet broadcast", sip: "10.0.0.9", tip: "10.0.0.255", entry: "absent"},
		{name: "ARP-12 target limited broadcast", sip: "10.0.0.9", tip: "255.255.255.255", entry: "absent"},
		{name: "ARP-12 no way back, unchecked", sip: "99.0.0.9", tip: "10.0.0.2", answer: true, entry: "STALE"},
		{name: "ARP-12 subnet broadcast sender, unchecked", sip: "10.0.0.255", tip: "10.0.0.2", answer: true, entry: "NOARP"},
		{name: "ARP-12 subnet broadcast sender, checked", set: []string{"all.rp_filter=2"}, sip: "10.0.0.255", tip: "10.0.0.2", entry: "absent"},
		{name: "ARP-11 other addresses of 0/8 are ordinary", sip: "0.0.0.5", tip: "10.0.0.2", answer: true, entry: "STALE"},
		{name: "ARP-11 as targets, too", sip: "10.0.0.9", tip: "0.0.0.5", entry: "absent"},
		{name: "ARP-12 class E sender", sip: "240.0.0.1", tip: "10.0.0.2", answer: true, entry: "STALE"},
		{name: "ARP-19 ARP-20 on the link, with proxy_arp", set: []string{"eth0.forwarding=1", "eth0.proxy_arp=1"}, sip: "10.0.0.9", tip: "10.0.0.77", entry: "absent"},
		{name: "ARP-20 on the link, with proxy_arp_pvlan", set: []string{"eth0.forwarding=1", "eth0.proxy_arp_pvlan=1"}, sip: "10.0.0.9", tip: "10.0.0.77", answer: true, entry: "STALE"},
		{name: "ARP-19 ARP-21 behind us, with proxy_arp", set: []string{"eth0.forwarding=1", "eth0.proxy_arp=1"}, sip: "10.0.0.9", tip: "10.0.1.77", answer: true, entry: "STALE"},
		{name: "ARP-19 behind us, forwarding on the other interface only", set: []string{"eth1.forwarding=1", "eth0.proxy_arp=1"}, sip: "10.0.0.9", tip: "10.0.1.77", entry: "absent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newARPBench(t)
				require.NoError(t, b.host.SetSysctl("net.ipv4.neigh.eth0.proxy_delay", "0"))
				b.set(c.set...)
				b.ask(c.sip, c.tip)
				var want []string
				if c.answer {
					want = []string{"reply " + c.tip + ">" + c.sip}
				}
				require.Equal(t, want, b.heard())
				require.Equal(t, c.entry, state(b.host, c.sip))
			})
		})
	}
	t.Run("ARP-19 blackhole and unreachable routes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newARPBench(t)
			b.set("eth0.forwarding=1", "eth0.proxy_arp=1")
			for n, typ := range []ipv4.RouteType{ipv4.Blackhole, ipv4.Unreachable, ipv4.Prohibit} {
				dst := fmt.Sprintf("10.5.%d.0/24", n)
				require.NoError(t, b.host.IPv4().AddRoute(ipv4.Route{Dst: netip.MustParsePrefix(dst), Type: typ}))
				b.ask("10.0.0.9", fmt.Sprintf("10.5.%d.1", n))
			}
			time.Sleep(time.Second)
			require.Empty(t, b.heard())
		})
	})
}

// The keys whose merge only a real route decision shows.
func TestMergeOfRouteSettings(t *testing.T) {
	type row struct {
		all, dev int
		want     string // whether a sender without a route, one of eth1's, one of eth0's is answered
	}
	for _, c := range []struct {
		rule, key string
		senders   []string
		rows      []row
	}{
		{"SYSCTL-41 OR", "accept_local", []string{"10.0.1.2"},
			[]row{{0, 0, "no"}, {1, 0, "yes"}, {0, 1, "yes"}, {1, 1, "yes"}, {-1, 0, "yes"}}},
		{"SYSCTL-42 MAX", "rp_filter", []string{"99.0.0.9", "10.0.1.9", "10.0.0.9"},
			[]row{{0, 0, "yes yes yes"}, {1, 0, "no no yes"}, {0, 1, "no no yes"}, {1, 1, "no no yes"},
				{2, 0, "no yes yes"}, {0, 2, "no yes yes"}, {2, 1, "no yes yes"}, {1, 2, "no yes yes"}, {-1, 0, "yes yes yes"}, {-1, 1, "no no yes"}}},
	} {
		for _, r := range c.rows {
			t.Run(fmt.Sprintf("%s %s all %d dev %d", c.rule, c.key, r.all, r.dev), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newARPBench(t)
					b.set(fmt.Sprintf("all.%s=%d", c.key, r.all), fmt.Sprintf("eth0.%s=%d", c.key, r.dev))
					var got []string
					for _, s := range c.senders {
						b.ask(s, "10.0.0.2")
						got = append(got, map[bool]string{true: "yes", false: "no"}[len(b.heard()) == 1])
					}
					require.Equal(t, r.want, strings.Join(got, " "))
				})
			})
		}
	}
}

func TestMergeOfEvictNocarrier(t *testing.T) {
	for _, r := range []struct {
		all, dev int
		evicts   bool
	}{{1, 1, true}, {0, 1, false}, {1, 0, false}, {0, 0, false}, {-1, 2, true}} {
		t.Run(fmt.Sprintf("SYSCTL-35 AND arp_evict_nocarrier all %d dev %d", r.all, r.dev), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newARPBench(t)
				b.set(fmt.Sprintf("all.arp_evict_nocarrier=%d", r.all), fmt.Sprintf("eth0.arp_evict_nocarrier=%d", r.dev))
				b.ask("10.0.0.9", "10.0.0.2")
				require.NoError(t, b.host.SetCarrier("eth0", false))
				require.Equal(t, map[bool]string{true: "absent", false: "STALE"}[r.evicts], state(b.host, "10.0.0.9"))
			})
		})
	}
	t.Run("SYSCTL-35 both are 1 by default", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newARPBench(t)
			for _, dev := range []string{"all", "default", "eth0"} {
				v, err := b.host.Sysctl("net.ipv4.conf." + dev + ".arp_evict_nocarrier")
				require.NoError(t, err)
				require.Equal(t, "1", v, dev)
			}
		})
	})
}

// What waits for a neighbour leaves before the answer to its own request.
func TestPendingLeavesBeforeTheReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newARPBench(t)
		c, err := b.host.Dial("udp", "10.0.0.9:7")
		require.NoError(t, err)
		defer c.Close()
		for range 2 {
			_, err = c.Write([]byte("hello"))
			require.NoError(t, err)
		}
		require.Equal(t, []string{"request 10.0.0.2>10.0.0.9"}, b.heard())
		b.ask("10.0.0.9", "10.0.0.2")
		require.Equal(t, []string{"IPv4", "IPv4", "reply 10.0.0.2>10.0.0.9"}, b.heard(), "ARP-15")
	})
}

func TestPermanentEntriesStay(t *testing.T) {
	for _, st := range []neighbour.State{neighbour.Permanent, neighbour.NoARP} {
		synctest.Test(t, func(t *testing.T) {
			b := newARPBench(t)
			index := b.host.Interface("eth0").Index()
			mac := link.Addr{2, 0, 0, 0, 0, 0x99}
			require.NoError(t, b.host.Neighbours().Set(index, netip.MustParseAddr("10.0.0.9"), neighbour.Request{LLAddr: mac, HasLLAddr: true, State: st, Create: true}))
			b.ask("10.0.0.9", "10.0.0.2")
			require.Equal(t, []string{"reply 10.0.0.2>10.0.0.9"}, b.heard(), "ARP-15 answered")
			e, _ := b.host.Neighbours().Lookup(index, netip.MustParseAddr("10.0.0.9"))
			require.Equal(t, mac, e.LLAddr, "ARP-15 and unchanged")
		})
	}
}

// The frames, octet by octet.
func TestFramesOnTheWire(t *testing.T) {
	const (
		host = "020000000011"
		peer = "0200000000ee"
		arp4 = "0806" + "0001" + "0800" + "06" + "04"
	)
	synctest.Test(t, func(t *testing.T) {
		b := newARPBench(t)
		frame := func() string {
			synctest.Wait()
			f := b.peer.Take()
			require.Len(t, f, 1)
			require.Len(t, f[0], 42, "OUT-1 no padding")
			return hex.EncodeToString(f[0])
		}
		b.ask("10.0.0.9", "10.0.0.2")
		require.Equal(t, peer+host+arp4+"0002"+host+"0a000002"+peer+"0a000009", frame(), "OUT-1 OUT-3 reply")
		b.host.ARP().Solicit(neighbour.Solicitation{Interface: b.host.Interface("eth0").Index(), Target: netip.MustParseAddr("10.0.0.9")})
		require.Equal(t, "ffffffffffff"+host+arp4+"0001"+host+"0a000002"+"000000000000"+"0a000009", frame(), "OUT-1 OUT-2 request")
		b.host.ARP().Solicit(neighbour.Solicitation{Interface: b.host.Interface("eth0").Index(), Target: netip.MustParseAddr("10.0.0.9"), Unicast: true, LLAddr: askerMAC})
		require.Equal(t, peer+host+arp4+"0001"+host+"0a000002"+"000000000000"+"0a000009", frame(), "OUT-2 unicast probe")
		b.host.ARP().Announce(b.host.Interface("eth0").Index(), netip.MustParseAddr("10.0.0.2"))
		require.Equal(t, "ffffffffffff"+host+arp4+"0001"+host+"0a000002"+"000000000000"+"0a000002", frame(), "OUT-10 announcement")
	})
	synctest.Test(t, func(t *testing.T) {
		b := newARPBench(t)
		_, err := b.host.ClaimAddress("eth0", address("10.0.0.7/24"), arp.ClaimConfig{})
		require.NoError(t, err)
		time.Sleep(claimTime)
		var frames []string
		for _, f := range b.peer.Take() {
			frames = append(frames, hex.EncodeToString(f))
		}
		probe := "ffffffffffff" + host + arp4 + "0001" + host + "00000000" + "000000000000" + "0a000007"
		claim := "ffffffffffff" + host + arp4 + "0001" + host + "0a000007" + "000000000000" + "0a000007"
		require.Equal(t, []string{probe, probe, probe, claim, claim}, frames, "ACD-1 ACD-4 ACD-11")
	})
}

func TestWhenAddressesAreAnnounced(t *testing.T) {
	const first, second = "request 10.0.0.2>10.0.0.2", "request 10.0.0.3>10.0.0.3"
	for _, c := range []struct {
		name string
		set  []string
		act  func(h *stack.Host) error
		want []string
	}{
		{"OUT-12 coming up", []string{"eth0.arp_notify=1"}, func(h *stack.Host) error {
			require.NoError(t, h.SetUp("eth0", false))
			return h.SetUp("eth0", true)
		}, []string{first, second}},
		{"OUT-12 another hardware address", []string{"all.arp_notify=1"}, func(h *stack.Host) error {
			return h.SetLLAddr("eth0", link.Addr{2, 0, 0, 0, 0, 0x77})
		}, []string{first, second}},
		{"OUT-12 another hardware address while down", []string{"eth0.arp_notify=1"}, func(h *stack.Host) error {
			require.NoError(t, h.SetUp("eth0", false))
			return h.SetLLAddr("eth0", link.Addr{2, 0, 0, 0, 0, 0x77})
		}, nil},
		{"OUT-12 up when it is up", []string{"eth0.arp_notify=1"}, func(h *stack.Host) error { return h.SetUp("eth0", true) }, nil},
		{"OUT-11 not without arp_notify", nil, func(h *stack.Host) error {
			require.NoError(t, h.SetUp("eth0", false))
			return h.SetUp("eth0", true)
		}, nil},
		{"OUT-13 adding an address", []string{"eth0.arp_notify=1"}, func(h *stack.Host) error {
			return h.AddAddress("eth0", address("10.0.0.4/24"))
		}, nil},
		{"OUT-13 regaining carrier", []string{"eth0.arp_notify=1"}, func(h *stack.Host) error {
			require.NoError(t, h.SetCarrier("eth0", false))
			return h.SetCarrier("eth0", true)
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newARPBench(t)
				require.NoError(t, b.host.AddAddress("eth0", address("10.0.0.3/24")))
				b.set(c.set...)
				require.NoError(t, c.act(b.host))
				time.Sleep(time.Minute)
				require.Equal(t, c.want, b.heard(), "each address once, OUT-10")
			})
		})
	}
}
