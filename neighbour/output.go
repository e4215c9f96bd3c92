package neighbour

import (
	"encoding/binary"
	"net/netip"

	"github.com/tapstack/tapstack/link"
)

// Output sends p, whose front is its network header and whose EtherType is set,
// to nextHop, and takes it. A packet whose next hop is not resolved waits, and
// Output succeeds: failure is reported to Config.Unreachable. Packets that one
// goroutine hands in for a next hop leave in that order.
//
// The error is ErrDown, ErrTableFull, ErrAddress, or the device's.
func (i *Interface) Output(nextHop netip.Addr, p *link.Packet) error {
	if !nextHop.Is4() {
		i.table.drops.Drop(p, link.IPInvalidDest)
		return ErrAddress
	}
	b := nextHop.As4()
	ip := i.collapse(binary.BigEndian.Uint32(b[:]))
	if s := i.find(ip); s != nil {
		// One load gives address and state. This path writes nothing that
		// another core reads, in particular not the time of use: a busy entry
		// goes stale like an idle one unless somebody confirms it.
		if w := word(s.word.Load()); w&fastBit != 0 {
			if p.Confirm {
				s.confirm(i.table)
			}
			return i.transmit(p, w)
		}
	}
	return i.outputSlow(ip, p)
}

// find returns the slot for ip, or nil, without a lock.
func (i *Interface) find(ip uint32) *slot {
	key := makeKey(i.index, ip)
	hash := i.table.hash(key)
	return i.table.shards[hash>>(64-shardBits)].index.find(hash, key)
}

// confirm notes evidence for the slot's entry, if it has one, without a lock.
func (s *slot) confirm(t *Table) {
	if e := s.entry.Load(); e != nil {
		e.confirmed.Store(int64(t.now()))
	}
}

// transmit puts an Ethernet header in front of p, to the address in w and from
// the interface's own, and writes it. Both addresses are in the upper six bytes of
// a word, so the header is three stores.
func (i *Interface) transmit(p *link.Packet, w word) error {
	own := i.own.Load()
	b := p.Push(link.EthernetHeaderLen)
	_ = b[link.EthernetHeaderLen-1]
	binary.BigEndian.PutUint64(b, uint64(w)&^0xffff|own>>48)
	binary.BigEndian.PutUint32(b[8:], uint32(own>>16))
	binary.BigEndian.PutUint16(b[12:], uint16(p.EtherType))
	return i.link.Write(p)
}

// outputSlow is Output for an entry that does not exist yet, or has to know of
// the packet (neigh_resolve_output).
func (i *Interface) outputSlow(ip uint32, p *link.Packet) error {
	t := i.table
	if !i.up.Load() {
		t.drops.Drop(p, link.DevReady)
		return ErrDown
	}
	now := t.now()
	s, e, err := t.obtain(i, ip, false, CausePacket, now)
	if err != nil {
		reason := link.NeighCreateFail
		if err == ErrDown {
			reason = link.DevReady
		}
		t.drops.Drop(p, reason)
		return err
	}
	var w work
	if p.Confirm {
		e.confirmed.Store(int64(now))
	}
	s.stepLocked(e, TriggerUse, CausePacket, p, now, &w)
	s.mu.Unlock()
	return s.perform(&w)
}

// Lookup returns what is known about ip: its link-layer address and state. It
// takes no lock, changes nothing and counts nowhere. ok is false when there is no
// entry.
func (i *Interface) Lookup(ip netip.Addr) (a link.Addr, s State, ok bool) {
	addr, is4 := parse(ip)
	if !is4 {
		return link.Addr{}, None, false
	}
	sl := i.find(i.collapse(addr))
	if sl == nil || sl.entry.Load() == nil {
		return link.Addr{}, None, false
	}
	w := word(sl.word.Load())
	return w.lladdr(), w.state(), true
}

// Confirm is Table.Confirm for an address on this interface.
func (i *Interface) Confirm(ip netip.Addr) {
	if addr, ok := parse(ip); ok {
		if s := i.find(i.collapse(addr)); s != nil {
			s.confirm(i.table)
		}
	}
}
