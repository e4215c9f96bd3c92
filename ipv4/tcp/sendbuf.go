package tcp

import "sync"

// Sizes of a chunk of the send buffer. A connection that writes little holds
// little; between bursts it holds nothing.
const (
	smallChunk = 2 << 10
	largeChunk = 64 << 10
)

// chunk is a piece of the stream in memory of its own. Bytes once written do
// not change until the chunk is recycled.
type chunk struct {
	start uint64 // offset of data[0] in the stream
	data  []byte // written part; capacity is the size class
}

func (c *chunk) end() uint64 { return c.start + uint64(len(c.data)) }

// chunkPool recycles chunks of both sizes.
type chunkPool struct{ small, large sync.Pool }

func (p *chunkPool) take(size int) *chunk {
	pool := &p.small
	if size > smallChunk {
		pool, size = &p.large, largeChunk
	} else {
		size = smallChunk
	}
	if c, ok := pool.Get().(*chunk); ok {
		return c
	}
	return &chunk{data: make([]byte, 0, size)}
}

func (p *chunkPool) recycle(c *chunk) {
	c.data = c.data[:0]
	if cap(c.data) == smallChunk {
		p.small.Put(c)
	} else {
		p.large.Put(c)
	}
}

// sendBuffer is the part of the outgoing stream that is not acknowledged yet.
// Offsets count from the first byte of the stream.
type sendBuffer struct {
	chunks     []*chunk
	start, end uint64
}

func (b *sendBuffer) len() int { return int(b.end - b.start) }

// write appends data.
func (b *sendBuffer) write(pool *chunkPool, data []byte) {
	for len(data) > 0 {
		var c *chunk
		if n := len(b.chunks); n > 0 && len(b.chunks[n-1].data) < cap(b.chunks[n-1].data) {
			c = b.chunks[n-1]
		} else {
			c = pool.take(max(len(data), b.len()))
			c.start = b.end
			b.chunks = append(b.chunks, c)
		}
		n := min(len(data), cap(c.data)-len(c.data))
		c.data = append(c.data, data[:n]...)
		b.end += uint64(n)
		data = data[n:]
	}
}

// read copies the len(dst) bytes at offset off, which the buffer must hold.
func (b *sendBuffer) read(dst []byte, off uint64) {
	i := 0
	for off >= b.chunks[i].end() {
		i++
	}
	for len(dst) > 0 {
		c := b.chunks[i]
		n := copy(dst, c.data[off-c.start:])
		dst, off, i = dst[n:], off+uint64(n), i+1
	}
}

// discard forgets everything before offset off and recycles what it frees.
func (b *sendBuffer) discard(pool *chunkPool, off uint64) {
	b.start = off
	n := 0
	for n < len(b.chunks) && b.chunks[n].end() <= off {
		pool.recycle(b.chunks[n])
		n++
	}
	if n > 0 {
		k := copy(b.chunks, b.chunks[n:])
		clear(b.chunks[k:])
		b.chunks = b.chunks[:k]
	}
}
