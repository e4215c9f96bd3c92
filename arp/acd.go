package arp

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/clock"
)

// ClaimConfig describes a claim; the zero value defends an address once, and
// does not try again when another host has it.
type ClaimConfig struct {
	Defence Defence
	// Retry is how long after a conflict the address is tried again; 0 is
	// never. RFC 2131, section 3.1, wants a DHCP client to wait 10 s.
	Retry time.Duration
	// Notify hears of what happens, one event after the other, called by timers
	// and by Input with no lock held, never by the methods of Claim and
	// Protocol. It may call them. It must not block.
	Notify func(ClaimEvent)
}

// ClaimEvent is something that happened to a claim.
type ClaimEvent struct {
	Claim     *Claim
	Kind      ClaimEventKind
	Time      time.Time
	Interface int
	IP        netip.Addr
	By        link.Addr // the other host, with Conflict, Defended and Lost
	Err       error     // with Lost: that it was no host, but the address that could not be used
}

// Claim is an address that is used on one interface only while no other host
// there uses it (RFC 5227). Linux does nothing of the kind for IPv4: without
// claims neither does ARP. Methods may be called concurrently.
type Claim struct {
	pr     *Protocol
	key    claimKey
	notify func(ClaimEvent)

	// Guarded by Protocol.acd.mu.
	m        conflict
	epoch    uint64 // of the link that m began on
	timer    clock.Timer
	pending  []timedEffect
	draining bool // a goroutine performs what is pending
}

type claimKey struct {
	index int
	ip    netip.Addr
}

type timedEffect struct {
	effect
	at time.Time
}

// acd is what the claims of a Protocol share.
type acd struct {
	mu       sync.Mutex
	attempts map[int]*attempts // by interface
}

// Claim begins to claim ip on interface index: by probes, which take 4 to 7
// seconds, then by announcements, then by defending it. Adding the address to
// the interface at Usable, and taking it away later, is the owner's part. While
// the interface has no link the claim waits for it. The errors are ENODEV,
// EOPNOTSUPP for an interface without ARP, EINVAL for what cannot be a host's
// address or a negative Retry, EEXIST for a claim that exists, and net.ErrClosed.
func (pr *Protocol) Claim(index int, ip netip.Addr, cfg ClaimConfig) (*Claim, error) {
	fail := func(err error) (*Claim, error) {
		return nil, fmt.Errorf("arp: claim to %s on interface %d: %w", ip, index, err)
	}
	switch i := (*pr.ifaces.Load())[index]; {
	case i == nil:
		return fail(syscall.ENODEV)
	case i.noARP:
		return fail(syscall.EOPNOTSUPP)
	case !ip.Is4() || ip.IsUnspecified() || ip.IsMulticast() || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}) || cfg.Retry < 0:
		return fail(syscall.EINVAL)
	}
	c := &Claim{pr: pr, key: claimKey{index, ip}, notify: cfg.Notify}
	pr.acd.mu.Lock()
	if pr.acd.attempts == nil {
		pr.acd.attempts = make(map[int]*attempts)
	}
	if pr.acd.attempts[index] == nil {
		pr.acd.attempts[index] = new(attempts)
	}
	c.m = conflict{defence: cfg.Defence, retry: cfg.Retry, rand: pr.cfg.Rand, limit: pr.acd.attempts[index]}
	pr.acd.mu.Unlock()

	var err error
	pr.editHooks(func(h *hooks) {
		switch {
		case pr.closed:
			err = net.ErrClosed
		case (*pr.ifaces.Load())[index] == nil: // removed meanwhile
			err = syscall.ENODEV
		case h.claims[c.key] != nil:
			err = syscall.EEXIST
		default:
			claims := make(map[claimKey]*Claim, len(h.claims)+1)
			maps.Copy(claims, h.claims)
			claims[c.key] = c
			h.claims = claims
		}
	})
	if err != nil {
		return fail(err)
	}
	// The claim is among the hooks first, so that of a change of the link
	// meanwhile either it or the change takes note.
	c.followLink()
	return c, nil
}

// Release ends the claim. Nothing is sent or told any more, except by a call of
// Notify that is under way. It may be called more than once.
func (c *Claim) Release() {
	c.pr.editHooks(func(h *hooks) {
		if h.claims[c.key] == c {
			h.claims = maps.Clone(h.claims)
			delete(h.claims, c.key)
		}
	})
	c.pr.acd.mu.Lock()
	defer c.pr.acd.mu.Unlock()
	c.m.state, c.m.deadline, c.pending = ClaimReleased, time.Time{}, nil
	c.armLocked(time.Time{})
}

// Restart has the claim begin anew, as after the host has slept. The address is
// not usable until then.
func (c *Claim) Restart() {
	now := c.pr.cfg.Clock.Now()
	c.pr.acd.mu.Lock()
	defer c.pr.acd.mu.Unlock()
	if c.m.state != ClaimReleased && c.m.state != ClaimSuspended {
		c.pending = nil
		c.m.begin(now)
		c.armLocked(now)
	}
}

// State returns how far the claim is.
func (c *Claim) State() ClaimState {
	c.pr.acd.mu.Lock()
	defer c.pr.acd.mu.Unlock()
	return c.m.state
}

// SetLink tells whether interface index has a link: is up, and has carrier.
// Claims to its addresses end with the link, and begin anew with it; SetLLAddr
// has the same effect. Neither calls Notify: timers do so afterwards.
func (pr *Protocol) SetLink(index int, on bool) {
	pr.edit(index, func(i *iface) {
		if on && i.down {
			i.epoch++
		}
		i.down = !on
	})
	pr.followLink(index)
}

// followLink has the claims of an interface take note of what became of it.
func (pr *Protocol) followLink(index int) {
	for _, c := range pr.claims(index) {
		c.followLink()
	}
}

// claims returns the claims on interface index, those of all if it is 0.
func (pr *Protocol) claims(index int) (cs []*Claim) {
	if h := pr.hooks.Load(); h != nil {
		for k, c := range h.claims {
			if index == 0 || k.index == index {
				cs = append(cs, c)
			}
		}
	}
	return cs
}

// followLink compares the claim with its interface; what the interface was in
// between does not matter.
func (c *Claim) followLink() {
	now := c.pr.cfg.Clock.Now()
	c.pr.acd.mu.Lock()
	defer c.pr.acd.mu.Unlock()
	i := (*c.pr.ifaces.Load())[c.key.index]
	switch {
	case i == nil || c.m.state == ClaimReleased:
		return
	case i.down:
		if c.m.state != ClaimSuspended {
			c.pending = nil
			c.m.suspend(now)
		}
	case c.epoch != i.epoch || c.m.state == ClaimSuspended:
		// RFC 5227, section 2.1: also when the interface was active before, and
		// possibly on the same link.
		c.pending, c.epoch = nil, i.epoch
		c.m.begin(now)
	}
	c.armLocked(now)
}

func (c *Claim) armLocked(now time.Time) {
	switch {
	case !c.m.deadline.IsZero() && c.timer == nil:
		c.timer = c.pr.cfg.Clock.AfterFunc(c.m.deadline.Sub(now), c.expire)
	case !c.m.deadline.IsZero():
		c.timer.Reset(c.m.deadline.Sub(now))
	case c.timer != nil:
		c.timer.Stop()
	}
}

// expire is the timer's function.
func (c *Claim) expire() {
	c.step(func(now time.Time) []effect {
		if c.m.deadline.IsZero() || now.Before(c.m.deadline) {
			return nil // put off after the timer had fired
		}
		return c.m.expire(now)
	})
}

// heard takes a received packet that is about the claimed address.
func (c *Claim) heard(a Packet) {
	ours := false
	for _, i := range *c.pr.ifaces.Load() {
		ours = ours || i.addr == a.SenderAddr
	}
	c.step(func(now time.Time) []effect {
		if !c.m.contested(a, ours) {
			return nil
		}
		c.pr.Stats.Conflicts.Add(1)
		return c.m.contest(now, a.SenderAddr)
	})
}

// step runs the machine under the lock and performs what it wants without,
// unless another goroutine is at it: that one then goes on with these, so that
// everything happens in order.
func (c *Claim) step(f func(now time.Time) []effect) {
	mu := &c.pr.acd.mu
	mu.Lock()
	defer mu.Unlock()
	now := c.pr.cfg.Clock.Now()
	for _, e := range f(now) {
		c.pending = append(c.pending, timedEffect{e, now})
	}
	c.armLocked(now)
	if c.draining {
		return
	}
	c.draining = true
	for len(c.pending) > 0 {
		e := c.pending[0]
		c.pending = c.pending[1:]
		// A frame may have been overtaken: nobody announces what is lost.
		if e.frame == announceFrame && !c.m.state.Usable() || e.frame == probeFrame && c.m.state != ClaimProbing {
			continue
		}
		mu.Unlock()
		c.perform(e)
		mu.Lock()
	}
	c.draining = false
}

func (c *Claim) perform(e timedEffect) {
	if e.frame == noFrame {
		if c.notify != nil {
			c.notify(ClaimEvent{Claim: c, Kind: e.event, Time: e.at, Interface: c.key.index, IP: c.key.ip, By: e.by})
		}
		return
	}
	i := (*c.pr.ifaces.Load())[c.key.index]
	if i == nil || i.noARP {
		return
	}
	a := Packet{Op: Request, SenderAddr: i.addr, SenderIP: netip.IPv4Unspecified(), TargetIP: c.key.ip}
	counter := &c.pr.Stats.OutProbes
	if e.frame == announceFrame {
		a.SenderIP = c.key.ip
		counter = &c.pr.Stats.OutAnnouncements
	}
	if c.pr.send(i, link.BroadcastAddr, a) == nil {
		counter.Add(1)
	}
}
