package neighbour

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDeadlines(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var d deadlines
	model := make(map[*entry]instant)
	entries := make([]*entry, 200)
	for i := range entries {
		entries[i] = &entry{timer: noTimer}
	}
	for range 20_000 {
		e := entries[rnd.IntN(len(entries))]
		when := never
		if rnd.IntN(3) > 0 {
			when = instant(rnd.IntN(1000))
			model[e] = when
		} else {
			delete(model, e)
		}
		d.set(e, when)
		require.Equal(t, when, d.of(e))
		least := never
		for _, when := range model {
			least = min(least, when)
		}
		require.Equal(t, least, d.next())
		require.Len(t, d.heap, len(model))
	}
	last := instant(-1)
	for len(d.heap) > 0 {
		top := d.heap[0]
		require.GreaterOrEqual(t, top.when, last)
		require.Equal(t, model[top.entry], top.when)
		last = top.when
		d.set(top.entry, never)
	}
	require.Nil(t, d.heap, "an empty heap that was large holds no memory")
}
