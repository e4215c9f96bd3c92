package neighbour

import (
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

func TestAdminStates(t *testing.T) {
	t.Run("NUD-40 STALE with the same address is applied", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			require.NoError(t, b.reply(macA, Create))
			require.NoError(t, b.setAddr(Stale, macA, 0))
			require.Equal(t, "new REACHABLE a; new STALE a", b.announced())
		})
	})
	t.Run("NUD-41 PROBE asks at once, three times", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			require.NoError(t, b.setAddr(Probe, macA, 0))
			b.pass(0)
			b.want("ask 192.0.2.9 unicast to a")
			b.pass(4 * time.Second)
			b.want("ask 192.0.2.9 unicast to a; ask 192.0.2.9 unicast to a")
			b.wantAt(2*time.Second, Failed)
		})
	})
	t.Run("NUD-41 DELAY becomes PROBE at once", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			require.NoError(t, b.setAddr(Delay, macA, 0))
			b.pass(0)
			b.wantState(Probe)
			b.want("ask 192.0.2.9 unicast to a")
		})
	})
	t.Run("NUD-42 INCOMPLETE hangs until a frame comes", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			require.NoError(t, b.set(Incomplete, 0))
			b.send(1, 2)
			b.pass(time.Hour)
			b.wantState(Incomplete)
			require.Empty(t, b.announced())
			b.want("")
			require.NoError(t, b.reply(macA, 0))
			b.want("frame 1 to a; frame 2 to a")
		})
	})
	t.Run("NUD-42 DEV-3 INCOMPLETE resolves where the switch says so", func(t *testing.T) {
		inBubble(t, Config{Switches: Switches{ResolveIncomplete: true}}, func(b *bed) {
			require.NoError(t, b.set(Incomplete, 0))
			b.want("ask 192.0.2.9 broadcast")
			b.wantAt(6*time.Second, Failed)
		})
	})
	t.Run("NUD-43 NUD-45 NUD-46 the address is needed, and kept", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			require.NoError(t, b.setAddr(Permanent, macA, 0))
			require.NoError(t, b.set(Stale, 0))
			require.Equal(t, macA, b.info().LLAddr)
			require.NoError(t, b.set(Failed, 0))
			err := b.set(Stale, 0)
			require.ErrorIs(t, err, ErrNoLLAddr)
			require.ErrorIs(t, err, syscall.EINVAL)
			require.NoError(t, b.set(None, 0))
			require.Equal(t, "new PERMANENT a; new STALE a; new FAILED", b.announced())
		})
	})
	t.Run("NUD-44 FAILED on INCOMPLETE reports the packets", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			b.send(1, 2)
			require.NoError(t, b.set(Failed, 0))
			b.want("ask 192.0.2.9 broadcast head 1; unreachable 1; unreachable 2")
			require.Equal(t, "new FAILED", b.announced())
			require.EqualValues(t, 1, b.table.Stats().ResFailed)
			b.pass(time.Minute)
			b.want("")
		})
	})
	t.Run("NUD-37 frames do not change PERMANENT", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			require.NoError(t, b.setAddr(Permanent, macA, 0))
			require.ErrorIs(t, b.hint(macB, Override|Create), syscall.EPERM)
			require.Equal(t, macA, b.info().LLAddr)
		})
	})
	t.Run("UPD-8 without Replace another address is refused silently", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			require.NoError(t, b.setAddr(Permanent, macA, 0))
			r := Request{LLAddr: macB, HasLLAddr: true, State: Permanent, Create: true}
			require.NoError(t, b.table.Set(1, peerIP, r))
			require.Equal(t, macA, b.info().LLAddr)
		})
	})
}

func TestAdminErrors(t *testing.T) {
	addr := Request{LLAddr: macA, HasLLAddr: true, State: Permanent}
	add, change := addr, addr
	add.Create, add.Exclusive = true, true
	change.Replace = true
	inBubble(t, Config{}, func(b *bed) {
		require.ErrorIs(t, b.table.Set(1, peerIP, change), syscall.ENOENT)
		require.NoError(t, b.table.Set(1, peerIP, add))
		require.ErrorIs(t, b.table.Set(1, peerIP, add), syscall.EEXIST)
		require.NoError(t, b.table.Set(1, peerIP, change))
		require.ErrorIs(t, b.table.Set(7, peerIP, add), syscall.ENODEV)
		require.ErrorIs(t, b.table.Set(1, netip.MustParseAddr("::1"), add), syscall.EINVAL)
		require.NoError(t, b.table.Delete(1, peerIP))
		require.ErrorIs(t, b.table.Delete(1, peerIP), syscall.ENOENT) // NUD-51

		bad := add
		bad.Flags = Managed
		require.ErrorIs(t, b.table.Set(1, peerIP, bad), syscall.EINVAL, "NUD-50, ENT-12")
		bad.State, bad.Flags = None, ExtValidated
		require.ErrorIs(t, b.table.Set(1, peerIP, bad), syscall.EINVAL, "NUD-49")
		bad.State, bad.Flags = Stale, ExtValidated|Use
		require.ErrorIs(t, b.table.Set(1, peerIP, bad), syscall.EINVAL, "NUD-49")
		require.Zero(t, b.table.Stats().Entries)
		require.NoError(t, b.table.Set(1, peerIP, add))
		require.ErrorIs(t, b.set(Failed, ExtValidated), syscall.EINVAL, "NUD-49 on an existing entry")
	})
}

func TestAdminUse(t *testing.T) {
	t.Run("NUD-47 a permanent entry is resolved anew", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			require.NoError(t, b.setAddr(Permanent, macA, 0))
			b.announced()
			require.NoError(t, b.setAddr(Permanent, macB, Use))
			b.wantState(Incomplete)
			b.want("ask 192.0.2.9 broadcast")
			require.Empty(t, b.announced())
		})
	})
	t.Run("NUD-47 a stale one is probed later", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			require.NoError(t, b.hint(macA, Create))
			require.NoError(t, b.set(None, Use))
			b.wantState(Delay)
			b.wantAt(3*time.Second, Probe)
		})
	})
}

func TestAdminFlags(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // NUD-48, UPD-3
		require.NoError(t, b.setAddr(Stale, macA, ExtLearned|ISRouter))
		require.Equal(t, ExtLearned|ISRouter, b.info().Flags)
		require.EqualValues(t, 0, b.table.Stats().GCEntries, "GC-11")
		b.announced()
		require.NoError(t, b.setAddr(Stale, macA, ExtValidated))
		require.Equal(t, ExtValidated, b.info().Flags, "replaced, not merged")
		require.Equal(t, "new STALE a", b.announced())
		require.NoError(t, b.setAddr(Stale, macA, ExtValidated))
		require.Empty(t, b.announced())
		require.NoError(t, b.setAddr(Stale, macA, 0))
		require.EqualValues(t, 1, b.table.Stats().GCEntries, "GC-12")
		r := Request{State: Stale, Flags: ISRouter, Create: true}
		require.NoError(t, b.table.Set(1, peerIP, r))
		require.Zero(t, b.info().Flags, "ROUTER needs Replace on an existing entry")
		r.Replace, r.Protocol = true, 4
		require.NoError(t, b.table.Set(1, peerIP, r))
		require.Equal(t, ISRouter, b.info().Flags)
		require.EqualValues(t, 4, b.info().Protocol)
	})
}

func TestDelete(t *testing.T) {
	t.Run("NTF-2 REACHABLE", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			require.NoError(t, b.reply(macA, Create))
			b.announced()
			require.NoError(t, b.table.Delete(1, peerIP))
			require.Equal(t, "new FAILED; del FAILED", b.announced())
			st := b.table.Stats()
			require.EqualValues(t, []uint64{0, 0, 1, 1}, []uint64{st.Entries, st.GCEntries, st.Allocs, st.Destroys})
		})
	})
	t.Run("NUD-44 NUD-51 INCOMPLETE with packets", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			b.send(1, 1)
			require.NoError(t, b.table.Delete(1, peerIP))
			b.want("ask 192.0.2.9 broadcast head 1; unreachable 1")
			require.Equal(t, "new FAILED; del FAILED", b.announced())
		})
	})
	t.Run("NUD-51 STALE to nothing", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			require.NoError(t, b.set(None, 0))
			require.NoError(t, b.table.Delete(1, peerIP))
			require.Equal(t, "del FAILED", b.announced())
		})
	})
}

func TestFlush(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // NUD-60
		for n, s := range []State{Permanent, NoARP, Stale, Reachable, Failed} {
			require.NoError(t, b.table.Set(1, nth(n), Request{LLAddr: macA, HasLLAddr: true, State: s, Create: true}))
		}
		require.Equal(t, 1, b.table.Flush(Filter{Prefix: netip.PrefixFrom(nth(2), 32)}))
		require.Equal(t, 2, b.table.Flush(Filter{Interface: 1}))
		require.Equal(t, 0, b.table.Flush(Filter{Interface: 2, States: SetOf(Permanent)}))
		require.Equal(t, 1, b.table.Flush(Filter{States: SetOf(Permanent)}))
		require.EqualValues(t, 1, b.table.Stats().Entries)
	})
}

func TestManaged(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // NUD-9, TMR-10
		require.NoError(t, b.table.SetSysctl("t0", "interval_probe_time_ms", "300"))
		b.pass(time.Second)
		require.NoError(t, b.set(None, Managed))
		require.Equal(t, Managed, b.info().Flags)
		b.want("ask 192.0.2.9 broadcast")
		b.announced()
		b.pass(6 * time.Second) // fails 6 s after the first request, at 7 s
		b.wantState(Failed)
		require.Equal(t, "new FAILED", b.announced())
		b.want("ask 192.0.2.9 broadcast; ask 192.0.2.9 broadcast")
		b.pass(3*time.Second - 1)
		b.want("")
		b.pass(1) // 10 s: a tick of the table's, whatever the interface's value is
		b.want("ask 192.0.2.9 broadcast")
		require.NoError(t, b.reply(macA, 0))
		// A tick is a use, also of a reachable entry: what comes next depends on
		// how long ago the last one was.
		b.pass(b.reachable() + 5*time.Second)
		require.Contains(t, []State{Delay, Probe}, b.info().State)
		require.NoError(t, b.setAddr(Stale, macA, 0))
		b.pass(time.Minute)
		b.log = nil
		b.wantState(Stale)
	})
}

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

func TestCreation(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // ENT-10, NUD-6, NTF-2
		require.NoError(t, b.set(None, 0))
		e := b.info()
		require.Equal(t, None, e.State)
		require.Equal(t, []time.Duration{0, 40 * time.Second, 0}, []time.Duration{e.Used, e.Confirmed, e.Updated})
		require.False(t, e.HasLLAddr)
		require.Zero(t, e.Refs)
		require.Empty(t, b.announced())
		b.want("")
	})
}
