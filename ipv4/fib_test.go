package ipv4

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link/linktest"
)

// naiveLookup is what Linux's fib_lookup means, without a trie: the longest
// prefix, the larger TOS, the least metric, the oldest, local first.
func naiveLookup(all []*route, dst netip.Addr, oif int, tos uint8) *route {
	for _, table := range []uint8{TableLocal, TableMain} {
		var best *route
		for _, r := range all {
			if r.Table != table || !r.Dst.Contains(dst) || oif != 0 && r.Interface != oif && r.iface != nil || r.TOS != 0 && r.TOS != tos {
				continue
			}
			if best == nil || cmp.Or(cmp.Compare(best.Dst.Bits(), r.Dst.Bits()), cmp.Compare(best.TOS, r.TOS), cmp.Compare(r.Metric, best.Metric)) < 0 {
				best = r
			}
		}
		if best != nil {
			return best
		}
	}
	return nil
}

func TestFIBIsNaiveLookup(t *testing.T) {
	h := newTestHost(t)
	ifaces := []*Interface{h.lo, h.t0, h.t1}
	r := rand.New(rand.NewPCG(1, 2))
	f := newFIB()
	var all []*route
	random := func() netip.Addr { // few enough that prefixes nest and repeat
		return netip.AddrFrom4([4]byte{10, byte(r.IntN(3)), byte(r.IntN(4) << 6), byte(r.IntN(256))})
	}
	for n := range 3000 {
		if len(all) > 0 && r.IntN(3) == 0 {
			k := r.IntN(len(all))
			gone := all[k]
			f = f.withoutRoute(gone)
			all = slices.Delete(all, k, k+1)
		} else {
			i := ifaces[r.IntN(3)]
			p, _ := random().Prefix(r.IntN(33))
			e := newRoute(Route{Dst: p, Type: Unicast, Interface: i.Index(), Metric: uint32(r.IntN(3)), Table: TableMain + uint8(r.IntN(2)), TOS: uint8(r.IntN(3) / 2 * 16)}, i, ScopeHost)
			f = f.with(e)
			all = append(all, e)
		}
		for range 5 {
			dst, oif, tos := random(), r.IntN(4), uint8(r.IntN(2)*16)
			want := naiveLookup(all, dst, oif, tos)
			have, bits, errno := f.lookup(&key{dst: dst, oif: oif, tos: tos})
			if want != have {
				t.Fatalf("after %d changes, %v by %d: have %+v, want %+v", n, dst, oif, have, want)
			}
			if want == nil {
				require.Equal(t, syscall.ENETUNREACH, errno)
				continue
			}
			require.Equal(t, want.Dst.Bits(), bits)
		}
	}
	f = f.without(func(r *route) bool { return r.iface == h.t0 })
	for dst, routes := range f.main.All4() {
		require.NotEmpty(t, routes, dst)
		require.False(t, slices.ContainsFunc(routes, func(r *route) bool { return r.iface == h.t0 }))
	}
}

func TestFIBIsImmutable(t *testing.T) {
	h := newTestHost(t)
	old := h.fib.Load()
	before := h.Routes()
	require.NoError(t, h.AddRoute(Route{Dst: prefix("10.0.0.0/24"), Interface: 3, Metric: 5}))
	require.NoError(t, h.AddRoute(Route{Dst: prefix("0.0.0.0/0"), Gateway: addr("10.0.0.1")}))
	h.fib.Store(old)
	require.Equal(t, before, h.Routes(), "a value that was published does not change")
}

func TestLookupDoesNotAllocate(t *testing.T) {
	h := newTestHost(t)
	require.NoError(t, h.AddRoute(Route{Gateway: addr("10.0.0.1")}))
	for _, dst := range []string{"10.0.0.9", "8.8.8.8", "10.0.0.2", "255.255.255.255", "224.1.2.3"} {
		d := addr(dst)
		linktest.WantNoAllocs(t, func() { h.OutputPath(d, netip.Addr{}, 0) })
		linktest.WantNoAllocs(t, func() { h.OutputPath(d, netip.Addr{}, 3) })
		linktest.WantNoAllocs(t, func() { h.InputPath(d, addr("10.0.0.9"), 2) })
	}
}

func BenchmarkLookup(b *testing.B) {
	h := newTestHost(b)
	for n := range 10000 {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{20, byte(n >> 8), byte(n), 0}), 24)
		if err := h.AddRoute(Route{Dst: p, Gateway: addr("10.0.0.1")}); err != nil {
			b.Fatal(err)
		}
	}
	dst, src := addr("20.10.3.4"), addr("10.0.0.9")
	var path Path
	b.Run("output", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.outputPath(&path, &key{dst: dst}, netip.Addr{})
		}
	})
	b.Run("input", func(b *testing.B) {
		b.ReportAllocs()
		local := addr("10.0.0.2")
		for b.Loop() {
			h.inputPath(&path, h.t0, &key{dst: local}, src)
		}
	})
}
