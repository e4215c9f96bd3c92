package stack

import (
	"net/netip"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/neighbour"
)

// arpHost answers ARP's questions from the network layer; it only translates.
type arpHost struct{ ip *ipv4.Protocol }

func addrType(t ipv4.RouteType) neighbour.AddrType {
	switch t {
	case ipv4.Local:
		return neighbour.Local
	case ipv4.Broadcast:
		return neighbour.Broadcast
	case ipv4.Multicast:
		return neighbour.Multicast
	}
	return neighbour.Unicast
}

func (a arpHost) AddrType(ip netip.Addr) neighbour.AddrType { return addrType(a.ip.AddrType(ip)) }

func (a arpHost) InputRoute(dst, src netip.Addr, iface int) (neighbour.AddrType, int, bool) {
	p, _, ok := a.ip.InputPath(dst, src, iface)
	if !ok {
		return 0, 0, false
	}
	return addrType(p.Type), p.Interface.Index(), true
}

func (a arpHost) OutputInterface(dst, src netip.Addr) (int, bool) {
	p, err := a.ip.OutputPath(dst, src, 0)
	if err != nil {
		return 0, false
	}
	return p.Interface.Index(), true
}

func (a arpHost) Addresses(iface int) []arp.Address {
	var addrs []ipv4.Address
	if iface != 0 {
		addrs = a.ip.Addresses(iface)
	} else {
		for _, i := range a.ip.Interfaces() {
			addrs = append(addrs, a.ip.Addresses(i.Index())...)
		}
	}
	out := make([]arp.Address, len(addrs))
	for n, x := range addrs {
		out[n] = arp.Address{Prefix: x.Prefix, Scope: arp.Scope(x.Scope)}
	}
	return out
}

func (a arpHost) SelectSource(iface int, target netip.Addr) netip.Addr {
	return a.ip.SelectSource(iface, target, ipv4.ScopeLink)
}
