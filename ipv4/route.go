package ipv4

import (
	"fmt"
	"net/netip"
	"slices"
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
	Throw       RouteType = 9 // the next table decides
)

// routeTypes are iproute2's words for the types.
var routeTypes = map[RouteType]string{
	Unicast: "unicast", Local: "local", Broadcast: "broadcast", Multicast: "multicast", Blackhole: "blackhole",
	Unreachable: "unreachable", Prohibit: "prohibit", Throw: "throw",
}

// String returns iproute2's word for the type.
func (t RouteType) String() string {
	if s := routeTypes[t]; s != "" {
		return s
	}
	return strconv.Itoa(int(t))
}

// ParseRouteType returns the type that iproute2 calls name.
func ParseRouteType(name string) (RouteType, bool) {
	for t, s := range routeTypes {
		if s == name {
			return t, true
		}
	}
	return 0, false
}

// Routing tables, Linux's RT_TABLE_*. TableLocal is looked up first, then
// TableMain, then TableDefault; others are kept, but not looked up.
const (
	TableDefault = 253
	TableMain    = 254
	TableLocal   = 255
)

// Origins of routes, Linux's RTPROT_*.
const (
	OriginKernel = 2 // made with an address
	OriginBoot   = 3 // the default of AddRoute
	OriginStatic = 4
)

// Route is an entry of the routing table.
type Route struct {
	// Type is what happens; zero is Unicast.
	Type RouteType
	// Scope is the distance of the destination. When it is ScopeUniverse,
	// AddRoute sets ScopeHost for local routes, and ScopeLink for broadcast
	// routes and unicast ones without gateway, as iproute2 does.
	Scope Scope
	// Exact takes Scope as it is.
	Exact bool
	// TOS limits the route to packets with that TOS (DSCP); 0 is any.
	TOS uint8
	// Protocol is the origin, one of the Origin constants.
	Protocol uint8
	// Table is where the route is; zero lets AddRoute choose by Type.
	Table uint8
	// OnLink says that Gateway is on the link though no route says so.
	OnLink bool
	// Metric orders routes with the same destination, smallest first.
	Metric uint32
	// Dst is the destination; 0.0.0.0/0 (or the zero value) is the default.
	Dst netip.Prefix
	// Gateway is the next hop; not valid for destinations on the link.
	Gateway netip.Addr
	// Interface is the index of the interface to leave by. Zero lets AddRoute
	// find it from Gateway; routes without next hop have none.
	Interface int
	// Src is the preferred source address; not valid for none.
	Src netip.Addr
	// MTU limits packets by this route, 0 for the interface's MTU. It is the
	// same as Metrics.Values[MetricMTU].
	MTU     int
	Metrics Metrics
	// NextHops are those of a multipath route, instead of Gateway, Interface and
	// OnLink. Each flow takes one of them.
	NextHops []NextHopOf
	// Dead and LinkDown tell of the next hop, in what Routes returns: that its
	// interface went down, or has no carrier.
	Dead, LinkDown bool
}

// NextHopOf is one of the next hops of a multipath route.
type NextHopOf struct {
	Gateway   netip.Addr // not valid: on the link
	Interface int
	Weight    int // the share of flows that it gets, 1 to 256; 0 is 1
	OnLink    bool
	// Dead and LinkDown are as in Route.
	Dead, LinkDown bool
}

// Equal reports whether two routes are the same in every field.
func (r Route) Equal(o Route) bool {
	return r.Dst == o.Dst && r.Type == o.Type && r.TOS == o.TOS && r.Metric == o.Metric && r.Table == o.Table && r.sameInfo(&o)
}

// sameInfo compares what Linux has in a fib_info.
func (r *Route) sameInfo(o *Route) bool {
	return r.Gateway == o.Gateway && r.Interface == o.Interface && r.Src == o.Src && r.Metric == o.Metric && r.Scope == o.Scope &&
		r.Protocol == o.Protocol && r.Metrics == o.Metrics && r.OnLink == o.OnLink && slices.EqualFunc(r.NextHops, o.NextHops, sameHop)
}

func sameHop(a, b NextHopOf) bool {
	return a.Gateway == b.Gateway && a.Interface == b.Interface && a.Weight == b.Weight && a.OnLink == b.OnLink
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
	case Throw:
		return syscall.EAGAIN
	}
	return 0
}

// route is a Route with what AddRoute found out about it. It never changes, but
// for the state of its hops. What a lookup reads stands together.
type route struct {
	iface        *Interface // nil for routes without next hop
	hops         []*hop     // of a multipath route, the first of which is the one above
	metrics      *Metrics   // nil when there are none but the MTU
	nextHopScope Scope      // Linux's nh_scope: ScopeLink for a gateway, ScopeHost for destinations on the link, ScopeNowhere for local ones
	plain        bool       // there is one next hop, and no TOS to be looked at
	Route
}

// newRoute returns a route with one next hop by i, or with none.
func newRoute(r Route, i *Interface, scope Scope) *route {
	return &route{Route: r, iface: i, nextHopScope: scope, plain: i != nil && r.TOS == 0}
}

// gateway returns the next hop, not valid for destinations on the link. A
// gateway that is one of our own addresses is a way to say "on the link".
func (r *route) gateway() netip.Addr {
	if r.nextHopScope != ScopeLink {
		return netip.Addr{}
	}
	return r.Gateway
}

// mtu returns the longest packet in bytes for the route by i.
func (r *route) mtu(i *Interface) int {
	m := i.MTU()
	if r.MTU > 0 && r.MTU < m {
		return r.MTU
	}
	return m
}

// usable reports whether the route may be taken: by the interface k.oif, if that
// is not 0, for a destination at least k.scope away.
func (r *route) usable(k *key) bool {
	if r.Scope < k.scope || r.TOS != 0 && r.TOS != k.tos {
		return false
	}
	if r.iface == nil {
		return true
	}
	if r.hops != nil {
		return r.firstHop(k) != nil
	}
	if k.oif != 0 && r.iface.Index() != k.oif {
		return false
	}
	return r.iface.carrier.Load() || r.iface.linkdownIgnored(k)
}

// linkdownIgnored reports whether routes by i are taken without carrier.
func (i *Interface) linkdownIgnored(k *key) bool {
	return k.anyLink || i.conf.Own(devconf.IgnoreRoutesWithLinkdown) == 0
}

// uses reports whether packets may leave by i.
func (r *route) uses(i *Interface) bool {
	if r.hops == nil {
		return r.iface == i
	}
	return slices.ContainsFunc(r.hops, func(h *hop) bool { return h.iface == i })
}

// shown returns the route as Routes does, with the state of its next hops.
func (r *route) shown() Route {
	x := r.Route
	if r.hops == nil {
		x.Dead, x.LinkDown = r.iface.state()
		return x
	}
	x.NextHops = slices.Clone(x.NextHops)
	for n, h := range r.hops {
		x.NextHops[n].Dead, x.NextHops[n].LinkDown = h.state()
	}
	return x
}

// state returns what Linux's RTNH_F_DEAD and RTNH_F_LINKDOWN say of next hops by i.
func (i *Interface) state() (dead, down bool) {
	if i == nil || i.carrier.Load() || !i.Up() {
		return false, false
	}
	return i.conf.Own(devconf.IgnoreRoutesWithLinkdown) != 0, true
}

// Refusal is why a route or an address cannot be: Linux's errno, and its words
// for it.
type Refusal struct {
	Errno syscall.Errno
	Words string
}

// Error returns the words and the errno's text.
func (e *Refusal) Error() string { return e.Words + ": " + e.Errno.Error() }

// Unwrap returns the errno.
func (e *Refusal) Unwrap() error { return e.Errno }

func refusal(errno syscall.Errno, words string) *Refusal { return &Refusal{errno, words} }

// RouteFlags say what becomes of a new route, and of those there are with its
// destination, TOS and metric. They are Linux's NLM_F_*.
type RouteFlags uint8

const (
	// CreateRoute adds the route when there is none; without it that is ENOENT.
	CreateRoute RouteFlags = 1 << iota
	// ExclusiveRoute makes it EEXIST when there is one.
	ExclusiveRoute
	// ReplacesRoute puts the route in the place of the first one.
	ReplacesRoute
	// AppendRoute adds it after those there are, and not before them.
	AppendRoute
)

// AddRoute adds a route. The error is EEXIST when the destination has a route
// of that metric; ENODEV for an unknown interface, ENETDOWN for one that is
// down, ENETUNREACH for a gateway that is not on a link of ours, EINVAL for what
// makes no sense. Where Linux has words for it the error is a *Refusal.
func (pr *Protocol) AddRoute(r Route) error { return pr.SetRoute(r, CreateRoute|ExclusiveRoute) }

// ReplaceRoute adds a route in place of the one with its destination and metric,
// if there is one. The errors are those of AddRoute but EEXIST.
func (pr *Protocol) ReplaceRoute(r Route) error { return pr.SetRoute(r, CreateRoute|ReplacesRoute) }

// SetRoute adds or replaces a route as flags say (Linux's fib_table_insert). The
// errors are those of AddRoute, and ENOENT.
func (pr *Protocol) SetRoute(r Route, flags RouteFlags) error {
	r, err := normalRoute(r)
	if err != nil {
		return err
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	c := pr.changeLocked()
	e, err := pr.resolveLocked(c.f, r)
	if err != nil {
		return fmt.Errorf("ipv4: route to %v: %w", r.Dst, err)
	}
	if errno := c.insert(e, flags); errno != 0 {
		return fmt.Errorf("ipv4: route to %v with metric %d: %w", r.Dst, r.Metric, errno)
	}
	c.commit()
	return nil
}

// insert puts r among the routes.
func (c *change) insert(r *route, flags RouteFlags) syscall.Errno {
	routes, _ := c.f.table(r.Table).Get(r.Dst)
	from, to := span(routes, r)
	at, drop := from, 0
	if from < to {
		match := slices.IndexFunc(routes[from:to], func(o *route) bool { return o.Type == r.Type && o.sameInfo(&r.Route) })
		switch {
		case flags&ExclusiveRoute != 0:
			return syscall.EEXIST
		case flags&ReplacesRoute != 0:
			if match == 0 {
				return 0 // it is there
			}
			if match > 0 {
				return syscall.EEXIST
			}
			drop = 1
		case match >= 0:
			return syscall.EEXIST
		case flags&AppendRoute != 0:
			at = to
		}
	}
	if drop == 0 && flags&CreateRoute == 0 {
		return syscall.ENOENT
	}
	c.f = c.f.edit(r.Dst, r.Table, func(routes []*route) []*route { return slices.Replace(routes, at, at+drop, r) })
	c.note(Event{Kind: RouteAdded, Route: r.Route})
	return 0
}

// DeleteRoute removes the first route with r's destination and TOS, and those of
// type, gateway, interface, next hops, source, metric, metrics, scope and origin
// that are set in r; with Exact the scope counts as it is. The error is ESRCH.
func (pr *Protocol) DeleteRoute(r Route) error {
	if !r.Dst.IsValid() {
		r.Dst = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	if r.Dst != r.Dst.Masked() {
		return fmt.Errorf("ipv4: route to %v: %w", r.Dst, refusal(syscall.EINVAL, "Invalid prefix for given prefix length"))
	}
	r.setTable()
	if r.MTU != 0 {
		r.Metrics.Values[MetricMTU] = uint32(r.MTU)
	}
	match := func(o *route) bool {
		return r.TOS == o.TOS && (r.Type == 0 || r.Type == o.Type) && (!r.Gateway.IsValid() || r.Gateway == o.Gateway) &&
			(r.Interface == 0 || r.Interface == o.Interface) && (!r.Src.IsValid() || r.Src == o.Src) &&
			(r.Metric == 0 || r.Metric == o.Metric) && (r.Scope == 0 && !r.Exact || r.Scope == o.Scope) &&
			(r.Protocol == 0 || r.Protocol == o.Protocol) && r.Metrics.within(&o.Metrics) &&
			(r.NextHops == nil || slices.EqualFunc(r.NextHops, o.NextHops, hopMatches))
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	c := pr.changeLocked()
	if !c.remove(r.Dst, r.Table, match) {
		return fmt.Errorf("ipv4: no such route to %v: %w", r.Dst, syscall.ESRCH)
	}
	c.commit()
	return nil
}

// hopMatches is how a next hop to be deleted matches one that is there.
func hopMatches(want, have NextHopOf) bool {
	return (!want.Gateway.IsValid() || want.Gateway == have.Gateway) && (want.Interface == 0 || want.Interface == have.Interface) &&
		(want.Weight == 0 || want.Weight == have.Weight)
}

// setTable chooses the table by the type, as iproute2 does.
func (r *Route) setTable() {
	if r.Table == 0 {
		r.Table = TableMain
		if r.Type == Local || r.Type == Broadcast {
			r.Table = TableLocal
		}
	}
}

// Routes returns all routes: those of the main table, then the others, the local
// one last, by destination and metric.
func (pr *Protocol) Routes() []Route {
	f := pr.fib.Load()
	var all []Route
	for _, id := range f.tables() {
		for _, routes := range f.table(id).AllSorted4() {
			for _, r := range routes {
				all = append(all, r.shown())
			}
		}
	}
	return all
}
