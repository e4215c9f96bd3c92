package neighbour

import (
	"net/netip"

	"github.com/tapstack/tapstack/link"
)

// InterfaceConfig describes a network interface.
type InterfaceConfig struct {
	Index int // greater than 0
	Name  string
	Addr  link.Addr   // its own link-layer address
	Link  link.Writer // where frames go

	NoARP        bool // does not resolve: frames go to its own address
	Loopback     bool
	PointToPoint bool
}

// Interface is the table's side of a network interface.
type Interface struct {
	table *Table
	link  link.Writer
	index int
	name  string
}

// AddInterface makes an interface known; it is up.
func (t *Table) AddInterface(c InterfaceConfig) (*Interface, error) {
	return &Interface{table: t, link: c.Link, index: c.Index, name: c.Name}, nil
}

// RemoveInterface forgets an interface, its entries and its parameters.
func (t *Table) RemoveInterface(index int) {}

// SetUp tells that the interface was set up or down by a command. Down removes
// all its entries, permanent and proxy ones included.
func (t *Table) SetUp(index int, up bool) {}

// SetLLAddr tells that the interface has a new address of its own, which
// removes all its entries but proxy ones.
func (t *Table) SetLLAddr(index int, a link.Addr) {}

// SetNoARP tells that the interface's NOARP flag changed.
func (t *Table) SetNoARP(index int, on bool) {}

// SetCarrier tells that the carrier came or went.
func (t *Table) SetCarrier(index int, on, evict bool) {}

// AddressAdded tells that the interface got an IPv4 address.
func (t *Table) AddressAdded(index int, broadcast netip.Addr) {}

// LastAddressRemoved tells that the interface has no IPv4 address any more.
func (t *Table) LastAddressRemoved(index int) {}

// Output sends p, whose front is its network header, to nextHop.
func (i *Interface) Output(nextHop netip.Addr, p *link.Packet) error {
	p.Release()
	return ErrDown
}
