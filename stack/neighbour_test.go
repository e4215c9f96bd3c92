package stack_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/ipv4/icmp"
	"github.com/tapstack/tapstack/ipv4/udp"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack"
	"github.com/tapstack/tapstack/stack/stacktest"
)

// life is what happened to the entry for ip since sub was made: the requests
// that were sent, and the states it went through.
func life(sub *neighbour.Subscription, ip string) (asked int, states []string) {
	for {
		select {
		case ev := <-sub.C:
			switch {
			case ev.Entry.IP.String() != ip:
			case ev.Kind == neighbour.Solicited:
				asked++
			case ev.Kind == neighbour.Changed:
				states = append(states, ev.To.String())
			}
		default:
			return asked, states
		}
	}
}

// station is a host on a LAN that a test plays: it has any addresses.
type station struct {
	t *testing.T
	*stacktest.Station
	addr link.Addr
}

// reply has the station tell h, whose address is known, where ip is.
func (s station) reply(h *stack.Host, ip string) {
	to := h.Interface("eth0").Addr()
	b := make([]byte, link.EthernetHeaderLen+arp.Len)
	link.Ethernet{Dst: to, Src: s.addr, Type: link.ARP}.Put(b)
	arp.Packet{Op: arp.Reply, SenderAddr: s.addr, SenderIP: netip.MustParseAddr(ip), TargetAddr: to, TargetIP: netip.MustParseAddr("10.0.0.1")}.Put(b[link.EthernetHeaderLen:])
	require.NoError(s.t, s.Send(b))
	synctest.Wait()
}

// heard returns the requests and datagrams that came, in a few words.
func (s station) heard() string {
	synctest.Wait()
	var all []string
	for _, f := range s.Take() {
		switch eth, n, _ := link.ParseEthernet(f); eth.Type {
		case link.ARP:
			a, err := arp.Parse(f[n:])
			require.NoError(s.t, err)
			all = append(all, a.SenderIP.String()+" asks for "+a.TargetIP.String())
		case link.IPv4:
			all = append(all, netip.AddrFrom4([4]byte(f[n+16:n+20])).String())
		}
	}
	return strings.Join(all, ", ")
}

func TestNextHop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // L3-1, UPD-11, NUD-4
		lan := stacktest.NewLAN(t)
		alice := lan.Host(stacktest.HostConfig{Addr: "10.0.0.1/24"})
		a := station{t, lan.Station(link.Addr{2, 0, 0, 0, 0, 0xa}), link.Addr{2, 0, 0, 0, 0, 0xa}}
		route := ipv4.Route{Dst: netip.MustParsePrefix("198.51.100.0/24"), Interface: alice.Interface("eth0").Index()}
		route.Gateway = netip.MustParseAddr("10.0.0.8")
		require.NoError(t, alice.IPv4().AddRoute(route))
		s, err := alice.Dial("udp", "198.51.100.5:9")
		require.NoError(t, err)
		defer s.Close()
		s.Write([]byte("one"))
		require.Equal(t, "10.0.0.1 asks for 10.0.0.8", a.heard())
		require.Equal(t, "INCOMPLETE absent", state(alice, "10.0.0.8")+" "+state(alice, "198.51.100.5"))
		lookups := alice.Neighbours().Stats().Lookups

		// The packet that waits has its next hop; the next one gets another.
		require.NoError(t, alice.IPv4().DeleteRoute(route))
		route.Gateway = netip.MustParseAddr("10.0.0.9")
		require.NoError(t, alice.IPv4().AddRoute(route))
		s.Write([]byte("two"))
		require.Equal(t, "10.0.0.1 asks for 10.0.0.9", a.heard())
		require.Equal(t, lookups, alice.Neighbours().Stats().Lookups, "packets do not count")
		a.reply(alice, "10.0.0.8")
		require.Equal(t, "198.51.100.5", a.heard())
		a.reply(alice, "10.0.0.9")
		require.Equal(t, "198.51.100.5", a.heard())
		require.Equal(t, "REACHABLE REACHABLE", state(alice, "10.0.0.8")+" "+state(alice, "10.0.0.9"))
	})
}

func TestRequestSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // PRB-8, PRB-9
		lan := stacktest.NewLAN(t)
		alice := lan.Host(stacktest.HostConfig{})
		a := station{t, lan.Station(link.Addr{2, 0, 0, 0, 0, 0xa}), link.Addr{2, 0, 0, 0, 0, 0xa}}
		eth0 := alice.Neighbours().Interface(alice.Interface("eth0").Index())
		ask := func(ip string) string {
			p := link.NewPacket(4) // too short to have a source
			p.EtherType = link.IPv4
			require.NoError(t, eth0.Output(netip.MustParseAddr(ip), p))
			return a.heard()
		}
		require.Equal(t, "0.0.0.0 asks for 10.9.0.1", ask("10.9.0.1"), "no address anywhere but the loopback's")
		require.NoError(t, alice.AddAddress("lo", ipv4.Address{Prefix: netip.MustParsePrefix("10.7.7.7/32")}))
		require.Equal(t, "10.7.7.7 asks for 10.9.0.2", ask("10.9.0.2"), "another interface's")
		for _, p := range []string{"10.0.0.1/24", "10.0.1.1/24", "10.0.1.2/24"} {
			require.NoError(t, alice.AddAddress("eth0", ipv4.Address{Prefix: netip.MustParsePrefix(p)}))
		}
		require.Equal(t, "10.0.0.1 asks for 10.9.0.3", ask("10.9.0.3"), "off every subnet: the first")
		require.Equal(t, "10.0.0.1 asks for 10.0.0.7", ask("10.0.0.7"))
		require.Equal(t, "10.0.1.1 asks for 10.0.1.7", ask("10.0.1.7"), "its own subnet's primary")
	})
}

// flow runs send every 100 ms for ten minutes and returns how often alice asked
// for bob after the first time.
func flow(t *testing.T, alice *stack.Host, send func()) int {
	sub := alice.Neighbours().Subscribe(1 << 16)
	defer sub.Close()
	for range 6000 {
		send()
		time.Sleep(100 * time.Millisecond)
	}
	asked, _ := life(sub, "10.0.0.2")
	return asked - 1
}

func TestWhatConfirms(t *testing.T) {
	// One unicast request in each reachable time and delay: 10 minutes have from
	// 12 to 30 of them.
	some := func(t *testing.T, n int) {
		t.Helper()
		require.GreaterOrEqual(t, n, 12)
		require.LessOrEqual(t, n, 30)
	}
	bob := netip.MustParseAddr("10.0.0.2")
	for _, confirm := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) { // L3-14, L3-15
			alice, _ := pair(t)
			s, err := alice.UDP().Listen(netip.MustParseAddrPort("0.0.0.0:0"), udp.SocketConfig{})
			require.NoError(t, err)
			defer s.Close()
			n := flow(t, alice, func() {
				_, err := s.Send([]byte("hello"), netip.AddrPortFrom(bob, 7), udp.SendOptions{Confirm: confirm})
				require.NoError(t, err)
			})
			if confirm {
				require.Zero(t, n)
			} else {
				some(t, n)
			}
		})
	}
	t.Run("L3-16 echo replies do not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			alice, _ := pair(t)
			c, err := alice.ICMP().ListenEcho(netip.Addr{}, 0)
			require.NoError(t, err)
			defer c.Close()
			seq := uint16(0)
			some(t, flow(t, alice, func() {
				seq++
				require.NoError(t, c.Send(icmp.EchoRequest{Dst: bob, Seq: seq}))
				r, err := c.Receive(context.Background())
				require.NoError(t, err)
				require.Equal(t, bob, r.From)
			}))
		})
	})
	for _, sending := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) { // L3-14, L3-16
			alice, bob := pair(t)
			l, err := bob.Listen("tcp", ":80")
			require.NoError(t, err)
			defer l.Close()
			var there net.Conn
			accepted := make(chan error, 1)
			go func() {
				var err error
				there, err = l.Accept()
				accepted <- err
			}()
			n := 0
			var here net.Conn
			b := make([]byte, 1000)
			n = flow(t, alice, func() {
				if here == nil {
					var err error
					here, err = alice.Dial("tcp", "10.0.0.2:80")
					require.NoError(t, err)
					require.NoError(t, <-accepted)
				}
				from, to := here, there
				if !sending {
					from, to = there, here
				}
				_, err := from.Write(b)
				require.NoError(t, err)
				_, err = io.ReadFull(to, b)
				require.NoError(t, err)
			})
			if sending {
				require.Zero(t, n, "each acknowledgement confirms")
			} else {
				some(t, n)
			}
			here.Close()
			there.Close()
		})
	}
}

// A neighbour that is gone is found by its entry's own ways, whatever TCP sends
// again meanwhile (L3-17).
func TestVanishedNeighbour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, bob := pair(t)
		l, err := bob.Listen("tcp", ":80")
		require.NoError(t, err)
		defer l.Close()
		c, err := alice.Dial("tcp", "10.0.0.2:80")
		require.NoError(t, err)
		defer c.Close()
		time.Sleep(time.Second)
		require.Equal(t, "REACHABLE", state(alice, "10.0.0.2"))
		sub := alice.Neighbours().Subscribe(1000)
		defer sub.Close()
		require.NoError(t, bob.SetUp("eth0", false))
		reachable, err := alice.Neighbours().ReachableTime(alice.Interface("eth0").Index())
		require.NoError(t, err)
		_, err = c.Write([]byte("hello"))
		require.NoError(t, err)
		time.Sleep(reachable - 2*time.Second)
		_, states := life(sub, "10.0.0.2")
		require.Empty(t, states, "retransmissions tell it nothing")
		time.Sleep(2 * time.Minute)
		_, states = life(sub, "10.0.0.2")
		require.GreaterOrEqual(t, len(states), 4)
		require.Equal(t, []string{"STALE", "DELAY", "PROBE", "FAILED"}, slices.Clip(states[:4]))
	})
}
