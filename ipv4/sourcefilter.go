package ipv4

import (
	"maps"
	"net/netip"
	"slices"
)

// SourceFilter says whose packets to a multicast group are wanted (RFC 3376,
// section 2). The zero value wants everybody's. It is immutable.
type SourceFilter struct {
	// Only says that Sources are those that are wanted (INCLUDE), and not those
	// that are unwanted (EXCLUDE).
	Only    bool
	Sources []netip.Addr
}

// Allows reports whether packets from src are wanted.
func (f SourceFilter) Allows(src netip.Addr) bool { return slices.Contains(f.Sources, src) == f.Only }

// Empty reports whether nobody's packets are wanted: there is no membership, which
// is the same (RFC 3376, section 3.2).
func (f SourceFilter) Empty() bool { return f.Only && len(f.Sources) == 0 }

// group is the sum of the memberships in a multicast group on an interface
// (Linux's struct ip_mc_list). It is immutable.
type group struct {
	only, but int // memberships that want some sources only, and all but some
	sources   map[netip.Addr]counts
	filter    SourceFilter // what all of them together want
}

// counts says how many memberships name a source, by their kind.
type counts struct{ only, but int }

// with returns the group with a membership more, or less for by -1.
func (g group) with(f SourceFilter, by int) group {
	if len(f.Sources) > 0 {
		if g.sources = maps.Clone(g.sources); g.sources == nil {
			g.sources = make(map[netip.Addr]counts)
		}
	}
	if f.Only {
		g.only += by
	} else {
		g.but += by
	}
	for _, s := range f.Sources {
		c := g.sources[s]
		if f.Only {
			c.only += by
		} else {
			c.but += by
		}
		if g.sources[s] = c; c == (counts{}) {
			delete(g.sources, s)
		}
	}
	g.filter = g.merged()
	return g
}

func (g group) members() int { return g.only + g.but }

// merged returns what all memberships together want (RFC 3376, section 3.2): with
// one that wants all but some sources, all but those that every such membership
// excludes and no other one asks for.
func (g group) merged() SourceFilter {
	f := SourceFilter{Only: g.but == 0}
	for s, c := range g.sources {
		if f.Only || c.only == 0 && c.but == g.but {
			f.Sources = append(f.Sources, s)
		}
	}
	slices.SortFunc(f.Sources, netip.Addr.Compare)
	return f
}
