package ipv4

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/clock"
	"github.com/tapstack/tapstack/stack/devconf"
	"github.com/tapstack/tapstack/stack/random"
)

// Config holds what a Protocol needs from its host.
type Config struct {
	Clock clock.Clock
	Rand  *rand.Rand  // safe for concurrent use, as package random's are; nil: random.Secure
	Drops *link.Drops // counts what goes nowhere
	// Conf holds net.ipv4.conf; nil: one of its own. Interfaces are added to and
	// removed from it under their indices.
	Conf *devconf.Table
	// NextHopValid reports whether packets to a gateway on an interface would get
	// there as far as its neighbours know, or there is nothing known: multipath
	// routes ask it with fib_multipath_use_neigh. Nil: all would.
	NextHopValid func(index int, gateway netip.Addr) bool
}

// Protocol is the Internet Protocol of one host. Its methods may be called
// concurrently.
type Protocol struct {
	config   Config
	sysctls  sysctls
	stats    Stats
	handlers [256]atomic.Pointer[Handler]
	reporter atomic.Pointer[func(*link.Packet, ErrorMessage)]
	// groupsChanged is HandleGroups'.
	groupsChanged atomic.Pointer[func(*Interface)]
	raw           atomic.Pointer[RawHandler] // nil: nobody looks

	interfaces atomic.Pointer[interfaces] // never nil
	fib        atomic.Pointer[fib]        // never nil
	exceptions exceptions
	idents     idents
	fragments  fragments
	redirects  redirects
	hashSeed   uint64 // of flowHash

	subscriptions subscriptions

	mu        sync.Mutex  // held by who changes interfaces or fib
	lifetimes clock.Timer // of addresses; guarded by mu
	closed    bool        // guarded by mu
}

// New returns a Protocol without interfaces.
func New(c Config) *Protocol {
	if c.Drops == nil {
		c.Drops = new(link.Drops)
	}
	if c.Rand == nil {
		c.Rand = random.Secure()
	}
	if c.Conf == nil {
		c.Conf = devconf.New()
	}
	pr := &Protocol{config: c, hashSeed: c.Rand.Uint64()}
	pr.sysctls.reset()
	pr.interfaces.Store(new(interfaces))
	pr.fib.Store(newFIB())
	pr.idents.init(c.Clock, c.Rand)
	pr.fragments.init(pr)
	return pr
}

// Close releases the fragments that wait and stops all timers. Packets may
// still come; fragments among them are dropped.
func (pr *Protocol) Close() {
	pr.fragments.close()
	pr.mu.Lock()
	defer pr.mu.Unlock()
	pr.closed = true
	if pr.lifetimes != nil {
		pr.lifetimes.Stop()
	}
	pr.idents.close()
}

// setRoutesLocked publishes f. What was learned about paths by routes that stay is
// still believed.
func (pr *Protocol) setRoutesLocked(f *fib) { pr.fib.Store(f) }

func (pr *Protocol) drop(p *link.Packet, r link.DropReason) { pr.config.Drops.Drop(p, r) }
