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

// hotChunks are the largest chunks that were released last. A pool hands what
// one processor releases to another oldest first; here the memory that was used
// last, and is in some cache, is used next.
var hotChunks struct {
	mu   sync.Mutex
	n    int
	list [16]*Chunk
}

func takeHot() (c *Chunk) {
	h := &hotChunks
	h.mu.Lock()
	if h.n > 0 {
		h.n--
		c, h.list[h.n] = h.list[h.n], nil
	}
	h.mu.Unlock()
	return c
}

func putHot(c *Chunk) bool {
	h := &hotChunks
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.n == len(h.list) {
		return false
	}
	h.list[h.n] = c
	h.n++
	return true
}

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
	var c *Chunk
	if class == len(chunkPools)-1 {
		c = takeHot()
	}
	if c == nil {
		c, _ = chunkPools[class].Get().(*Chunk)
	}
	if c == nil {
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
		if c.class < len(chunkPools)-1 || !putHot(c) {
			chunkPools[c.class].Put(c)
		}
	case n < 0:
		panic("link: chunk released too often")
	}
}
