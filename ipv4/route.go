package ipv4

import (
	"fmt"
	"net/netip"
	"strconv"
	"syscall"

	"github.com/tapstack/tapstack/stack/devconf"
)

// RouteType is what a route does with a packet. The values are Linux's RTN_*.
type RouteType uint8

const (
	Unicast     RouteType = 1 // to a gateway or a neighbour; the default of AddRoute
	Local       RouteType = 2 // to this host
	Broadcast   RouteType = 3 // to this host, sent as link broadcast
	Multicast   RouteType = 5
	Blackhole   RouteType = 6 // dropped silently; EINVAL to local senders
	Unreachable RouteType = 7 // host unreachable; EHOSTUNREACH
	Prohibit    RouteType = 8 // communication administratively prohibited; EACCES
)

// String returns iproute2's word for the type.
func (t RouteType) String() string {
	switch t {
	case Unicast:
		return "unicast"
	case Local:
		return "local"
	case Broadcast:
		return "broadcast"
	case Multicast:
		return "multicast"
	case Blackhole:
		return "blackhole"
	case Unreachable:
		return "unreachable"
	case Prohibit:
		return "prohibit"
	}
	return strconv.Itoa(int(t))
}

// Routing tables, Linux's RT_TABLE_*. TableLocal is looked up first.
const (
	TableMain  = 254
	TableLocal = 255
)

// Origins of routes, Linux's RTPROT_*.
const (
	OriginKernel = 2 // made with an address
	OriginBoot   = 3 // the default of AddRoute
	OriginStatic = 4
)

// Route is an entry of the routing table.
type Route struct {
	// Dst is the destination; 0.0.0.0/0 (or the zero value) is the default.
	Dst netip.Prefix
	// Type is what happens; zero is Unicast.
	Type RouteType
	// Gateway is the next hop; not valid for destinations on the link.
	Gateway netip.Addr
	// Interface is the index of the interface to leave by. Zero lets AddRoute
	// find it from Gateway; routes without next hop have none.
	Interface int
	// Src is the preferred source address; not valid for none.
	Src netip.Addr
	// Metric orders routes with the same destination, smallest first.
	Metric uint32
	// Scope is the distance of the destination. When it is ScopeUniverse,
	// AddRoute sets ScopeHost for local routes, and ScopeLink for broadcast
	// routes and unicast ones without gateway, as iproute2 does.
	Scope Scope
	// Protocol is the origin, one of the Origin constants.
	Protocol uint8
	// MTU limits packets by this route, 0 for the interface's MTU.
	MTU int
	// Table is where the route is; zero lets AddRoute choose by Type.
	Table uint8
	// OnLink says that Gateway is on the link though no route says so.
	OnLink bool
}

// errno is what Linux's fib_props says: the result of a lookup that ends at a
// route of the type, 0 when the packet goes on.
func (t RouteType) errno() syscall.Errno {
	switch t {
	case Blackhole:
		return syscall.EINVAL
	case Unreachable:
		return syscall.EHOSTUNREACH
	case Prohibit:
		return syscall.EACCES
	}
	return 0
}

// route is a Route with what AddRoute found out about it. It never changes.
type route struct {
	Route
	iface *Interface // nil for routes without next hop
	// nextHopScope is Linux's nh_scope: ScopeLink for a gateway, ScopeHost for
	// destinations on the link, ScopeNowhere for local ones.
	nextHopScope Scope
}

// gateway returns the next hop, not valid for destinations on the link. A
// gateway that is one of our own addresses is a way to say "on the link".
func (r *route) gateway() netip.Addr {
	if r.nextHopScope != ScopeLink {
		return netip.Addr{}
	}
	return r.Gateway
}

// mtu returns the longest packet in bytes for the route.
func (r *route) mtu() int {
	m := r.iface.MTU()
	if r.MTU > 0 && r.MTU < m {
		return r.MTU
	}
	return m
}

// usable reports whether the route may be taken: by the interface oif, if that
// is not 0, for a destination at least scope away.
func (r *route) usable(oif int, scope Scope) bool {
	if r.Scope < scope {
		return false
	}
	if r.iface == nil {
		return true
	}
	if oif != 0 && r.iface.Index() != oif {
		return false
	}
	return r.iface.carrier.Load() || r.iface.conf.Own(devconf.IgnoreRoutesWithLinkdown) == 0
}

// AddRoute adds a route. The error is EEXIST when the destination has a route
// of that metric; ENODEV for an unknown interface, ENETDOWN for one that is
// down, ENETUNREACH for a gateway that is not on a link of ours, EINVAL for what
// makes no sense.
func (pr *Protocol) AddRoute(r Route) error { return pr.addRoute(r, false) }

// ReplaceRoute adds a route in place of the one with its destination and metric,
// if there is one. The errors are those of AddRoute but EEXIST.
func (pr *Protocol) ReplaceRoute(r Route) error { return pr.addRoute(r, true) }

func (pr *Protocol) addRoute(r Route, replace bool) error {
	r, err := normalRoute(r)
	if err != nil {
		return err
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	f := pr.fib.Load()
	e, err := pr.resolveLocked(f, r)
	if err != nil {
		return err
	}
	same := func(o *route) bool {
		return o.Dst == e.Dst && o.Metric == e.Metric && o.Table == e.Table
	}
	if f.has(e.Dst, e.Table, same) {
		if !replace {
			return fmt.Errorf("ipv4: route to %v with metric %d is there already: %w", r.Dst, r.Metric, syscall.EEXIST)
		}
		// The first of them only: others were appended by the kernel.
		f = f.withoutFirst(e.Dst, e.Table, same)
	}
	pr.setRoutesLocked(f.with(e))
	return nil
}

// normalRoute fills in the defaults that depend on the route alone.
func normalRoute(r Route) (Route, error) {
	if !r.Dst.IsValid() {
		r.Dst = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	if !r.Dst.Addr().Is4() || r.Dst != r.Dst.Masked() || r.Gateway.IsValid() && !r.Gateway.Is4() || r.Src.IsValid() && !r.Src.Is4() {
		return Route{}, fmt.Errorf("ipv4: route to %v via %v src %v: want IPv4 addresses and a destination without host bits: %w", r.Dst, r.Gateway, r.Src, syscall.EINVAL)
	}
	if r.Type == 0 {
		r.Type = Unicast
	}
	if r.Protocol == 0 {
		r.Protocol = OriginBoot
	}
	if r.Table == 0 {
		r.Table = TableMain
		if r.Type == Local || r.Type == Broadcast {
			r.Table = TableLocal
		}
	}
	if r.Scope == ScopeUniverse {
		switch {
		case r.Type == Local:
			r.Scope = ScopeHost
		case r.Type == Broadcast || r.Type == Multicast, r.Type == Unicast && !r.Gateway.IsValid():
			r.Scope = ScopeLink
		}
	}
	switch r.Type {
	case Unicast, Local, Broadcast, Multicast:
		if r.Gateway.IsValid() && (r.Type != Unicast || r.Scope >= ScopeLink) || r.Scope == ScopeHost && r.Type != Local || r.Scope > ScopeHost {
			return Route{}, fmt.Errorf("ipv4: %v route to %v: a gateway or scope that the type cannot have: %w", r.Type, r.Dst, syscall.EINVAL)
		}
	case Blackhole, Unreachable, Prohibit:
		if r.Gateway.IsValid() || r.Interface != 0 {
			return Route{}, fmt.Errorf("ipv4: %v route to %v takes no next hop: %w", r.Type, r.Dst, syscall.EINVAL)
		}
	default:
		return Route{}, fmt.Errorf("ipv4: route to %v has unknown type %d: %w", r.Dst, r.Type, syscall.EINVAL)
	}
	return r, nil
}

// resolveLocked finds the route's interface and checks its gateway, as Linux's
// fib_check_nh.
func (pr *Protocol) resolveLocked(f *fib, r Route) (*route, error) {
	if r.Src.IsValid() && f.addrType(r.Src, 0) != Local {
		return nil, fmt.Errorf("ipv4: route to %v: preferred source %v is no address of ours: %w", r.Dst, r.Src, syscall.EINVAL)
	}
	if r.Type.errno() != 0 {
		return &route{Route: r, nextHopScope: ScopeNowhere}, nil
	}
	set := pr.interfaces.Load()
	i := set.byIndex(r.Interface)
	if r.Interface != 0 && i == nil {
		return nil, fmt.Errorf("ipv4: route to %v: no interface %d: %w", r.Dst, r.Interface, syscall.ENODEV)
	}
	scope := ScopeHost
	switch {
	case r.Type == Local:
		scope = ScopeNowhere
		if i == nil {
			i = set.loopback
		}
	case r.Gateway.IsValid() && r.OnLink:
		scope = ScopeLink
		if f.addrType(r.Gateway, r.Interface) != Unicast {
			return nil, fmt.Errorf("ipv4: route to %v: gateway %v is no neighbour: %w", r.Dst, r.Gateway, syscall.EINVAL)
		}
	case r.Gateway.IsValid():
		// The gateway must be nearer than what lies behind it.
		via, _, errno := f.lookup(r.Gateway, r.Interface, max(r.Scope+1, ScopeLink))
		if errno != 0 {
			return nil, fmt.Errorf("ipv4: route to %v: gateway %v is not on a link of ours: %w", r.Dst, r.Gateway, syscall.ENETUNREACH)
		}
		if via.Type != Unicast && via.Type != Local {
			return nil, fmt.Errorf("ipv4: route to %v: gateway %v is a %v address: %w", r.Dst, r.Gateway, via.Type, syscall.EINVAL)
		}
		i, scope = via.iface, via.Scope
	}
	if i == nil {
		return nil, fmt.Errorf("ipv4: route to %v has no interface: %w", r.Dst, syscall.ENODEV)
	}
	if !i.Up() && r.Type != Local {
		return nil, fmt.Errorf("ipv4: route to %v: %s is down: %w", r.Dst, i.Name(), syscall.ENETDOWN)
	}
	r.Interface = i.Index()
	return &route{Route: r, iface: i, nextHopScope: scope}, nil
}

// DeleteRoute removes the first route with r's destination and those of type,
// gateway, interface, source, metric, scope and origin that are set in r. The
// error is ESRCH.
func (pr *Protocol) DeleteRoute(r Route) error {
	if !r.Dst.IsValid() {
		r.Dst = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	if r.Table == 0 {
		r.Table = TableMain
		if r.Type == Local || r.Type == Broadcast {
			r.Table = TableLocal
		}
	}
	match := func(o *route) bool {
		return (r.Type == 0 || r.Type == o.Type) && (!r.Gateway.IsValid() || r.Gateway == o.Gateway) &&
			(r.Interface == 0 || r.Interface == o.Interface) && (!r.Src.IsValid() || r.Src == o.Src) &&
			(r.Metric == 0 || r.Metric == o.Metric) && (r.Scope == 0 || r.Scope == o.Scope) &&
			(r.Protocol == 0 || r.Protocol == o.Protocol)
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	f := pr.fib.Load()
	if !f.has(r.Dst, r.Table, match) {
		return fmt.Errorf("ipv4: no such route to %v: %w", r.Dst, syscall.ESRCH)
	}
	pr.setRoutesLocked(f.withoutFirst(r.Dst, r.Table, match))
	return nil
}

// Routes returns all routes: those of the main table, then the local one, by
// destination and metric.
func (pr *Protocol) Routes() []Route {
	f := pr.fib.Load()
	var all []Route
	for _, t := range []*table{f.main, f.local} {
		for _, routes := range t.AllSorted4() {
			for _, r := range routes {
				all = append(all, r.Route)
			}
		}
	}
	return all
}
