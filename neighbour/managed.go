package neighbour

import (
	"slices"
	"sync"
)

// managedList holds the entries that are to be kept resolved, in the order in
// which they became so. Its mutex is a leaf.
type managedList struct {
	mu       sync.Mutex
	entries  []*entry
	schedule schedule
}

func (m *managedList) add(e *entry, now instant) {
	m.mu.Lock()
	m.entries = append(m.entries, e)
	m.mu.Unlock()
	m.schedule.wake(now)
}

func (m *managedList) remove(e *entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.Index(m.entries, e); i >= 0 {
		m.entries = slices.Delete(m.entries, i, i+1)
	}
}

func (m *managedList) snapshot() []*entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.entries)
}

// tend uses each managed entry, so that it stays resolved. It reports whether
// there are any.
func (t *Table) tend() bool {
	var w work
	for _, e := range t.managed.snapshot() {
		s := t.shardOf(e.key())
		s.mu.Lock()
		if e.marks&kept != 0 {
			s.stepLocked(e, TriggerManaged, CauseManaged, nil, t.now(), &w)
		}
		s.mu.Unlock()
		s.perform(&w)
	}
	return len(t.managed.snapshot()) > 0
}
