package neighbour

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

func TestZeroConfig(t *testing.T) {
	table := New(Config{})
	require.Equal(t, "arp_cache", table.Name())
	i, err := table.AddInterface(InterfaceConfig{Index: 1, Name: "t0", Link: &releasing{}})
	require.NoError(t, err)
	require.NoError(t, i.Output(peerIP, packet(1)))
	require.NoError(t, table.Set(1, peerIP, Request{State: Failed, Create: true}))
	require.Zero(t, link.LivePackets())
	require.NoError(t, i.Output(netip.MustParseAddr("224.0.0.5"), packet(1)))
	require.NoError(t, i.Output(netip.MustParseAddr("255.255.255.255"), packet(1)))
	table.Close()
	require.ErrorIs(t, i.Output(peerIP, packet(1)), syscall.ENETDOWN)
	require.ErrorIs(t, table.Set(1, peerIP, Request{State: Failed, Create: true}), syscall.ENETDOWN)
	table.Close()
	require.Zero(t, link.LivePackets())
}

// TestConcurrentUse throws everything at one table at once; the race detector and
// the packet count are the judges.
func TestConcurrentUse(t *testing.T) {
	p := DefaultParams()
	p.BaseReachableTime, p.RetransTime, p.DelayFirstProbeTime = time.Millisecond, 0, time.Millisecond
	var table *Table
	var asked atomic.Int64
	table = New(Config{
		Params: &p, Limits: &Limits{Thresh1: 1, Thresh2: 100, Thresh3: 150},
		Solicit: func(s Solicitation) {
			if asked.Add(1)%3 == 0 { // answers from within the callback
				table.Update(1, s.Target, Update{LLAddr: macA, HasLLAddr: true, State: Reachable, Flags: OverrideUnlocked})
			}
		},
		Unreachable: func(p *link.Packet) { p.Release() },
	})
	l := &releasing{}
	i, err := table.AddInterface(InterfaceConfig{Index: 1, Name: "t0", Addr: macM, Link: l})
	require.NoError(t, err)
	sub := table.Subscribe(16)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for n := range 2000 {
				ip := nth((n*7 + g) % 200)
				i.Output(ip, packet(n))
				switch n % 11 {
				case 0:
					table.Update(1, ip, Update{LLAddr: macB, HasLLAddr: true, State: Stale, Flags: Override | Create})
				case 1:
					table.Delete(1, ip)
				case 2:
					table.Set(1, ip, Request{LLAddr: macA, HasLLAddr: true, State: Permanent, Create: true, Replace: true})
				case 3:
					table.Set(1, ip, Request{Flags: Managed, Create: true, Replace: true})
				case 4:
					table.Confirm(1, ip)
				case 5:
					table.Lookup(1, ip)
				case 6:
					table.Set(1, ip, Request{State: Failed, Create: true})
				}
				if n%500 == 499 {
					table.SetUp(1, false)
					table.SetUp(1, true)
					table.SetLLAddr(1, macM)
					table.SetSysctl("t0", "base_reachable_time_ms", "2")
					table.Stats()
					for range table.All() {
					}
				}
			}
		})
	}
	wg.Wait()
	sub.Close()
	table.Close()
	require.Eventually(t, func() bool { return link.LivePackets() == 0 }, time.Second, time.Millisecond)
	st := table.Stats()
	require.EqualValues(t, []uint64{0, 0}, []uint64{st.Entries, st.GCEntries})
	require.Equal(t, st.Allocs, st.Destroys)
}

func TestReentrantSolicit(t *testing.T) {
	// No lock is held in a callback: the answer may come in the same call.
	var table *Table
	l := &releasing{}
	table = New(Config{Solicit: func(s Solicitation) {
		if err := table.Update(s.Interface, s.Target, Update{LLAddr: macA, HasLLAddr: true, State: Reachable}); err != nil {
			t.Error(err)
		}
	}})
	defer table.Close()
	i, err := table.AddInterface(InterfaceConfig{Index: 1, Name: "t0", Link: l})
	require.NoError(t, err)
	for n := range 10 {
		require.NoError(t, i.Output(nth(n), packet(n)))
	}
	require.EqualValues(t, 10, l.n.Load())
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

func TestNoAllocations(t *testing.T) {
	table, i := benchTable(t, Config{}, sink{})
	defer table.Close()
	fill(t, table, i, 100)
	p := packet(1)
	defer p.Release()
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"output to a resolved neighbour", func() { i.Output(nth(5), p) }},
		{"confirmed output", func() { p.Confirm = true; i.Output(nth(6), p); p.Confirm = false }},
		{"lookup", func() { i.Lookup(nth(5)) }},
		{"table lookup", func() { table.Lookup(1, nth(5)) }},
		{"lookup of nothing", func() { i.Lookup(nth(5000)) }},
		{"confirm", func() { table.Confirm(1, nth(5)) }},
		{"refreshing reply", func() {
			table.Update(1, nth(7), Update{LLAddr: macA, HasLLAddr: true, State: Reachable, Flags: OverrideUnlocked})
		}},
		{"unwanted reply", func() {
			table.Update(1, nth(7000), Update{LLAddr: macA, HasLLAddr: true, State: Reachable})
		}},
		{"reply that moves the neighbour", func() {
			table.Update(1, nth(8), Update{LLAddr: macB, HasLLAddr: true, State: Reachable, Flags: Override})
			table.Update(1, nth(8), Update{LLAddr: macA, HasLLAddr: true, State: Stale, Flags: Override})
		}},
	} {
		t.Run(c.name, func(t *testing.T) { require.Zero(t, testing.AllocsPerRun(100, c.f)) })
	}
}

func TestDumps(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // NTF-6
		i, err := b.table.AddInterface(InterfaceConfig{Index: 2, Name: "t1", Addr: macM, Link: b})
		require.NoError(t, err)
		require.NoError(t, i.Output(nth(1), packet(1)))
		b.hear(1, 3)
		require.NoError(t, b.table.AddProxy(Proxy{IP: nth(7), Interface: 1}))
		count := func(f Filter) (n int) {
			for e := range b.table.All() {
				if f.Match(e) {
					n++
				}
			}
			return n
		}
		require.Equal(t, []int{4, 3, 1, 2, 1}, []int{count(Filter{}), count(Filter{Interface: 1}), count(Filter{Interface: 2}),
			count(Filter{Prefix: netip.PrefixFrom(nth(1), 32)}), count(Filter{States: SetOf(Incomplete)})})
		require.Len(t, b.table.Proxies(), 1)
	})
}
