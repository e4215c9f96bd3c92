package ipv4

import "net/netip"

// Path is a route decision for one destination.
type Path struct {
	// Type is Unicast, Local, Broadcast or Multicast for a packet that goes
	// somewhere.
	Type RouteType
	// Interface is where the packet leaves; the loopback interface for Local
	// output.
	Interface *Interface
	// Gateway is the next hop, not valid when the destination is the next hop.
	Gateway netip.Addr
	// Src is the source address, as asked for or chosen.
	Src netip.Addr
	// MTU is the longest packet in bytes the path is known to carry.
	MTU int

	redirect bool
}

// NextHop returns the address to resolve for a packet to dst.
func (p Path) NextHop(dst netip.Addr) netip.Addr {
	if p.Gateway.IsValid() {
		return p.Gateway
	}
	return dst
}
