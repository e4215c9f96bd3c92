package neighbour

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIndex(t *testing.T) {
	// Hashes are poor on purpose: long runs of neighbours in the slots.
	hash := func(key uint64) uint64 { return key % 5 }
	rnd := rand.New(rand.NewPCG(1, 2))
	iface := &Interface{index: 1}
	var x index
	model := make(map[uint64]*entry)
	for range 5_000 {
		ip := uint32(rnd.IntN(60))
		key := makeKey(1, ip)
		switch e := model[key]; {
		case e == nil && rnd.IntN(3) > 0:
			e = &entry{iface: iface, ip: ip}
			x.insertLocked(hash(key), key, e, hash)
			model[key] = e
		case e != nil && rnd.IntN(2) > 0:
			x.removeLocked(hash(key), key)
			delete(model, key)
		}
		if e := model[key]; e != nil && rnd.IntN(2) > 0 {
			x.setWordLocked(hash(key), key, e, word(rnd.Uint64()))
		}
		require.Same(t, model[key], x.lookup(hash(key), key))
		for key, e := range model {
			require.Equal(t, e.word.Load(), x.find(hash(key), key).word.Load())
		}
		require.Equal(t, len(model), x.live)
	}
	seen := 0
	for e := range x.allLocked() {
		require.Same(t, model[e.key()], e)
		seen++
	}
	require.Equal(t, len(model), seen)
	for key := range model {
		x.removeLocked(hash(key), key)
	}
	require.Nil(t, x.slots.Load(), "an empty index holds no memory")
}

// TestIndexReaders: while others come and go, and the slots are rebuilt, an entry
// that stays is found by every reader at any time.
func TestIndexReaders(t *testing.T) {
	hash := func(key uint64) uint64 { return key * 0x9e3779b97f4a7c15 >> 32 }
	iface := &Interface{index: 1}
	var x index
	key := makeKey(1, 1<<31)
	x.insertLocked(hash(key), key, &entry{iface: iface, ip: 1 << 31}, hash)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if e := x.lookup(hash(key), key); e == nil || e.ip != 1<<31 {
					t.Error("entry out of sight")
					return
				}
			}
		})
	}
	for n := range uint32(30) {
		for ip := range 100 * n {
			k := makeKey(1, ip)
			x.insertLocked(hash(k), k, &entry{iface: iface, ip: ip}, hash)
		}
		for ip := range 100 * n {
			k := makeKey(1, ip)
			x.removeLocked(hash(k), k)
		}
	}
	close(stop)
	wg.Wait()
}
