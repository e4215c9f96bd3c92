package neighbour

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

var same = Update{LLAddr: macA, HasLLAddr: true, State: Stale, Flags: Override | Create, Cause: CauseFrame}

// What a frame says about a neighbour, and the entry knows already, goes past the
// lock: this test holds it.
func TestHintThatSaysNothingNewTakesNoLock(t *testing.T) {
	b := newBed(t, Config{})
	defer b.close()
	require.NoError(t, b.table.Update(1, peerIP, same))
	addr, _ := parse(peerIP)
	s := b.table.shardOf(makeKey(1, addr))
	s.mu.Lock()
	err := b.table.Update(1, peerIP, same)
	s.mu.Unlock()
	require.NoError(t, err)
}

func TestHintThatSaysNothingNew(t *testing.T) {
	addr, _ := parse(peerIP)
	for _, c := range []struct {
		name   string
		entry  State
		update func(u *Update)
		past   bool // the update procedure
	}{
		{"UPD-9 stale, the same address", Stale, func(*Update) {}, true},
		{"UPD-9 reachable, the same address", Reachable, func(*Update) {}, true},
		{"UPD-9 without override", Stale, func(u *Update) { u.Flags = 0 }, true},
		{"UPD-9 locktime decides about other addresses only", Stale, func(u *Update) { u.Flags = OverrideUnlocked }, true},
		{"UPD-10 another address", Stale, func(u *Update) { u.LLAddr = macB }, false},
		{"UPD-7 proof of reachability", Stale, func(u *Update) { u.State = Reachable }, false},
		{"UPD-2 a permanent entry refuses", Permanent, func(*Update) {}, false},
		{"UPD-2 an entry without ARP refuses", NoARP, func(*Update) {}, false},
		{"UPD-6 an entry that is not valid", Incomplete, func(*Update) {}, false},
		{"UPD-6 a failed one remembers its address only", Failed, func(*Update) {}, false},
		{"UPD-9 a command sets the state", Stale, func(u *Update) { u.Flags |= Admin }, false},
		{"UPD-12 the router flag", Stale, func(u *Update) { u.Flags |= OverrideISRouter | ISRouter }, false},
		{"UPD-4 use", Stale, func(u *Update) { u.Flags |= Use }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, Config{}, func(b *bed) {
				// By way of a valid state, so that the address is remembered.
				require.NoError(t, b.table.Update(1, peerIP, Update{LLAddr: macA, HasLLAddr: true, State: Stale, Flags: Create | Admin}))
				require.NoError(t, b.table.Update(1, peerIP, Update{LLAddr: macA, HasLLAddr: true, State: c.entry, Flags: Override | Admin}))
				u := same
				c.update(&u)
				require.Equal(t, c.past, b.iface.knows(addr, &u))
				before := b.table.Stats()
				_ = b.table.Update(1, peerIP, u)
				after := b.table.Stats()
				require.Equal(t, before.Lookups+1, after.Lookups, "STAT counted as a lookup")
				require.Equal(t, before.Hits+1, after.Hits, "and as a hit")
			})
		})
	}
}

func TestHintThatSaysNothingNewChangesNothing(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		require.NoError(t, b.table.Update(1, peerIP, same))
		time.Sleep(7 * time.Second)
		before, _ := b.table.Lookup(1, peerIP)
		require.NoError(t, b.table.Update(1, peerIP, same))
		after, _ := b.table.Lookup(1, peerIP)
		require.Equal(t, before, after, "UPD-11 used, confirmed and updated stay as they are")
		require.Equal(t, 7*time.Second, after.Updated)
	})
}

// A removed entry's slot stays, with the address of old: it must not count.
func TestHintAboutARemovedEntryMakesItAnew(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		require.NoError(t, b.table.Update(1, peerIP, same))
		require.NoError(t, b.table.Delete(1, peerIP))
		u := same
		u.Flags = Override
		require.ErrorIs(t, b.table.Update(1, peerIP, u), ErrNotFound)
		require.NoError(t, b.table.Update(1, peerIP, same))
		e, ok := b.table.Lookup(1, peerIP)
		require.True(t, ok)
		require.Equal(t, Stale, e.State)
	})
}

// Entries keep what they are when their index grows by copying slot after slot.
func TestIndexGrowsWithAllItHas(t *testing.T) {
	inBubble(t, Config{Limits: &Limits{Thresh1: 1 << 30, Thresh2: 1 << 30, Thresh3: 1 << 30}}, func(b *bed) {
		const n = 5000
		mac := func(k int) link.Addr { return link.Addr{2, 0, 0, 1, byte(k >> 8), byte(k)} }
		for k := range n {
			require.NoError(t, b.table.Update(1, nth(k), Update{LLAddr: mac(k), HasLLAddr: true, State: Stale, Flags: Create}))
			if k%3 == 0 {
				require.NoError(t, b.table.Delete(1, nth(k)), "its key stays in the slots until they grow")
			}
		}
		for k := range n {
			a, s, ok := b.iface.Lookup(nth(k))
			require.Equal(t, k%3 != 0, ok, k)
			if ok {
				require.Equal(t, fmt.Sprint(mac(k), Stale), fmt.Sprint(a, s), k)
			}
		}
	})
}

// A run over the table takes as long as it takes: what is used meanwhile must not
// seem to be of the future, which would be as good as long ago.
func TestRunsReadTheTimeUnderEachLock(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		for k := range 500 {
			require.NoError(t, b.table.Update(1, nth(k), same))
		}
		b.table.removeWhere(CauseCollector, func(s *shard, e *entry, now instant) bool {
			require.Equal(t, b.table.now(), now, "GC-3")
			if s != &b.table.shards[1<<shardBits-1] && e == lastOf(s) {
				time.Sleep(time.Millisecond)
			}
			return false
		})
	})
}

// lastOf returns the entry of a shard that a run comes to last.
func lastOf(s *shard) (last *entry) {
	for e := range s.index.allLocked() {
		last = e
	}
	return last
}
