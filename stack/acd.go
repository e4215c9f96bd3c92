package stack

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/stack/devconf"
)

// AddressClaim is an address that an interface has only while no other host on
// its link uses it. Its methods may be called concurrently.
type AddressClaim struct {
	host   *Host
	iface  *Interface
	addr   ipv4.Address
	notify func(arp.ClaimEvent)

	// Guarded by Host.mu.
	claim  *arp.Claim
	added  bool         // the interface has the address
	ended  bool         // nothing is added, removed or told any more
	routes []ipv4.Route // went with the address, and come back with it

	lifetime Lifetime
}

// Lifetime says how long an address may be used.
type Lifetime struct {
	Dynamic bool // a server gave the address
	// Valid and Preferred are the ends of the times in which the address may be
	// used at all, and for new connections; the zero time is never.
	Valid, Preferred time.Time
}

// ClaimAddress gives the interface called dev an address, but only when a few
// seconds of asking have shown that no other host there uses it, and only as
// long as the defence that c chooses holds (RFC 5227). Linux has no such thing
// for IPv4; AddAddress is the unconditional form.
//
// While the interface is down or without carrier, and after its hardware address
// has changed, it does not have the address; it is asked for anew. The routes
// that go with the address for such a while come back with it.
//
// c.Notify hears of everything, after the address has been added or removed; it
// may call the host. The claim lasts until Release, DeleteAddress, the end of the
// interface or of the host. The errors are those of arp.Protocol.Claim: ENODEV,
// EEXIST, EINVAL, EOPNOTSUPP for an interface without ARP, net.ErrClosed.
func (h *Host) ClaimAddress(dev string, a ipv4.Address, c arp.ClaimConfig) (*AddressClaim, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.Interface(dev)
	switch {
	case h.closed:
		return nil, fmt.Errorf("stack: interface %s: %w", dev, net.ErrClosed)
	case i == nil:
		return nil, fmt.Errorf("stack: interface %s: %w", dev, syscall.ENODEV)
	case h.hasAddress(i, a):
		return nil, fmt.Errorf("stack: address %v is on %s already: %w", a.Prefix, dev, syscall.EEXIST)
	}
	claim := &AddressClaim{host: h, iface: i, addr: a, notify: c.Notify}
	c.Notify = claim.heard
	var err error
	if claim.claim, err = h.arp.Claim(i.index, a.Addr(), c); err != nil {
		return nil, err
	}
	h.claims = append(h.claims, claim)
	return claim, nil
}

// AddressClaims returns the host's claims, oldest first.
func (h *Host) AddressClaims() []*AddressClaim {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.claims)
}

// Interface returns the interface that the address is for.
func (c *AddressClaim) Interface() *Interface { return c.iface }

// Address returns the address that is claimed.
func (c *AddressClaim) Address() ipv4.Address { return c.addr }

// Lifetime returns what SetLifetime has set.
func (c *AddressClaim) Lifetime() Lifetime {
	c.host.mu.Lock()
	defer c.host.mu.Unlock()
	return c.lifetime
}

// SetLifetime notes how long the address may be used. Whoever knows that
// releases the claim in time.
func (c *AddressClaim) SetLifetime(l Lifetime) {
	c.host.mu.Lock()
	defer c.host.mu.Unlock()
	c.lifetime = l
}

// State returns how far the claim is. The interface has the address in the
// states that are Usable.
func (c *AddressClaim) State() arp.ClaimState { return c.claim.State() }

// Restart withdraws the address and asks for it anew, as after the host has
// slept.
func (c *AddressClaim) Restart() {
	c.host.mu.Lock()
	defer c.host.mu.Unlock()
	if !c.ended {
		c.claim.Restart()
		_ = c.followLocked() // an address is taken away, which cannot fail
	}
}

// Release ends the claim and takes the address from the interface. It may be
// called more than once, also from Notify.
func (c *AddressClaim) Release() {
	c.host.mu.Lock()
	defer c.host.mu.Unlock()
	c.releaseLocked()
}

func (c *AddressClaim) releaseLocked() {
	if c.ended {
		return
	}
	c.claim.Release()
	_ = c.followLocked()
	c.ended = true
	c.host.claims = slices.DeleteFunc(slices.Clone(c.host.claims), func(o *AddressClaim) bool { return o == c })
}

// heard is the claim's Notify.
func (c *AddressClaim) heard(ev arp.ClaimEvent) {
	h := c.host
	h.mu.Lock()
	if c.ended || h.closed {
		h.mu.Unlock()
		return
	}
	if err := c.followLocked(); err != nil {
		c.releaseLocked()
		ev.Kind, ev.Err = arp.Lost, err
	}
	h.mu.Unlock()
	h.log.Info("address claim", "name", c.iface.name, "address", c.addr.Prefix, "event", ev.Kind.String())
	if c.notify != nil {
		c.notify(ev)
	}
}

// followLocked makes the interface have the address or not, as the claim stands
// now: what the event said may be past already.
func (c *AddressClaim) followLocked() error {
	switch usable := c.claim.State().Usable(); {
	case usable && !c.added:
		if err := c.host.addAddressLocked(c.iface, c.addr); err != nil {
			return err
		}
		for _, r := range c.routes {
			if err := c.host.ip.AddRoute(r); err != nil && !errors.Is(err, syscall.EEXIST) {
				c.host.log.Warn("route does not come back with its address", "route", r.Dst, "address", c.addr.Prefix, "err", err)
			}
		}
		c.added, c.routes = true, nil
	case !usable && c.added:
		c.added = false
		return c.withdrawLocked()
	}
	return nil
}

// withdrawLocked takes the address away from the interface, and no other.
func (c *AddressClaim) withdrawLocked() error {
	h, index := c.host, c.iface.index
	before := h.ip.Routes()
	// By default secondary addresses go with their primary: as the command of a
	// user that is to be expected, here it would not.
	promote, _ := h.conf.Get(index, devconf.PromoteSecondaries)
	h.conf.Set(index, devconf.PromoteSecondaries, 1)
	err := h.deleteAddressLocked(c.iface, c.addr)
	h.conf.Set(index, devconf.PromoteSecondaries, int32(promote))
	after := h.ip.Routes()
	c.routes = slices.DeleteFunc(before, func(r ipv4.Route) bool {
		return r.Protocol == ipv4.OriginKernel || slices.ContainsFunc(after, r.Equal)
	})
	return err
}

// linkChangedLocked tells ARP whether an interface has a link. Without one its
// claimed addresses are withdrawn.
func (h *Host) linkChangedLocked(i *Interface) {
	h.arp.SetLink(i.index, i.up.Load() && i.carrier.Load())
	h.followClaimsLocked(i)
}

func (h *Host) followClaimsLocked(i *Interface) {
	for _, c := range h.claims {
		if c.iface == i {
			_ = c.followLocked()
		}
	}
}

// endClaimsLocked ends the claims to addresses of i that are not its any more,
// by somebody else's doing; with all set, every claim on it.
func (h *Host) endClaimsLocked(i *Interface, all bool) {
	for _, c := range slices.Clone(h.claims) {
		if c.iface == i && (all || c.added && !h.hasAddress(i, c.addr)) {
			c.added = false
			c.releaseLocked()
		}
	}
}

// claimLocked returns the claim to an address of i that awaits its turn.
func (h *Host) claimLocked(i *Interface, a ipv4.Address) *AddressClaim {
	for _, c := range h.claims {
		if c.iface == i && c.addr.Prefix == a.Prefix && !c.added {
			return c
		}
	}
	return nil
}

func (h *Host) hasAddress(i *Interface, a ipv4.Address) bool {
	return slices.ContainsFunc(h.ip.Addresses(i.index), func(x ipv4.Address) bool { return x.Prefix == a.Prefix })
}
