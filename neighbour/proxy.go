package neighbour

import "net/netip"

// Proxy is an address that is answered for on behalf of another host.
type Proxy struct {
	IP            netip.Addr
	Interface     int // 0: any
	InterfaceName string
	Flags         Flags
	Protocol      uint8
	Permanent     bool // survives the loss of the carrier
}

// AddProxy adds or replaces a proxy entry.
func (t *Table) AddProxy(p Proxy) error { return nil }

// DeleteProxy removes the proxy entry with exactly this interface.
func (t *Table) DeleteProxy(iface int, ip netip.Addr) error { return ErrNotFound }

// LookupProxy returns the proxy entry that covers ip on an interface.
func (t *Table) LookupProxy(iface int, ip netip.Addr) (Proxy, bool) { return Proxy{}, false }

// Proxies returns all proxy entries.
func (t *Table) Proxies() []Proxy { return nil }
