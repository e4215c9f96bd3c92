package udp

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link/linktest"
)

func TestReusePort(t *testing.T) {
	a, b := newTestPair(t)
	share := SocketConfig{ReusePort: true}
	var servers []*Conn
	for range 4 {
		servers = append(servers, b.listen("0.0.0.0:53", share))
	}
	// where says which server gets what each of 400 ports sends.
	where := func() (all []int) {
		for port := range 400 {
			c, err := a.Listen(netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(1000+port)), SocketConfig{})
			require.NoError(t, err)
			send(t, c, "x", "10.0.0.2:53")
			send(t, c, "y", "10.0.0.2:53")
			at := -1
			for i, s := range servers {
				if got := unread(t, s); len(got) > 0 {
					require.Equal(t, []string{"x", "y"}, got, "a flow stays together")
					require.Equal(t, -1, at)
					at = i
				}
			}
			require.NotEqual(t, -1, at)
			all = append(all, at)
			require.NoError(t, c.Close())
		}
		return all
	}
	count := func(all []int) map[int]int {
		n := map[int]int{}
		for _, i := range all {
			n[i]++
		}
		return n
	}
	first := where()
	require.Equal(t, first, where(), "every time")
	for i, n := range count(first) {
		require.InDelta(t, 100, n, 40, "server %d", i)
	}

	require.NoError(t, servers[3].Close())
	servers = servers[:3]
	three := where()
	for i, n := range count(three) {
		require.InDelta(t, 133, n, 45, "server %d", i)
	}

	// A connected member gets its own flow only.
	peer, err := b.Dial(ap("10.0.0.2:53"), ap("10.0.0.1:7"), share)
	require.NoError(t, err)
	other := a.listen("10.0.0.1:7")
	send(t, other, "mine", "10.0.0.2:53")
	require.Equal(t, []string{"mine"}, unread(t, peer))
	require.Equal(t, three, where())

	// One bound to the address comes before all that are not, group or no group.
	special := b.listen("10.0.0.2:53", share)
	send(t, other, "mine", "10.0.0.2:53")
	require.Equal(t, []string{"mine"}, unread(t, peer))
	require.NoError(t, peer.Close())
	send(t, other, "special", "10.0.0.2:53")
	require.Equal(t, []string{"special"}, unread(t, special))
	require.NoError(t, special.Close())

	sender := a.listen("0.0.0.0:0", SocketConfig{Broadcast: true})
	send(t, sender, "all", "10.0.0.255:53")
	for i, s := range servers {
		require.Equal(t, []string{"all"}, unread(t, s), "server %d", i)
		require.NoError(t, s.Close())
	}
	require.Empty(t, b.demux.port(53))
}

// A member that leaves gives its place to the last one; the flows of the others
// stay.
func TestReusePortPlaces(t *testing.T) {
	h := newTestHost(t, "2")
	share := SocketConfig{ReusePort: true}
	var all []*Conn
	for range 4 {
		all = append(all, h.listen("0.0.0.0:53", share))
	}
	g := all[0].group
	require.Equal(t, all, *g.members.Load())
	require.NoError(t, all[1].Close())
	require.Equal(t, []*Conn{all[0], all[3], all[2]}, *g.members.Load())
	require.NotSame(t, g, h.listen("10.0.0.2:53", share).group, "another address")
	require.NotSame(t, g, h.listen("0.0.0.0:53", SocketConfig{ReusePort: true, Interface: 2}).group, "another device")
	for hash := range uint32(3) {
		require.Same(t, (*g.members.Load())[hash], g.choose(hash*(1<<32/3)+1, nil), fmt.Sprint(hash))
	}
}

func TestReusePortDoesNotAllocate(t *testing.T) {
	h := newTestHost(t, "2")
	for range 3 {
		h.listen("0.0.0.0:53", SocketConfig{ReusePort: true})
	}
	f := flow{ap("10.0.0.2:53"), ap("10.0.0.1:1000"), 2}
	linktest.WantNoAllocs(t, func() { h.demux.lookup(f, h.hash) })
}
