package tcp

import "github.com/tapstack/tapstack/link"

// Sizes of a chunk of the send buffer. A connection that writes little holds
// little; between bursts it holds nothing.
const (
	smallChunk = 2 << 10
	largeChunk = link.MaxChunk
)

// chunk is a piece of the stream. Bytes once written do not change: packets
// show them, and keep the memory for as long as they need it.
type chunk struct {
	start uint64 // offset of data[0] in the stream
	data  []byte // written part; its capacity is all of mem
	mem   *link.Chunk
}

func (c *chunk) end() uint64 { return c.start + uint64(len(c.data)) }

// sendBuffer is the part of the outgoing stream that is not acknowledged yet.
// Offsets count from the first byte of the stream.
type sendBuffer struct {
	chunks     []chunk
	start, end uint64
}

func (b *sendBuffer) len() int { return int(b.end - b.start) }

// write appends data.
func (b *sendBuffer) write(data []byte) {
	for len(data) > 0 {
		i := len(b.chunks) - 1
		if i < 0 || len(b.chunks[i].data) == cap(b.chunks[i].data) {
			size := smallChunk
			if max(len(data), b.len()) > smallChunk {
				size = largeChunk
			}
			mem := link.NewChunk(size)
			b.chunks = append(b.chunks, chunk{start: b.end, data: mem.Bytes()[:0], mem: mem})
			i++
		}
		c := &b.chunks[i]
		n := min(len(data), cap(c.data)-len(c.data))
		c.data = append(c.data, data[:n]...)
		b.end += uint64(n)
		data = data[n:]
	}
}

// writeShared appends data, a part of mem, without a copy.
func (b *sendBuffer) writeShared(data []byte, mem *link.Chunk) {
	mem.Retain()
	b.chunks = append(b.chunks, chunk{start: b.end, data: data[:len(data):len(data)], mem: mem})
	b.end += uint64(len(data))
}

// find returns the index of the chunk that holds offset off.
func (b *sendBuffer) find(off uint64) int {
	i := 0
	for off >= b.chunks[i].end() {
		i++
	}
	return i
}

// read copies the len(dst) bytes at offset off, which the buffer must hold.
func (b *sendBuffer) read(dst []byte, off uint64) {
	for i := b.find(off); len(dst) > 0; i++ {
		c := &b.chunks[i]
		n := copy(dst, c.data[off-c.start:])
		dst, off = dst[n:], off+uint64(n)
	}
}

// share lets p show the n bytes at offset off, which the buffer must hold.
func (b *sendBuffer) share(p *link.Packet, off uint64, n int) {
	for i := b.find(off); n > 0; i++ {
		c := &b.chunks[i]
		x := c.data[off-c.start:]
		x = x[:min(len(x), n):min(len(x), n)]
		c.mem.Retain()
		p.Append(c.mem, x)
		off, n = off+uint64(len(x)), n-len(x)
	}
}

// shed gives up the list of chunks if it is empty.
func (b *sendBuffer) shed() {
	if len(b.chunks) == 0 {
		b.chunks = nil
	}
}

// discard forgets everything before offset off and gives up what it frees.
func (b *sendBuffer) discard(off uint64) {
	b.start = off
	n := 0
	for n < len(b.chunks) && b.chunks[n].end() <= off {
		b.chunks[n].mem.Release()
		n++
	}
	if n > 0 {
		k := copy(b.chunks, b.chunks[n:])
		clear(b.chunks[k:])
		b.chunks = b.chunks[:k]
	}
}
