package neighbour

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

func TestInterfaceEvents(t *testing.T) {
	fill := func(b *bed) {
		for n, s := range []State{Permanent, NoARP, Stale, Reachable, Failed} {
			require.NoError(b.t, b.table.Set(1, nth(n), Request{LLAddr: macA, HasLLAddr: true, State: s, Create: true}))
		}
		require.NoError(b.t, b.table.Set(1, nth(5), Request{LLAddr: macA, HasLLAddr: true, State: Stale, Flags: ExtValidated, Create: true}))
		require.NoError(b.t, b.table.Set(1, nth(6), Request{LLAddr: macA, HasLLAddr: true, State: Stale, Flags: ExtLearned, Create: true}))
		b.send(1, 1)
		require.NoError(b.t, b.table.AddProxy(Proxy{IP: nth(9), Interface: 1, Permanent: true}))
		require.NoError(b.t, b.table.AddProxy(Proxy{IP: nth(8), Interface: 1}))
		require.NoError(b.t, b.table.AddProxy(Proxy{IP: nth(7)}))
		b.events()
		b.want("ask 192.0.2.9 broadcast head 1")
	}
	for _, c := range []struct {
		name             string
		do               func(b *bed)
		entries, proxies int
	}{
		{"NUD-53 down", func(b *bed) { b.table.SetUp(1, false) }, 0, 1},
		{"NUD-53b last address removed", func(b *bed) { b.table.LastAddressRemoved(1) }, 0, 1},
		{"NUD-53 removed", func(b *bed) { b.table.RemoveInterface(1) }, 0, 1},
		{"NUD-54 own address", func(b *bed) { b.table.SetLLAddr(1, macB) }, 0, 3},
		{"NUD-54 NOARP flag", func(b *bed) { b.table.SetNoARP(1, true) }, 0, 3},
		{"NUD-55 carrier lost", func(b *bed) { b.table.SetCarrier(1, false, true) }, 2, 2},
		{"NUD-56 carrier lost, no evict", func(b *bed) { b.table.SetCarrier(1, false, false) }, 8, 3},
		{"NUD-57 carrier back", func(b *bed) { b.table.SetCarrier(1, true, true) }, 8, 3},
		{"NUD-58 up", func(b *bed) { b.table.SetUp(1, true) }, 8, 3},
		{"unknown interface", func(b *bed) {
			b.table.SetUp(2, false)
			b.table.SetLLAddr(2, macB)
			b.table.SetNoARP(2, true)
			b.table.SetCarrier(2, false, true)
			b.table.LastAddressRemoved(2)
			b.table.AddressAdded(2, nth(1))
			b.table.RemoveInterface(2)
		}, 8, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, Config{}, func(b *bed) {
				fill(b)
				c.do(b)
				require.EqualValues(t, c.entries, b.table.Stats().Entries)
				require.Len(t, b.table.Proxies(), c.proxies)
				gone := 0
				for _, ev := range b.events() {
					if ev.Kind == Removed {
						require.Equal(t, DelNeigh, ev.Announced)
						require.Equal(t, CauseLink, ev.Cause)
						gone++
					}
				}
				require.Equal(t, 8-c.entries, gone)
				b.want("") // no ICMP
			})
		})
	}
}

func TestNoARPFlag(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // NUD-54, ENT-11c
		require.NoError(t, b.setAddr(Permanent, macA, 0))
		b.table.SetNoARP(1, false)
		require.Equal(t, Permanent, b.info().State, "nothing changed")
		b.table.SetNoARP(1, true)
		b.send(1, 1)
		b.want("frame 1 to 1")
		require.Equal(t, NoARP, b.info().State)
		b.table.SetNoARP(1, false)
		b.send(2, 2)
		require.Equal(t, Incomplete, b.info().State)
	})
}

func TestDownInterface(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // L3-8
		b.table.SetUp(1, false)
		require.ErrorIs(t, b.iface.Output(peerIP, packet(1)), syscall.ENETDOWN)
		require.ErrorIs(t, b.hint(macA, Create), syscall.ENETDOWN)
		require.NoError(t, b.setAddr(Permanent, macA, 0))
		require.ErrorIs(t, b.iface.Output(peerIP, packet(1)), syscall.ENETDOWN)
		require.EqualValues(t, 2, b.drops.Count(link.DevReady))
		b.table.SetUp(1, true)
		b.send(2, 2)
		b.want("frame 2 to a")
	})
}

func TestBroadcastAddressAdded(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // NUD-59
		require.NoError(t, b.set(Failed, 0))
		b.table.AddressAdded(1, peerIP)
		require.Zero(t, b.table.Stats().Entries)
		require.NoError(t, b.hint(macA, Create))
		b.table.AddressAdded(1, peerIP)
		require.EqualValues(t, 1, b.table.Stats().Entries)
	})
}

func TestConstructor(t *testing.T) {
	classify := func(_ int, ip netip.Addr) AddrType {
		switch {
		case ip.IsMulticast():
			return Multicast
		case ip == netip.MustParseAddr("192.0.2.255"):
			return Broadcast
		}
		return Unicast
	}
	for _, c := range []struct {
		name   string
		config InterfaceConfig
		ip     string
		key    string
		state  State
		addr   string
	}{
		{"ENT-11b multicast", InterfaceConfig{}, "224.129.2.3", "224.129.2.3", NoARP, "01:00:5e:01:02:03"},
		{"ENT-11b multicast before NOARP", InterfaceConfig{NoARP: true}, "224.1.2.3", "224.1.2.3", NoARP, "01:00:5e:01:02:03"},
		{"ENT-11c NOARP", InterfaceConfig{NoARP: true}, "192.0.2.20", "192.0.2.20", NoARP, macM.String()},
		{"ENT-11c ENT-3 loopback", InterfaceConfig{Loopback: true}, "192.0.2.20", "0.0.0.0", NoARP, macM.String()},
		{"ENT-11d broadcast", InterfaceConfig{}, "192.0.2.255", "192.0.2.255", NoARP, "ff:ff:ff:ff:ff:ff"},
		{"ENT-11e ENT-3 point-to-point", InterfaceConfig{PointToPoint: true}, "192.0.2.20", "0.0.0.0", NoARP, "ff:ff:ff:ff:ff:ff"},
		{"ENT-11f otherwise", InterfaceConfig{}, "192.0.2.20", "192.0.2.20", Incomplete, "00:00:00:00:00:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, Config{Classify: classify}, func(b *bed) {
				c.config.Index, c.config.Name, c.config.Addr, c.config.Link = 2, "t1", macM, b
				i, err := b.table.AddInterface(c.config)
				require.NoError(t, err)
				require.NoError(t, i.Output(netip.MustParseAddr(c.ip), packet(1)))
				require.NoError(t, i.Output(netip.MustParseAddr(c.ip), packet(2)))
				n := 0
				for e := range b.table.All() {
					n++
					require.Equal(t, c.key, e.IP.String())
					require.Equal(t, c.state.String(), e.State.String())
					require.Equal(t, c.addr, e.LLAddr.String())
				}
				require.Equal(t, 1, n)
				if c.config.Loopback {
					require.Zero(t, b.table.Stats().GCEntries, "GC-11")
				}
			})
		})
	}
}

func TestAddInterfaceErrors(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		for _, c := range []struct {
			config InterfaceConfig
			want   syscall.Errno
		}{
			{InterfaceConfig{Index: 0, Name: "x", Link: b}, syscall.EINVAL},
			{InterfaceConfig{Index: 2, Link: b}, syscall.EINVAL},
			{InterfaceConfig{Index: 2, Name: "x"}, syscall.EINVAL},
			{InterfaceConfig{Index: 1, Name: "x", Link: b}, syscall.EEXIST},
			{InterfaceConfig{Index: 2, Name: "t0", Link: b}, syscall.EEXIST},
		} {
			_, err := b.table.AddInterface(c.config)
			require.ErrorIs(t, err, c.want)
		}
		b.table.RemoveInterface(1)
		_, err := b.table.AddInterface(InterfaceConfig{Index: 1, Name: "t0", Link: b})
		require.NoError(t, err)
		require.ErrorIs(t, b.iface.Output(peerIP, packet(1)), syscall.ENETDOWN, "the removed interface")
	})
}
