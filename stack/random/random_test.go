package random

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func first(r *rand.Rand) (x [8]uint64) {
	for i := range x {
		x[i] = r.Uint64()
	}
	return x
}

func TestSameSeedSameNumbers(t *testing.T) {
	require.Equal(t, first(New(1)), first(New(1)))
	require.NotEqual(t, first(New(1)), first(New(2)))
	require.Equal(t, uint64(0x1be9bd4f3f78e66a), New(1).Uint64(),
		"recordings name their seed, so what a seed yields must not change")
}

func TestSecureDiffers(t *testing.T) {
	require.NotEqual(t, first(Secure()), first(Secure()))
}

func TestConcurrentUseLosesNothing(t *testing.T) {
	const routines, each = 4, 1000
	var (
		r    = New(7)
		mu   sync.Mutex
		seen = map[uint64]bool{}
		wg   sync.WaitGroup
	)
	for range routines {
		wg.Go(func() {
			for range each {
				x := r.Uint64()
				mu.Lock()
				seen[x] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	want := New(7)
	for range routines * each {
		require.True(t, seen[want.Uint64()], "the numbers are the seed's, shared out among the goroutines")
	}
}

func TestDoesNotAllocate(t *testing.T) {
	r := New(1)
	require.Zero(t, testing.AllocsPerRun(100, func() { r.IntN(1000) }))
}
