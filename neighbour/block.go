package neighbour

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// redrawAfter is how long a reachable_time lasts (RFC 4861 section 6.3.2 says a
// few hours, Linux five minutes).
const redrawAfter = 300 * time.Second

// block is a parameter block: an interface's, or the default. The machine loads
// what is in force; writers hold the mutex of blocks and replace it as a whole.
type block struct {
	current atomic.Pointer[tunables]
	written uint32 // bits of the knobs that were set individually
}

func (b *block) load() *tunables { return b.current.Load() }

// blocks are a table's parameter blocks. Its mutex is a leaf.
type blocks struct {
	rand     *rand.Rand
	switches Switches

	mu       sync.Mutex
	defaults block
	ifaces   map[int]*block
	lastDraw instant
}

func (bs *blocks) init(p Params, rnd *rand.Rand, sw Switches) {
	bs.rand, bs.switches, bs.ifaces = rnd, sw, make(map[int]*block)
	bs.defaults.current.Store(&tunables{Params: p, reachable: bs.draw(p.BaseReachableTime), literalTimers: sw.LiteralTimers})
	// The first redraw comes late: Linux puts the mark into the future.
	bs.lastDraw = instant(20 * bs.defaults.load().reachable)
}

// draw returns a random reachable_time: uniform between a half and one and a half
// times base (RFC 4861 section 6.3.2, MIN_RANDOM_FACTOR and MAX_RANDOM_FACTOR).
func (bs *blocks) draw(base time.Duration) time.Duration {
	if base <= 0 {
		return 0
	}
	return base/2 + time.Duration(bs.rand.Int64N(int64(base)))
}

// add makes a block for an interface: a copy of the default, with a
// reachable_time of its own.
func (bs *blocks) add(iface int) *block {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	b := new(block)
	c := *bs.defaults.load()
	c.reachable = bs.draw(c.BaseReachableTime)
	b.current.Store(&c)
	if !bs.switches.PlainDefaults {
		b.written = bs.defaults.written
	}
	bs.ifaces[iface] = b
	return b
}

func (bs *blocks) remove(iface int) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	delete(bs.ifaces, iface)
}

// own marks all of an interface's values as set, so that the default's reach it
// no more: Linux does so when an address is assigned.
func (bs *blocks) own(iface int) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if b := bs.ifaces[iface]; b != nil {
		b.written = ^uint32(0)
	}
}

// find returns a block; 0 is the default.
func (bs *blocks) find(iface int) *block {
	if iface == 0 {
		return &bs.defaults
	}
	bs.mu.Lock()
	defer bs.mu.Unlock()
	return bs.ifaces[iface]
}

// write changes one value, that of the knob with the given bit, in a block. A
// change of the default reaches the interfaces that never set the value. With
// redraw the block, not those that follow it, gets a new reachable_time.
func (bs *blocks) write(b *block, bit uint32, redraw bool, set func(*Params)) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	bs.applyLocked(b, set, redraw)
	b.written |= bit
	if b != &bs.defaults {
		return
	}
	for _, other := range bs.ifaces {
		if other.written&bit == 0 {
			bs.applyLocked(other, set, false)
		}
	}
}

func (bs *blocks) applyLocked(b *block, set func(*Params), redraw bool) {
	c := *b.load()
	set(&c.Params)
	if redraw {
		c.reachable = bs.draw(c.BaseReachableTime)
	}
	b.current.Store(&c)
}

// redraw draws all blocks' reachable_time anew if one of the periodic runs, which
// were at first and then each period until last, found the last draw too old.
func (bs *blocks) redraw(first, last instant, period time.Duration) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	due := false
	for run := first; ; {
		if late := bs.lastDraw.add(redrawAfter).sub(run); late >= 0 {
			run = run.add((late/period + 1) * period)
		}
		if run > last {
			break
		}
		bs.lastDraw, due = run, true
	}
	if !due {
		return
	}
	bs.redrawLocked(&bs.defaults)
	for _, iface := range slices.Sorted(maps.Keys(bs.ifaces)) {
		bs.redrawLocked(bs.ifaces[iface])
	}
}

func (bs *blocks) redrawLocked(b *block) {
	c := *b.load()
	c.reachable = bs.draw(c.BaseReachableTime)
	b.current.Store(&c)
}
