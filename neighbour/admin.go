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
	Protocol  uint8

	Create, Exclusive, Replace bool
}

// Filter selects entries.
type Filter struct {
	Interface int          // 0: any
	Prefix    netip.Prefix // invalid: any
	States    StateSet     // 0: all but PERMANENT and NOARP
}

// Set carries out a command. The errors are those of netlink.
func (t *Table) Set(iface int, ip netip.Addr, r Request) error { return ErrNoInterface }

// Delete removes an entry as `ip neigh del` does.
func (t *Table) Delete(iface int, ip netip.Addr) error { return ErrNotFound }

// Flush deletes the entries that f selects and returns how many.
func (t *Table) Flush(f Filter) int { return 0 }
