package neighbour

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

func TestWord(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		var a link.Addr
		for i := range a {
			a[i] = byte(rnd.Uint32())
		}
		s := States()[rnd.IntN(9)]
		f := Flags(rnd.Uint32()) & persistent
		dead, fast := rnd.IntN(2) == 0, rnd.IntN(2) == 0
		w := makeWord(a, s, f, dead, fast)
		require.Equal(t, []any{a, s, f, dead, fast}, []any{w.lladdr(), w.state(), w.flags(), w&deadBit != 0, w&fastBit != 0})
	}
}

func TestEntrySize(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(entry{}), uintptr(80), "a size class of the allocator")
}
