package ipv4

import "net/netip"

// Scope says how far an address or a route reaches; larger numbers are
// narrower. The values are Linux's RT_SCOPE_*.
type Scope uint8

const (
	ScopeUniverse Scope = 0   // everywhere
	ScopeSite     Scope = 200 // inside the site
	ScopeLink     Scope = 253 // on the link
	ScopeHost     Scope = 254 // inside the host
	ScopeNowhere  Scope = 255 // no destination at all
)

// Address is an address of an interface, Linux's struct in_ifaddr.
type Address struct {
	// Prefix is the address itself, unmasked, with its prefix length.
	Prefix netip.Prefix
	// Broadcast is the subnet's broadcast address. AddAddress fills in the
	// highest address of the prefix when it is not valid and the prefix is
	// shorter than 31 bits (`brd +`); 0.0.0.0 asks for none.
	Broadcast netip.Addr
	// Scope is where the address may be used as a source; ScopeUniverse, the
	// zero value, is anywhere.
	Scope Scope
	// Secondary is set by AddAddress for an address whose subnet the interface
	// had already: not chosen as a source by itself, and removed together with
	// its primary unless promote_secondaries is set.
	Secondary bool
	// NoPrefixRoute keeps AddAddress from adding the connected route.
	NoPrefixRoute bool
	// Metric is the connected route's metric.
	Metric uint32
}

// Addr returns the address without its length.
func (a Address) Addr() netip.Addr { return a.Prefix.Addr() }
