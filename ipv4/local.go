package ipv4

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// localSet is table local once more, as a hash table. Every packet asks whether
// its addresses are ours, mostly about strangers, and a trie has to be walked to
// say no. It never changes.
type localSet struct {
	masks []uint32 // of the prefixes, the longest first
	slots []localSlot
}

type localSlot struct {
	prefix, mask uint32
	routes       []*route // nil in a free slot
}

// maxLocalSet is how many prefixes a localSet holds at most, as it is made anew
// for each change; a larger table has none.
const maxLocalSet = 1024

// newLocalSet returns the set for t, nil if that is too large.
func newLocalSet(t *table) *localSet {
	n := t.Size4()
	if n > maxLocalSet {
		return nil
	}
	size := 8
	for size < 2*n+1 {
		size *= 2
	}
	s := &localSet{slots: make([]localSlot, size)}
	for dst, routes := range t.All4() {
		mask := ^uint32(0) << (32 - dst.Bits())
		if !slices.Contains(s.masks, mask) {
			s.masks = append(s.masks, mask)
		}
		slot := localSlot{bits32(dst.Addr()), mask, routes}
		at := s.hash(slot.prefix)
		for s.slots[at].routes != nil {
			at = (at + 1) & uint32(size-1)
		}
		s.slots[at] = slot
	}
	slices.SortFunc(s.masks, func(a, b uint32) int { return int(int64(b) - int64(a)) })
	return s
}

// hash spreads neighbouring addresses. Strangers cannot make chains longer: only
// our own addresses are in the table.
func (s *localSet) hash(prefix uint32) uint32 {
	return prefix * 0x9e3779b1 >> 8 & uint32(len(s.slots)-1)
}

// lookup returns the routes of the longest prefix that holds a.
func (s *localSet) lookup(a netip.Addr) ([]*route, bool) {
	ip := bits32(a)
	for _, mask := range s.masks {
		prefix := ip & mask
		for at := s.hash(prefix); ; at = (at + 1) & uint32(len(s.slots)-1) {
			slot := &s.slots[at]
			if slot.routes == nil {
				break
			}
			if slot.prefix == prefix && slot.mask == mask {
				return slot.routes, true
			}
		}
	}
	return nil, false
}

func bits32(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}
