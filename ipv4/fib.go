package ipv4

import (
	"net/netip"
	"slices"
	"syscall"

	"github.com/gaissmai/bart"
)

// table maps destinations to their routes, by metric and then by age.
type table = bart.Fast[[]*route]

// fib is the forwarding information base: an immutable value, whose methods
// that change it return another one which shares what is the same.
type fib struct {
	local, main *table
	ours        *localSet // what local has, nil for too much
}

func newFIB() *fib { return &fib{local: new(table), main: new(table), ours: newLocalSet(new(table))} }

func (f *fib) table(id uint8) *table {
	if id == TableLocal {
		return f.local
	}
	return f.main
}

func (f *fib) replace(id uint8, t *table) *fib {
	if t == f.table(id) {
		return f
	}
	if id == TableLocal {
		return &fib{local: t, main: f.main, ours: newLocalSet(t)}
	}
	return &fib{local: f.local, main: t, ours: f.ours}
}

// lookupLocal returns the routes of the longest prefix in table local that holds a.
func (f *fib) lookupLocal(a netip.Addr) ([]*route, bool) {
	if f.ours != nil {
		return f.ours.lookup(a)
	}
	return f.local.Lookup(a)
}

// lookup returns the route for dst, the longest prefix first, that leaves by
// oif, unless that is 0, and reaches scope, with the length of its prefix. The
// errno is that of a route without next hop, or ENETUNREACH for none. Linux
// looks at table local first as well (its rule 0).
func (f *fib) lookup(dst netip.Addr, oif int, scope Scope) (*route, int, syscall.Errno) {
	r, bits := f.findLocal(dst, oif, scope)
	if r == nil {
		if routes, ok := f.main.Lookup(dst); ok {
			r, bits = find(routes, f.main, dst, oif, scope)
		}
	}
	if r == nil {
		return nil, 0, syscall.ENETUNREACH
	}
	if errno := r.Type.errno(); errno != 0 {
		return nil, 0, errno
	}
	return r, bits, 0
}

// findLocal is lookup in table local.
func (f *fib) findLocal(dst netip.Addr, oif int, scope Scope) (*route, int) {
	if routes, ok := f.lookupLocal(dst); ok {
		return find(routes, f.local, dst, oif, scope)
	}
	return nil, 0
}

// find returns the first route that may be taken, beginning with those of the
// longest prefix in t that holds dst.
func find(routes []*route, t *table, dst netip.Addr, oif int, scope Scope) (*route, int) {
	// One of these is it nearly always.
	for _, r := range routes {
		if r.usable(oif, scope) {
			return r, r.Dst.Bits()
		}
	}
	// Back to shorter prefixes.
	for bits := routes[0].Dst.Bits(); bits > 0; bits = routes[0].Dst.Bits() {
		p, _ := dst.Prefix(bits - 1)
		var ok bool
		if _, routes, ok = t.LookupPrefixLPM(p); !ok {
			return nil, 0
		}
		for _, r := range routes {
			if r.usable(oif, scope) {
				return r, r.Dst.Bits()
			}
		}
	}
	return nil, 0
}

// addrType classifies a as Linux's inet_addr_type and, for an interface other
// than 0, inet_addr_type_dev_table do: Local and Broadcast are then of that
// interface only.
func (f *fib) addrType(a netip.Addr, index int) RouteType {
	if !ordinary(a) {
		if isZeronet(a) || isLimitedBroadcast(a) {
			return Broadcast
		}
		if a.IsMulticast() {
			return Multicast
		}
	}
	if routes, ok := f.lookupLocal(a); ok {
		if r := routes[0]; index == 0 || r.Interface == index {
			return r.Type
		}
	}
	return Unicast
}

// with returns f with r added, after those of the same destination and metric.
func (f *fib) with(r *route) *fib {
	t := f.table(r.Table).ModifyPersist(r.Dst, func(routes []*route, _ bool) ([]*route, bool) {
		at := len(routes)
		for at > 0 && routes[at-1].Metric > r.Metric {
			at--
		}
		return slices.Insert(slices.Clone(routes), at, r), false
	})
	return f.replace(r.Table, t)
}

// withKernel returns f with a route that follows from an address of i, unless it
// is there.
func (f *fib) withKernel(r Route, i *Interface) *fib {
	e := &route{Route: r, iface: i, nextHopScope: ScopeHost}
	if r.Type == Local {
		e.nextHopScope = ScopeNowhere
	}
	if f.has(r.Dst, r.Table, func(o *route) bool { return o.Route == r }) {
		return f
	}
	return f.with(e)
}

func (f *fib) has(dst netip.Prefix, id uint8, match func(*route) bool) bool {
	routes, ok := f.table(id).Get(dst)
	return ok && slices.ContainsFunc(routes, match)
}

// withoutFirst returns f without the first route to dst that matches.
func (f *fib) withoutFirst(dst netip.Prefix, id uint8, match func(*route) bool) *fib {
	t := f.table(id).ModifyPersist(dst, func(routes []*route, _ bool) ([]*route, bool) {
		at := slices.IndexFunc(routes, match)
		if at < 0 {
			return routes, len(routes) == 0
		}
		return slices.Delete(slices.Clone(routes), at, at+1), len(routes) == 1
	})
	return f.replace(id, t)
}

// without returns f without the routes that match.
func (f *fib) without(match func(*route) bool) *fib {
	for _, id := range []uint8{TableMain, TableLocal} {
		t := f.table(id)
		for dst, routes := range f.table(id).All4() {
			if !slices.ContainsFunc(routes, match) {
				continue
			}
			left := slices.DeleteFunc(slices.Clone(routes), match)
			if len(left) == 0 {
				t = t.DeletePersist(dst)
			} else {
				t = t.InsertPersist(dst, left)
			}
		}
		f = f.replace(id, t)
	}
	return f
}

// withoutSources returns f without the routes that prefer one of those
// addresses as source, as far as it is no longer ours.
func (f *fib) withoutSources(gone []Address) *fib {
	lost := make(map[netip.Addr]bool)
	for _, a := range gone {
		if f.addrType(a.Addr(), 0) != Local {
			lost[a.Addr()] = true
		}
	}
	if len(lost) == 0 {
		return f
	}
	return f.without(func(r *route) bool { return lost[r.Src] })
}
