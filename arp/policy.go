package arp

import (
	"net/netip"

	"github.com/tapstack/tapstack/stack/devconf"
)

// ignore reports whether arp_ignore forbids an answer to a request for one of
// the host's own addresses.
func (pr *Protocol) ignore(i *iface, a Packet) bool {
	none := netip.IPv4Unspecified()
	switch i.conf.Max(devconf.ArpIgnore) {
	case 1: // only addresses configured on the receiving interface
		return !confirmAddr(pr.cfg.Host.Addresses(i.index), none, a.TargetIP, ScopeHost)
	case 2: // and the sender must share a subnet with one of them
		return !confirmAddr(pr.cfg.Host.Addresses(i.index), a.SenderIP, a.TargetIP, ScopeHost)
	case 3: // not addresses of scope host, wherever they are
		return !confirmAddr(pr.cfg.Host.Addresses(0), none, a.TargetIP, ScopeLink)
	case 8: // no local address at all
		return true
	}
	return false
}

// confirmAddr reports whether addrs has local, with a scope at least as wide as
// limit, and a subnet that holds both remote and local. The two may be
// different addresses of the list; a remote of 0.0.0.0 lies in any subnet
// (Linux's inet_confirm_addr).
func confirmAddr(addrs []Address, remote, local netip.Addr, limit Scope) bool {
	found, same := false, remote.IsUnspecified()
	for _, a := range addrs {
		if a.Prefix.Addr() == local && a.Scope <= limit {
			found = true
		}
		if net := a.Prefix.Masked(); !same && net.Contains(local) && net.Contains(remote) {
			same = true
		}
	}
	return found && same
}

// filter reports whether arp_filter forbids the answer: the way back to the
// asker must lead through the interface that was asked.
func (pr *Protocol) filter(i *iface, a Packet) bool {
	if !i.conf.Or(devconf.ArpFilter) {
		return false
	}
	out, ok := pr.cfg.Host.OutputInterface(a.SenderIP, a.TargetIP)
	if ok && out != i.index {
		pr.Stats.Filtered.Add(1)
	}
	return !ok || out != i.index
}
