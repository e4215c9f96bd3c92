package neighbour

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"sync"
)

// Proxy is an address that is answered for on behalf of another host. It has no
// state and no age.
type Proxy struct {
	IP        netip.Addr
	Interface int   // 0: any
	Flags     Flags // ISRouter, ExtLearned, Managed
	Protocol  uint8
	Permanent bool // survives the loss of the carrier; `ip neigh add proxy` sets it
}

type proxyKey struct {
	ip    netip.Addr
	iface int
}

// proxySet are a table's proxy entries. Its mutex is a leaf.
type proxySet struct {
	mu  sync.RWMutex
	set map[proxyKey]Proxy
}

// AddProxy adds a proxy entry, or replaces the one with the same address and
// interface. The error is ErrAddress or ErrNoInterface.
func (t *Table) AddProxy(p Proxy) error {
	if !p.IP.Is4() {
		return ErrAddress
	}
	if p.Interface != 0 && t.Interface(p.Interface) == nil {
		return ErrNoInterface
	}
	ps := &t.proxies
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.set == nil {
		ps.set = make(map[proxyKey]Proxy)
	}
	ps.set[proxyKey{p.IP, p.Interface}] = p
	return nil
}

// DeleteProxy removes the proxy entry with exactly this interface, 0 being the
// one for any. The error is ErrNotFound.
func (t *Table) DeleteProxy(iface int, ip netip.Addr) error {
	ps := &t.proxies
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if _, ok := ps.set[proxyKey{ip, iface}]; !ok {
		return ErrNotFound
	}
	delete(ps.set, proxyKey{ip, iface})
	return nil
}

// LookupProxy returns the proxy entry that covers ip on an interface: one for the
// interface, or one for any.
func (t *Table) LookupProxy(iface int, ip netip.Addr) (Proxy, bool) {
	ps := &t.proxies
	ps.mu.RLock()
	defer ps.mu.RUnlock()
	if p, ok := ps.set[proxyKey{ip, iface}]; ok {
		return p, true
	}
	p, ok := ps.set[proxyKey{ip, 0}]
	return p, ok
}

// Proxies returns all proxy entries, by address and interface.
func (t *Table) Proxies() []Proxy {
	ps := &t.proxies
	ps.mu.RLock()
	defer ps.mu.RUnlock()
	return slices.SortedFunc(maps.Values(ps.set), func(a, b Proxy) int {
		return cmp.Or(a.IP.Compare(b.IP), cmp.Compare(a.Interface, b.Interface))
	})
}

// removeInterface removes an interface's proxy entries, those for any interface
// stay. With transient, permanent ones stay too.
func (ps *proxySet) removeInterface(iface int, transient bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	maps.DeleteFunc(ps.set, func(_ proxyKey, p Proxy) bool {
		return p.Interface == iface && !(transient && p.Permanent)
	})
}
