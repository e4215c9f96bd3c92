package ipv4

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func sources(s ...string) (list []netip.Addr) {
	for _, a := range s {
		list = append(list, addr(a))
	}
	return list
}

// RFC 3376, section 3.2, with its examples.
func TestMergedFilter(t *testing.T) {
	only := func(s ...string) SourceFilter { return SourceFilter{true, sources(s...)} }
	but := func(s ...string) SourceFilter { return SourceFilter{false, sources(s...)} }
	const a, b, c, d, e, f = "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"
	for _, x := range []struct {
		name    string
		members []SourceFilter
		want    SourceFilter
	}{
		{"nobody", nil, SourceFilter{Only: true}},
		{"everybody", []SourceFilter{but()}, SourceFilter{}},
		{"example 1", []SourceFilter{but(a, b, c, d), but(b, c, d, e), only(d, e, f)}, but(b, c)},
		{"example 2", []SourceFilter{only(a, b, c), only(b, c, d), only(e, f)}, only(a, b, c, d, e, f)},
		{"everybody and one who does not want all", []SourceFilter{but(a), but()}, SourceFilter{}},
	} {
		t.Run(x.name, func(t *testing.T) {
			var g group
			for _, m := range x.members {
				g = g.with(m, 1)
			}
			require.Equal(t, x.want, g.merged())
			require.Equal(t, len(x.members), g.members())
		})
	}
}

// Whatever memberships come and go, a packet is wanted when one of them wants it.
func TestMergedFilterIsTheUnion(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	all := sources("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4")
	var members []SourceFilter
	g := group{filter: SourceFilter{Only: true}}
	for range 5000 {
		if n := len(members); n > 0 && r.IntN(2) == 0 || n == 6 {
			i := r.IntN(n)
			g = g.with(members[i], -1)
			members = slices.Delete(members, i, i+1)
		} else {
			f := SourceFilter{Only: r.IntN(2) == 0}
			for _, s := range all {
				if r.IntN(2) == 0 {
					f.Sources = append(f.Sources, s)
				}
			}
			g = g.with(f, 1)
			members = append(members, f)
		}
		for _, s := range append(sources("10.0.0.9"), all...) {
			want := slices.ContainsFunc(members, func(m SourceFilter) bool { return m.Allows(s) })
			require.Equal(t, want, g.filter.Allows(s), "%v of %v: %v", s, members, g.filter)
		}
		require.Equal(t, len(members), g.members())
	}
	for _, m := range members {
		g = g.with(m, -1)
	}
	require.Empty(t, g.sources)
	require.True(t, g.filter.Empty())
}
