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
