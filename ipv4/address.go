package ipv4

import (
	"encoding/binary"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/stack/devconf"
)

// Scope says how far an address or a route reaches; larger numbers are
// narrower. The values are Linux's RT_SCOPE_*.
type Scope uint8

const (
	ScopeUniverse Scope = 0   // everywhere
	ScopeSite     Scope = 200 // inside the site
	ScopeLink     Scope = 253 // on the link
	ScopeHost     Scope = 254 // inside the host
	ScopeNowhere  Scope = 255 // no destination at all
)

// Address is an address of an interface, Linux's struct in_ifaddr.
type Address struct {
	// Prefix is the address itself, unmasked, with its prefix length.
	Prefix netip.Prefix
	// Peer is the address at the other end of a link with two ends; not valid for
	// none. The length of Prefix is then that of the peer's subnet, which is what
	// the connected route leads to.
	Peer netip.Addr
	// Broadcast is the subnet's broadcast address. AddAddress fills in the
	// highest address of the prefix when it is not valid and the prefix is
	// shorter than 31 bits (`brd +`); 0.0.0.0 asks for none.
	Broadcast netip.Addr
	// Scope is where the address may be used as a source; ScopeUniverse, the
	// zero value, is anywhere. Addresses of 127/8 get ScopeHost.
	Scope Scope
	// Secondary is set by AddAddress for an address whose subnet the interface
	// had already: not chosen as a source by itself, and removed together with
	// its primary unless promote_secondaries is set.
	Secondary bool
	// NoPrefixRoute keeps AddAddress from adding the connected route.
	NoPrefixRoute bool
	// Metric is the connected route's metric.
	Metric uint32
	// Label is shown instead of the interface's name, if there is one.
	Label string
	// ValidUntil is when the address goes by itself, and PreferredUntil when it
	// counts as deprecated, which is only shown; zero is never.
	ValidUntil, PreferredUntil time.Time
	// Deprecated is set once PreferredUntil is past.
	Deprecated bool
}

// Addr returns the address without its length.
func (a Address) Addr() netip.Addr { return a.Prefix.Addr() }

// Remote returns the peer with its prefix length, Prefix when there is none
// (Linux's ifa_address).
func (a Address) Remote() netip.Prefix {
	if a.Peer.IsValid() {
		return netip.PrefixFrom(a.Peer, a.Prefix.Bits())
	}
	return a.Prefix
}

// Subnet returns what the connected route leads to.
func (a Address) Subnet() netip.Prefix { return a.Remote().Masked() }

// holds reports whether x is in the address's subnet.
func (a Address) holds(x netip.Addr) bool { return a.Remote().Contains(x) }

// shares reports whether both addresses are of the same subnet.
func (a Address) shares(b Address) bool {
	return a.Prefix.Bits() == b.Prefix.Bits() && a.holds(b.Remote().Addr())
}

// broadcastOf returns the highest address of p.
func broadcastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])|uint32(1<<(32-p.Bits())-1))
	return netip.AddrFrom4(b)
}

// isZeronet reports whether a is in 0.0.0.0/8, "this network" (RFC 1122,
// section 3.2.1.3). Linux has narrowed it to 0.0.0.0 itself.
func isZeronet(a netip.Addr) bool { return a == netip.IPv4Unspecified() }

// isLimitedBroadcast reports whether a is 255.255.255.255.
func isLimitedBroadcast(a netip.Addr) bool { return a.As4() == [4]byte{255, 255, 255, 255} }

// ordinary reports whether a is a unicast address by its looks: none of 0/8,
// 127/8, and 224/4 and what follows. Nearly every address is, and needs no
// further questions.
func ordinary(a netip.Addr) bool {
	first := a.As4()[0]
	return first-1 < 223 && first != 127
}

// isLocalMulticast reports whether a is in 224.0.0.0/24, which no router
// forwards (RFC 5771, section 4).
func isLocalMulticast(a netip.Addr) bool {
	b := a.As4()
	return b[0] == 224 && b[1] == 0 && b[2] == 0
}

// AddAddress gives an interface an address, with the routes that belong to it.
// The error is ENODEV; EEXIST for an address that is there with that length;
// EINVAL for one that no host can have, whose scope differs from that of the
// primary address of its subnet, or whose lifetimes make no sense. Where Linux
// has words for it the error is a *Refusal.
func (pr *Protocol) AddAddress(index int, a Address) error { return pr.setAddress(index, a, false) }

// ReplaceAddress is AddAddress, but gives an address that is there the metric and
// the lifetimes of a.
func (pr *Protocol) ReplaceAddress(index int, a Address) error { return pr.setAddress(index, a, true) }

func (pr *Protocol) setAddress(index int, a Address, replace bool) error {
	addr := a.Addr()
	if !a.Prefix.IsValid() || !addr.Is4() || isZeronet(addr) || addr.IsMulticast() || isLimitedBroadcast(addr) || a.Peer.IsValid() && !a.Peer.Is4() {
		return fmt.Errorf("ipv4: address %v cannot be a host's: %w", a.Prefix, syscall.EINVAL)
	}
	if a.Peer == addr {
		a.Peer = netip.Addr{}
	}
	if !a.Broadcast.IsValid() && a.Prefix.Bits() < 31 {
		a.Broadcast = broadcastOf(a.Remote())
	}
	if addr.IsLoopback() && a.Scope == ScopeUniverse {
		a.Scope = ScopeHost
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	i := pr.interfaces.Load().byIndex(index)
	if i == nil {
		return fmt.Errorf("ipv4: address %v: no interface %d: %w", a.Prefix, index, syscall.ENODEV)
	}
	now := pr.config.Clock.Now()
	if !a.ValidUntil.IsZero() && (!now.Before(a.ValidUntil) || a.PreferredUntil.IsZero() || a.ValidUntil.Before(a.PreferredUntil)) {
		return fmt.Errorf("ipv4: address %v: %w", a.Prefix, refusal(syscall.EINVAL, "ipv4: Address lifetime invalid"))
	}
	a.Deprecated = !a.PreferredUntil.IsZero() && !now.Before(a.PreferredUntil)
	old := i.Addresses()
	a.Secondary = false
	at := 0 // primaries go in front of those of narrower scope
	for n, o := range old {
		if !o.Secondary && a.Scope <= o.Scope {
			at = n + 1
		}
		if !o.shares(a) {
			continue
		}
		if o.Addr() == addr {
			if replace {
				pr.updateAddressLocked(i, n, a)
				return nil
			}
			return fmt.Errorf("ipv4: address %v is on %s already: %w", a.Prefix, i.Name(), refusal(syscall.EEXIST, "ipv4: Address already assigned"))
		}
		if o.Scope != a.Scope {
			return fmt.Errorf("ipv4: address %v: %v of the same subnet has another scope: %w", a.Prefix, o.Prefix, refusal(syscall.EINVAL, "ipv4: Invalid scope value"))
		}
		a.Secondary = true
	}
	if a.Secondary {
		at = len(old)
	}
	// Whoever has an address has all settings: later changes of the template
	// pass it by (Linux's ipv4_devconf_setall).
	pr.config.Conf.Addressed(index)
	list := slices.Insert(slices.Clone(old), at, a)
	i.addrs.Store(&list)
	c := pr.changeLocked()
	c.note(Event{Kind: AddressAdded, Interface: index, Name: i.Name(), Address: a})
	c.addRoutes(i, list, a)
	c.revive(i)
	c.commit()
	pr.watchLifetimesLocked()
	return nil
}

// updateAddressLocked gives an address what ReplaceAddress changes.
func (pr *Protocol) updateAddressLocked(i *Interface, n int, a Address) {
	list := slices.Clone(i.Addresses())
	o := &list[n]
	c := pr.changeLocked()
	if o.Metric != a.Metric {
		// The new route first, for no moment to be without (Linux's
		// fib_modify_prefix_metric).
		before := *o
		o.Metric = a.Metric
		for r := range addressRoutes(i, list, *o, i.Up()) {
			if r.Metric == a.Metric && !i.Loopback() && r.Type == Unicast {
				c.addKernel(r, i)
				r.Metric = before.Metric
				c.remove(r.Dst, r.Table, func(x *route) bool { return x.Route.Equal(r) })
			}
		}
	}
	o.ValidUntil, o.PreferredUntil, o.Deprecated = a.ValidUntil, a.PreferredUntil, a.Deprecated
	i.addrs.Store(&list)
	c.note(Event{Kind: AddressAdded, Interface: i.Index(), Name: i.Name(), Address: *o})
	c.commit()
	pr.watchLifetimesLocked()
}

// DeleteAddress takes an address away, the first one with p's address and, unless
// the length of p is -1 as netip.PrefixFrom makes it of such a one, p's length.
// With a primary go its secondaries, unless promote_secondaries makes the first
// of them primary. The routes of the address, and those that prefer it as a
// source, go too; with the last address all routes by the interface. The error is
// ENODEV or EADDRNOTAVAIL.
func (pr *Protocol) DeleteAddress(index int, p netip.Prefix) error {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	i := pr.interfaces.Load().byIndex(index)
	if i == nil {
		return fmt.Errorf("ipv4: address %v: no interface %d: %w", p, index, syscall.ENODEV)
	}
	at := slices.IndexFunc(i.Addresses(), func(a Address) bool { return a.Prefix == p || !p.IsValid() && a.Addr() == p.Addr() })
	if at < 0 {
		return fmt.Errorf("ipv4: no address %v on %s: %w", p, i.Name(), refusal(syscall.EADDRNOTAVAIL, "ipv4: Address not found"))
	}
	pr.deleteAddressLocked(i, at)
	return nil
}

// deleteAddressLocked is Linux's __inet_del_ifa.
func (pr *Protocol) deleteAddressLocked(i *Interface, at int) {
	list := slices.Clone(i.Addresses())
	gone := list[at]
	c := pr.changeLocked()
	var dropped []Address
	drop := func(n int) {
		a := list[n]
		dropped = append(dropped, a)
		list = slices.Delete(list, n, n+1)
		c.note(Event{Kind: AddressDeleted, Interface: i.Index(), Name: i.Name(), Address: a})
		c.deleteRoutes(i, list, list, a)
	}
	follows := func(a Address) bool { return !gone.Secondary && a.Secondary && gone.shares(a) }
	var heirs []Address
	switch n := slices.IndexFunc(list, follows); {
	case n < 0:
	case !i.conf.Or(devconf.PromoteSecondaries):
		for ; n >= 0; n = slices.IndexFunc(list, follows) {
			drop(n)
		}
	default:
		// Their routes have the old primary as their source.
		for _, a := range list {
			if follows(a) {
				heirs = append(heirs, a)
				others := slices.DeleteFunc(slices.Clone(list), gone.shares)
				c.deleteRoutes(i, list, others, a)
			}
		}
	}
	drop(slices.Index(list, gone))
	if len(heirs) > 0 {
		n := slices.Index(list, heirs[0])
		list = slices.Delete(list, n, n+1)
		// Behind the primaries that it could stand behind were it new.
		last := 0
		for n, a := range list {
			if !a.Secondary && (n < at || gone.Scope <= a.Scope) {
				last = n + 1
			}
		}
		heirs[0].Secondary = false
		list = slices.Insert(list, last, heirs[0])
		c.note(Event{Kind: AddressAdded, Interface: i.Index(), Name: i.Name(), Address: heirs[0]})
		for _, a := range heirs {
			c.addRoutes(i, list, a)
		}
	}
	i.addrs.Store(&list)
	c.dropSources(dropped...)
	if len(list) == 0 {
		// Without addresses an interface has no IP (Linux's fib_disable_ip).
		c.down(i, true)
	}
	c.commit()
	pr.watchLifetimesLocked()
}

// Addresses returns the addresses of an interface, primaries first, none for an
// unknown one. The slice is shared and must not be modified.
func (pr *Protocol) Addresses(index int) []Address {
	i := pr.Interface(index)
	if i == nil {
		return nil
	}
	return i.Addresses()
}

// addRoutes adds the routes that follow from a, one of addrs.
func (c *change) addRoutes(i *Interface, addrs []Address, a Address) {
	for r := range addressRoutes(i, addrs, a, i.Up()) {
		c.addKernel(r, i)
	}
}

// addKernel adds a route that follows from an address of i, unless it is there.
func (c *change) addKernel(r Route, i *Interface) {
	scope := ScopeHost
	if r.Type == Local {
		scope = ScopeNowhere
	}
	c.insert(newRoute(r, i, scope), CreateRoute|AppendRoute)
}

// deleteRoutes takes the routes away that follow from a, as far as they do not
// from the others, too; all is what the interface has, the primary of a included.
func (c *change) deleteRoutes(i *Interface, all, others []Address, a Address) {
	var list []Route
	for r := range addressRoutes(i, all, a, i.Up()) {
		list = append(list, r)
	}
	// Linux begins with the subnet and ends with the address itself.
	rank := func(r Route) int {
		switch {
		case r.Type == Broadcast:
			return 1
		case r.Dst.IsSingleIP() && r.Type == Local:
			return 2
		}
		return 0
	}
	slices.SortStableFunc(list, func(x, y Route) int { return rank(x) - rank(y) })
	for _, r := range list {
		stays := slices.ContainsFunc(others, func(o Address) bool {
			for x := range addressRoutes(i, others, o, i.Up()) {
				if x.Equal(r) {
					return true
				}
			}
			return false
		})
		if !stays {
			c.remove(r.Dst, r.Table, func(o *route) bool { return o.Route.Equal(r) })
		}
	}
}

// dropSources takes the routes away that prefer an address as source that is no
// longer ours. Linux does so without telling.
func (c *change) dropSources(gone ...Address) {
	lost := make(map[netip.Addr]bool)
	for _, a := range gone {
		if c.f.addrType(a.Addr(), 0) != Local {
			lost[a.Addr()] = true
		}
	}
	if len(lost) > 0 {
		c.f = c.f.without(func(r *route) bool { return lost[r.Src] })
	}
}

// down takes away what cannot be used as i is down or, with all set, has no
// addresses (Linux's fib_sync_down_dev): next hops by i, and the routes that are
// left without one. Linux does so without telling.
func (c *change) down(i *Interface, all bool) {
	c.f = c.f.without(func(r *route) bool {
		if r.hops == nil {
			return r.iface == i && (all || r.nextHopScope != ScopeNowhere)
		}
		left := 0
		for _, h := range r.hops {
			if h.iface == i {
				h.dead.Store(true)
			}
			if !h.dead.Load() {
				left++
			}
		}
		return left == 0
	})
}

// revive makes the next hops by i usable that were dead (Linux's fib_sync_up).
func (c *change) revive(i *Interface) {
	if !i.Up() {
		return
	}
	for _, id := range c.f.tables() {
		for _, routes := range c.f.table(id).All4() {
			for _, r := range routes {
				for _, h := range r.hops {
					if h.iface == i {
						h.dead.Store(false)
					}
				}
			}
		}
	}
}

// addressRoutes yields the routes that follow from a, one of addrs, as Linux's
// fib_add_ifaddr makes them. An interface that is down has its local addresses
// only.
func addressRoutes(i *Interface, addrs []Address, a Address, up bool) iter.Seq[Route] {
	return func(yield func(Route) bool) {
		src := a.Addr()
		if a.Secondary {
			src = primaryOf(addrs, a).Addr()
		}
		base := Route{Interface: i.Index(), Src: src, Protocol: OriginKernel}
		add := func(p netip.Prefix, t RouteType, s Scope, metric uint32) bool {
			r := base
			r.Dst, r.Type, r.Scope, r.Metric, r.Table = p, t, s, metric, TableLocal
			if t == Unicast {
				r.Table = TableMain
			}
			return yield(r)
		}
		if !add(host(a.Addr()), Local, ScopeHost, 0) || !up {
			return
		}
		net := a.Subnet()
		if b := a.Broadcast; b.IsValid() && !isZeronet(b) && !isLimitedBroadcast(b) && !add(host(b), Broadcast, ScopeLink, 0) {
			return
		}
		if a.Secondary || isZeronet(net.Addr()) || net == host(a.Addr()) {
			return
		}
		if !a.NoPrefixRoute {
			t, s := Unicast, ScopeLink
			if i.Loopback() {
				t, s = Local, ScopeHost
			}
			if !add(net, t, s, a.Metric) {
				return
			}
		}
		// RFC 3021: a 31-bit prefix has no broadcast address.
		if b := broadcastOf(net); net.Bits() < 31 && b != a.Broadcast {
			add(host(b), Broadcast, ScopeLink, 0)
		}
	}
}

func primaryOf(addrs []Address, a Address) Address {
	for _, p := range addrs {
		if !p.Secondary && p.shares(a) {
			return p
		}
	}
	return a
}

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, 32) }
