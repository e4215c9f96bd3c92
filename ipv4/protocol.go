package ipv4

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/clock"
)

// Config holds what a Protocol needs from its host.
type Config struct {
	Clock clock.Clock
	Rand  *rand.Rand  // safe for concurrent use, as package random's are
	Drops *link.Drops // nil: counted, but nobody sees them
}

// Protocol is the Internet Protocol of one host.
type Protocol struct {
	config   Config
	mu       sync.Mutex
	handlers [256]atomic.Pointer[Handler]
	errors   atomic.Pointer[func(*link.Packet, ErrorMessage)]
}

// ErrorMessage is an ICMP error to be sent about a packet.
type ErrorMessage struct {
	Type, Code uint8
	Info       uint32 // the second word of the message: MTU, gateway, pointer<<24
	// Reason is what the packet that the error is about is counted under.
	Reason link.DropReason
}

// New returns a Protocol without interfaces.
func New(c Config) *Protocol { return &Protocol{config: c} }

// Close releases the fragments that wait.
func (pr *Protocol) Close() {}

func (pr *Protocol) AddInterface(c InterfaceConfig) (*Interface, error) {
	return nil, errors.ErrUnsupported
}
func (pr *Protocol) RemoveInterface(index int)                     {}
func (pr *Protocol) Interface(index int) *Interface                { return nil }
func (pr *Protocol) SetUp(index int, up bool)                      {}
func (pr *Protocol) SetCarrier(index int, on bool)                 {}
func (pr *Protocol) SetMTU(index int, mtu int) error               { return errors.ErrUnsupported }
func (pr *Protocol) AddAddress(index int, a Address) error         { return errors.ErrUnsupported }
func (pr *Protocol) DeleteAddress(index int, p netip.Prefix) error { return errors.ErrUnsupported }
func (pr *Protocol) Addresses(index int) []Address                 { return nil }
func (pr *Protocol) AddRoute(r Route) error                        { return errors.ErrUnsupported }
func (pr *Protocol) DeleteRoute(r Route) error                     { return errors.ErrUnsupported }
func (pr *Protocol) Routes() []Route                               { return nil }
func (pr *Protocol) AddrType(a netip.Addr) RouteType               { return Unicast }
func (pr *Protocol) AddrTypeOn(index int, a netip.Addr) RouteType  { return Unicast }
func (pr *Protocol) OutputPath(dst, src netip.Addr, oif int) (Path, error) {
	return Path{}, errors.ErrUnsupported
}
func (pr *Protocol) InputPath(dst, src netip.Addr, iif int) (Path, link.DropReason, bool) {
	return Path{}, link.IPInNoRoutes, false
}
func (pr *Protocol) SelectSource(index int, target netip.Addr, scope Scope) netip.Addr {
	return netip.Addr{}
}
func (pr *Protocol) ConfirmAddress(index int, peer, local netip.Addr, scope Scope) netip.Addr {
	return netip.Addr{}
}
func (pr *Protocol) SetConf(dir, name string, v int) error                { return errors.ErrUnsupported }
func (pr *Protocol) ConfValue(dir, name string) (int, error)              { return 0, errors.ErrUnsupported }
func (pr *Protocol) Input(i *Interface, p *link.Packet)                   { p.Release() }
func (pr *Protocol) Output(p *link.Packet, s Send) error                  { p.Release(); return errors.ErrUnsupported }
func (pr *Protocol) Handle(protocol uint8, h Handler)                     { pr.handlers[protocol].Store(&h) }
func (pr *Protocol) DeliverError(e TransportError)                        {}
func (pr *Protocol) HandleErrors(fn func(p *link.Packet, m ErrorMessage)) { pr.errors.Store(&fn) }

// ReportError sends the ICMP error m about p, if the rules allow one, and drops
// p under m.Reason. It takes p, whose NetworkHeader must be set.
func (pr *Protocol) ReportError(p *link.Packet, m ErrorMessage) { pr.config.Drops.Drop(p, m.Reason) }
func (pr *Protocol) Unreachable(p *link.Packet)                 { pr.config.Drops.Drop(p, link.NeighFailed) }
