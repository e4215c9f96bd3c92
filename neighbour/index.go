package neighbour

import "sync/atomic"

// index finds a shard's entries by key. Readers take no lock: they load the
// slots and probe them linearly, looking at keys only until one matches. Writers
// hold the shard's mutex. A slot's key never changes once set, so a key and the
// entry beside it always belong together; removing an entry leaves its key
// behind, and a later rebuild into new slots drops it.
//
// A slot also has a copy of its entry's word, so that a packet on the fast path
// touches one line of memory and not two. The copy in slots that have been
// replaced is not kept up: who still reads those is as late as who had read the
// word itself just before it changed.
//
// The zero value is empty.
type index struct {
	slots atomic.Pointer[[]slot] // a power of two of them, at most three quarters with a key
	keys  int                    // slots that have a key
	live  int                    // slots that have an entry
}

type slot struct {
	key   atomic.Uint64
	entry atomic.Pointer[entry]
	word  atomic.Uint64
}

const minSlots = 8

// lookup returns the entry for key, whose hash is given, or nil. It needs no
// lock.
func (x *index) lookup(hash, key uint64) *entry {
	if s := x.find(hash, key); s != nil {
		return s.entry.Load()
	}
	return nil
}

// find returns the slot for key, which may have lost its entry, or nil. It needs
// no lock.
func (x *index) find(hash, key uint64) *slot {
	p := x.slots.Load()
	if p == nil {
		return nil
	}
	slots := *p
	mask := uint64(len(slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := &slots[i]
		switch s.key.Load() {
		case key:
			return s
		case 0:
			return nil
		}
	}
}

// setWordLocked changes an entry's word, which is in the index or just has been.
func (x *index) setWordLocked(hash, key uint64, e *entry, w word) {
	e.word.Store(uint64(w))
	if s := x.find(hash, key); s != nil && s.entry.Load() == e {
		s.word.Store(uint64(w))
	}
}

// insertLocked adds e, whose key is not in the index.
func (x *index) insertLocked(hash, key uint64, e *entry, hashOf func(uint64) uint64) {
	p := x.slots.Load()
	if p == nil || (x.keys+1)*4 > len(*p)*3 {
		p = x.rebuildLocked(hashOf)
	}
	if x.putLocked(*p, hash, key, e) {
		x.keys++
	}
	x.live++
}

// putLocked stores e in the slot for key and reports whether the slot was free.
// The entry is stored before the key, so that a reader who sees the key finds it.
func (x *index) putLocked(slots []slot, hash, key uint64, e *entry) (free bool) {
	mask := uint64(len(slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := &slots[i]
		switch s.key.Load() {
		case key:
			s.word.Store(e.word.Load())
			s.entry.Store(e)
			return false
		case 0:
			s.word.Store(e.word.Load())
			s.entry.Store(e)
			s.key.Store(key)
			return true
		}
	}
}

// rebuildLocked copies the live entries to new slots, of which less than half are
// then in use. Readers of the old ones still find all that was there.
func (x *index) rebuildLocked(hashOf func(uint64) uint64) *[]slot {
	n := minSlots
	for n < 2*(x.live+1) {
		n *= 2
	}
	slots := make([]slot, n)
	x.keys = 0
	if old := x.slots.Load(); old != nil {
		// From slot to slot: the entries themselves are all over the memory.
		for i := range *old {
			if s := &(*old)[i]; s.entry.Load() != nil {
				key := s.key.Load()
				moveLocked(slots, hashOf(key), key, s)
				x.keys++
			}
		}
	}
	x.slots.Store(&slots)
	return &slots
}

// moveLocked stores what from has for key, which is not in slots yet.
func moveLocked(slots []slot, hash, key uint64, from *slot) {
	mask := uint64(len(slots) - 1)
	i := hash & mask
	for slots[i].key.Load() != 0 {
		i = (i + 1) & mask
	}
	s := &slots[i]
	s.word.Store(from.word.Load())
	s.entry.Store(from.entry.Load())
	s.key.Store(key)
}

// removeLocked takes out the entry for key, whose word says that it is dead.
func (x *index) removeLocked(hash, key uint64) {
	x.find(hash, key).entry.Store(nil)
	x.live--
	if x.live == 0 {
		x.slots.Store(nil) // gives the memory back
		x.keys = 0
	}
}

// allLocked yields the entries. An entry may be removed meanwhile, even by the
// loop itself; one that is added may be missed.
func (x *index) allLocked() func(yield func(*entry) bool) {
	return func(yield func(*entry) bool) {
		p := x.slots.Load()
		if p == nil {
			return
		}
		for i := range *p {
			if e := (*p)[i].entry.Load(); e != nil && !yield(e) {
				return
			}
		}
	}
}
