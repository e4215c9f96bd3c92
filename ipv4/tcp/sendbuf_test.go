package tcp

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSendBuffer(t *testing.T) {
	// Against a slice.
	r := rand.New(rand.NewPCG(1, 2))
	var pool chunkPool
	var b sendBuffer
	var model []byte
	var off uint64
	for range 3000 {
		switch r.IntN(3) {
		case 0:
			data := make([]byte, r.IntN(1<<r.IntN(18)+1))
			for i := range data {
				data[i] = byte(r.Uint32())
			}
			b.write(&pool, data)
			model = append(model, data...)
		case 1:
			if len(model) > 0 {
				i := r.IntN(len(model))
				got := make([]byte, r.IntN(min(len(model)-i, 70000))+1)
				b.read(got, off+uint64(i))
				require.True(t, bytes.Equal(model[i:i+len(got)], got))
			}
		case 2:
			n := r.IntN(len(model) + 1)
			off += uint64(n)
			model = model[n:]
			b.discard(&pool, off)
		}
		require.Equal(t, len(model), b.len())
		if len(model) == 0 {
			require.LessOrEqual(t, len(b.chunks), 1, "only the one that is being filled may stay")
		}
	}
}

func TestSendBufferIdle(t *testing.T) {
	var pool chunkPool
	var b sendBuffer
	for i := range 100 {
		b.write(&pool, []byte{byte(i)})
	}
	require.Len(t, b.chunks, 1)
	require.Equal(t, smallChunk, cap(b.chunks[0].data))
	b.discard(&pool, 100)
	require.Empty(t, b.chunks, "nothing is kept when nothing waits")
}
