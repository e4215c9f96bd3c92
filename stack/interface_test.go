package stack_test

import (
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/neighbour"
)

// A TAP hands over frames for every station; those for others end at the
// interface, counted.
func TestFramesForOtherStations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newARPBench(t)
		before := b.host.Interface("eth0").Stats().RxDropped.Load()
		f := make([]byte, link.EthernetHeaderLen+arp.Len)
		link.Ethernet{Dst: link.Addr{2, 0, 0, 0, 0, 0x99}, Src: askerMAC, Type: link.ARP}.Put(f)
		arp.Packet{Op: arp.Request, SenderAddr: askerMAC, SenderIP: netip.MustParseAddr("10.0.0.9"), TargetIP: netip.MustParseAddr("10.0.0.2")}.Put(f[link.EthernetHeaderLen:])
		require.NoError(t, b.peer.Send(f))
		require.Empty(t, b.heard(), "ARP-1 no answer")
		require.Equal(t, "absent", state(b.host, "10.0.0.9"))
		require.EqualValues(t, 1, b.host.Drops().Count(link.OtherHostFrame))
		require.EqualValues(t, 1, b.host.Interface("eth0").Stats().RxDropped.Load()-before)
	})
}

// arp_ignore=3 looks at the addresses of all interfaces, and at their scopes.
func TestIgnoreByScope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newARPBench(t)
		require.NoError(t, b.host.AddAddress("lo", ipv4.Address{Prefix: netip.MustParsePrefix("10.9.9.9/32")}))
		require.NoError(t, b.host.AddAddress("lo", ipv4.Address{Prefix: netip.MustParsePrefix("10.9.9.8/32"), Scope: ipv4.ScopeHost}))
		b.set("eth0.arp_ignore=3")
		for _, c := range []struct {
			tip    string
			answer []string
		}{
			{"10.0.0.2", []string{"reply 10.0.0.2>10.0.0.9"}},
			{"10.0.1.2", []string{"reply 10.0.1.2>10.0.0.9"}},
			{"10.9.9.9", []string{"reply 10.9.9.9>10.0.0.9"}},
			{"10.9.9.8", nil},
		} {
			b.ask("10.0.0.9", c.tip)
			require.Equal(t, c.answer, b.heard(), "ARP-16 asked for %s", c.tip)
		}
	})
}

// With its last address an interface loses all its neighbours, with one of
// several none.
func TestNeighboursAndAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newARPBench(t)
		first, second := netip.MustParsePrefix("10.0.0.2/24"), netip.MustParsePrefix("10.5.0.2/24")
		require.NoError(t, b.host.AddAddress("eth0", ipv4.Address{Prefix: second}))
		b.ask("10.0.0.9", "10.0.0.2")
		eth0 := b.host.Interface("eth0").Index()
		permanent := neighbour.Request{LLAddr: askerMAC, HasLLAddr: true, State: neighbour.Permanent, Create: true}
		require.NoError(t, b.host.Neighbours().Set(eth0, netip.MustParseAddr("10.0.0.50"), permanent))
		require.NoError(t, b.host.Neighbours().AddProxy(neighbour.Proxy{IP: netip.MustParseAddr("10.1.0.1"), Interface: eth0, Permanent: true}))

		require.NoError(t, b.host.DeleteAddress("eth0", ipv4.Address{Prefix: first}))
		require.Equal(t, "STALE", state(b.host, "10.0.0.9"), "NUD-58 of the subnet that went, too")
		require.Equal(t, "PERMANENT", state(b.host, "10.0.0.50"), "NUD-58")
		require.NoError(t, b.host.DeleteAddress("eth0", ipv4.Address{Prefix: second}))
		require.Equal(t, "absent", state(b.host, "10.0.0.9"), "NUD-53")
		require.Equal(t, "absent", state(b.host, "10.0.0.50"), "NUD-53 permanent ones, too")
		require.Empty(t, b.host.Neighbours().Proxies(), "NUD-53 and proxy entries")
	})
}
