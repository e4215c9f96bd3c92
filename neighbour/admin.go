package neighbour

import (
	"net/netip"

	"github.com/tapstack/tapstack/link"
)

// Request is a command about one entry, with netlink's semantics (RTM_NEWNEIGH).
// iproute2's add is Create and Exclusive, change is Replace, replace is both
// Create and Replace.
type Request struct {
	LLAddr    link.Addr
	HasLLAddr bool
	State     State
	Flags     Flags // of ISRouter, Use, Managed, ExtLearned, ExtValidated
	Protocol  uint8 // 0 leaves it

	Create, Exclusive, Replace bool
}

// Set carries out a command. The flags that an entry remembers become those of
// the request. With Use or Managed the entry is used and its state and address
// stay. The errors are those of netlink: ErrNotFound, ErrExists, ErrNoLLAddr,
// ErrCombination, ErrTableFull, ErrNoInterface, ErrAddress, ErrDown.
func (t *Table) Set(iface int, ip netip.Addr, r Request) error {
	i, addr, err := t.locate(iface, ip)
	if err != nil {
		return err
	}
	use := r.Flags&(Use|Managed) != 0
	exempted := r.State == Permanent || r.Flags&(ExtLearned|ExtValidated) != 0
	absent := false
	now := t.now()
	s, e, err := t.lookupLocked(i, addr, false, false, CauseCommand, now)
	if err == ErrNotFound {
		switch {
		case !r.Create:
			return ErrNotFound
		case r.State == Permanent && r.Flags&Managed != 0,
			r.Flags&ExtValidated != 0 && (use || !r.State.Valid()):
			return ErrCombination
		}
		absent = true
		s, e, err = t.obtain(i, addr, exempted, CauseCommand, now)
	} else if r.Exclusive {
		s.mu.Unlock()
		return ErrExists
	}
	if err != nil {
		return err
	}

	flags := Admin | r.Flags&(ISRouter|adminFlags|Use)
	if absent || r.Replace {
		flags |= Override | OverrideISRouter
	}
	if r.Flags&ExtValidated != 0 && !absent {
		// A validated entry must have something that was validated.
		result := r.State
		if use {
			result = e.load().state() &^ Permanent
		}
		if !result.Valid() {
			s.mu.Unlock()
			return ErrCombination
		}
	}

	var w work
	u := Update{LLAddr: r.LLAddr, HasLLAddr: r.HasLLAddr, State: r.State, Flags: flags, Cause: CauseCommand}
	// Before the update, so that its announcement has it, and also when that is
	// refused (Linux's neigh_add).
	if r.Protocol != 0 {
		e.protocol = r.Protocol
	}
	err = s.updateLocked(e, &u, now, &w)
	s.mu.Unlock()
	s.perform(&w)
	if err != nil || !use {
		return err
	}

	s.mu.Lock()
	if e.load()&deadBit == 0 {
		s.stepLocked(e, TriggerUse, CauseCommand, nil, now, &w)
	}
	s.mu.Unlock()
	return s.perform(&w)
}

// Delete removes an entry as `ip neigh del` does: it fails first, which reports
// the packets that wait as unreachable, and then goes.
func (t *Table) Delete(iface int, ip netip.Addr) error {
	i, addr, err := t.locate(iface, ip)
	if err != nil {
		return err
	}
	now := t.now()
	s, e, err := t.lookupLocked(i, addr, false, false, CauseCommand, now)
	if err != nil {
		return err
	}
	var w work
	u := Update{State: Failed, Flags: Override | Admin, Cause: CauseCommand}
	err = s.updateLocked(e, &u, now, &w)
	if err == nil {
		s.removeLocked(e, CauseCommand, now, &w)
	}
	s.mu.Unlock()
	s.perform(&w)
	return err
}

// Filter selects entries.
type Filter struct {
	Interface int          // 0: any
	Prefix    netip.Prefix // invalid: any
	States    StateSet     // 0: all but PERMANENT and NOARP
}

// SetOf returns the set of the given states.
func SetOf(states ...State) StateSet { return setOf(states...) }

// Match reports whether f selects an entry.
func (f Filter) Match(e EntryInfo) bool {
	states := f.States
	if states == 0 {
		states = anyState &^ static
	}
	return (f.Interface == 0 || f.Interface == e.Interface) && (!f.Prefix.IsValid() || f.Prefix.Contains(e.IP)) && states.Has(e.State)
}

// Flush deletes the entries that f selects, one by one as `ip neigh flush` does,
// and returns how many.
func (t *Table) Flush(f Filter) (deleted int) {
	for e := range t.All() {
		if f.Match(e) && t.Delete(e.Interface, e.IP) == nil {
			deleted++
		}
	}
	return deleted
}
