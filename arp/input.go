package arp

import (
	"errors"
	"net/netip"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack/devconf"
)

// Input takes a received frame whose front is the ARP packet and whose In and
// Type tell where it came from; from is the source address that the frame named.
func (pr *Protocol) Input(p *link.Packet, from link.Addr) {
	i := (*pr.ifaces.Load())[p.In]
	if i == nil || i.noARP {
		pr.consume(p, noARP)
		return
	}
	if p.Type == link.OtherHost {
		pr.consume(p, otherHost)
		return
	}
	a, err := Parse(p.Bytes())
	if err != nil {
		o, r := parseDrop(err)
		pr.drop(p, o, r)
		return
	}
	switch a.Op {
	case Request:
		pr.Stats.InRequests.Add(1)
	case Reply:
		pr.Stats.InReplies.Add(1)
	}
	if h := pr.hooks.Load(); h != nil {
		h.hear(pr, i, a, from, p.Type)
		if !h.input(i, a) {
			pr.drop(p, dropFilter, link.ARPFilterRefuse)
			return
		}
	}
	if i.conf == nil {
		pr.drop(p, dropNoIPv4, link.ARPDisabled)
		return
	}
	// Linux 6 checks the target before anything else: no ARP for groups, and
	// for 127/8 only where route_localnet lets it onto the wire.
	if a.TargetIP.IsMulticast() || a.TargetIP.IsLoopback() && !i.conf.Or(devconf.RouteLocalnet) {
		pr.drop(p, dropTarget, link.ARPTarget)
		return
	}
	if a.SenderIP == a.TargetIP && i.conf.Or(devconf.DropGratuitousArp) {
		pr.drop(p, dropGratuitous, link.ARPGratuitous)
		return
	}
	pr.process(i, a, p, false)
}

// process decides about a well-formed packet. delayed says that it waited in the
// proxy queue: everything is decided anew, for the configuration may have
// changed.
func (pr *Protocol) process(i *iface, a Packet, p *link.Packet, delayed bool) {
	if a.SenderIP.IsUnspecified() {
		// A probe of RFC 5227: is anybody using this address? Linux answers for
		// its own addresses, whatever arp_filter and proxy ARP say, and learns
		// nothing from it.
		if a.Op == Request && pr.cfg.Host.AddrType(a.TargetIP) == neighbour.Local && !pr.ignore(i, a) {
			pr.reply(i, a, p, answered)
			return
		}
		pr.consume(p, probeIgnored)
		return
	}
	if a.Op == Request {
		if t, out, ok := pr.cfg.Host.InputRoute(a.TargetIP, a.SenderIP, i.index); ok {
			switch {
			case t == neighbour.Local:
				pr.requestForUs(i, a, p)
				return
			case t == neighbour.Unicast && pr.proxied(i, a, out):
				pr.requestForProxied(i, a, p, delayed)
				return
			}
		}
	}
	pr.consume(p, pr.learn(i, a, p.Type))
}

// requestForUs answers a request for one of the host's own addresses.
func (pr *Protocol) requestForUs(i *iface, a Packet, p *link.Packet) {
	if pr.ignore(i, a) {
		pr.consume(p, sysctlIgnore)
		return
	}
	if pr.filter(i, a) {
		pr.consume(p, sysctlFilter)
		return
	}
	// The asker will speak to us next, so its address is learnt first (RFC 826,
	// "Packet Reception"), without regard to locktime. What waited for it leaves
	// before the reply. A host that cannot be remembered gets no answer.
	if err := pr.learnAsker(i, a); errors.Is(err, neighbour.ErrTableFull) {
		pr.consume(p, tableFull)
		return
	}
	pr.reply(i, a, p, answered)
}

// learnAsker records who asked (Linux's neigh_event_ns).
func (pr *Protocol) learnAsker(i *iface, a Packet) error {
	return pr.cfg.Neighbours.Update(i.index, a.SenderIP, neighbour.Update{
		LLAddr: a.SenderAddr, HasLLAddr: true, State: neighbour.Stale, Flags: neighbour.Override | neighbour.Create, Cause: neighbour.CauseFrame,
	})
}

// learn updates the sender's entry from a packet that asked nothing of us, and
// creates one where arp_accept allows.
func (pr *Protocol) learn(i *iface, a Packet, class link.PacketType) outcome {
	u := neighbour.Update{LLAddr: a.SenderAddr, HasLLAddr: true, State: neighbour.Stale, Flags: neighbour.OverrideUnlocked, Cause: neighbour.CauseFrame}
	// Only an answer sent to us alone proves that the way works in both
	// directions.
	if a.Op == Reply && class == link.Host {
		u.State = neighbour.Reachable
	}
	garp := a.gratuitous() && pr.cfg.Host.AddrType(a.SenderIP) == neighbour.Unicast
	if garp {
		u.Flags |= neighbour.Override
	}
	err := pr.cfg.Neighbours.Update(i.index, a.SenderIP, u)
	if !errors.Is(err, neighbour.ErrNotFound) {
		return learnt
	}
	if !pr.accept(i, a.SenderIP) {
		return noEntry
	}
	if garp || a.Op == Reply && pr.cfg.Host.AddrType(a.SenderIP) == neighbour.Unicast {
		u.Flags |= neighbour.Create
		if pr.cfg.Neighbours.Update(i.index, a.SenderIP, u) == nil {
			return learnt
		}
	}
	return noEntry
}

// accept is the verdict of arp_accept on a sender without an entry.
func (pr *Protocol) accept(i *iface, sender netip.Addr) bool {
	switch i.conf.Max(devconf.ArpAccept) {
	case 1:
		return true
	case 2:
		for _, a := range pr.cfg.Host.Addresses(i.index) {
			if a.Scope <= ScopeLink && a.Prefix.Masked().Contains(sender) {
				return true
			}
		}
	}
	return false
}

func (pr *Protocol) consume(p *link.Packet, o outcome) {
	pr.Stats.outcomes[o].Add(1)
	p.Release()
}

func (pr *Protocol) drop(p *link.Packet, o outcome, r link.DropReason) {
	pr.Stats.outcomes[o].Add(1)
	pr.cfg.Drops.Drop(p, r)
}

func parseDrop(err error) (outcome, link.DropReason) {
	switch err {
	case ErrShort:
		return dropTooShort, link.ARPTooShort
	case ErrHardware:
		return dropHardware, link.ARPHardware
	case ErrProtocol:
		return dropProtocol, link.ARPProtocol
	}
	return dropOperation, link.ARPOperation
}
