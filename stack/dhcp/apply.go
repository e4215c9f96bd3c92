package dhcp

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"syscall"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/ipv4"

	"github.com/tapstack/tapstack/stack"
)

// originDHCP is Linux's RTPROT_DHCP.
const originDHCP = 16

// baseMetric is that of routes by the interface with index 0, so that the links
// of a host do not get into each other's way, and what an administrator says goes
// first.
const baseMetric = 1000

// configure gives the interface the lease's address, or adjusts what came with
// it.
func (c *Client) configure(l Lease) {
	c.wants = l
	if c.current.Addr == l.Addr && c.current.Broadcast == l.Broadcast && (c.claim != nil || c.direct) {
		c.lifetimes(l)
		if c.has {
			c.apply(l)
		}
		c.current = l
		if c.has {
			c.do(c.machine.usable(c.config.Clock.Now()))
		}
		return
	}
	c.withdraw()
	c.wants, c.current = l, l
	c.epoch++
	epoch := c.epoch
	addr := ipv4.Address{Prefix: l.Addr, Broadcast: l.Broadcast}
	claim, err := c.host.ClaimAddress(c.config.Interface, addr, arp.ClaimConfig{Notify: func(ev arp.ClaimEvent) {
		c.mu.Lock()
		c.claims = append(c.claims, claimEvent{ev, epoch})
		c.mu.Unlock()
		c.poke()
	}})
	switch {
	case err == nil:
		c.claim = claim
		c.lifetimes(l)
		return
	case errors.Is(err, syscall.EOPNOTSUPP): // an interface without ARP: nobody to ask
		if err = c.host.AddAddress(c.config.Interface, addr); err == nil {
			c.direct, c.has = true, true
			c.apply(l)
			c.do(c.machine.usable(c.config.Clock.Now()))
			return
		}
	}
	c.config.Logger.Error("DHCP: address cannot be used", "name", c.config.Interface, "address", l.Addr.String(), "err", err)
	c.current = Lease{}
	c.do(c.machine.conflict(c.config.Clock.Now()))
}

// lifetimes has the address shown with the times of the lease.
func (c *Client) lifetimes(l Lease) {
	if c.claim != nil {
		c.claim.SetLifetime(stack.Lifetime{Dynamic: true, Valid: l.End(), Preferred: l.End()})
	}
}

// takeClaims returns what happened to the claim since the last time.
func (c *Client) takeClaims() []claimEvent {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.claims
	c.claims = nil
	return list
}

// claimed handles an event of the claim to the address.
func (c *Client) claimed(ev claimEvent) {
	if ev.epoch != c.epoch || c.claim == nil {
		return
	}
	now := c.config.Clock.Now()
	switch ev.Kind {
	case arp.Usable:
		c.has = true
		c.apply(c.wants)
		a := c.machine.usable(now)
		c.do(a)
		if c.config.Changed != nil {
			c.config.Changed()
		}
	case arp.Suspended:
		c.has, c.linkLost = false, true
		c.publish()
	case arp.Probing:
		c.has = false
		if c.linkLost {
			c.linkLost = false
			c.do(c.machine.linkBack(now))
		}
	case arp.Conflict, arp.Lost:
		c.do(c.machine.conflict(now))
	}
}

// apply sets what comes with the address, and takes away what came with the
// address before and does not any more.
func (c *Client) apply(l Lease) {
	gone := c.current
	gone.Routes = slices.DeleteFunc(slices.Clone(gone.Routes), func(r Route) bool { return slices.Contains(l.Routes, r) })
	for _, r := range routesOf(gone, c.iface.Index()) {
		_ = c.host.IPv4().DeleteRoute(r) // somebody else may have
	}
	for _, r := range routesOf(l, c.iface.Index()) {
		if err := c.host.IPv4().AddRoute(r); err != nil && !errors.Is(err, syscall.EEXIST) {
			c.config.Logger.Warn("DHCP: route cannot be added", "name", c.config.Interface, "route", r.Dst.String(), "gateway", r.Gateway.String(), "err", err)
		}
	}
	c.host.SetDNS(c.config.Interface, stack.DNS{Servers: l.DNS, Search: searchOf(l)})
	c.applyMTU(l.MTU)
}

// applyMTU makes the interface's MTU smaller, as the server says, but not larger
// than it was.
func (c *Client) applyMTU(mtu int) {
	limit := c.mtu
	if limit == 0 {
		limit = c.iface.MTU()
	}
	if mtu < ipv4.MinMTU || mtu > limit {
		mtu = limit
	}
	if mtu == c.iface.MTU() {
		return
	}
	if err := c.host.SetMTU(c.config.Interface, mtu); err != nil {
		c.config.Logger.Warn("DHCP: MTU cannot be set", "name", c.config.Interface, "mtu", mtu, "err", err)
		return
	}
	if c.mtu = limit; mtu == limit {
		c.mtu = 0
	}
}

// withdraw takes the address away, and what came with it: its routes go by
// themselves, since they prefer it as their source.
func (c *Client) withdraw() {
	if c.claim != nil {
		c.claim.Release()
	}
	if c.direct {
		_ = c.host.DeleteAddress(c.config.Interface, ipv4.Address{Prefix: c.current.Addr}) // somebody else may have
	}
	if c.current.Addr.IsValid() {
		c.host.SetDNS(c.config.Interface, stack.DNS{})
		c.applyMTU(0)
	}
	c.epoch++
	c.claim, c.direct, c.has, c.linkLost, c.current, c.wants = nil, false, false, false, Lease{}, Lease{}
}

// searchOf returns the domains in which names are looked up.
func searchOf(l Lease) []string {
	if len(l.Search) == 0 && l.Domain != "" {
		return []string{l.Domain}
	}
	return l.Search
}

// routesOf returns the lease's routes by the interface, those on the link first:
// the others' gateways may depend on them (RFC 3442).
func routesOf(l Lease, index int) []ipv4.Route {
	var list []ipv4.Route
	for _, r := range l.Routes {
		x := ipv4.Route{Dst: r.Dst, Interface: index, Src: l.Addr.Addr(), Metric: uint32(baseMetric + index), Protocol: originDHCP}
		if r.Gateway.IsValid() && r.Gateway != netip.IPv4Unspecified() {
			x.Gateway, x.OnLink = r.Gateway, !l.Addr.Contains(r.Gateway)
		}
		list = append(list, x)
	}
	slices.SortStableFunc(list, func(a, b ipv4.Route) int {
		gateway := func(r ipv4.Route) int {
			if r.Gateway.IsValid() {
				return 1
			}
			return 0
		}
		return cmp.Compare(gateway(a), gateway(b))
	})
	return list
}
