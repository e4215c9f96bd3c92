package ipv4

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// normalRoute fills in the defaults that depend on the route alone.
func normalRoute(r Route) (Route, error) {
	if !r.Dst.IsValid() {
		r.Dst = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	if !r.Dst.Addr().Is4() || r.Gateway.IsValid() && !r.Gateway.Is4() || r.Src.IsValid() && !r.Src.Is4() {
		return Route{}, fmt.Errorf("ipv4: route to %v via %v src %v: want IPv4 addresses: %w", r.Dst, r.Gateway, r.Src, syscall.EINVAL)
	}
	if r.Type == 0 {
		r.Type = Unicast
	}
	if r.Protocol == 0 {
		r.Protocol = OriginBoot
	}
	r.setTable()
	if r.Scope == ScopeUniverse && !r.Exact {
		switch {
		case r.Type == Local:
			r.Scope = ScopeHost
		case r.Type == Broadcast || r.Type == Multicast, r.Type == Unicast && !r.Gateway.IsValid() && r.NextHops == nil:
			r.Scope = ScopeLink
		}
	}
	r.Exact, r.Dead, r.LinkDown = false, false, false
	if r.MTU != 0 {
		r.Metrics.Values[MetricMTU] = uint32(r.MTU)
	}
	r.Metrics.clamp()
	r.MTU = int(r.Metrics.Values[MetricMTU])
	r.NextHops = slices.Clone(r.NextHops)
	if len(r.NextHops) == 1 {
		h := r.NextHops[0]
		r.Gateway, r.Interface, r.OnLink, r.NextHops = h.Gateway, h.Interface, h.OnLink, nil
	}
	if err := r.check(); err != nil {
		return Route{}, fmt.Errorf("ipv4: %v route to %v: %w", r.Type, r.Dst, err)
	}
	return r, nil
}

// check looks at what needs no interfaces (Linux's fib_create_info).
func (r *Route) check() error {
	least := ScopeUniverse
	switch r.Type {
	case Local:
		least = ScopeHost
	case Broadcast:
		least = ScopeLink
	case Unicast, Multicast, Blackhole, Unreachable, Prohibit, Throw:
	default:
		return refusal(syscall.EINVAL, "Invalid route type")
	}
	switch {
	case r.Dst != r.Dst.Masked():
		return refusal(syscall.EINVAL, "Invalid prefix for given prefix length")
	case r.TOS&3 != 0:
		return refusal(syscall.EINVAL, "Invalid dsfield (tos): ECN bits must be 0")
	case r.Scope < least:
		return refusal(syscall.EINVAL, "Invalid scope")
	case r.Type.errno() != 0:
		if r.Gateway.IsValid() || r.Interface != 0 || r.NextHops != nil {
			return refusal(syscall.EINVAL, "Gateway, device and multipath can not be specified for this route type")
		}
	case r.Scope > ScopeHost:
		return refusal(syscall.EINVAL, "Invalid scope")
	case r.Scope == ScopeHost && r.NextHops != nil:
		return refusal(syscall.EINVAL, "Route with host scope can not have multiple nexthops")
	case r.Scope == ScopeHost && r.Gateway.IsValid():
		return refusal(syscall.EINVAL, "Route with host scope can not have a gateway")
	}
	for n, h := range r.NextHops {
		if h.Weight == 0 {
			r.NextHops[n].Weight = 1
		}
		if h.Weight < 0 || h.Weight > 256 {
			return refusal(syscall.EINVAL, "Invalid weight: want 1 to 256")
		}
		r.NextHops[n].Dead, r.NextHops[n].LinkDown = false, false
	}
	return nil
}

// resolveLocked finds the route's interfaces and checks its gateways and source.
func (pr *Protocol) resolveLocked(f *fib, r Route) (*route, error) {
	e := &route{Route: r, nextHopScope: ScopeNowhere}
	// A path tells its MTU itself.
	if r.Metrics != (Metrics{Values: [NumMetrics]uint32{MetricMTU: uint32(r.MTU)}}) {
		e.metrics = &e.Metrics
	}
	switch {
	case r.Type.errno() != 0:
	case r.NextHops == nil:
		h, err := pr.resolveHopLocked(f, &r, NextHopOf{Gateway: r.Gateway, Interface: r.Interface, OnLink: r.OnLink})
		if err != nil {
			return nil, err
		}
		e.iface, e.nextHopScope, e.Interface = h.iface, h.scope, h.iface.Index()
		e.plain = r.TOS == 0
	default:
		for n, x := range r.NextHops {
			h, err := pr.resolveHopLocked(f, &r, x)
			if err != nil {
				return nil, err
			}
			e.hops = append(e.hops, h)
			e.NextHops[n].Interface = h.iface.Index()
		}
		e.iface, e.nextHopScope = e.hops[0].iface, e.hops[0].scope
	}
	// A local route may be what makes its source an address of ours.
	if r.Src.IsValid() && !(r.Type == Local && r.Dst == host(r.Src)) && f.addrType(r.Src, 0) != Local {
		return nil, refusal(syscall.EINVAL, "Invalid prefsrc address")
	}
	return e, nil
}

// resolveHopLocked is Linux's fib_check_nh.
func (pr *Protocol) resolveHopLocked(f *fib, r *Route, x NextHopOf) (*hop, error) {
	set := pr.interfaces.Load()
	h := &hop{gateway: x.Gateway, weight: x.Weight, iface: set.byIndex(x.Interface), scope: ScopeHost}
	switch {
	case r.Scope == ScopeHost:
		h.scope = ScopeNowhere
		if h.iface == nil && x.Interface == 0 && r.Type == Local {
			h.iface = set.loopback
		}
		if h.iface == nil {
			return nil, syscall.ENODEV
		}
		return h, nil
	case !x.Gateway.IsValid():
		switch {
		case x.OnLink:
			return nil, refusal(syscall.EINVAL, "Invalid flags for nexthop - PERVASIVE and ONLINK can not be set")
		case h.iface == nil:
			return nil, syscall.ENODEV
		case !h.iface.Up():
			return nil, refusal(syscall.ENETDOWN, "Device for nexthop is not up")
		}
		return h, nil
	case x.OnLink:
		h.scope = ScopeLink
		switch {
		case r.Scope >= ScopeLink:
			return nil, refusal(syscall.EINVAL, "Nexthop has invalid scope")
		case h.iface == nil:
			return nil, refusal(syscall.ENODEV, "Nexthop device required for onlink")
		case !h.iface.Up():
			return nil, refusal(syscall.ENETDOWN, "Nexthop device is not up")
		case f.addrType(x.Gateway, x.Interface) != Unicast:
			return nil, refusal(syscall.EINVAL, "Nexthop has invalid gateway")
		}
		return h, nil
	}
	// The gateway must be nearer than what lies behind it.
	k := key{dst: x.Gateway, oif: x.Interface, scope: max(r.Scope+1, ScopeLink), anyLink: true}
	var via *route
	if r.Table != TableMain {
		if via, _ = lookupIn(f.table(r.Table), &k); via != nil && via.Type.errno() != 0 {
			via = nil
		}
	}
	if via == nil {
		var errno syscall.Errno
		if via, _, errno = f.lookup(&k); errno != 0 {
			return nil, refusal(errno, "Nexthop has invalid gateway")
		}
	}
	if via.Type != Unicast && via.Type != Local {
		return nil, refusal(syscall.EINVAL, "Nexthop has invalid gateway")
	}
	h.iface, h.scope = via.iface, via.Scope
	if via.hops != nil {
		h.iface = via.firstHop(&k).iface
	}
	if !h.iface.Up() {
		return nil, syscall.ENETDOWN
	}
	return h, nil
}
