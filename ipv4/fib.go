package ipv4

import (
	"maps"
	"net/netip"
	"slices"
	"syscall"

	"github.com/gaissmai/bart"

	"github.com/tapstack/tapstack/link"
)

// table maps destinations to their routes: those of the larger TOS first, then
// by metric, and then as they were put there.
type table = bart.Fast[[]*route]

// fib is the forwarding information base: an immutable value, whose methods
// that change it return another one which shares what is the same.
type fib struct {
	local, main, last *table           // last is Linux's "default", looked up when main knows nothing
	more              map[uint8]*table // that no lookup sees, as there are no rules
	ours              *localSet        // what local has, nil for too much
}

func newFIB() *fib {
	return &fib{local: new(table), main: new(table), last: new(table), ours: newLocalSet(new(table))}
}

// table returns the table of that number, which may be empty.
func (f *fib) table(id uint8) *table {
	switch id {
	case TableLocal:
		return f.local
	case TableMain:
		return f.main
	case TableDefault:
		return f.last
	}
	if t := f.more[id]; t != nil {
		return t
	}
	return new(table)
}

// tables returns the numbers of the tables that have routes, main first and
// local last, as Linux dumps them.
func (f *fib) tables() []uint8 {
	list := slices.Sorted(maps.Keys(f.more))
	return append(append([]uint8{TableMain, TableDefault}, list...), TableLocal)
}

func (f *fib) replace(id uint8, t *table) *fib {
	if t == f.table(id) {
		return f
	}
	g := *f
	switch id {
	case TableLocal:
		g.local, g.ours = t, newLocalSet(t)
	case TableMain:
		g.main = t
	case TableDefault:
		g.last = t
	default:
		g.more = maps.Clone(f.more)
		if g.more == nil {
			g.more = make(map[uint8]*table)
		}
		g.more[id] = t
		if t.Size4() == 0 {
			delete(g.more, id)
		}
	}
	return &g
}

// key is what a route is looked up by, Linux's struct flowi4.
type key struct {
	dst     netip.Addr
	oif     int // 0: any
	scope   Scope
	tos     uint8
	anyLink bool // next hops without carrier will do in any case

	// What follows tells flows apart, for routes with several next hops.
	protocol         uint8
	srcPort, dstPort uint16
	packet           *link.Packet // nil: there is none, or not yet
	header           *Header      // of packet; nil: its front is behind where the header will be
}

// lookupLocal returns the routes of the longest prefix in table local that holds a.
func (f *fib) lookupLocal(a netip.Addr) ([]*route, bool) {
	if f.ours != nil {
		return f.ours.lookup(a)
	}
	return f.local.Lookup(a)
}

// lookup returns the route for k.dst, the longest prefix first, that leaves by
// k.oif, unless that is 0, and reaches k.scope, with the length of its prefix. The
// errno is that of a route without next hop, or ENETUNREACH for none. Linux
// looks at table local first as well (its rule 0), and at "default" last.
func (f *fib) lookup(k *key) (*route, int, syscall.Errno) {
	r, bits := f.findLocal(k)
	if r == nil || r.Type == Throw {
		if routes, ok := f.main.Lookup(k.dst); ok {
			r, bits = find(routes, f.main, k)
		} else {
			r = nil
		}
	}
	if r == nil || r.Type == Throw {
		if r, bits = lookupIn(f.last, k); r == nil || r.Type == Throw {
			return nil, 0, syscall.ENETUNREACH
		}
	}
	if errno := r.Type.errno(); errno != 0 {
		return nil, 0, errno
	}
	return r, bits, 0
}

// lookupIn is lookup in one table.
func lookupIn(t *table, k *key) (*route, int) {
	if routes, ok := t.Lookup(k.dst); ok {
		return find(routes, t, k)
	}
	return nil, 0
}

// findLocal is lookup in table local.
func (f *fib) findLocal(k *key) (*route, int) {
	if routes, ok := f.lookupLocal(k.dst); ok {
		return find(routes, f.local, k)
	}
	return nil, 0
}

// find returns the first route that may be taken, beginning with those of the
// longest prefix in t that holds k.dst.
func find(routes []*route, t *table, k *key) (*route, int) {
	// One of these is it nearly always.
	if r := routes[0]; r.plain && r.Scope >= k.scope && k.oif == 0 && r.iface.carrier.Load() {
		return r, r.Dst.Bits()
	}
	for _, r := range routes {
		if r.usable(k) {
			return r, r.Dst.Bits()
		}
	}
	// Back to shorter prefixes.
	for bits := routes[0].Dst.Bits(); bits > 0; bits = routes[0].Dst.Bits() {
		p, _ := k.dst.Prefix(bits - 1)
		var ok bool
		if _, routes, ok = t.LookupPrefixLPM(p); !ok {
			return nil, 0
		}
		for _, r := range routes {
			if r.usable(k) {
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

// span returns where in routes those with the TOS and metric of r stand, or would.
func span(routes []*route, r *route) (from, to int) {
	before := func(o *route) bool { return o.TOS > r.TOS || o.TOS == r.TOS && o.Metric < r.Metric }
	for from < len(routes) && before(routes[from]) {
		from++
	}
	for to = from; to < len(routes) && routes[to].TOS == r.TOS && routes[to].Metric == r.Metric; to++ {
	}
	return from, to
}

// edit returns f with the routes to dst in a table as change makes them, of a
// copy.
func (f *fib) edit(dst netip.Prefix, id uint8, change func([]*route) []*route) *fib {
	t := f.table(id).ModifyPersist(dst, func(routes []*route, _ bool) ([]*route, bool) {
		routes = change(slices.Clone(routes))
		return routes, len(routes) == 0
	})
	return f.replace(id, t)
}

// with returns f with r added, after those of the same destination, TOS and metric.
func (f *fib) with(r *route) *fib {
	return f.edit(r.Dst, r.Table, func(routes []*route) []*route {
		_, to := span(routes, r)
		return slices.Insert(routes, to, r)
	})
}

func (f *fib) find(dst netip.Prefix, id uint8, match func(*route) bool) *route {
	routes, _ := f.table(id).Get(dst)
	if n := slices.IndexFunc(routes, match); n >= 0 {
		return routes[n]
	}
	return nil
}

// withoutRoute returns f without r.
func (f *fib) withoutRoute(r *route) *fib {
	return f.edit(r.Dst, r.Table, func(routes []*route) []*route {
		return slices.DeleteFunc(routes, func(o *route) bool { return o == r })
	})
}

// without returns f without the routes that match.
func (f *fib) without(match func(*route) bool) *fib {
	for _, id := range f.tables() {
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
