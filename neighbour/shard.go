package neighbour

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/clock"
)

// shard is a part of the table with a lock of its own: a monitor.
type shard struct {
	index index // read without the lock
	_     [24]byte

	mu        sync.Mutex
	deadlines deadlines
	timer     clock.Timer // nil until first needed
	wake      instant     // when timer fires, never when it does not
	closed    bool
	table     *Table

	lookups, hits, discards, failed, destroyed atomic.Uint64
}

// work is what an operation leaves to be done once the shard is unlocked. Its
// zero value is nothing.
type work struct {
	send    *link.Packet // to the address in to, by iface
	to      word
	iface   *Interface
	ask     bool
	request Solicitation
	failed  link.Queue // to be reported unreachable
	dropped link.Queue // for reason
	reason  link.DropReason
	drain   *entry
	batch   link.Queue // of drain, the first packets to be sent
}

func (w *work) some() bool {
	return w.send != nil || w.ask || w.drain != nil || w.failed.Len() > 0 || w.dropped.Len() > 0
}

// drop leaves a queue of packets to be dropped. An operation has one reason.
func (w *work) drop(q link.Queue, reason link.DropReason) {
	for p := q.Pop(); p != nil; p = q.Pop() {
		w.dropped.Queue(p)
		w.reason = reason
	}
}

// perform does what w says, and empties it. No lock is held. The error is that
// of the device, for a packet that was sent.
func (s *shard) perform(w *work) (err error) {
	t := s.table
	for p := w.dropped.Pop(); p != nil; p = w.dropped.Pop() {
		t.drops.Drop(p, w.reason)
	}
	if w.send != nil {
		err = w.iface.transmit(w.send, w.to)
	}
	if w.ask && t.config.Solicit != nil {
		t.config.Solicit(w.request)
	}
	for p := w.failed.Pop(); p != nil; p = w.failed.Pop() {
		if t.config.Unreachable != nil {
			t.config.Unreachable(p)
		} else {
			t.drops.Drop(p, link.NeighFailed)
		}
	}
	if w.drain != nil {
		s.drain(w.drain, w.batch)
	}
	*w = work{}
	return err
}

// nudLocked returns e as the machine sees it.
func (s *shard) nudLocked(e *entry) nud {
	w := e.load()
	return nud{
		state: w.state(), flags: w.flags(), dead: w&deadBit != 0, lladdr: w.lladdr(), probes: int(e.probes),
		used: e.used, confirmed: instant(e.confirmed.Load()), updated: e.updated, deadline: s.deadlines.of(e),
		queued: e.queuedLocked(),
	}
}

// storeLocked takes the machine's result, which was before, into e.
func (s *shard) storeLocked(e *entry, before, n *nud) {
	if n.confirmed != before.confirmed {
		// Only then: a confirmation may have come in without the lock.
		e.confirmed.Store(int64(n.confirmed))
	}
	e.used, e.updated, e.probes = n.used, n.updated, int32(n.probes)
	if n.deadline != before.deadline {
		s.deadlines.set(e, n.deadline)
	}
	if n.state != before.state && n.state&(Failed|NoARP) != 0 || n.deadline == never && before.deadline != never && n.updated == before.updated {
		s.table.collector.stir()
	}
	s.setWordLocked(e, makeWord(n.lladdr, n.state, n.flags, n.dead, s.fastLocked(e, n.state, n.dead)))
}

func (s *shard) setWordLocked(e *entry, w word) {
	if w != e.load() {
		key := e.key()
		s.index.setWordLocked(s.table.hash(key), key, e, w)
	}
}

// fastLocked reports whether packets may take the fast path.
func (s *shard) fastLocked(e *entry, state State, dead bool) bool {
	return state.Connected() && !dead && e.marks&(headerBuilt|draining) == headerBuilt && e.pending == nil
}

// publishLocked brings the fast bit up to date.
func (s *shard) publishLocked(e *entry) {
	w := e.load() &^ fastBit
	if s.fastLocked(e, w.state(), w&deadBit != 0) {
		w |= fastBit
	}
	s.setWordLocked(e, w)
}

// stepLocked runs the machine for a trigger. It takes p, which may be nil.
func (s *shard) stepLocked(e *entry, tr Trigger, cause Cause, p *link.Packet, now instant, w *work) {
	n := s.nudLocked(e)
	before := n
	c := e.iface.block.load()
	ef := n.step(tr, now, c)
	if p != nil {
		switch {
		case ef.do&Transmit != 0 && e.marks&draining != 0:
			w.drop(e.enqueueLocked(p, drainBacklog), link.NeighQueueFull)
			p = nil
		case ef.do&Transmit != 0:
			e.marks |= headerBuilt
			w.send, w.to, w.iface = p, makeWord(n.lladdr, n.state, 0, false, false), e.iface
			p = nil
		case ef.do&Enqueue != 0:
			w.drop(e.enqueueLocked(p, c.UnresQueueBytes), link.NeighQueueFull)
		default:
			w.dropped.Queue(p)
			w.reason = link.NeighFailed
			p = nil
		}
	}
	s.storeLocked(e, &before, &n)
	if n.state != before.state {
		s.changedLocked(e, before.state, n.state, ef.do, cause, "", now)
	}
	if p != nil {
		if w.dropped.Len() > 0 {
			s.discards.Add(uint64(w.dropped.Len()))
			s.emitLocked(e, &Event{Kind: Discarded, Cause: cause, Count: w.dropped.Len()}, now)
		}
		s.emitLocked(e, &Event{Kind: Queued, Cause: cause, Count: e.queuedLocked()}, now)
	}
	if ef.do&Fail != 0 {
		s.failLocked(e, cause, now, w)
	}
	if ef.ask != askNone {
		s.askLocked(e, ef.ask, cause, now, w)
	}
	s.armLocked(now)
}

// failLocked counts a failure and leaves the packets that wait to be reported.
func (s *shard) failLocked(e *entry, cause Cause, now instant, w *work) {
	s.failed.Add(1)
	w.failed = e.takeLocked()
	if w.failed.Len() > 0 {
		s.emitLocked(e, &Event{Kind: Unreached, Cause: cause, Count: w.failed.Len()}, now)
	}
}

// askLocked leaves a request to be sent.
func (s *shard) askLocked(e *entry, how solicitation, cause Cause, now instant, w *work) {
	if how == askUser {
		s.emitLocked(e, &Event{Kind: Miss, Cause: cause, Announced: GetNeigh, Count: int(e.probes)}, now)
		return
	}
	w.ask = true
	w.request = Solicitation{Interface: e.iface.index, Target: e.addr(), Unicast: how == askUnicast, LLAddr: e.load().lladdr()}
	if e.pending != nil {
		if p := e.pending.Newest(); p != nil && p.Len() >= len(w.request.Head) {
			w.request.HasHead = true
			copy(w.request.Head[:], p.Bytes())
		}
	}
	s.emitLocked(e, &Event{Kind: Solicited, Cause: cause, Count: int(e.probes)}, now)
}

// changedLocked publishes a change of state, address or flags.
func (s *shard) changedLocked(e *entry, from, to State, do Action, cause Cause, detail string, now instant) {
	if !s.table.events.active() {
		return
	}
	ev := Event{Kind: Changed, Cause: cause, Detail: detail, From: from, To: to}
	if do&Announce != 0 {
		ev.Announced = NewNeigh
	}
	s.publishEventLocked(e, &ev, now)
}

// emitLocked publishes an event that is no change.
func (s *shard) emitLocked(e *entry, ev *Event, now instant) {
	if s.table.events.active() {
		ev.From = e.load().state()
		ev.To = ev.From
		s.publishEventLocked(e, ev, now)
	}
}

func (s *shard) publishEventLocked(e *entry, ev *Event, now instant) {
	ev.Time = s.table.epoch.Add(now.sub(0))
	ev.Entry = e.infoLocked(now)
	ev.Entry.State, ev.Entry.HasLLAddr = ev.To, ev.To.Valid()
	s.table.events.publish(ev)
}

// armLocked sees to it that the shard's timer fires at the earliest deadline. It
// is only ever moved forward: when a deadline goes away the timer fires for
// nothing, once.
func (s *shard) armLocked(now instant) {
	next := s.deadlines.next()
	if next >= s.wake || s.closed {
		return
	}
	s.wake = next
	d := max(next.sub(now), 0)
	if s.timer == nil {
		s.timer = s.table.config.Clock.AfterFunc(d, s.fire)
	} else {
		s.timer.Reset(d)
	}
}

// fireBatch is how many timers fire under one hold of the lock.
const fireBatch = 128

// firing is the value of wake while fire runs: it arms the timer itself at the
// end, so nobody else needs to.
const firing instant = math.MinInt64

// fire runs the timers that are due.
func (s *shard) fire() {
	var w work
	s.mu.Lock()
	s.wake = firing
	now := s.table.now()
	for n := 1; !s.closed && s.deadlines.next() <= now; n++ {
		s.stepLocked(s.deadlines.heap[0].entry, TriggerTimer, CauseTimer, nil, now, &w)
		if w.some() || n%fireBatch == 0 {
			s.mu.Unlock()
			s.perform(&w)
			s.mu.Lock()
			now = s.table.now()
		}
	}
	s.wake = never
	s.armLocked(now)
	s.mu.Unlock()
}

// updateLocked runs the update procedure.
func (s *shard) updateLocked(e *entry, u *Update, now instant, w *work) error {
	n := s.nudLocked(e)
	before := n
	c := e.iface.block.load()
	flags := u.Flags
	if flags&OverrideUnlocked != 0 && now > n.updated.add(c.LockTime) {
		flags |= Override
	}
	o := n.update(news{u.LLAddr, u.HasLLAddr, u.State, flags}, now, c)
	ask, flushed, mid := askNone, 0, n.state
	switch {
	case o.do&Flush != 0 && n.queued > 0:
		// The first packet that goes out is a use like any other.
		flushed = n.queued
		n.step(TriggerUse, now, c)
		if e.marks&draining == 0 {
			w.drain, w.batch = e, e.takeLocked()
		}
		e.marks |= headerBuilt | draining
	case s.table.config.Switches.ResolveIncomplete && flags&Admin != 0 && flags&(Use|Managed) == 0 && u.State == Incomplete:
		n.state = None
		ask = n.step(TriggerUse, now, c).ask
	}
	s.storeLocked(e, &before, &n)
	if o.regroup {
		s.regroupLocked(e)
	}
	if o.managed {
		s.manageLocked(e, now)
	}
	if mid != before.state || o.do&(StoreLLAddr|Announce) != 0 {
		// Linux builds the message when all is done, so it tells the last state.
		do := o.do
		if n.state != mid {
			do &^= Announce
		}
		s.changedLocked(e, before.state, mid, do, u.Cause, u.Detail, now)
	}
	if n.state != mid {
		s.changedLocked(e, mid, n.state, o.do&Announce, CausePacket, "", now)
	}
	if flushed > 0 {
		s.emitLocked(e, &Event{Kind: Flushed, Cause: u.Cause, Count: flushed}, now)
	}
	if o.do&Fail != 0 {
		s.failLocked(e, u.Cause, now, w)
	}
	if ask != askNone {
		s.askLocked(e, ask, u.Cause, now, w)
	}
	s.armLocked(now)
	return o.rejected
}

// regroupLocked brings e's membership of the collector's list up to date.
func (s *shard) regroupLocked(e *entry) {
	w := e.load()
	collectable := e.marks&exempt == 0 && w.state() != Permanent && w.flags()&(ExtLearned|ExtValidated) == 0
	switch {
	case collectable && e.marks&listed == 0:
		s.table.collector.add(e)
	case !collectable && e.marks&listed != 0:
		s.table.collector.remove(e)
	}
}

// manageLocked brings e's membership of the managed list up to date.
func (s *shard) manageLocked(e *entry, now instant) {
	if e.load().flags()&Managed != 0 {
		e.marks |= kept
		s.table.managed.add(e, now)
	} else {
		e.marks &^= kept
		s.table.managed.remove(e)
	}
}

// removeLocked takes e out of the table.
func (s *shard) removeLocked(e *entry, cause Cause, now instant, w *work) {
	n := s.nudLocked(e)
	before := n
	n.step(TriggerRemove, now, e.iface.block.load())
	n.dead = true
	w.drop(e.takeLocked(), link.NeighDead)
	s.storeLocked(e, &before, &n)
	key := e.key()
	s.index.removeLocked(s.table.hash(key), key)
	if e.marks&listed != 0 {
		s.table.collector.remove(e)
	}
	if e.marks&kept != 0 {
		e.marks &^= kept
		s.table.managed.remove(e)
	}
	s.destroyed.Add(1)
	s.table.entries.Add(-1)
	if s.table.events.active() {
		s.publishEventLocked(e, &Event{Kind: Removed, Cause: cause, Announced: DelNeigh, From: n.state, To: n.state}, now)
	}
}
