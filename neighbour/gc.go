package neighbour

import (
	"sync"
	"sync/atomic"
	"time"
)

// collector is the garbage collector's part of the table: the entries it may
// remove, in the order in which they were made (or became collectable again).
// Its mutex is a leaf: entries come and go under their shard's lock.
type collector struct {
	count atomic.Int64 // entries that count against thresholds 2 and 3, also those being made

	mu             sync.Mutex
	oldest, newest *entry
	cursor         *entry // where a forced run goes on

	forcing   sync.Mutex // one forced run at a time; taken before any shard's lock
	barren    instant    // until then no forced run finds anything, unless stirred; guarded by forcing
	stirred   atomic.Bool
	lastFlush atomic.Int64
	periodic  atomic.Uint64
	forced    atomic.Uint64
	refused   atomic.Uint64
}

// add puts e at the end of the list and counts it.
func (c *collector) add(e *entry) {
	c.count.Add(1)
	c.append(e)
}

// append puts e, which has been counted, at the end of the list.
func (c *collector) append(e *entry) {
	c.stir()
	c.mu.Lock()
	defer c.mu.Unlock()
	e.marks |= listed
	e.older, e.newer = c.newest, nil
	if c.newest == nil {
		c.oldest = e
	} else {
		c.newest.newer = e
	}
	c.newest = e
}

func (c *collector) remove(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.marks &^= listed
	if c.cursor == e {
		c.cursor = e.newer
	}
	if e.older == nil {
		c.oldest = e.newer
	} else {
		e.older.newer = e.newer
	}
	if e.newer == nil {
		c.newest = e.older
	} else {
		e.newer.older = e.older
	}
	e.older, e.newer = nil, nil
	c.count.Add(-1)
}

// stir notes that an entry may be expendable now other than by growing older.
func (c *collector) stir() {
	if !c.stirred.Load() {
		c.stirred.Store(true)
	}
}

// next returns the entry under the cursor and moves on.
func (c *collector) next() *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.cursor
	if e != nil {
		c.cursor = e.newer
	}
	return e
}

func (c *collector) rewind() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cursor = c.oldest
}

const (
	// youth is how long after a change a forced run spares an entry, and how
	// long after a complete run the second threshold starts no other.
	youth = 5 * time.Second
	// gcBudget and gcBudgetEvery bound a forced run where the switch says so.
	gcBudget      = time.Millisecond
	gcBudgetEvery = 16
	// gcCandidates bounds a forced run by the entries it looks at, to about the
	// work that fits into Linux's budget. Unlike time it does not make the
	// outcome depend on the load, and with Linux's limits it is never reached.
	gcCandidates = 1 << 14
	// gcChunk is how many entries a periodic run looks at under one hold of a
	// shard's lock.
	gcChunk = 256
)

// reserve makes room for one more entry that counts against the thresholds, by
// force if need be. When there is none the error is ErrTableFull, otherwise the
// entry has been counted. No lock is held.
func (t *Table) reserve(now instant) error {
	c := &t.collector
	before := c.count.Add(1) - 1
	limits := t.limits.Load()
	full := before >= int64(limits.Thresh3)
	if !full && (before < int64(limits.Thresh2) || now <= instant(c.lastFlush.Load()).add(youth)) {
		return nil
	}
	if t.forcedGC(now) > 0 || !full {
		return nil
	}
	c.count.Add(-1)
	c.refused.Add(1)
	return ErrTableFull
}

// forcedGC removes old entries down to the second threshold, the oldest made
// first, and returns how many (neigh_forced_gc).
func (t *Table) forcedGC(now instant) (removed int) {
	var dropped work
	removed = t.forcedGCInto(now, &dropped)
	for p := dropped.dropped.Pop(); p != nil; p = dropped.dropped.Pop() {
		t.drops.Drop(p, dropped.reason)
	}
	return removed
}

func (t *Table) forcedGCInto(now instant, w *work) (removed int) {
	c := &t.collector
	c.forcing.Lock()
	defer c.forcing.Unlock()
	c.forced.Add(1)
	if now < c.barren && !c.stirred.Load() {
		// A full table under a flood of strangers comes here for each of them:
		// that there is nothing to be had need not be found out each time.
		c.lastFlush.Store(int64(now))
		return 0
	}
	c.stirred.Store(false) // before the first look: what changes from here on stirs again
	want := int(c.count.Load()) - t.limits.Load().Thresh2
	barren := now.add(youth) // what changes meanwhile is young until then
	c.barren = now
	c.rewind()
	for n := 1; removed < want; n++ {
		e := c.next()
		if e == nil {
			if removed == 0 {
				c.barren = barren
			}
			break
		}
		s := t.shardOf(e.key())
		s.mu.Lock()
		if s.expendableLocked(e, now) {
			s.removeLocked(e, CauseCollector, now, w)
			removed++
		} else {
			barren = min(barren, e.ripeLocked(now))
		}
		s.mu.Unlock()
		late := t.config.Switches.GCTimeBudget && n%gcBudgetEvery == 0 && t.now().sub(now) > gcBudget
		if late || n == gcCandidates {
			return removed // not a complete run: lastFlush stays
		}
	}
	c.lastFlush.Store(int64(now))
	return removed
}

// expendableLocked reports whether a forced run may remove e.
func (s *shard) expendableLocked(e *entry, now instant) bool {
	w := e.load()
	if w&deadBit != 0 || e.marks&listed == 0 || e.busyLocked() {
		return false
	}
	return w.state()&(Failed|NoARP) != 0 || e.kind == Multicast || e.updated < now.add(-youth)
}

// ripeLocked returns the time until which e, which is not expendable now, stays
// so unless something stirs the collector.
func (e *entry) ripeLocked(now instant) instant {
	switch {
	case e.marks&draining != 0:
		return now // until who drains is done, which stirs nobody
	case e.timer != noTimer:
		return never // what its timer makes of it is young, or stirs
	}
	return e.updated.add(youth)
}

// busyLocked reports whether somebody but the table refers to e: its timer, or a
// goroutine that sends what waited.
func (e *entry) busyLocked() bool { return e.timer != noTimer || e.marks&draining != 0 }

// collect is the work of a periodic run (neigh_periodic_work). It reports whether
// the table has entries left.
func (t *Table) collect() bool {
	if t.entries.Load() >= int64(t.limits.Load().Thresh1) {
		t.removeWhere(CauseCollector, (*shard).expiredLocked)
	}
	return t.entries.Load() > 0
}

// expiredLocked reports whether a periodic run may remove e.
func (s *shard) expiredLocked(e *entry, now instant) bool {
	w := e.load()
	if w.state()&(Permanent|inTimer) != 0 || w.flags()&(ExtLearned|ExtValidated) != 0 {
		return false
	}
	if confirmed := instant(e.confirmed.Load()); e.used < confirmed && confirmed <= now {
		e.used = confirmed
	}
	if e.busyLocked() {
		return false
	}
	return w.state() == Failed || now < e.used || now >= e.used.add(e.iface.block.load().GCStaleTime)
}

// removeWhere removes the entries that match, a few under each hold of a lock. The
// time is read under the lock: an entry used since would seem to be of the future.
func (t *Table) removeWhere(cause Cause, match func(s *shard, e *entry, now instant) bool) (removed int) {
	for i := range t.shards {
		removed += t.shards[i].removeWhere(cause, match)
	}
	return removed
}

func (s *shard) removeWhere(cause Cause, match func(s *shard, e *entry, now instant) bool) (removed int) {
	var w work
	n := 0
	s.mu.Lock()
	now := s.table.now()
	for e := range s.index.allLocked() {
		if n++; n%gcChunk == 0 {
			// The slots that this loop walks stay; what is removed meanwhile is
			// marked so.
			s.mu.Unlock()
			s.perform(&w)
			s.mu.Lock()
			now = s.table.now()
		}
		if e.load()&deadBit == 0 && match(s, e, now) {
			s.removeLocked(e, cause, now, &w)
			removed++
		}
	}
	s.mu.Unlock()
	s.perform(&w)
	return removed
}
