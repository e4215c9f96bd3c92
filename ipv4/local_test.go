package ipv4

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLocalSetIsTable(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func() netip.Addr { // few enough that prefixes nest
		return netip.AddrFrom4([4]byte{10, byte(r.IntN(3)), byte(r.IntN(64)), byte(r.IntN(256))})
	}
	f := newFIB()
	for f.local.Size4() < maxLocalSet+10 {
		p, _ := random().Prefix(32 - r.IntN(9)&r.IntN(33))
		f = f.with(&route{Route: Route{Dst: p, Type: Local, Table: TableLocal}})
		n := f.local.Size4()
		if n&(n-1) != 0 && n < maxLocalSet-1 {
			continue
		}
		require.Equal(t, n > maxLocalSet, f.ours == nil, "%d prefixes", n)
		for range 200 {
			a := random()
			want, found := f.local.Lookup(a)
			have, ok := f.lookupLocal(a)
			require.Equal(t, found, ok)
			require.Equal(t, len(want), len(have))
			require.True(t, !ok || want[0] == have[0], "%v among %d prefixes", a, n)
		}
	}
	f = f.without(func(r *route) bool { return r.Dst.Addr().As4()[3] > 99 })
	require.True(t, f.ours != nil, "smaller again")
	_, ok := f.lookupLocal(addr("10.0.0.200"))
	_, want := f.local.Lookup(addr("10.0.0.200"))
	require.Equal(t, want, ok)
}
