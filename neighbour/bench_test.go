package neighbour

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/clock"
	"github.com/tapstack/tapstack/stack/random"
)

// sink is a link that gives the packet back: it undoes the header.
type sink struct{}

func (sink) Write(p *link.Packet) error {
	p.Pull(link.EthernetHeaderLen)
	return nil
}

// releasing is a link that swallows packets.
type releasing struct{ n atomic.Int64 }

func (l *releasing) Write(p *link.Packet) error {
	l.n.Add(1)
	p.Release()
	return nil
}

func benchTable(tb testing.TB, c Config, w link.Writer) (*Table, *Interface) {
	c.Limits = &Limits{Thresh1: 1 << 30, Thresh2: 1 << 30, Thresh3: 1 << 30}
	c.Rand = random.New(1)
	t := New(c)
	i, err := t.AddInterface(InterfaceConfig{Index: 1, Name: "t0", Addr: macM, Link: w})
	require.NoError(tb, err)
	return t, i
}

func nth(n int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 10<<24+uint32(n))
	return netip.AddrFrom4(b)
}

// fill makes n reachable entries, through the slow path once.
func fill(tb testing.TB, t *Table, i *Interface, n int) {
	for k := range n {
		require.NoError(tb, t.Update(1, nth(k), Update{LLAddr: macA, HasLLAddr: true, State: Reachable, Flags: Create}))
		p := packet(k)
		require.NoError(tb, i.Output(nth(k), p))
		if _, ok := i.link.(sink); ok {
			p.Release()
		}
	}
}

// loads are how many entries there are, and to how many of them the benchmark
// turns, in an order without pattern. At 100k and 1M most of the table is cold and
// the traffic warm, as on a host that talks to a few thousand at a time; with -all
// each access is a new entry, and what is measured is the memory.
var loads = []struct {
	name       string
	n, visited int
}{{"1", 1, 1}, {"1k", 1000, 1000}, {"100k", 100_000, 4096}, {"1M", 1_000_000, 4096}, {"100k-all", 100_000, 100_000}, {"1M-all", 1_000_000, 1_000_000}}

// forLoads runs f for each load with the addresses to turn to.
func forLoads(b *testing.B, f func(b *testing.B, i *Interface, addrs []netip.Addr)) {
	for _, load := range loads {
		t, i := benchTable(b, Config{}, sink{})
		fill(b, t, i, load.n)
		addrs := make([]netip.Addr, 1<<(bits.Len(uint(min(load.visited, 1<<16)))-1))
		for k := range addrs {
			addrs[k] = nth(k % load.visited * (load.n / load.visited))
		}
		if load.visited == load.n && load.n > len(addrs) {
			for k := range addrs {
				addrs[k] = nth(k * 7919 % load.n)
			}
		}
		rand.New(rand.NewPCG(1, 2)).Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
		b.Run(load.name, func(b *testing.B) {
			b.ReportAllocs()
			f(b, i, addrs)
		})
		t.Close()
	}
}

func BenchmarkLookup(b *testing.B) {
	forLoads(b, func(b *testing.B, i *Interface, addrs []netip.Addr) {
		for k := 0; b.Loop(); k++ {
			i.Lookup(addrs[k&(len(addrs)-1)])
		}
	})
}

func BenchmarkOutputResolved(b *testing.B) {
	forLoads(b, func(b *testing.B, i *Interface, addrs []netip.Addr) {
		p := packet(1)
		defer p.Release()
		for k := 0; b.Loop(); k++ {
			i.Output(addrs[k&(len(addrs)-1)], p)
		}
	})
}

func BenchmarkOutputResolvedParallel(b *testing.B) {
	forLoads(b, func(b *testing.B, i *Interface, addrs []netip.Addr) {
		b.RunParallel(func(pb *testing.PB) {
			p := packet(1)
			defer p.Release()
			for k := rand.Int(); pb.Next(); k++ {
				i.Output(addrs[k&(len(addrs)-1)], p)
			}
		})
	})
}

func BenchmarkOutputFirstPacket(b *testing.B) {
	t, i := benchTable(b, Config{Solicit: func(Solicitation) {}}, &releasing{})
	defer t.Close()
	b.ReportAllocs()
	for k := 0; b.Loop(); k++ {
		i.Output(nth(k), packet(k))
		if k&0xffff == 0xffff {
			b.StopTimer()
			t.SetLLAddr(1, macM)
			b.StartTimer()
		}
	}
}

// BenchmarkUpdateReply is an ARP reply that makes an incomplete entry reachable
// and sends the packet that waited.
func BenchmarkUpdateReply(b *testing.B) {
	t, i := benchTable(b, Config{}, &releasing{})
	defer t.Close()
	const batch = 1 << 12
	b.ReportAllocs()
	k := batch
	for b.Loop() {
		if k == batch {
			b.StopTimer()
			t.SetLLAddr(1, macM)
			for n := range batch {
				i.Output(nth(n), packet(n))
			}
			k = 0
			b.StartTimer()
		}
		t.Update(1, nth(k), Update{LLAddr: macA, HasLLAddr: true, State: Reachable, Flags: OverrideUnlocked, Cause: CauseFrame})
		k++
	}
}

// BenchmarkUpdateRefresh is a reply about an entry that is reachable already.
func BenchmarkUpdateRefresh(b *testing.B) {
	t, i := benchTable(b, Config{}, sink{})
	defer t.Close()
	fill(b, t, i, 1000)
	b.ReportAllocs()
	for k := 0; b.Loop(); k++ {
		t.Update(1, nth(k%1000), Update{LLAddr: macA, HasLLAddr: true, State: Reachable, Flags: OverrideUnlocked, Cause: CauseFrame})
	}
}

// BenchmarkUpdateHint is a request of a neighbour that is known, and says nothing
// new.
func BenchmarkUpdateHint(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			t, _ := benchTable(b, Config{}, sink{})
			defer t.Close()
			u := Update{LLAddr: macA, HasLLAddr: true, State: Stale, Flags: Override | Create, Cause: CauseFrame}
			b.ReportAllocs()
			for k := 0; b.Loop(); k++ {
				t.Update(1, nth(k%n), u)
			}
		})
	}
}

// BenchmarkUpdateStranger is a request of somebody who was not known.
func BenchmarkUpdateStranger(b *testing.B) {
	t, _ := benchTable(b, Config{}, &releasing{})
	defer t.Close()
	const n = 100_000
	u := Update{LLAddr: macA, HasLLAddr: true, State: Stale, Flags: Override | Create, Cause: CauseFrame}
	b.ReportAllocs()
	for k := 0; b.Loop(); k++ {
		t.Update(1, nth(k%n), u)
		if k%n == n-1 {
			b.StopTimer()
			t.SetLLAddr(1, macM)
			b.StartTimer()
		}
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkExpire1M lets a million reachable entries expire at one instant of
// virtual time; an operation is all of them.
func BenchmarkExpire1M(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		b.StopTimer()
		p := DefaultParams()
		p.DelayFirstProbeTime = 0 // to STALE, not to DELAY
		v := clock.NewVirtual(time.Unix(0, 0))
		before := heap()
		t, _ := benchTable(b, Config{Clock: clock.New(v), Params: &p}, &releasing{})
		for k := range n {
			t.Update(1, nth(k), Update{LLAddr: macA, HasLLAddr: true, State: Reachable, Flags: Create})
		}
		perEntry := float64(heap()-before) / n
		reachable, _ := t.ReachableTime(1)
		v.Advance(reachable - 1)
		b.StartTimer()
		v.Advance(1)
		b.StopTimer()
		stale := 0
		for e := range t.All() {
			if e.State == Stale {
				stale++
			}
		}
		require.Equal(b, n, stale)
		b.ReportMetric(perEntry, "B/entry")
		t.Close()
		b.StartTimer()
	}
}

// BenchmarkCollect1M is one periodic run over a million entries, of which it
// removes none.
func BenchmarkCollect1M(b *testing.B) {
	t, _ := benchTable(b, Config{}, &releasing{})
	defer t.Close()
	t.SetLimits(Limits{Thresh1: 1, Thresh2: 1 << 30, Thresh3: 1 << 30})
	for k := range 1_000_000 {
		t.Update(1, nth(k), Update{LLAddr: macA, HasLLAddr: true, State: Stale, Flags: Create})
	}
	for b.Loop() {
		t.collect()
	}
}

func BenchmarkForget100k(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		t, _ := benchTable(b, Config{}, &releasing{})
		for k := range 100_000 {
			t.Update(1, nth(k), Update{LLAddr: macA, HasLLAddr: true, State: Reachable, Flags: Create})
		}
		b.StartTimer()
		t.SetUp(1, false)
		b.StopTimer()
		t.Close()
		b.StartTimer()
	}
}

func ExampleTransitions() {
	for row := range Transitions() {
		if row.On == TriggerUse && row.Guard == Always && row.From.Has(Stale) {
			fmt.Printf("%s: %v on %v -> %v, timer %v: %v\n", row.Name, row.From, row.On, row.To, row.Arm, row.Do)
		}
	}
	// Output: reuse: STALE on use -> DELAY, timer now+delay: updated=now, transmit
}
