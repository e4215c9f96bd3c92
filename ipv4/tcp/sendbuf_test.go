package tcp

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

func TestSendBuffer(t *testing.T) {
	// Against a slice.
	r := rand.New(rand.NewPCG(1, 2))
	var b sendBuffer
	var model []byte
	var off uint64
	var shared []*link.Packet // keep what they show, whatever becomes of the buffer
	var copies [][]byte
	for range 3000 {
		switch r.IntN(3) {
		case 0:
			data := make([]byte, r.IntN(1<<r.IntN(18)+1))
			for i := range data {
				data[i] = byte(r.Uint32())
			}
			b.write(data)
			model = append(model, data...)
		case 1:
			if len(model) > 0 {
				i := r.IntN(len(model))
				got := make([]byte, r.IntN(min(len(model)-i, 70000))+1)
				b.read(got, off+uint64(i))
				require.True(t, bytes.Equal(model[i:i+len(got)], got))
				p := link.NewPacket(0)
				b.share(p, off+uint64(i), len(got))
				shared = append(shared, p)
				copies = append(copies, got)
			}
		case 2:
			n := r.IntN(len(model) + 1)
			off += uint64(n)
			model = model[n:]
			b.discard(off)
		}
		require.Equal(t, len(model), b.len())
		if len(model) == 0 {
			require.LessOrEqual(t, len(b.chunks), 1, "only the one that is being filled may stay")
		}
		for len(shared) > 30 || len(model) == 0 && len(shared) > 0 {
			got := make([]byte, shared[0].Len())
			shared[0].CopyTo(got)
			require.True(t, bytes.Equal(copies[0], got))
			shared[0].Release()
			shared, copies = shared[1:], copies[1:]
		}
	}
	for _, p := range shared {
		p.Release()
	}
}

func TestSendBufferIdle(t *testing.T) {
	var b sendBuffer
	for i := range 100 {
		b.write([]byte{byte(i)})
	}
	require.Len(t, b.chunks, 1)
	require.Equal(t, smallChunk, cap(b.chunks[0].data))
	b.discard(100)
	require.Empty(t, b.chunks, "nothing is kept when nothing waits")
}
