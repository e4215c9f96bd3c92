package link

import (
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"
)

// MaxChunk is the largest size of a Chunk in bytes.
const MaxChunk = 64 << 10

// Chunks come in powers of two.
const (
	minChunkBits = 11
	maxChunkBits = 16
)

var chunkPools [maxChunkBits - minChunkBits + 1]sync.Pool

// Chunk is memory for bulk data that several owners read: a socket's buffer and
// the packets that show parts of it. Each owner holds a reference; the last one
// to release recycles the memory. Bytes that a packet shows must not change; the
// rest is the maker's to write.
type Chunk struct {
	refs  atomic.Int32
	class int
	b     []byte
}

// NewChunk returns a chunk of at least n bytes, at most MaxChunk, whose content
// is unspecified, with one reference.
func NewChunk(n int) *Chunk {
	if n < 0 || n > MaxChunk {
		panic(fmt.Sprintf("link: chunk of %d bytes", n))
	}
	class := max(bits.Len(uint(max(n, 1)-1)), minChunkBits) - minChunkBits
	c, ok := chunkPools[class].Get().(*Chunk)
	if !ok {
		c = &Chunk{class: class, b: make([]byte, 1<<(class+minChunkBits))}
	}
	c.refs.Store(1)
	return c
}

// Bytes returns the whole memory.
func (c *Chunk) Bytes() []byte { return c.b }

// Retain adds a reference.
func (c *Chunk) Retain() {
	if c.refs.Add(1) <= 1 {
		panic("link: chunk retained after its release")
	}
}

// Release gives a reference up.
func (c *Chunk) Release() {
	switch n := c.refs.Add(-1); {
	case n == 0:
		chunkPools[c.class].Put(c)
	case n < 0:
		panic("link: chunk released too often")
	}
}
