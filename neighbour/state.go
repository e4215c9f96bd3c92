package neighbour

import "strings"

// State is an entry's NUD state, one bit as in Linux; None is zero.
type State uint8

// The states, with Linux's values. RFC 4861 section 7.3.2 has Incomplete to
// Probe; the others are Linux's.
const (
	None       State = 0
	Incomplete State = 0x01
	Reachable  State = 0x02
	Stale      State = 0x04
	Delay      State = 0x08
	Probe      State = 0x10
	Failed     State = 0x20
	NoARP      State = 0x40
	Permanent  State = 0x80
)

const (
	inTimer   = Incomplete | Reachable | Delay | Probe
	valid     = Permanent | NoARP | Reachable | Probe | Stale | Delay
	connected = Permanent | NoARP | Reachable
)

// Valid reports whether an entry in this state has a usable link-layer address.
func (s State) Valid() bool { return s&valid != 0 }

// Connected reports whether packets may go out without further ado.
func (s State) Connected() bool { return s&connected != 0 }

// InTimer reports whether a timer runs in this state.
func (s State) InTimer() bool { return s&inTimer != 0 }

// States returns all nine states, in the order of their values.
func States() []State {
	return []State{None, Incomplete, Reachable, Stale, Delay, Probe, Failed, NoARP, Permanent}
}

// String returns iproute2's word for the state, in capitals.
func (s State) String() string {
	switch s {
	case None:
		return "NONE"
	case Incomplete:
		return "INCOMPLETE"
	case Reachable:
		return "REACHABLE"
	case Stale:
		return "STALE"
	case Delay:
		return "DELAY"
	case Probe:
		return "PROBE"
	case Failed:
		return "FAILED"
	case NoARP:
		return "NOARP"
	case Permanent:
		return "PERMANENT"
	}
	return "UNKNOWN"
}

// ParseState returns the state that iproute2 calls name, in either case.
func ParseState(name string) (s State, ok bool) {
	for _, s := range States() {
		if strings.EqualFold(name, s.String()) {
			return s, true
		}
	}
	return None, false
}

// MarshalText implements encoding.TextMarshaler with the form of String.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// StateSet is a set of states. It has a bit for None, unlike State.
type StateSet uint16

const noneBit StateSet = 0x100

func setOf(states ...State) StateSet {
	var set StateSet
	for _, s := range states {
		set |= s.bit()
	}
	return set
}

func (s State) bit() StateSet {
	if s == None {
		return noneBit
	}
	return StateSet(s)
}

// Has reports whether s is in the set.
func (set StateSet) Has(s State) bool { return set&s.bit() != 0 }

// String lists the states, or says "any".
func (set StateSet) String() string {
	var names []string
	for _, s := range States() {
		if set.Has(s) {
			names = append(names, s.String())
		}
	}
	if len(names) == len(States()) {
		return "any"
	}
	return strings.Join(names, ", ")
}
