package neighbour

import "github.com/tapstack/tapstack/link"

// Flags qualify an Update. ISRouter, Managed, ExtLearned and ExtValidated are
// also what an entry remembers.
type Flags uint16

// The flags.
const (
	// Override lets a different link-layer address replace the one in force.
	Override Flags = 1 << iota
	// WeakOverride makes a connected entry suspect instead of replacing its
	// address. Only IPv6 uses it.
	WeakOverride
	// OverrideISRouter lets ISRouter set and clear the entry's router flag.
	OverrideISRouter
	// ISRouter says the neighbour is a router.
	ISRouter
	// Admin: a command, which may do anything.
	Admin
	// Use asks for the entry to be resolved; state and address are ignored.
	Use
	// Managed keeps the entry resolved from now on.
	Managed
	// ExtLearned marks an entry that a control plane installed: not collected.
	ExtLearned
	// ExtValidated marks an entry that a control plane validated: it is kept,
	// stale, when it cannot be confirmed.
	ExtValidated
	// OverrideUnlocked is Override if the last change is longer ago than
	// locktime.
	OverrideUnlocked
	// Create makes the entry when there is none.
	Create
)

// persistent are the flags that an entry remembers.
const persistent = ISRouter | Managed | ExtLearned | ExtValidated

// Update is news about a neighbour, from a frame or a command.
type Update struct {
	LLAddr    link.Addr
	HasLLAddr bool
	State     State // what the news prove: Reachable or Stale, for a frame
	Flags     Flags
	Cause     Cause  // for events
	Detail    string // for events: free text
}

// adminFlags are what a command sets and clears as a whole.
const adminFlags = ExtLearned | Managed | ExtValidated

// news is an Update as the machine sees it.
type news struct {
	lladdr    link.Addr
	hasLLAddr bool
	state     State
	flags     Flags
}

// outcome is what an update came to.
type outcome struct {
	do       Action
	notify   bool  // Linux sends RTM_NEWNEIGH when all is done
	regroup  bool  // what decides on being collectable has changed
	managed  bool  // the managed flag has changed
	rejected error // ErrDead, ErrNotPermitted, ErrNoLLAddr, or nil
}

// update is Linux's generic update procedure (__neigh_update). Its steps are in
// the order in which Linux decides, on which much of the behaviour rests.
func (n *nud) update(u news, now instant, c *tunables) (o outcome) {
	old := n.state

	// A dead entry takes no news.
	if n.dead {
		o.do, o.rejected = Reject, ErrDead
		return o
	}

	// Only a command changes what a command, or the kind of address, fixed.
	if u.flags&Admin == 0 && old&(NoARP|Permanent) != 0 {
		o.do, o.rejected = Reject, ErrNotPermitted
		return o
	}

	// A command says what the flags are, those it does not name are cleared.
	if u.flags&Admin != 0 {
		if set := u.flags & adminFlags; set != n.flags&adminFlags {
			o.notify = true
			o.regroup = (n.flags^set)&(ExtLearned|ExtValidated) != 0
			o.managed = (n.flags^set)&Managed != 0
			n.flags = n.flags&^adminFlags | set
		}
	}

	// To be used or managed: no news about state or address.
	if u.flags&(Use|Managed) != 0 {
		n.state &^= Permanent
		o.regroup = o.regroup || n.state != old
		return n.finish(u, o, false)
	}

	// Not valid any more.
	if !u.state.Valid() {
		n.deadline = never
		n.state = u.state
		o.regroup = o.regroup || old == Permanent
		o.notify = o.notify || old.Valid()
		if old&(Incomplete|Probe) != 0 && u.state == Failed {
			n.updated = now
			o.do |= Fail
			o.notify = true
		}
		return n.finish(u, o, false)
	}

	// Which address, and is it another one? The address that an entry which is
	// not valid still remembers does not count.
	lladdr, differs := u.lladdr, true
	switch {
	case !u.hasLLAddr && !old.Valid():
		o.do, o.rejected = Reject, ErrNoLLAddr
		return n.finish(u, o, false)
	case !u.hasLLAddr:
		lladdr, differs = n.lladdr, false
	case old.Valid() && u.lladdr == n.lladdr:
		differs = false
	}

	// Evidence counts before anybody asks whether the address may be replaced.
	state := u.state
	if state.Connected() {
		n.confirmed = now
		o.do |= TouchConfirmed
	}

	router := u.flags&OverrideISRouter != 0
	switch {
	case !old.Valid():
	case differs && u.flags&Override == 0:
		router = false
		if u.flags&WeakOverride == 0 || !old.Connected() {
			return n.finish(u, o, router)
		}
		lladdr, differs, state = n.lladdr, false, Stale
	case !differs && state == Stale && u.flags&Admin == 0:
		// An address heard again says nothing against what is known.
		state = old
	}

	if state != old || differs {
		n.updated = now
	}
	if state != old {
		n.enter(state, now, c)
		o.regroup = o.regroup || (old^state)&Permanent != 0
		o.notify = true
	}
	if differs {
		n.lladdr = lladdr
		if !state.Connected() {
			n.confirmed = now.add(-2 * c.BaseReachableTime)
			o.do |= AgeConfirmed
		}
		o.do |= StoreLLAddr
		o.notify = true
	}
	if !old.Valid() {
		o.do |= Flush
	}
	return n.finish(u, o, router)
}

// enter changes to a valid state, with the timer that belongs to it.
func (n *nud) enter(s State, now instant, c *tunables) {
	n.state = s
	switch s {
	case Reachable:
		n.arm(ArmReachable, now, c)
	case Delay, Probe:
		n.arm(ArmNow, now, c)
	default:
		n.deadline = never
	}
	if s == Probe {
		n.probes = 0
	}
	if n.deadline != never {
		n.used = max(n.used, n.confirmed)
	}
}

// finish ends an update: the router flag, and the announcement.
func (n *nud) finish(u news, o outcome, router bool) outcome {
	if router && (n.flags^u.flags)&ISRouter != 0 {
		n.flags ^= ISRouter
		o.notify = true
	}
	if o.notify {
		o.do |= Announce
	}
	return o
}
