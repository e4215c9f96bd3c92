package ipv4

import (
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/devconf"
)

// NextHop takes packets to a neighbour. *neighbour.Interface is one.
type NextHop interface {
	// Output takes p, front at the IPv4 header, to nextHop, which may be a
	// multicast or broadcast address.
	Output(nextHop netip.Addr, p *link.Packet) error
}

// InterfaceConfig describes an interface to AddInterface.
type InterfaceConfig struct {
	Index int    // positive, unique
	Name  string // unique; not "all" nor "default"
	MTU   int    // bytes, at least MinMTU
	// Loopback marks the interface by which packets to our own addresses come
	// back; a host has one.
	Loopback   bool
	Neighbours NextHop
}

// Interface is IPv4 on an interface, Linux's struct in_device. Its methods may
// be called concurrently.
type Interface struct {
	config  InterfaceConfig
	mtu     atomic.Int32
	up      atomic.Bool
	carrier atomic.Bool
	addrs   atomic.Pointer[[]Address] // never nil
	groups  atomic.Pointer[groups]    // never nil
	conf    *devconf.Device
}

// Index returns the interface's index.
func (i *Interface) Index() int { return i.config.Index }

// Name returns the interface's name.
func (i *Interface) Name() string { return i.config.Name }

// Loopback reports whether this is the loopback interface.
func (i *Interface) Loopback() bool { return i.config.Loopback }

// MTU returns the longest packet in bytes that the interface carries.
func (i *Interface) MTU() int { return int(i.mtu.Load()) }

// Up reports whether the interface is administratively up.
func (i *Interface) Up() bool { return i.up.Load() }

// Addresses returns the interface's addresses, primaries first. The slice is
// shared and must not be modified.
func (i *Interface) Addresses() []Address { return *i.addrs.Load() }

// interfaces is the immutable set of a host's interfaces.
type interfaces struct {
	list     []*Interface // by index
	loopback *Interface   // nil before it is added
}

func (s *interfaces) byIndex(index int) *Interface {
	for _, i := range s.list {
		if i.config.Index == index {
			return i
		}
	}
	return nil
}

func (s *interfaces) byName(name string) *Interface {
	for _, i := range s.list {
		if i.config.Name == name {
			return i
		}
	}
	return nil
}

// AddInterface adds an interface, which is down and has no address. The error
// is EEXIST for an index or name in use or a second loopback, EINVAL for a
// configuration that makes no sense.
func (pr *Protocol) AddInterface(c InterfaceConfig) (*Interface, error) {
	if c.Index <= 0 || c.Name == "" || c.Name == "all" || c.Name == "default" || c.MTU < MinMTU || c.Neighbours == nil {
		return nil, fmt.Errorf("ipv4: interface %d %q with MTU %d: want a positive index, a name, an MTU of %d or more and neighbours: %w",
			c.Index, c.Name, c.MTU, MinMTU, syscall.EINVAL)
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	old := pr.interfaces.Load()
	if old.byIndex(c.Index) != nil || old.byName(c.Name) != nil || c.Loopback && old.loopback != nil {
		return nil, fmt.Errorf("ipv4: interface %d %q is there already: %w", c.Index, c.Name, syscall.EEXIST)
	}
	i := &Interface{config: c, conf: pr.config.Conf.AddInterface(c.Index)}
	i.mtu.Store(int32(min(c.MTU, MaxPacketLen)))
	i.carrier.Store(true)
	i.addrs.Store(new([]Address))
	i.groups.Store(&groups{})
	list := append(slices.Clone(old.list), i)
	slices.SortFunc(list, func(a, b *Interface) int { return a.config.Index - b.config.Index })
	set := &interfaces{list: list, loopback: old.loopback}
	if c.Loopback {
		set.loopback = i
	}
	pr.interfaces.Store(set)
	pr.linkEvent(i, LinkChanged)
	return i, nil
}

// RemoveInterface removes an interface with its addresses and routes. It does
// nothing for an unknown one.
func (pr *Protocol) RemoveInterface(index int) {
	if i := pr.removeInterface(index); i != nil {
		pr.tellGroups(i)
	}
}

// removeInterface returns the interface, nil for an unknown one.
func (pr *Protocol) removeInterface(index int) *Interface {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	old := pr.interfaces.Load()
	i := old.byIndex(index)
	if i == nil {
		return nil
	}
	i.up.Store(false)
	gone := *i.addrs.Swap(new([]Address))
	c := pr.changeLocked()
	for n := len(gone) - 1; n >= 0; n-- {
		c.note(Event{Kind: AddressDeleted, Interface: index, Name: i.Name(), Address: gone[n]})
	}
	c.f = c.f.without(func(r *route) bool { return r.uses(i) })
	c.dropSources(gone...)
	c.note(Event{Kind: LinkDeleted, Interface: index, Name: i.Name()})
	c.commit()
	set := &interfaces{list: slices.DeleteFunc(slices.Clone(old.list), func(x *Interface) bool { return x == i }), loopback: old.loopback}
	if set.loopback == i {
		set.loopback = nil
	}
	pr.interfaces.Store(set)
	pr.config.Conf.RemoveInterface(index)
	return i
}

// Interface returns the interface with that index, nil for none.
func (pr *Protocol) Interface(index int) *Interface { return pr.interfaces.Load().byIndex(index) }

// Interfaces returns the interfaces by index. The slice is shared and must not
// be modified.
func (pr *Protocol) Interfaces() []*Interface { return pr.interfaces.Load().list }

// SetUp sets an interface up, which adds the routes of its addresses, or down,
// which removes every route that leaves by it; those that an administrator
// added do not come back. Its addresses stay local either way, as with Linux.
func (pr *Protocol) SetUp(index int, up bool) {
	if i := pr.setUp(index, up); i != nil {
		pr.tellGroups(i)
	}
}

// setUp returns the interface if that changed anything.
func (pr *Protocol) setUp(index int, up bool) *Interface {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	i := pr.interfaces.Load().byIndex(index)
	if i == nil || i.up.Swap(up) == up {
		return nil
	}
	c := pr.changeLocked()
	if up {
		c.note(Event{Kind: LinkChanged, Interface: index, Name: i.Name()})
		for _, a := range i.Addresses() {
			c.addRoutes(i, i.Addresses(), a)
		}
		c.revive(i)
	} else {
		c.down(i, false)
		c.note(Event{Kind: LinkChanged, Interface: index, Name: i.Name()})
	}
	c.commit()
	return i
}

// SetCarrier says whether the interface's link works. Routes stay, but
// ignore_routes_with_linkdown passes over them.
func (pr *Protocol) SetCarrier(index int, on bool) {
	if i := pr.Interface(index); i != nil && i.carrier.Swap(on) != on {
		pr.linkEvent(i, LinkChanged)
	}
}

// SetMTU sets the longest packet in bytes that the interface carries. The error
// is ENODEV or EINVAL.
func (pr *Protocol) SetMTU(index, mtu int) error {
	i := pr.Interface(index)
	if i == nil {
		return fmt.Errorf("ipv4: no interface %d: %w", index, syscall.ENODEV)
	}
	if mtu < MinMTU {
		return fmt.Errorf("ipv4: MTU %d on %s, want %d or more: %w", mtu, i.Name(), MinMTU, syscall.EINVAL)
	}
	mtu = min(mtu, MaxPacketLen)
	if old := int(i.mtu.Swap(int32(mtu))); old != mtu {
		pr.exceptions.linkMTU(i, old, mtu)
		pr.linkEvent(i, LinkChanged)
	}
	return nil
}
