package ipv4

import (
	"encoding/binary"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"syscall"

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
}

// Addr returns the address without its length.
func (a Address) Addr() netip.Addr { return a.Prefix.Addr() }

// Subnet returns the prefix with its host bits zero.
func (a Address) Subnet() netip.Prefix { return a.Prefix.Masked() }

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
// EINVAL for one that no host can have, or whose scope differs from that of the
// primary address of its subnet.
func (pr *Protocol) AddAddress(index int, a Address) error {
	addr := a.Addr()
	if !a.Prefix.IsValid() || !addr.Is4() || isZeronet(addr) || addr.IsMulticast() || isLimitedBroadcast(addr) {
		return fmt.Errorf("ipv4: address %v cannot be a host's: %w", a.Prefix, syscall.EINVAL)
	}
	if !a.Broadcast.IsValid() && a.Prefix.Bits() < 31 {
		a.Broadcast = broadcastOf(a.Prefix)
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
	old := i.Addresses()
	a.Secondary = false
	at := 0 // primaries go in front of those of narrower scope
	for n, o := range old {
		if !o.Secondary && a.Scope <= o.Scope {
			at = n + 1
		}
		if o.Prefix.Bits() != a.Prefix.Bits() || !o.Prefix.Contains(addr) {
			continue
		}
		if o.Addr() == addr {
			return fmt.Errorf("ipv4: address %v is on %s already: %w", a.Prefix, i.Name(), syscall.EEXIST)
		}
		if o.Scope != a.Scope {
			return fmt.Errorf("ipv4: address %v: %v of the same subnet has another scope: %w", a.Prefix, o.Prefix, syscall.EINVAL)
		}
		a.Secondary = true
	}
	if a.Secondary {
		at = len(old)
	}
	// Whoever has an address has all settings: later changes of the template
	// pass it by (Linux's ipv4_devconf_setall).
	pr.config.Conf.Addressed(index)
	pr.setAddressesLocked(i, slices.Insert(slices.Clone(old), at, a))
	return nil
}

// DeleteAddress takes an address away. With a primary go its secondaries, unless
// promote_secondaries makes the first of them primary. The routes of the address,
// and those that prefer it as a source, go too; with the last address all routes
// by the interface. The error is ENODEV or EADDRNOTAVAIL.
func (pr *Protocol) DeleteAddress(index int, p netip.Prefix) error {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	i := pr.interfaces.Load().byIndex(index)
	if i == nil {
		return fmt.Errorf("ipv4: address %v: no interface %d: %w", p, index, syscall.ENODEV)
	}
	old := i.Addresses()
	at := slices.IndexFunc(old, func(a Address) bool { return a.Prefix == p })
	if at < 0 {
		return fmt.Errorf("ipv4: no address %v on %s: %w", p, i.Name(), syscall.EADDRNOTAVAIL)
	}
	gone := old[at]
	left := slices.Delete(slices.Clone(old), at, at+1)
	same := func(a Address) bool {
		return !gone.Secondary && a.Secondary && a.Prefix.Bits() == p.Bits() && a.Prefix.Contains(p.Addr())
	}
	if !i.conf.Or(devconf.PromoteSecondaries) {
		left = slices.DeleteFunc(left, same)
	} else if n := slices.IndexFunc(left, same); n >= 0 {
		heir := left[n]
		heir.Secondary = false
		left = slices.Delete(left, n, n+1)
		last := 0
		for n, a := range left {
			if !a.Secondary {
				last = n + 1
			}
		}
		left = slices.Insert(left, last, heir)
	}
	pr.setAddressesLocked(i, left)
	return nil
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

// setAddressesLocked publishes i's new addresses and the routes that follow from
// the difference.
func (pr *Protocol) setAddressesLocked(i *Interface, addrs []Address) {
	old := i.Addresses()
	i.addrs.Store(&addrs)
	f := pr.fib.Load()
	if len(addrs) == 0 {
		// Without addresses an interface has no IP (Linux's fib_disable_ip).
		f = f.without(func(r *route) bool { return r.iface == i })
	}
	wanted := make(map[Route]bool)
	for r := range addressRoutes(i, addrs, i.Up()) {
		wanted[r] = true
	}
	had := make(map[Route]bool)
	for r := range addressRoutes(i, old, i.Up()) {
		had[r] = true
	}
	f = f.without(func(r *route) bool { return had[r.Route] && !wanted[r.Route] })
	for r := range addressRoutes(i, addrs, i.Up()) {
		if !had[r] {
			f = f.withKernel(r, i)
		}
	}
	pr.setRoutesLocked(f.withoutSources(old))
}

// addressRoutes yields the routes that follow from addresses, as Linux's
// fib_add_ifaddr makes them. An interface that is down has its local addresses
// only.
func addressRoutes(i *Interface, addrs []Address, up bool) iter.Seq[Route] {
	return func(yield func(Route) bool) {
		for _, a := range addrs {
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
			if !add(host(a.Addr()), Local, ScopeHost, 0) {
				return
			}
			if !up {
				continue
			}
			net := a.Subnet()
			if b := a.Broadcast; b.IsValid() && !isZeronet(b) && !isLimitedBroadcast(b) && !add(host(b), Broadcast, ScopeLink, 0) {
				return
			}
			if a.Secondary || isZeronet(net.Addr()) || net.Bits() == 32 {
				continue
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
			if b := broadcastOf(net); net.Bits() < 31 && b != a.Broadcast && !add(host(b), Broadcast, ScopeLink, 0) {
				return
			}
		}
	}
}

func primaryOf(addrs []Address, a Address) Address {
	for _, p := range addrs {
		if !p.Secondary && p.Prefix.Bits() == a.Prefix.Bits() && p.Prefix.Contains(a.Addr()) {
			return p
		}
	}
	return a
}

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, 32) }
