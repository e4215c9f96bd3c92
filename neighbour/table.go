package neighbour

import (
	"iter"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/clock"
)

// Config is what a table needs. The zero value makes a working table that asks
// nobody and drops what it cannot send.
type Config struct {
	Name   string // "arp_cache" when empty
	Clock  clock.Clock
	Rand   *rand.Rand // nil: random.Secure()
	Params *Params    // nil: DefaultParams()
	Limits *Limits    // nil: DefaultLimits()

	// Classify says what ip is on an interface; asked once, when an entry is
	// made. nil knows multicast and limited broadcast only.
	Classify func(iface int, ip netip.Addr) AddrType
	// Solicit sends one request. Called with no lock held.
	Solicit func(s Solicitation)
	// Unreachable takes a packet whose next hop did not answer, its front at
	// the network header. Called with no lock held, oldest packet first.
	Unreachable func(p *link.Packet)

	Drops    *link.Drops // nil: a private one
	Switches Switches
}

// Solicitation is one request to be sent.
type Solicitation struct {
	Interface int
	Target    netip.Addr
	Unicast   bool      // to LLAddr, otherwise broadcast
	LLAddr    link.Addr // the address to be confirmed
	Head      [20]byte  // the first bytes of the newest packet that waits, an IPv4 header
	HasHead   bool
}

// Switches choose between Linux's behaviour, the zero value, and another.
type Switches struct {
	// LiteralTimers lets a timer that is evaluated in the very nanosecond it is
	// due count as not yet passed. Linux's timers are always late, so evidence
	// that is exactly delay_first_probe_time old is too old there; with this
	// switch on and an exact clock it is not.
	LiteralTimers bool
	// ResolveIncomplete makes a command that sets INCOMPLETE start a
	// resolution. In Linux the entry waits, without a timer, for a frame.
	ResolveIncomplete bool
	// GCTimeBudget stops a forced collection after 1 ms as Linux does. Off by
	// default, the only switch whose zero value is not Linux's way: what is
	// collected would depend on the load.
	GCTimeBudget bool
	// PlainDefaults lets a new interface follow later writes to the default
	// block of a value that had been written before. In Linux it does not.
	PlainDefaults bool
}

// Table is a neighbour table. Its methods may be called concurrently.
type Table struct {
	config Config
	events stream
}

// New returns an empty table.
func New(c Config) *Table { return &Table{config: c} }

// Close drops all entries and packets, stops the timers and ends the
// subscriptions.
func (t *Table) Close() { t.events.close() }

// Update tells the table news about a neighbour.
func (t *Table) Update(iface int, ip netip.Addr, u Update) error { return ErrNotFound }

// Lookup returns the entry for ip.
func (t *Table) Lookup(iface int, ip netip.Addr) (EntryInfo, bool) { return EntryInfo{}, false }

// Confirm notes evidence that the neighbour works, if there is an entry.
func (t *Table) Confirm(iface int, ip netip.Addr) {}

// All yields a snapshot of each entry, in no particular order.
func (t *Table) All() iter.Seq[EntryInfo] { return func(func(EntryInfo) bool) {} }

// Stats returns the counters.
func (t *Table) Stats() Stats { return Stats{} }

// Subscribe returns a reader of the table's events with room for buffer of them.
func (t *Table) Subscribe(buffer int) *Subscription { return t.events.subscribe(buffer) }

// Params returns an interface's parameters; index 0 is the default block.
func (t *Table) Params(iface int) (Params, error) { return Params{}, ErrNoInterface }

// SetParams replaces an interface's parameters; index 0 is the default block.
func (t *Table) SetParams(iface int, p Params) error { return ErrNoInterface }

// ReachableTime returns the interface's current random reachable_time.
func (t *Table) ReachableTime(iface int) (time.Duration, error) { return 0, ErrNoInterface }

// Sysctl returns net.ipv4.neigh.<dev>.<name>.
func (t *Table) Sysctl(dev, name string) (string, error) { return "", ErrNoSysctl }

// SetSysctl writes net.ipv4.neigh.<dev>.<name>.
func (t *Table) SetSysctl(dev, name, value string) error { return ErrNoSysctl }

// SysctlNames returns the names that Sysctl knows for dev.
func (t *Table) SysctlNames(dev string) []string { return nil }
