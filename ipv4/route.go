package ipv4

import (
	"net/netip"
	"strconv"
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
	// Scope is the distance of the destination. AddRoute sets ScopeHost for
	// local routes, and ScopeLink for routes without gateway.
	Scope Scope
	// Protocol is the origin, one of the Origin constants.
	Protocol uint8
	// MTU limits packets by this route, 0 for the interface's MTU.
	MTU int
	// OnLink says that Gateway is on the link though no route says so.
	OnLink bool
}
