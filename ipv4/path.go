package ipv4

import (
	"fmt"
	"net/netip"
	"syscall"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/devconf"
)

// Path is a route decision for one destination.
type Path struct {
	// Type is Unicast, Local, Broadcast or Multicast for a packet that goes
	// somewhere.
	Type RouteType
	// Interface is where the packet leaves; the loopback interface for Local
	// output, the receiving one for a packet that is to be delivered here.
	Interface *Interface
	// Gateway is the next hop, not valid when the destination is the next hop.
	Gateway netip.Addr
	// Src is the source address, as asked for or chosen; not valid on input.
	Src netip.Addr
	// MTU is the longest packet in bytes the path is known to carry.
	MTU int

	// redirect says that the sender could have asked Gateway itself.
	redirect bool
	// locked says that MTU is a guess, and DF is not to be set.
	locked bool
	// member says that we belong to the multicast group.
	member bool
	// metrics are the route's, nil when it has none.
	metrics *Metrics
	// route is what was decided by, nil for a path without one.
	route *route
}

// NextHop returns the address to resolve for a packet to dst.
func (p Path) NextHop(dst netip.Addr) netip.Addr {
	if p.Gateway.IsValid() {
		return p.Gateway
	}
	return dst
}

// AddrType classifies an address: Local for ours, Broadcast, Multicast, or
// Unicast for anything else (Linux's inet_addr_type).
func (pr *Protocol) AddrType(a netip.Addr) RouteType { return pr.fib.Load().addrType(a, 0) }

// AddrTypeOn is AddrType with only the local and broadcast addresses of that
// interface (Linux's inet_addr_type_dev_table).
func (pr *Protocol) AddrTypeOn(index int, a netip.Addr) RouteType {
	return pr.fib.Load().addrType(a, index)
}

// OutputPath decides how a packet of ours gets to dst, as Linux's
// ip_route_output_key: with source src, or one it chooses when src is not valid,
// and by the interface oif unless that is 0. The error is ENETUNREACH without a
// route, or for a source that is not ours, that of the route (EHOSTUNREACH, EACCES, EINVAL),
// EINVAL for addresses that cannot be, ENODEV.
func (pr *Protocol) OutputPath(dst, src netip.Addr, oif int) (Path, error) {
	return pr.OutputFlow(dst, src, oif, Flow{})
}

// OutputFlow is OutputPath for a packet of which more is known than addresses:
// routes may be limited to a TOS, and a multipath route gives each flow one of its
// next hops.
func (pr *Protocol) OutputFlow(dst, src netip.Addr, oif int, fl Flow) (Path, error) {
	var path Path
	k := fl.key(dst, oif)
	if errno := pr.outputPath(&path, &k, src); errno != 0 {
		return Path{}, fmt.Errorf("ipv4: no path to %v: %w", dst, errno)
	}
	return path, nil
}

// outputPath is OutputFlow into path, which is rubbish after an error.
func (pr *Protocol) outputPath(path *Path, k *key, src netip.Addr) syscall.Errno {
	dst, oif := k.dst, k.oif
	f, set := pr.fib.Load(), pr.interfaces.Load()
	if !dst.Is4() || src.IsValid() && !src.Is4() {
		return syscall.EINVAL
	}
	if src.IsValid() && isZeronet(src) {
		src = netip.Addr{}
	}
	if src.IsValid() {
		if src.IsMulticast() || isLimitedBroadcast(src) {
			return syscall.EINVAL
		}
		own, _ := f.findLocal(&key{dst: src})
		if own == nil || own.Type != Local {
			return syscall.ENETUNREACH
		}
		// Groups and the limited broadcast leave by the interface of the
		// source, whatever the routes say.
		if oif == 0 && (dst.IsMulticast() || isLimitedBroadcast(dst)) {
			return pr.onLink(path, own.iface, dst, src)
		}
	}
	var out *Interface
	if oif != 0 {
		if out = set.byIndex(oif); out == nil {
			return syscall.ENODEV
		}
		if !out.Up() {
			return syscall.ENETUNREACH
		}
		if isLocalMulticast(dst) || isLimitedBroadcast(dst) {
			return pr.onLink(path, out, dst, src)
		}
		if !src.IsValid() && dst.IsMulticast() {
			src = pr.selectSource(out, netip.Addr{}, ScopeUniverse)
		}
	}
	if isZeronet(dst) {
		// 0.0.0.0 is this host.
		if dst = src; !dst.IsValid() {
			dst = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
	}
	k.dst = dst
	r, bits, errno := f.lookup(k)
	if errno != 0 {
		if out != nil {
			// Linux: with an interface given the tables must be wrong, and
			// the destination is on its link.
			return pr.onLink(path, out, dst, src)
		}
		return errno
	}
	if r.Type == Local {
		if set.loopback == nil {
			return syscall.ENETUNREACH
		}
		if !src.IsValid() {
			src = r.Src
		}
		if !src.IsValid() {
			src = dst
		}
		*path = Path{Type: Local, Interface: set.loopback, Src: src, MTU: set.loopback.MTU()}
		return 0
	}
	i, gateway := r.iface, r.gateway()
	if r.hops != nil {
		h := pr.selectHop(r, k, src)
		i, gateway = h.iface, h.next()
	}
	if !src.IsValid() {
		if src = r.Src; !src.IsValid() {
			src = pr.selectSource(i, gateway, r.Scope)
		}
	}
	*path = Path{Type: r.Type, Interface: i, Gateway: gateway, Src: src, MTU: r.mtu(i), route: r}
	if r.metrics != nil {
		path.metrics = r.metrics
		path.locked = r.metrics.Locked&(1<<MetricMTU) != 0
	}
	switch {
	case isLimitedBroadcast(dst) || r.Type == Broadcast:
		path.Type, path.Gateway = Broadcast, netip.Addr{}
	case dst.IsMulticast():
		path.Type = Multicast
		// A group without a route of its own takes the default's interface,
		// but not its gateway.
		if bits < 4 {
			path.Gateway = netip.Addr{}
		}
		path.member = i.receives(dst, src, 0)
	default:
		pr.exceptions.apply(dst, pr.config.Clock, path)
	}
	return checked(path)
}

// onLink is the path to dst as a neighbour on i, whatever the routes say.
func (pr *Protocol) onLink(path *Path, i *Interface, dst, src netip.Addr) syscall.Errno {
	if !src.IsValid() {
		src = pr.selectSource(i, netip.Addr{}, ScopeLink)
	}
	*path = Path{Type: Unicast, Interface: i, Src: src, MTU: i.MTU()}
	switch {
	case isLimitedBroadcast(dst):
		path.Type = Broadcast
	case dst.IsMulticast():
		path.Type, path.member = Multicast, i.receives(dst, src, 0)
	}
	return checked(path)
}

// checked keeps 127/8 on the host (RFC 1122, section 3.2.1.3). A host without an
// address sends from 0.0.0.0, as DHCP needs it.
func checked(p *Path) syscall.Errno {
	if !p.Src.IsValid() {
		p.Src = netip.IPv4Unspecified()
	}
	if p.Src.IsLoopback() && !p.Interface.Loopback() && !p.Interface.routesLocalnet() {
		return syscall.EINVAL
	}
	return 0
}

// InputPath decides what becomes of a packet from src to dst that the interface
// iif received, as Linux's ip_route_input: ok is true for Local, Broadcast and
// Multicast, which are delivered here, and for Unicast, which is forwarded by
// Path.Interface. Otherwise the reason says what was wrong.
func (pr *Protocol) InputPath(dst, src netip.Addr, iif int) (path Path, reason link.DropReason, ok bool) {
	i := pr.Interface(iif)
	if i == nil {
		return Path{}, link.DevReady, false
	}
	reason, _ = pr.inputPath(&path, i, &key{dst: dst}, src)
	return path, reason, reason == link.NotSpecified
}

// InputFlow is InputPath for a packet of which more is known than addresses. The
// error is what Linux answers when asked for such a route: that of the route,
// EHOSTUNREACH where nothing is forwarded, EINVAL for addresses that cannot be,
// ENODEV.
func (pr *Protocol) InputFlow(dst, src netip.Addr, iif int, fl Flow) (Path, error) {
	i := pr.Interface(iif)
	if i == nil {
		return Path{}, fmt.Errorf("ipv4: no interface %d: %w", iif, syscall.ENODEV)
	}
	var path Path
	k := fl.key(dst, 0)
	reason, errno := pr.inputPath(&path, i, &k, src)
	switch {
	case reason == link.NotSpecified:
		return path, nil
	case reason != link.IPInNoRoutes:
		errno = syscall.EINVAL
	case errno == 0:
		errno = syscall.EHOSTUNREACH
	}
	return Path{}, fmt.Errorf("ipv4: no path from %v by %s to %v: %w", src, i.Name(), dst, errno)
}

// inputPath fills in path for a packet that goes somewhere. It also returns the
// errno of the route lookup, for the sender to be told; it is 0 when the packet
// goes somewhere, and when nobody must be told.
func (pr *Protocol) inputPath(path *Path, i *Interface, k *key, src netip.Addr) (link.DropReason, syscall.Errno) {
	f, dst := pr.fib.Load(), k.dst
	if i.Loopback() {
		// What comes back by the loopback interface left this host routed and
		// checked; Linux does not look at it again either.
		*path = Path{Type: pr.ownType(f, i, dst), Interface: i, MTU: i.MTU()}
		return link.NotSpecified, 0
	}
	broadcast := false
	if !ordinary(dst) || !ordinary(src) {
		var reason link.DropReason
		var done bool
		if broadcast, reason, done = pr.specialPath(path, f, i, dst, src, k.protocol); done {
			return reason, 0
		}
	}
	var r *route
	if !broadcast {
		var errno syscall.Errno
		r, _, errno = f.lookup(k)
		if errno != 0 {
			if !i.forwards() {
				errno = 0
			}
			return link.IPInNoRoutes, errno
		}
		broadcast = r.Type == Broadcast && !(i.conf.And(devconf.BCForwarding) && i.forwards() && r.iface != i)
	}
	switch {
	case broadcast:
		if !isZeronet(src) {
			if _, reason := pr.validateSource(f, i, nil, src); reason != link.NotSpecified {
				return reason, 0
			}
		}
		*path = Path{Type: Broadcast, Interface: i, MTU: i.MTU()}
		return link.NotSpecified, 0
	case r.Type == Local:
		if _, reason := pr.validateSource(f, i, nil, src); reason != link.NotSpecified {
			return reason, 0
		}
		*path = Path{Type: Local, Interface: i, MTU: i.MTU()}
		return link.NotSpecified, 0
	case !i.forwards():
		return link.IPInNoRoutes, 0
	case r.Type != Unicast && r.Type != Broadcast:
		return link.IPInvalidDest, 0
	}
	out, gateway := r.iface, r.gateway()
	if r.hops != nil {
		h := pr.selectHop(r, k, src)
		out, gateway = h.iface, h.next()
	}
	direct, reason := pr.validateSource(f, i, out, src)
	if reason != link.NotSpecified {
		return reason, 0
	}
	*path = Path{Type: Unicast, Interface: out, Gateway: gateway, MTU: r.mtu(out), route: r}
	// RFC 1812 section 5.2.7.2: the sender is a neighbour on the link that the
	// next hop is on.
	if direct && out == i {
		path.redirect = i.conf.Or(devconf.SharedMedia) || shareSubnet(i, src, path.NextHop(dst))
	}
	return link.NotSpecified, 0
}

// specialPath is what inputPath has to look at with addresses that are not
// ordinary: done is true when that decides. Otherwise broadcast says that the
// packet is to all of a link.
func (pr *Protocol) specialPath(path *Path, f *fib, i *Interface, dst, src netip.Addr, protocol uint8) (broadcast bool, reason link.DropReason, done bool) {
	if src.IsMulticast() || isLimitedBroadcast(src) {
		return false, link.IPInvalidSource, true
	}
	if dst.IsMulticast() {
		if !i.receives(dst, src, protocol) {
			return false, link.IPMulticast, true
		}
		if src.IsLoopback() && !i.routesLocalnet() {
			return false, link.IPLocalNet, true
		}
		if isZeronet(src) {
			if !isLocalMulticast(dst) {
				return false, link.IPInvalidSource, true
			}
		} else if _, reason := pr.validateSource(f, i, nil, src); reason != link.NotSpecified {
			return false, reason, true
		}
		*path = Path{Type: Multicast, Interface: i, MTU: i.MTU(), member: true}
		return false, link.NotSpecified, true
	}
	// RFC 1122 section 3.2.1.3: 0.0.0.0 is a source only for a host that does
	// not know its address yet.
	broadcast = isLimitedBroadcast(dst) || isZeronet(src) && isZeronet(dst)
	if !broadcast {
		switch {
		case isZeronet(src):
			return false, link.IPInvalidSource, true
		case isZeronet(dst):
			return false, link.IPInvalidDest, true
		case dst.IsLoopback() && !i.routesLocalnet():
			return false, link.IPInvalidDest, true
		case src.IsLoopback() && !i.routesLocalnet():
			return false, link.IPLocalNet, true
		}
	}
	return broadcast, link.NotSpecified, false
}

// ownType classifies the destination of a packet that came back to us.
func (pr *Protocol) ownType(f *fib, i *Interface, dst netip.Addr) RouteType {
	if t := f.addrType(dst, 0); t == Broadcast || t == Multicast {
		return t
	}
	return Local
}

// validateSource checks the source of a packet that i received and that is to
// leave by out, nil for one that is for us (Linux's fib_validate_source, RFC
// 3704). direct is true when the source is known to be a neighbour on i; that is
// only found out when reverse paths are checked, or a redirect may come of it.
func (pr *Protocol) validateSource(f *fib, i, out *Interface, src netip.Addr) (direct bool, reason link.DropReason) {
	strict := i.conf.Max(devconf.RPFilter)
	if strict <= 0 && (out != i || !i.conf.Or(devconf.SendRedirects)) {
		if !i.conf.Or(devconf.AcceptLocal) && f.addrType(src, 0) == Local {
			return false, link.IPLocalSource
		}
		return false, link.NotSpecified
	}
	none := func() (bool, link.DropReason) {
		if strict > 0 {
			return false, link.IPRPFilter
		}
		return false, link.NotSpecified
	}
	r, _, errno := f.lookup(&key{dst: src})
	if errno != 0 {
		return none()
	}
	if r.Type != Unicast && !(r.Type == Local && i.conf.Or(devconf.AcceptLocal)) {
		if r.Type == Local {
			return false, link.IPLocalSource
		}
		return false, link.IPInvalidSource
	}
	if r.uses(i) {
		return r.nextHopScope >= ScopeHost, link.NotSpecified
	}
	if len(i.Addresses()) == 0 {
		return none()
	}
	if strict == 1 {
		return false, link.IPRPFilter
	}
	r, _, errno = f.lookup(&key{dst: src, oif: i.Index()})
	return errno == 0 && r.Type == Unicast && r.nextHopScope >= ScopeHost, link.NotSpecified
}

// shareSubnet reports whether one prefix of i holds both addresses (Linux's
// inet_addr_onlink).
func shareSubnet(i *Interface, a, b netip.Addr) bool {
	for _, ad := range i.Addresses() {
		if ad.holds(a) && ad.holds(b) {
			return true
		}
	}
	return false
}
