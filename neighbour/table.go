package neighbour

import (
	"encoding/binary"
	"iter"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/clock"
	"github.com/tapstack/tapstack/stack/random"
)

// Config is what a table needs. The zero value makes a working table that asks
// nobody and drops what it cannot send.
type Config struct {
	Name   string // "arp_cache" when empty
	Clock  clock.Clock
	Rand   *rand.Rand // safe for concurrent use; nil: random.Secure()
	Params *Params    // nil: DefaultParams()
	Limits *Limits    // nil: DefaultLimits()

	// Classify says what ip is on an interface; asked once, when an entry is
	// made. nil knows multicast and limited broadcast only. Called with no lock
	// held.
	Classify func(iface int, ip netip.Addr) AddrType
	// Solicit sends one request. Called with no lock held.
	Solicit func(s Solicitation)
	// Unreachable takes a packet whose next hop did not answer, its front at
	// the network header. Called with no lock held, oldest packet first.
	Unreachable func(p *link.Packet)
	// Overflow is told of each entry that could not be made because the table is
	// full. Called with no lock held, maybe very often.
	Overflow func()

	Drops    *link.Drops // nil: a private one
	Switches Switches
}

// Solicitation is one request to be sent.
type Solicitation struct {
	Interface int
	Target    netip.Addr
	Unicast   bool      // to LLAddr, otherwise broadcast
	LLAddr    link.Addr // the address to be confirmed
	Head      [20]byte  // the first bytes of the newest packet that waits, an IPv4 header
	HasHead   bool
}

// Switches choose between Linux's behaviour, the zero value, and another.
type Switches struct {
	// LiteralTimers lets a timer that is evaluated in the very nanosecond it is
	// due count as not yet passed. Linux's timers are always late, so evidence
	// that is exactly delay_first_probe_time old is too old there; with this
	// switch on and an exact clock it is not.
	LiteralTimers bool
	// ResolveIncomplete makes a command that sets INCOMPLETE start a
	// resolution. In Linux the entry waits, without a timer, for a frame.
	ResolveIncomplete bool
	// GCTimeBudget stops a forced collection after 1 ms as Linux does. Off by
	// default, the only switch whose zero value is not Linux's way: what is
	// collected would depend on the load.
	GCTimeBudget bool
	// EarlyGC has the first periodic collection after half of
	// base_reachable_time, like the later ones, as if the host had been up for
	// long. In Linux the first one after boot comes after reachable_time.
	EarlyGC bool
	// PlainDefaults lets a new interface follow later writes to the default
	// block of a value that had been written before. In Linux it does not.
	PlainDefaults bool
}

// shardBits is the logarithm of the number of shards.
const shardBits = 6

// Table is a neighbour table. Its methods may be called concurrently.
type Table struct {
	config Config
	drops  *link.Drops
	epoch  time.Time
	seed   [2]uint64
	blocks blocks
	limits atomic.Pointer[Limits]

	changing sync.Mutex // of ifaces; no other lock is taken under it
	ifaces   atomic.Pointer[map[int]*Interface]

	shards    [1 << shardBits]shard
	entries   atomic.Int64 // all there are, also those being made
	allocs    atomic.Uint64
	buckets   atomic.Int64 // of Linux's hash table, for grows
	grows     atomic.Uint64
	collector collector
	periodic  schedule
	managed   managedList
	proxies   proxySet
	events    stream
}

// New returns an empty table.
func New(c Config) *Table {
	if c.Name == "" {
		c.Name = "arp_cache"
	}
	if c.Rand == nil {
		c.Rand = random.Secure()
	}
	t := &Table{config: c, drops: c.Drops, epoch: c.Clock.Now(), seed: [2]uint64{c.Rand.Uint64(), c.Rand.Uint64() | 1}}
	if t.drops == nil {
		t.drops = new(link.Drops)
	}
	params, limits := DefaultParams(), DefaultLimits()
	if c.Params != nil {
		params = *c.Params
	}
	if c.Limits != nil {
		limits = *c.Limits
	}
	t.limits.Store(&limits)
	t.blocks.init(params, c.Rand, c.Switches)
	t.ifaces.Store(&map[int]*Interface{})
	t.buckets.Store(8)
	for i := range t.shards {
		t.shards[i].table, t.shards[i].wake = t, never
	}

	// Linux's first run comes after reachable_time, the others every half
	// base_reachable_time, both the default block's.
	t.periodic.clock, t.periodic.now, t.periodic.job = c.Clock, t.now, t.collect
	t.periodic.due = instant(t.blocks.defaults.load().reachable)
	t.periodic.period = func() time.Duration { return t.blocks.defaults.load().BaseReachableTime / 2 }
	if c.Switches.EarlyGC {
		t.periodic.due = instant(t.periodic.period())
	}
	t.periodic.note = func(first, last instant, period time.Duration) {
		t.collector.periodic.Add(uint64(last.sub(first)/period) + 1)
		t.blocks.redraw(first, last, period)
	}

	m := &t.managed.schedule
	m.clock, m.now, m.job = c.Clock, t.now, t.tend
	m.period = func() time.Duration { return t.blocks.defaults.load().IntervalProbeTime }
	m.due = instant(m.period())
	return t
}

// Name returns the table's name.
func (t *Table) Name() string { return t.config.Name }

// Close removes all entries, drops the packets that wait, stops the timers and
// ends the subscriptions. Interfaces are down from then on. A callback that is
// running when Close is called may end after it.
func (t *Table) Close() {
	for _, i := range *t.ifaces.Load() {
		i.up.Store(false)
		i.gone.Store(true)
	}
	t.periodic.close()
	t.managed.schedule.close()
	t.removeWhere(CauseLink, func(*shard, *entry, instant) bool { return true })
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		s.closed = true
		if s.timer != nil {
			s.timer.Stop()
		}
		s.mu.Unlock()
	}
	t.events.close()
}

func (t *Table) now() instant { return instant(t.config.Clock.Since(t.epoch)) }

// hash mixes a key with the table's seed, so that nobody outside can aim at one
// shard or one run of slots. It is one folded multiplication: the fast path pays
// for it.
func (t *Table) hash(key uint64) uint64 {
	hi, lo := bits.Mul64(key^t.seed[0], t.seed[1])
	return hi ^ lo
}

func (t *Table) shardOf(key uint64) *shard { return &t.shards[t.hash(key)>>(64-shardBits)] }

// parse returns an address as an entry keeps it.
func parse(ip netip.Addr) (uint32, bool) {
	if !ip.Is4() {
		return 0, false
	}
	b := ip.As4()
	return binary.BigEndian.Uint32(b[:]), true
}

// locate finds an interface and the key of ip on it.
func (t *Table) locate(iface int, ip netip.Addr) (*Interface, uint32, error) {
	i := (*t.ifaces.Load())[iface]
	if i == nil {
		return nil, 0, ErrNoInterface
	}
	addr, ok := parse(ip)
	if !ok {
		return nil, 0, ErrAddress
	}
	return i, i.collapse(addr), nil
}

// obtain returns the entry for ip with its shard locked, making it now when there
// is none; with an error nothing is locked. exempt entries do not count against the
// thresholds.
func (t *Table) obtain(i *Interface, ip uint32, exempted bool, cause Cause, now instant) (*shard, *entry, error) {
	key := makeKey(i.index, ip)
	hash := t.hash(key)
	s := &t.shards[hash>>(64-shardBits)]
	s.mu.Lock()
	if e := s.index.lookup(hash, key); e != nil {
		return s, e, nil
	}
	s.mu.Unlock()
	e, err := t.allocate(i, ip, exempted, now)
	if err != nil {
		return nil, nil, err
	}

	s.mu.Lock()
	other := s.index.lookup(hash, key)
	if other != nil || i.gone.Load() || cause != CauseCommand && !i.up.Load() {
		// Somebody else was faster, or the interface went down meanwhile.
		t.discard(s, e)
		if other == nil {
			s.mu.Unlock()
			return nil, nil, ErrDown
		}
		return s, other, nil
	}
	s.index.insertLocked(hash, key, e, t.hash)
	if e.marks&listed != 0 {
		t.collector.append(e)
	}
	if b := t.buckets.Load(); t.entries.Load() > b && t.buckets.CompareAndSwap(b, 2*b) {
		t.grows.Add(1)
	}
	t.periodic.wake(now)
	s.emitLocked(e, &Event{Kind: Created, Cause: cause}, now)
	return s, e, nil
}

// allocate makes an entry that nobody sees yet. It may collect others to make
// room. No lock is held.
func (t *Table) allocate(i *Interface, ip uint32, exempted bool, now instant) (*entry, error) {
	e := &entry{iface: i, ip: ip, timer: noTimer, kind: Unicast}
	if i.config.Loopback {
		e.marks |= exempt
	}
	if !exempted && e.marks&exempt == 0 {
		if err := t.reserve(now); err != nil {
			t.overflow(e, now)
			return nil, err
		}
		e.marks |= listed // counted; it goes on the list when it is in the table
	}
	t.allocs.Add(1)
	t.entries.Add(1)

	n := newNUD(now, i.block.load())
	e.kind = t.classify(i, e)
	n.state, n.lladdr = i.initial(e)
	e.used, e.updated = n.used, n.updated
	e.confirmed.Store(int64(n.confirmed))
	e.word.Store(uint64(makeWord(n.lladdr, n.state, 0, false, false)))
	return e, nil
}

// discard takes back an entry that never got into the table.
func (t *Table) discard(s *shard, e *entry) {
	if e.marks&listed != 0 {
		t.collector.count.Add(-1)
	}
	t.entries.Add(-1)
	s.destroyed.Add(1)
}

func (t *Table) overflow(e *entry, now instant) {
	if t.config.Overflow != nil {
		t.config.Overflow()
	}
	if !t.events.active() {
		return
	}
	ev := Event{Kind: Overflow, Cause: CauseCollector, Time: t.epoch.Add(now.sub(0)), Entry: e.infoLocked(now)}
	t.events.publish(&ev)
}

func (t *Table) classify(i *Interface, e *entry) AddrType {
	ip := e.addr()
	switch {
	case e.ip == 0:
		return Broadcast
	case t.config.Classify != nil:
		return t.config.Classify(i.index, ip)
	case ip.IsMulticast():
		return Multicast
	case e.ip == 1<<32-1:
		return Broadcast
	}
	return Unicast
}

// Update tells the table news about a neighbour. The errors: ErrNotFound when
// there is no entry and u does not say Create, ErrTableFull when none could be
// made, ErrNotPermitted when the entry changes by command only, ErrNoLLAddr,
// ErrNoInterface, ErrAddress, ErrDown. Packets that waited have been sent when it
// returns, unless another goroutine is sending them.
func (t *Table) Update(iface int, ip netip.Addr, u Update) error {
	i, addr, err := t.locate(iface, ip)
	if err != nil {
		return err
	}
	if i.knows(addr, &u) {
		return nil
	}
	now := t.now()
	s, e, err := t.lookupLocked(i, addr, u.Flags&Create != 0, u.Flags&(ExtLearned|ExtValidated) != 0 || u.State == Permanent, u.Cause, now)
	if err != nil {
		return err
	}
	var w work
	err = s.updateLocked(e, &u, now, &w)
	s.mu.Unlock()
	s.perform(&w)
	return err
}

// knows is a counted lookup, without a lock, that reports whether u says only what
// the entry for ip has already, so that the update procedure would change nothing:
// a frame that proves nothing, from the address in force. A host that many ask
// hears little else.
func (i *Interface) knows(ip uint32, u *Update) bool {
	if u.State != Stale || !u.HasLLAddr || u.Flags&(OverrideISRouter|Admin|Use|Managed) != 0 {
		return false
	}
	key := makeKey(i.index, ip)
	hash := i.table.hash(key)
	s := &i.table.shards[hash>>(64-shardBits)]
	slot := s.index.find(hash, key)
	if slot == nil {
		return false
	}
	w := word(slot.word.Load())
	if w&deadBit != 0 || w.state()&(Reachable|Stale|Delay|Probe) == 0 || w.lladdr() != u.LLAddr {
		return false
	}
	s.lookups.Add(1)
	s.hits.Add(1)
	return true
}

// lookupLocked is a counted lookup. Without an error the entry's shard is locked.
func (t *Table) lookupLocked(i *Interface, ip uint32, create, exempted bool, cause Cause, now instant) (*shard, *entry, error) {
	key := makeKey(i.index, ip)
	hash := t.hash(key)
	s := &t.shards[hash>>(64-shardBits)]
	s.lookups.Add(1)
	s.mu.Lock()
	if e := s.index.lookup(hash, key); e != nil {
		s.hits.Add(1)
		return s, e, nil
	}
	s.mu.Unlock()
	if !create {
		return nil, nil, ErrNotFound
	}
	return t.obtain(i, ip, exempted, cause, now)
}

// Lookup returns the entry for ip. It counts as a lookup. The data path uses
// Interface.Lookup, which takes no lock.
func (t *Table) Lookup(iface int, ip netip.Addr) (EntryInfo, bool) {
	i, addr, err := t.locate(iface, ip)
	if err != nil {
		return EntryInfo{}, false
	}
	now := t.now()
	s, e, err := t.lookupLocked(i, addr, false, false, CauseUnknown, now)
	if err != nil {
		return EntryInfo{}, false
	}
	defer s.mu.Unlock()
	return e.infoLocked(now), true
}

// Confirm notes evidence that the neighbour works: forward progress seen by an
// upper layer (RFC 4861 section 7.3.1). It makes no entry, changes no state, and
// takes no lock.
func (t *Table) Confirm(iface int, ip netip.Addr) {
	i, addr, err := t.locate(iface, ip)
	if err != nil {
		return
	}
	if s := i.find(addr); s != nil {
		s.confirm(t)
	}
}

// All yields a snapshot of each entry, in no particular order. No lock is held
// while the loop's body runs; entries that come or go meanwhile may be missed.
func (t *Table) All() iter.Seq[EntryInfo] {
	return func(yield func(EntryInfo) bool) {
		var infos []EntryInfo
		for i := range t.shards {
			s := &t.shards[i]
			infos = infos[:0]
			s.mu.Lock()
			now := t.now()
			for e := range s.index.allLocked() {
				infos = append(infos, e.infoLocked(now))
			}
			s.mu.Unlock()
			for _, info := range infos {
				if !yield(info) {
					return
				}
			}
		}
	}
}

// Subscribe returns a reader of the table's events with room for buffer of them.
// While there is none, events cost next to nothing.
func (t *Table) Subscribe(buffer int) *Subscription { return t.events.subscribe(buffer) }
