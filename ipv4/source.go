package ipv4

import "net/netip"

// SelectSource returns the address of an interface to use as source towards
// target, not valid for any: the first primary address of at most that scope
// whose subnet holds the target, or else the first of at most that scope. An
// interface without one borrows from the others, the loopback interface first.
// The result is not valid when no address will do. It is Linux's
// inet_select_addr.
func (pr *Protocol) SelectSource(index int, target netip.Addr, scope Scope) netip.Addr {
	return pr.selectSource(pr.Interface(index), target, scope)
}

func (pr *Protocol) selectSource(i *Interface, target netip.Addr, scope Scope) netip.Addr {
	localnet := ScopeHost
	if i != nil {
		localnet = localnetScope(i)
		var first netip.Addr
		for _, a := range i.Addresses() {
			if a.Secondary || min(a.Scope, localnet) > scope {
				continue
			}
			if !target.IsValid() || a.holds(target) {
				return a.Addr()
			}
			if !first.IsValid() {
				first = a.Addr()
			}
		}
		if first.IsValid() {
			return first
		}
	}
	// RFC 1812 section 2.2.7: an unnumbered interface uses the address of
	// another. One that the loopback interface has for this is preferred.
	set := pr.interfaces.Load()
	if set.loopback != nil {
		if a := borrowed(set.loopback, scope); a.IsValid() {
			return a
		}
	}
	for _, o := range set.list {
		if a := borrowed(o, scope); a.IsValid() {
			return a
		}
	}
	return netip.Addr{}
}

// borrowed returns an address of i fit for use on other interfaces.
func borrowed(i *Interface, scope Scope) netip.Addr {
	for _, a := range i.Addresses() {
		if !a.Secondary && a.Scope != ScopeLink && a.Scope <= scope {
			return a.Addr()
		}
	}
	return netip.Addr{}
}

// localnetScope is how far addresses of scope host reach: with route_localnet,
// onto the link.
func localnetScope(i *Interface) Scope {
	if i.routesLocalnet() {
		return ScopeLink
	}
	return ScopeHost
}

// ConfirmAddress looks for local, or any address if it is not valid, among the
// addresses of an interface, or of all for index 0, of at most that scope, with
// the condition that some prefix of the interface holds both peer and local,
// where one that is not valid matches any. It returns the address found, or one
// that is not valid. It is Linux's inet_confirm_addr.
func (pr *Protocol) ConfirmAddress(index int, peer, local netip.Addr, scope Scope) netip.Addr {
	if index != 0 {
		if i := pr.Interface(index); i != nil {
			return confirmOn(i, peer, local, scope)
		}
		return netip.Addr{}
	}
	for _, i := range pr.Interfaces() {
		if a := confirmOn(i, peer, local, scope); a.IsValid() {
			return a
		}
	}
	return netip.Addr{}
}

func confirmOn(i *Interface, peer, local netip.Addr, scope Scope) netip.Addr {
	localnet := localnetScope(i)
	var addr netip.Addr
	same := false
	for _, a := range i.Addresses() {
		wide := min(a.Scope, localnet) <= scope
		if !addr.IsValid() && wide && (!local.IsValid() || local == a.Addr()) {
			addr = a.Addr()
			if same {
				break
			}
		}
		if same {
			continue
		}
		same = (!local.IsValid() || a.holds(local)) && (!peer.IsValid() || a.holds(peer))
		if !same || !addr.IsValid() {
			continue
		}
		if local.IsValid() || !peer.IsValid() || a.holds(addr) {
			break
		}
		// The prefix that holds peer must hold the address as well.
		if wide {
			addr = a.Addr()
			break
		}
		same = false
	}
	if !same {
		return netip.Addr{}
	}
	return addr
}
