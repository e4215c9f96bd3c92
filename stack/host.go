package stack

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/ipv4/icmp"
	"github.com/tapstack/tapstack/ipv4/igmp"
	"github.com/tapstack/tapstack/ipv4/raw"
	"github.com/tapstack/tapstack/ipv4/tcp"
	"github.com/tapstack/tapstack/ipv4/udp"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/packet"
	"github.com/tapstack/tapstack/link/pipe"
	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack/clock"
	"github.com/tapstack/tapstack/stack/devconf"
	"github.com/tapstack/tapstack/stack/random"
)

// Config is what a host is made of; the zero value is a working host with
// Linux's defaults.
type Config struct {
	// Name is the host's name, for people. Default "tapstack".
	Name string
	// Clock is where time comes from. The zero value is package time.
	Clock clock.Clock
	// Rand is the host's one source of randomness; it must be safe for
	// concurrent use, as those of stack/random are. Default: seeded securely.
	Rand *rand.Rand
	// Logger hears of what happens to interfaces, and of a full neighbour table.
	// Default: nobody does.
	Logger *slog.Logger
	// Resolver looks up names given to Dial. Default: the servers of SetDNS do.
	Resolver Resolver
	// Switches are documented departures from the kernel's neighbour behaviour,
	// all off by default.
	Switches neighbour.Switches
	// ARP has the Filter and the BroadcastReply of the host's ARP; the host fills
	// in the rest.
	ARP arp.Config
	// TCP adjusts the transport; the zero value has its defaults.
	TCP tcp.Config
}

// Host is a virtual host.
type Host struct {
	name     string
	clock    clock.Clock
	log      *slog.Logger
	resolver Resolver
	started  time.Time

	drops      link.Drops
	conf       *devconf.Table
	packets    *packet.Table
	neighbours *neighbour.Table
	arp        *arp.Protocol
	ip         *ipv4.Protocol
	icmp       *icmp.Protocol
	igmp       *igmp.Protocol
	raw        *raw.Protocol
	udp        *udp.Protocol
	tcp        *tcp.Protocol

	mu     sync.Mutex // serialises changes of interfaces and addresses
	nics   atomic.Pointer[[]*Interface]
	next   int // index of the next interface
	claims []*AddressClaim
	dns    []dnsSource // in the order in which they are asked
	closed bool
	loops  sync.WaitGroup
}

// New returns a host that has only its loopback interface, lo with 127.0.0.1/8.
// It must be closed.
func New(c Config) (*Host, error) {
	if c.Name == "" {
		c.Name = "tapstack"
	}
	if c.Rand == nil {
		c.Rand = random.Secure()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	h := &Host{name: c.Name, clock: c.Clock, log: c.Logger, resolver: c.Resolver, started: c.Clock.Now(), conf: devconf.New(), next: 1}
	h.nics.Store(&[]*Interface{})
	h.packets = packet.New(packet.Config{Clock: c.Clock, Link: h.packetLink})

	h.ip = ipv4.New(ipv4.Config{
		Clock: c.Clock, Rand: c.Rand, Drops: &h.drops, Conf: h.conf,
		NextHopValid: func(index int, gateway netip.Addr) bool {
			e, known := h.neighbours.Lookup(index, gateway)
			return !known || e.State.Valid()
		},
	})
	// The table and ARP need each other; neither calls before an interface
	// exists.
	h.neighbours = neighbour.New(neighbour.Config{
		Clock:       c.Clock,
		Rand:        c.Rand,
		Drops:       &h.drops,
		Switches:    c.Switches,
		Classify:    func(_ int, a netip.Addr) neighbour.AddrType { return addrType(h.ip.AddrType(a)) },
		Solicit:     func(s neighbour.Solicitation) { h.arp.Solicit(s) },
		Unreachable: h.ip.Unreachable,
		Overflow:    (&overflowLog{clock: c.Clock, log: c.Logger}).full,
	})
	c.ARP.Clock, c.ARP.Rand, c.ARP.Neighbours, c.ARP.Host, c.ARP.Drops = c.Clock, c.Rand, h.neighbours, arpHost{h.ip}, &h.drops
	h.arp = arp.New(c.ARP)
	h.icmp = icmp.New(h.ip, icmp.Config{Clock: c.Clock, Rand: c.Rand, Drops: &h.drops})
	h.igmp = igmp.New(h.ip, igmp.Config{Clock: c.Clock, Rand: c.Rand, Drops: &h.drops})
	h.raw = raw.New(h.ip, raw.Config{Clock: c.Clock, Rand: c.Rand, Drops: &h.drops})
	h.udp = udp.New(h.ip, udp.Config{Clock: c.Clock, Rand: c.Rand, Drops: &h.drops, Confirm: h.neighbours.Confirm})
	c.TCP.Clock, c.TCP.Rand, c.TCP.Drops = c.Clock, c.Rand, &h.drops
	h.tcp = tcp.New(h.ip, c.TCP)

	lo, err := h.AddInterface(InterfaceConfig{Name: "lo", Device: pipe.Loopback(), Loopback: true})
	if err == nil {
		err = h.AddAddress(lo.Name(), ipv4.Address{Prefix: netip.MustParsePrefix("127.0.0.1/8"), Scope: ipv4.ScopeHost})
	}
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// Name returns the host's name.
func (h *Host) Name() string { return h.name }

// Uptime returns how long ago the host was made.
func (h *Host) Uptime() time.Duration { return h.clock.Since(h.started) }

// Neighbours returns the host's ARP cache.
func (h *Host) Neighbours() *neighbour.Table { return h.neighbours }

// ARP returns the host's ARP.
func (h *Host) ARP() *arp.Protocol { return h.arp }

// IPv4 returns the host's network layer.
func (h *Host) IPv4() *ipv4.Protocol { return h.ip }

// ICMP returns the host's ICMP.
func (h *Host) ICMP() *icmp.Protocol { return h.icmp }

// IGMP returns the host's IGMP.
func (h *Host) IGMP() *igmp.Protocol { return h.igmp }

// Raw returns the host's raw sockets.
func (h *Host) Raw() *raw.Protocol { return h.raw }

// UDP returns the host's UDP.
func (h *Host) UDP() *udp.Protocol { return h.udp }

// TCP returns the host's TCP.
func (h *Host) TCP() *tcp.Protocol { return h.tcp }

// Drops returns the host's counts of dropped packets.
func (h *Host) Drops() *link.Drops { return &h.drops }

// Interfaces returns the host's interfaces by index, lo first.
func (h *Host) Interfaces() []*Interface { return slices.Clone(*h.nics.Load()) }

// Interface returns the interface called name, nil when there is none.
func (h *Host) Interface(name string) *Interface {
	for _, i := range *h.nics.Load() {
		if i.name == name {
			return i
		}
	}
	return nil
}

// Close ends the host: connections are reset, devices closed, and no goroutine,
// timer or packet of the host is left when it returns. Further calls do nothing.
func (h *Host) Close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	nics := *h.nics.Load()
	h.mu.Unlock()

	// Sockets go first, while resets can still leave.
	h.tcp.Close()
	h.udp.Close()
	h.raw.Close()
	h.igmp.Close()
	h.icmp.Close()
	var errs []error
	for _, i := range nics {
		if err := i.dev.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, fmt.Errorf("stack: close %s: %w", i.name, err))
		}
	}
	h.loops.Wait()
	h.packets.Close()
	h.arp.Close()
	h.neighbours.Close()
	h.ip.Close()
	return errors.Join(errs...)
}
