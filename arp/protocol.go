package arp

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack/clock"
	"github.com/tapstack/tapstack/stack/devconf"
)

// Host is what ARP asks of the network layer. Interfaces are named by index.
// Implementations answer from immutable tables: they are called for every ARP
// packet.
type Host interface {
	// AddrType classifies an address (Linux's inet_addr_type).
	AddrType(ip netip.Addr) neighbour.AddrType
	// InputRoute decides about a packet from src to dst arriving on iface, as
	// Linux's ip_route_input: Local, or Unicast leaving by out. ok is false when
	// the packet would be refused, as martian or for want of a route.
	InputRoute(dst, src netip.Addr, iface int) (t neighbour.AddrType, out int, ok bool)
	// OutputInterface tells by which interface a packet from src to dst would
	// leave; ok is false when there is no route.
	OutputInterface(dst, src netip.Addr) (out int, ok bool)
	// Addresses lists the addresses of iface, in the order they were added;
	// those of every interface when iface is 0.
	Addresses(iface int) []Address
	// SelectSource chooses the address of iface to speak to target from, as
	// Linux's inet_select_addr; 0.0.0.0 when the host has none.
	SelectSource(iface int, target netip.Addr) netip.Addr
}

// Scope is how far an address is valid, with Linux's numbers: a larger number
// is a narrower scope.
type Scope uint8

// The scopes that matter to ARP (RT_SCOPE_*).
const (
	ScopeGlobal Scope = 0
	ScopeLink   Scope = 253
	ScopeHost   Scope = 254
)

// Address is an address of an interface with its subnet.
type Address struct {
	Prefix netip.Prefix // the address itself and the prefix length
	Scope  Scope
}

// Config is what a Protocol is made of. Neighbours, Host and Drops are
// needed; Rand may be nil when neither proxy_delay nor claims are used.
type Config struct {
	Clock      clock.Clock
	Rand       *rand.Rand // safe for concurrent use
	Neighbours *neighbour.Table
	Host       Host
	Drops      *link.Drops

	// Filter is what SetFilter sets. Default: everything passes.
	Filter Filter
	// BroadcastReply sends replies to everybody instead of who asked, for links
	// where that finds duplicate addresses sooner (RFC 5227, section 2.6).
	BroadcastReply bool
}

// Protocol is a host's ARP.
type Protocol struct {
	cfg    Config
	Stats  Stats
	ifaces atomic.Pointer[map[int]*iface] // immutable; writers hold mu
	hooks  atomic.Pointer[hooks]          // nil: there are none; writers hold mu
	mu     sync.Mutex
	proxy  proxyQueue
	closed bool
	acd    acd
}

// iface is an interface as ARP sees it; immutable.
type iface struct {
	index   int
	addr    link.Addr
	dev     link.Writer
	noARP   bool
	answers *answers
	conf    *devconf.Device
	down    bool   // there is no link
	epoch   uint64 // grows when the link comes back, and when addr changes
}

// InterfaceConfig describes an interface to AddInterface.
type InterfaceConfig struct {
	Index int             // positive, unique
	Addr  link.Addr       // its own hardware address
	Link  link.Writer     // takes finished frames
	NoARP bool            // IFF_NOARP: sends and heeds no ARP
	Conf  *devconf.Device // nil: the interface has no IPv4, and its ARP is dropped
}

// New returns a Protocol without interfaces.
func New(cfg Config) *Protocol {
	pr := &Protocol{cfg: cfg}
	pr.ifaces.Store(&map[int]*iface{})
	pr.SetFilter(cfg.Filter)
	return pr
}

// AddInterface makes an interface known. The error says that the index is taken.
func (pr *Protocol) AddInterface(c InterfaceConfig) error {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	m := maps.Clone(*pr.ifaces.Load())
	if m[c.Index] != nil {
		return fmt.Errorf("arp: interface %d exists", c.Index)
	}
	m[c.Index] = &iface{index: c.Index, addr: c.Addr, dev: c.Link, noARP: c.NoARP, answers: &answers{pr: pr, dev: c.Link}, conf: c.Conf}
	pr.ifaces.Store(&m)
	return nil
}

// RemoveInterface forgets an interface, its delayed requests and the claims to
// its addresses.
func (pr *Protocol) RemoveInterface(index int) {
	pr.mu.Lock()
	m := maps.Clone(*pr.ifaces.Load())
	delete(m, index)
	pr.ifaces.Store(&m)
	pr.mu.Unlock()
	for _, c := range pr.claims(index) {
		c.Release()
	}
	pr.acd.mu.Lock()
	delete(pr.acd.attempts, index)
	pr.acd.mu.Unlock()
	pr.Purge()
}

// SetLLAddr changes the hardware address that interface index answers with.
func (pr *Protocol) SetLLAddr(index int, a link.Addr) {
	pr.edit(index, func(i *iface) {
		if i.addr != a {
			i.addr = a
			i.epoch++
		}
	})
	pr.followLink(index)
}

// SetNoARP turns ARP off or on for interface index (IFF_NOARP).
func (pr *Protocol) SetNoARP(index int, off bool) {
	pr.edit(index, func(i *iface) { i.noARP = off })
}

func (pr *Protocol) edit(index int, f func(*iface)) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	m := maps.Clone(*pr.ifaces.Load())
	if old := m[index]; old != nil {
		i := *old
		f(&i)
		m[index] = &i
		pr.ifaces.Store(&m)
	}
}

// Close drops the delayed requests, ends all claims and listeners, and stops the
// timers.
func (pr *Protocol) Close() {
	pr.mu.Lock()
	pr.closed = true
	pr.mu.Unlock()
	if h := pr.hooks.Load(); h != nil {
		for _, l := range h.listeners {
			l.Close()
		}
	}
	for _, c := range pr.claims(0) {
		c.Release()
	}
	pr.Purge()
}
