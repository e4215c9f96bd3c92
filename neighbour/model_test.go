package neighbour

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/tapstack/tapstack/link"
)

// model is a naive neighbour table, written from the rules without a thought for
// speed or concurrency: a slice of entries, a clock that is a number, time that
// passes by looking for the next thing to happen.
type model struct {
	now       instant
	c         tunables // of the one interface
	period    time.Duration
	limits    Limits
	entries   []*modelEntry // in the order in which they became collectable
	lastFlush instant
	gcDue     instant
	manageDue instant
	managed   []*modelEntry
	log       []string
	failures  uint64
	discards  uint64
	fulls     uint64
}

type modelEntry struct {
	nud
	host  int
	queue []int
	built bool // the cached header
	list  bool // on the collector's list
}

func (m *model) find(host int) *modelEntry {
	for _, e := range m.entries {
		if e.host == host {
			return e
		}
	}
	return nil
}

func (m *model) say(e *modelEntry, format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf("%v: ", nth(e.host))+fmt.Sprintf(format, args...))
}

func (m *model) announce(e *modelEntry, what string) {
	s := what + " " + e.state.String()
	if e.state.Valid() {
		s += " " + last(e.lladdr)
	}
	m.say(e, "%s", s)
}

func (m *model) collectables() (n int) {
	for _, e := range m.entries {
		if e.list {
			n++
		}
	}
	return n
}

// create is GC-6 to GC-11 and ENT-10.
func (m *model) create(host int, exempt bool) *modelEntry {
	if before := m.collectables(); !exempt && (before >= m.limits.Thresh3 || before >= m.limits.Thresh2 && m.now > m.lastFlush.add(5*time.Second)) {
		removed := 0
		for _, e := range slices.Clone(m.entries) {
			if removed >= before+1-m.limits.Thresh2 {
				break
			}
			if e.list && e.deadline == never && (e.state == Failed || e.state == NoARP || m.now.sub(e.updated) > 5*time.Second) {
				m.remove(e)
				removed++
			}
		}
		m.lastFlush = m.now
		if removed == 0 && before >= m.limits.Thresh3 {
			m.fulls++
			return nil
		}
	}
	e := &modelEntry{host: host, list: !exempt}
	e.used, e.updated, e.confirmed, e.deadline = m.now, m.now, m.now.add(-2*m.c.BaseReachableTime), never
	m.entries = append(m.entries, e)
	return e
}

func (m *model) remove(e *modelEntry) {
	m.announce(e, "del")
	m.entries = slices.DeleteFunc(m.entries, func(x *modelEntry) bool { return x == e })
	m.managed = slices.DeleteFunc(m.managed, func(x *modelEntry) bool { return x == e })
}

func (m *model) send(host, n int, confirm bool) {
	e := m.find(host)
	if e == nil {
		if e = m.create(host, false); e == nil {
			return
		}
	}
	if confirm {
		e.confirmed = m.now
	}
	if e.state.Connected() && e.built {
		m.say(e, "frame %d to %s", n, last(e.lladdr)) // NUD-13, L3-6
		return
	}
	m.use(e, n, true)
}

// use is NUD-3, NUD-7 to NUD-13; packet 0 is none.
func (m *model) use(e *modelEntry, packet int, ask bool) {
	e.used = m.now
	transmit := func() {
		if packet != 0 {
			m.say(e, "frame %d to %s", packet, last(e.lladdr))
			e.built = true
		}
	}
	switch e.state {
	case None, Failed:
		e.updated = m.now
		if m.c.McastProbes+m.c.AppProbes == 0 {
			e.state = Failed
			return
		}
		e.state, e.probes = Incomplete, m.c.UcastProbes
		if packet != 0 {
			m.enqueue(e, packet)
		}
		if e.deadline = m.now; ask {
			e.deadline = m.now.add(max(m.c.RetransTime, 10*time.Millisecond))
			m.ask(e)
		}
		e.used = max(e.used, e.confirmed)
	case Incomplete:
		if packet != 0 {
			m.enqueue(e, packet)
		}
	case Stale:
		e.state, e.updated, e.deadline = Delay, m.now, m.now.add(m.c.DelayFirstProbeTime)
		e.used = max(e.used, e.confirmed)
		transmit()
	default:
		transmit()
	}
}

// enqueue is L3-4, for packets of 832 each.
func (m *model) enqueue(e *modelEntry, packet int) {
	for len(e.queue) > 0 && (len(e.queue)+1)*832 > m.c.UnresQueueBytes {
		e.queue = e.queue[1:]
		m.discards++
	}
	e.queue = append(e.queue, packet)
}

// ask is PRB-3.
func (m *model) ask(e *modelEntry) {
	switch {
	case e.probes < m.c.UcastProbes:
		m.say(e, "ask unicast to %s", last(e.lladdr))
	case e.probes < m.c.UcastProbes+m.c.AppProbes:
		m.announce(e, "miss")
	default:
		m.say(e, "ask broadcast")
	}
	e.probes++
}

func (m *model) fail(e *modelEntry) {
	m.failures++
	for _, n := range e.queue {
		m.say(e, "unreachable %d", n)
	}
	e.queue = nil
}

// timer is NUD-14 to NUD-24.
func (m *model) timer(e *modelEntry) {
	retrans := max(m.c.RetransTime, 10*time.Millisecond)
	D, RT := m.c.DelayFirstProbeTime, m.c.reachable
	e.deadline = never
	old := e.state
	switch e.state {
	case Reachable:
		switch {
		case m.now.sub(e.confirmed) < RT:
			e.deadline = max(e.confirmed.add(RT), m.now.add(10*time.Millisecond))
		case m.now.sub(e.used) < D:
			e.state, e.updated, e.deadline = Delay, m.now, m.now.add(D)
		default:
			e.state, e.updated = Stale, m.now
			m.announce(e, "new")
		}
		return
	case Delay:
		if m.now.sub(e.confirmed) < D {
			e.state, e.updated, e.deadline = Reachable, m.now, max(e.confirmed.add(RT), m.now.add(10*time.Millisecond))
			m.announce(e, "new")
			return
		}
		e.state, e.updated, e.probes = Probe, m.now, 0
	case Probe, Incomplete:
	default:
		return
	}
	most := m.c.UcastProbes + m.c.AppProbes + m.c.McastProbes
	if e.state == Probe {
		most += m.c.McastReprobes - m.c.McastProbes
	}
	if e.probes >= most {
		if e.updated = m.now; e.state == Probe && e.flags&ExtValidated != 0 {
			e.state = Stale
		} else {
			e.state = Failed
		}
		m.announce(e, "new")
		if e.state == Failed {
			m.fail(e)
		}
		return
	}
	if old == Delay {
		m.announce(e, "new")
	}
	e.deadline = m.now.add(retrans)
	m.ask(e)
}

func (m *model) update(e *modelEntry, u news, unlocked bool) error {
	if unlocked && m.now.sub(e.updated) > m.c.LockTime { // TMR-13
		u.flags |= Override
	}
	before := e.nud
	after, fail, flush, notify, err := modelUpdate(e.nud, u, m.now, &m.c)
	e.nud = after
	if flush && len(e.queue) > 0 { // UPD-11, NTF-3
		e.used, e.built = m.now, true
		if e.state == Stale {
			e.state, e.updated, e.deadline = Delay, m.now, m.now.add(m.c.DelayFirstProbeTime)
			e.used = max(e.used, e.confirmed)
		}
	}
	if notify {
		m.announce(e, "new")
	}
	if flush {
		for _, n := range e.queue {
			m.say(e, "frame %d to %s", n, last(e.lladdr))
		}
		e.queue = nil
	}
	if fail {
		m.fail(e)
	}
	if (before.state^e.state)&Permanent != 0 || (before.flags^e.flags)&(ExtLearned|ExtValidated) != 0 { // GC-12, UPD-12
		list := e.state != Permanent && e.flags&(ExtLearned|ExtValidated) == 0
		if list && !e.list { // at the end
			m.entries = append(slices.DeleteFunc(m.entries, func(x *modelEntry) bool { return x == e }), e)
		}
		e.list = list
	}
	in := slices.Contains(m.managed, e)
	if want := e.flags&Managed != 0; want && !in {
		m.managed = append(m.managed, e)
	} else if !want && in {
		m.managed = slices.DeleteFunc(m.managed, func(x *modelEntry) bool { return x == e })
	}
	return err
}

func (m *model) frame(host int, u news, unlocked, create bool) error {
	e := m.find(host)
	if e == nil {
		if !create {
			return ErrNotFound
		}
		if e = m.create(host, false); e == nil {
			return ErrTableFull
		}
	}
	return m.update(e, u, unlocked)
}

// set is NUD-40 to NUD-50.
func (m *model) set(host int, r Request) error {
	e := m.find(host)
	use := r.Flags&(Use|Managed) != 0
	fresh := e == nil
	if fresh {
		if !r.Create {
			return ErrNotFound
		}
		if r.State == Permanent && r.Flags&Managed != 0 || r.Flags&ExtValidated != 0 && (use || !r.State.Valid()) {
			return ErrCombination
		}
		if e = m.create(host, r.State == Permanent || r.Flags&(ExtLearned|ExtValidated) != 0); e == nil {
			return ErrTableFull
		}
	} else if r.Exclusive {
		return ErrExists
	}
	result := r.State
	if use {
		result = e.state &^ Permanent
	}
	if r.Flags&ExtValidated != 0 && !fresh && !result.Valid() {
		return ErrCombination
	}
	u := news{r.LLAddr, r.HasLLAddr, r.State, Admin | r.Flags}
	if fresh || r.Replace {
		u.flags |= Override | OverrideISRouter
	}
	err := m.update(e, u, false)
	if err == nil && use {
		m.use(e, 0, true)
	}
	return err
}

func (m *model) delete(host int) error {
	e := m.find(host)
	if e == nil {
		return ErrNotFound
	}
	err := m.update(e, news{state: Failed, flags: Admin | Override}, false)
	m.remove(e)
	return err
}

func (m *model) forget(match func(e *modelEntry) bool) {
	for _, e := range slices.Clone(m.entries) {
		if match(e) {
			m.remove(e)
		}
	}
}

// advance lets time pass: timers, TMR-9, TMR-10.
func (m *model) advance(d time.Duration) {
	for end := m.now.add(d); ; {
		when := min(m.gcDue, m.manageDue)
		var first *modelEntry
		for _, e := range m.entries {
			if e.deadline <= when {
				when, first = e.deadline, e
			}
		}
		if when > end {
			m.now = end
			return
		}
		m.now = max(m.now, when)
		switch {
		case first != nil:
			m.timer(first)
		case when == m.gcDue:
			m.gcDue = m.gcDue.add(m.period)
			m.collect()
		default:
			m.manageDue = m.manageDue.add(m.c.IntervalProbeTime)
			for _, e := range slices.Clone(m.managed) {
				m.use(e, 0, false)
			}
		}
	}
}

// collect is GC-1 to GC-5.
func (m *model) collect() {
	if len(m.entries) < m.limits.Thresh1 {
		return
	}
	m.forget(func(e *modelEntry) bool {
		if e.state&(Permanent|Incomplete|Reachable|Delay|Probe) != 0 || e.flags&(ExtLearned|ExtValidated) != 0 {
			return false
		}
		e.used = max(e.used, min(e.confirmed, m.now))
		return e.state == Failed || m.now.sub(e.used) >= m.c.GCStaleTime
	})
}

// row is what both tables must agree on about an entry after each step.
type row struct {
	ip                       netip.Addr
	state                    State
	lladdr                   link.Addr
	flags                    Flags
	used, confirmed, updated time.Duration // ago
	probes, refs, queue      int
}

func byIP(a, b row) int { return a.ip.Compare(b.ip) }

// dump returns the entries, and how many count against the thresholds and when
// they were last collected by force.
func (m *model) dump() (rows []row, collectables int, lastFlush instant) {
	for _, e := range m.entries {
		refs := 0
		if e.deadline != never {
			refs = 1
		}
		rows = append(rows, row{nth(e.host), e.state, e.lladdr, e.flags, m.now.sub(e.used), m.now.sub(e.confirmed), m.now.sub(e.updated), e.probes, refs, len(e.queue)})
	}
	slices.SortFunc(rows, byIP)
	return rows, m.collectables(), m.lastFlush
}
