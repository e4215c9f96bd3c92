package neighbour

import (
	"math/rand/v2"
	"testing"
	"time"
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

func TestTimes(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // ENT-9
		want := func(used, confirmed, updated time.Duration) {
			t.Helper()
			e := b.info()
			require.Equal(t, []time.Duration{used, confirmed, updated}, []time.Duration{e.Used, e.Confirmed, e.Updated})
			b.pass(time.Second)
		}
		const s = time.Second
		require.NoError(t, b.reply(macA, Create))
		want(0, 0, 0)
		b.send(1, 1)
		want(0, s, s)
		b.table.Confirm(1, peerIP)
		want(s, 0, 2*s)
		require.NoError(t, b.hint(macA, 0))
		want(2*s, s, 3*s)
		require.NoError(t, b.reply(macB, Override))
		want(3*s, 0, 0)
		require.NoError(t, b.hint(macA, Override))
		want(4*s, 40*s, 0)
		b.send(2, 2)
		want(0, 41*s, 0)
	})
}
