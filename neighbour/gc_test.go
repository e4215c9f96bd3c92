package neighbour

import (
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

// hear makes stale entries numbered from first to last.
func (b *bed) hear(first, last int) (refused int) {
	for n := first; n <= last; n++ {
		err := b.table.Update(1, nth(n), Update{LLAddr: macA, HasLLAddr: true, State: Stale, Flags: Override | Create, Cause: CauseFrame})
		if err != nil {
			require.ErrorIs(b.t, err, syscall.ENOBUFS)
			refused++
		}
	}
	return refused
}

func (b *bed) has(n int) bool {
	_, _, ok := b.iface.Lookup(nth(n))
	return ok
}

func TestPeriodicGC(t *testing.T) {
	t.Run("GC-1 nothing below the first threshold", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			b.hear(1, 100)
			b.pass(10 * time.Minute)
			require.EqualValues(t, 100, b.table.Stats().Entries)
			b.hear(101, 260)
			b.pass(10 * time.Second)
			require.EqualValues(t, 160, b.table.Stats().Entries, "the old ones are gone")
			b.pass(60 * time.Second)
			require.EqualValues(t, 0, b.table.Stats().Entries, "all are older than gc_stale_time")
		})
	})
	t.Run("GC-2 GC-3 who goes", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			b.hear(100, 250)
			for n, r := range []Request{
				{State: Permanent}, {State: Stale, Flags: ExtLearned}, {State: Stale, Flags: ExtValidated}, {State: Incomplete},
				{State: Stale}, {State: NoARP}, {State: Failed},
			} {
				r.LLAddr, r.HasLLAddr, r.Create = macA, true, true
				require.NoError(t, b.table.Set(1, nth(n), r))
			}
			first, err := b.table.ReachableTime(0)
			require.NoError(t, err)
			b.pass(first) // one run, which takes the failed one only
			require.False(t, b.has(6))
			require.True(t, b.has(4) && b.has(5))
			b.events()
			b.pass(60 * time.Second)
			for n, want := range []bool{true, true, true, true, false, false, false} {
				require.Equal(t, want, b.has(n), n)
			}
			for _, ev := range b.events() {
				require.Equal(t, []any{Removed, DelNeigh, CauseCollector}, []any{ev.Kind, ev.Announced, ev.Cause}, "GC-14")
			}
		})
	})
	t.Run("GC-3 GC-5 a confirmation counts as use, the fast path does not", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			b.hear(1, 200)
			b.pass(50 * time.Second)
			b.table.Confirm(1, nth(7))
			b.pass(30 * time.Second)
			require.EqualValues(t, 1, b.table.Stats().Entries)
			require.True(t, b.has(7))
		})
	})
	t.Run("GC-4 the edge of gc_stale_time", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			b.table.SetLimits(Limits{Thresh1: 1, Thresh2: 512, Thresh3: 1024})
			first, err := b.table.ReachableTime(0)
			require.NoError(t, err)
			b.pass(first + 20*time.Second)
			b.hear(1, 1) // just after a run; 6 more runs come before it is 60 s old, and one then
			b.pass(60*time.Second - 1)
			require.True(t, b.has(1))
			b.pass(1)
			require.False(t, b.has(1))
		})
	})
}

func TestPeriodicGCPhase(t *testing.T) {
	// TMR-9, STAT-10: the phase is the same, whether the table slept or not.
	for _, busy := range []bool{false, true} {
		inBubble(t, Config{}, func(b *bed) {
			d, err := b.table.ReachableTime(0)
			require.NoError(t, err)
			if busy {
				b.hear(1, 1)
			}
			b.pass(d - 1)
			require.EqualValues(t, 0, b.table.Stats().PeriodicGCRuns)
			b.pass(1)
			require.EqualValues(t, 1, b.table.Stats().PeriodicGCRuns)
			b.pass(10*time.Second - 1)
			require.EqualValues(t, 1, b.table.Stats().PeriodicGCRuns)
			b.pass(1)
			require.EqualValues(t, 2, b.table.Stats().PeriodicGCRuns)
			b.pass(10 * time.Minute)
			require.EqualValues(t, 62, b.table.Stats().PeriodicGCRuns)
		})
	}
}

func TestForcedGC(t *testing.T) {
	t.Run("GC-6 GC-7 down to the second threshold, the oldest first", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			b.pass(6 * time.Second)
			require.Zero(t, b.hear(1, 611))
			require.EqualValues(t, 1, b.table.Stats().ForcedGCRuns, "GC-10: one run in 5 s, which found only young ones")
			b.pass(6 * time.Second)
			b.hear(612, 612)
			st := b.table.Stats()
			require.EqualValues(t, []uint64{512, 512, 2}, []uint64{st.Entries, st.GCEntries, st.ForcedGCRuns})
			require.False(t, b.has(100))
			require.True(t, b.has(101))
			require.True(t, b.has(612))
		})
	})
	t.Run("GC-7 timers are spared, FAILED and NOARP are not", func(t *testing.T) {
		inBubble(t, Config{Limits: &Limits{Thresh1: 1, Thresh2: 2, Thresh3: 5}}, func(b *bed) {
			b.send(1, 1)
			require.NoError(t, b.table.Set(1, nth(1), Request{State: Failed, Create: true}))
			require.NoError(t, b.table.Set(1, nth(2), Request{LLAddr: macA, HasLLAddr: true, State: NoARP, Create: true}))
			require.NoError(t, b.table.Set(1, nth(3), Request{LLAddr: macA, HasLLAddr: true, State: Reachable, Create: true}))
			b.hear(4, 4)
			require.Zero(t, b.hear(5, 5))
			require.Equal(t, []bool{false, false, true, true, true}, []bool{b.has(1), b.has(2), b.has(3), b.has(4), b.has(5)})
			b.wantState(Incomplete)
		})
	})
	t.Run("GC-9 GC-13 STAT-11 STAT-13 overflow", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			require.Equal(t, 176, b.hear(1, 1200))
			st := b.table.Stats()
			require.EqualValues(t, []uint64{1024, 1024, 176, 1024}, []uint64{st.Entries, st.GCEntries, st.TableFulls, st.Allocs})
			require.EqualValues(t, 176, st.ForcedGCRuns)
			require.ErrorIs(t, b.iface.Output(peerIP, packet(1)), syscall.ENOBUFS) // L3-2
			require.EqualValues(t, 1, b.drops.Count(link.NeighCreateFail))
			overflows := 0
			for _, ev := range b.events() {
				if ev.Kind == Overflow {
					overflows++
				}
			}
			require.Equal(t, 177, overflows)
			require.NoError(t, b.setAddr(Permanent, macA, 0), "GC-11")
			require.EqualValues(t, 1024, b.table.Stats().GCEntries)
			require.NoError(t, b.setAddr(Stale, macA, 0), "GC-12: it comes back at the end")
			require.EqualValues(t, 1025, b.table.Stats().GCEntries)
			b.pass(5*time.Second + 1)
			b.hear(2000, 2000)
			require.EqualValues(t, 512, b.table.Stats().GCEntries)
			require.Equal(t, Stale, b.info().State)
		})
	})
	t.Run("ENT-1 ENT-2 permanent entries do not count", func(t *testing.T) {
		inBubble(t, Config{Limits: &Limits{Thresh1: 1, Thresh2: 2, Thresh3: 3}}, func(b *bed) {
			for n := range 20 {
				require.NoError(t, b.table.Set(1, nth(n), Request{LLAddr: macA, HasLLAddr: true, State: Permanent, Create: true}))
			}
			require.Zero(t, b.hear(100, 102))
			require.Equal(t, 1, b.hear(103, 103))
		})
	})
	t.Run("GC-15 lower thresholds act at the next creation", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			b.hear(1, 100)
			require.NoError(t, b.table.SetSysctl("default", "gc_thresh3", "10"))
			require.NoError(t, b.table.SetSysctl("default", "gc_thresh2", "5"))
			b.pass(6 * time.Second)
			require.EqualValues(t, 100, b.table.Stats().Entries)
			b.hear(101, 101)
			require.EqualValues(t, 5, b.table.Stats().Entries)
		})
	})
}

func TestGCTimeBudget(t *testing.T) {
	v := newTicking()
	table, _ := benchTable(t, Config{Clock: v.clock(), Switches: Switches{GCTimeBudget: true}}, &releasing{}) // GC-8, DEV-8
	defer table.Close()
	for k := range 100 {
		require.NoError(t, table.Update(1, nth(k), Update{LLAddr: macA, HasLLAddr: true, State: Stale, Flags: Create}))
	}
	v.advance(10 * time.Second)
	table.SetLimits(Limits{Thresh1: 0, Thresh2: 0, Thresh3: 1})
	now := table.now()
	v.step = 300 * time.Microsecond // each look at the clock takes this long
	removed := table.forcedGC(now)
	require.Positive(t, removed)
	require.Less(t, removed, 100)
	require.Zero(t, removed%gcBudgetEvery)
	require.Zero(t, table.collector.lastFlush.Load(), "an incomplete run does not count as one")
}

func TestForcedGCYouth(t *testing.T) {
	inBubble(t, Config{Limits: &Limits{Thresh1: 1, Thresh2: 1, Thresh3: 2}}, func(b *bed) { // GC-7
		b.hear(1, 2)
		b.pass(5 * time.Second)
		require.Equal(t, 1, b.hear(3, 3), "changed 5 s ago is young")
		b.pass(1)
		require.Zero(t, b.hear(3, 3))
	})
}

// TestBarrenRuns: a full table in which there is nothing to collect is not looked
// through for each stranger, until something in it changes (GC-7, GC-9).
func TestBarrenRuns(t *testing.T) {
	p := testParams()
	p.RetransTime = time.Minute
	old := Request{LLAddr: macA, HasLLAddr: true, State: Reachable, Create: true, Replace: true}
	with := func(s State, f Flags) Request {
		r := old
		r.State, r.Flags = s, f
		return r
	}
	for _, c := range []struct {
		name string
		do   func(b *bed)
		room bool
	}{
		{"nothing happens", func(b *bed) {}, false},
		{"just before the others are old", func(b *bed) { b.pass(4*time.Second - 1) }, false},
		{"at 5 s", func(b *bed) { b.pass(4 * time.Second) }, false},
		{"the others are old", func(b *bed) { b.pass(4*time.Second + 1) }, true},
		{"FAILED", func(b *bed) { require.NoError(b.t, b.table.Set(1, nth(5), with(Failed, 0))) }, true},
		{"NOARP", func(b *bed) { require.NoError(b.t, b.table.Set(1, nth(5), with(NoARP, 0))) }, true},
		{"STALE", func(b *bed) { require.NoError(b.t, b.table.Set(1, nth(2), with(Stale, 0))) }, false},
		{"a change that leaves an old entry without timer", func(b *bed) { require.NoError(b.t, b.table.Set(1, nth(1), with(None, 0))) }, true},
		{"an old entry becomes collectable", func(b *bed) { require.NoError(b.t, b.table.Set(1, nth(3), with(Stale, 0))) }, true},
		{"a deletion, and a new entry", func(b *bed) {
			require.NoError(b.t, b.table.Delete(1, nth(5)))
			require.NoError(b.t, b.table.Set(1, nth(6), with(NoARP, 0)))
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, Config{Params: p, Limits: &Limits{Thresh1: 1, Thresh2: 3, Thresh3: 4}}, func(b *bed) {
				b.iface.Output(nth(1), packet(1)) // INCOMPLETE, for long
				require.NoError(b.t, b.table.Set(1, nth(2), old))
				require.NoError(b.t, b.table.Set(1, nth(3), with(Stale, ExtLearned)))
				b.pass(6 * time.Second)
				b.hear(4, 4)
				require.Zero(t, b.hear(5, 5))
				b.pass(time.Second)
				require.Equal(t, 1, b.hear(7, 7))
				require.Greater(t, b.table.collector.barren, b.table.now())
				require.Equal(t, 1, b.hear(7, 7))
				require.EqualValues(t, 2, b.table.Stats().TableFulls)
				runs := b.table.Stats().ForcedGCRuns
				c.do(b)
				require.Equal(t, c.room, b.hear(7, 7) == 0)
				require.Equal(t, runs+1, b.table.Stats().ForcedGCRuns, "STAT-11")
			})
		})
	}
}

func TestBarrenRunEnds(t *testing.T) {
	// All have timers, then none has, and in the end they are old.
	inBubble(t, Config{Limits: &Limits{Thresh1: 1, Thresh2: 1, Thresh3: 2}}, func(b *bed) {
		for n := range 2 {
			require.NoError(t, b.table.Set(1, nth(n), Request{LLAddr: macA, HasLLAddr: true, State: Reachable, Create: true}))
		}
		require.Equal(t, 1, b.hear(7, 7))
		b.pass(b.reachable())
		require.Equal(t, 1, b.hear(7, 7))
		b.pass(5*time.Second + 1)
		require.Zero(t, b.hear(7, 7))
	})
}

func TestForcedGCEdges(t *testing.T) {
	t.Run("GC-6 5 s after the last run", func(t *testing.T) {
		inBubble(t, Config{Limits: &Limits{Thresh1: 1, Thresh2: 1, Thresh3: 10}}, func(b *bed) {
			b.pass(6 * time.Second)
			b.hear(1, 2)
			require.EqualValues(t, 1, b.table.Stats().ForcedGCRuns)
			b.pass(5 * time.Second)
			b.hear(3, 3)
			require.EqualValues(t, 1, b.table.Stats().ForcedGCRuns)
			b.pass(1)
			b.hear(4, 4)
			require.EqualValues(t, 2, b.table.Stats().ForcedGCRuns)
			require.Equal(t, []bool{false, false, true, true}, []bool{b.has(1), b.has(2), b.has(3), b.has(4)})
		})
	})
	t.Run("GC-7 a group's entry goes though it is young", func(t *testing.T) {
		inBubble(t, Config{Limits: &Limits{Thresh1: 1, Thresh2: 1, Thresh3: 1}}, func(b *bed) {
			group := netip.MustParseAddr("224.0.0.5")
			require.NoError(t, b.table.Set(1, group, Request{LLAddr: macA, HasLLAddr: true, State: Stale, Create: true, Replace: true}))
			require.Zero(t, b.hear(1, 1))
			_, _, ok := b.iface.Lookup(group)
			require.False(t, ok)
		})
	})
}

func TestCollectorCursor(t *testing.T) {
	// What goes while a forced run is between two entries does not stop it.
	var c collector
	var e [4]entry
	for i := range e {
		c.add(&e[i])
	}
	c.rewind()
	require.Same(t, &e[0], c.next())
	c.remove(&e[1])
	c.remove(&e[0])
	require.Same(t, &e[2], c.next())
	c.remove(&e[3])
	require.Nil(t, c.next())
	require.EqualValues(t, 1, c.count.Load())
	require.Same(t, c.oldest, c.newest)
}

func TestForcedGCIsBounded(t *testing.T) {
	v := newTicking()
	table, _ := benchTable(t, Config{Clock: v.clock()}, &releasing{})
	defer table.Close()
	const n = gcCandidates + 1000
	for k := range n {
		require.NoError(t, table.Update(1, nth(k), Update{LLAddr: macA, HasLLAddr: true, State: Stale, Flags: Create}))
	}
	v.advance(10 * time.Second)
	table.SetLimits(Limits{Thresh2: 10, Thresh3: n})
	require.NoError(t, table.Update(1, nth(n), Update{LLAddr: macA, HasLLAddr: true, State: Stale, Flags: Create}))
	require.EqualValues(t, n+1-gcCandidates, table.Stats().Entries)
	require.Zero(t, table.collector.lastFlush.Load())
}

func TestEarlyGC(t *testing.T) {
	inBubble(t, Config{Switches: Switches{EarlyGC: true}}, func(b *bed) { // TMR-9
		b.pass(10*time.Second - 1)
		require.Zero(t, b.table.Stats().PeriodicGCRuns)
		b.pass(1)
		require.EqualValues(t, 1, b.table.Stats().PeriodicGCRuns)
	})
}

func TestBusyEntriesStay(t *testing.T) {
	// ENT-15: who sends what waited in an entry refers to it, as its timer does.
	inBubble(t, Config{Limits: &Limits{Thresh1: 1, Thresh2: 1, Thresh3: 1}}, func(b *bed) {
		b.iface.link = writerFunc(func(p *link.Packet) error {
			require.NoError(t, b.set(NoARP, 0))
			require.Equal(t, 1, b.hear(1, 1))
			require.NoError(t, b.set(Failed, 0))
			require.Equal(t, 1, b.hear(1, 1))
			return b.Write(p)
		})
		b.send(1, 1)
		require.Equal(t, 1, b.info().Refs)
		require.Equal(t, 1, b.hear(1, 1))
		require.NoError(t, b.reply(macA, 0))
		require.Zero(t, b.info().Refs)
		require.Zero(t, b.hear(1, 1))
		require.EqualValues(t, 1, b.table.Stats().Entries)
	})
}
