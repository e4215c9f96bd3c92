// Package random is the stack's one source of randomness, which a host hands
// down to its layers: the same seed and the same inputs give the same frames.
package random

import (
	crand "crypto/rand"
	"encoding/binary"
	"math/rand/v2"
	"sync"
)

// New returns a generator that is safe for concurrent use and always yields the
// same numbers for the same seed. It is for tests and replays: what it yields
// can be guessed.
func New(seed uint64) *rand.Rand {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return locked(key)
}

// Secure returns a generator that is safe for concurrent use, seeded by the
// operating system (ChaCha8). Sequence numbers and ports may come from it.
func Secure() *rand.Rand {
	var key [32]byte
	crand.Read(key[:]) // never fails: it ends the program instead
	return locked(key)
}

func locked(key [32]byte) *rand.Rand {
	return rand.New(&source{src: rand.NewChaCha8(key)})
}

// source serialises a ChaCha8. rand.Rand of math/rand/v2 has no state of its
// own, so this is all the locking there is.
type source struct {
	mu  sync.Mutex
	src *rand.ChaCha8
}

func (s *source) Uint64() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.src.Uint64()
}
