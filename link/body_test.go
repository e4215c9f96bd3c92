package link

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// withBody returns a packet whose bytes are b, of which the first head are its
// own and the others in pieces of size.
func withBody(b []byte, head, size int) *Packet {
	p := NewPacketFrom(b[:head])
	for b = b[head:]; len(b) > 0; {
		k := min(size, len(b))
		c := NewChunk(k)
		p.Append(c, c.Bytes()[:copy(c.Bytes(), b[:k])])
		b = b[k:]
	}
	return p
}

func numbers(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

func flat(p *Packet) []byte {
	b := make([]byte, p.Len())
	p.CopyTo(b)
	return b
}

func TestBody(t *testing.T) {
	wantNoPackets(t)
	data := numbers(10_000)
	p := withBody(data, 100, 3000)
	require.Equal(t, len(data), p.Len())
	require.Equal(t, data[:100], p.Bytes())
	require.True(t, p.HasBody())
	require.Zero(t, p.Tailroom(), "the body is in the way")
	require.Panics(t, func() { p.Put(1) })
	require.Panics(t, func() { p.Pull(101) }, "headers are in the packet's own memory")

	q := p.Copy()
	var n int
	p.Pieces(func(b []byte) bool { n += len(b); return true })
	require.Equal(t, len(data), n)
	p.Release()
	require.Equal(t, data, flat(q), "a copy does not need the original")

	q.SetNetworkHeader()
	q.Pull(20)
	q.SetTransportHeader()
	q.Push(4)
	q.Linearize()
	require.False(t, q.HasBody())
	require.Equal(t, data[16:], q.Bytes())
	require.Equal(t, data, q.NetworkHeader(), "marks stay")
	require.Equal(t, data[20:], q.TransportHeader())
	q.Release()
}

// TestBodyAgainstModel does what a stack does to packets with bodies and to a
// slice.
func TestBodyAgainstModel(t *testing.T) {
	wantNoPackets(t)
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		data := numbers(r.IntN(9000))
		p := withBody(data, r.IntN(len(data)+1), 1+r.IntN(4000))
		for range 6 {
			switch r.IntN(5) {
			case 0:
				n := r.IntN(len(data) + 1)
				p.Skip(n)
				data = data[n:]
			case 1:
				n := r.IntN(len(data) + 1)
				p.Trim(n)
				data = data[:n]
			case 2:
				b := make([]byte, r.IntN(3000))
				n := p.Read(b)
				require.True(t, bytes.Equal(data[:n], b[:n]))
				data = data[n:]
			case 3:
				q := p.Copy()
				p.Release()
				p = q
			case 4:
				if r.IntN(4) == 0 {
					p.Linearize()
				}
			}
			require.Equal(t, len(data), p.Len())
			require.True(t, bytes.Equal(data, flat(p)))
			require.Equal(t, Sum(data, 0x1234), p.Sum(0x1234))
		}
		p.Release()
	}
}

func TestChunk(t *testing.T) {
	for n, want := range map[int]int{0: 2048, 2048: 2048, 2049: 4096, 40000: 65536, 65536: 65536} {
		c := NewChunk(n)
		require.Len(t, c.Bytes(), want)
		c.Retain()
		c.Release()
		c.Release()
		require.Panics(t, func() { c.Release() })
	}
	require.Panics(t, func() { NewChunk(MaxChunk + 1) })
	c := NewChunk(1)
	c.Release()
	require.Panics(t, func() { c.Retain() })
}

func TestBodyDoesNotAllocate(t *testing.T) {
	c := NewChunk(MaxChunk)
	defer c.Release()
	wantNoAllocs(t, func() {
		p := NewPacket(60)
		c.Retain()
		p.Append(c, c.Bytes()[:30000])
		c.Retain()
		p.Append(c, c.Bytes()[30000:60000])
		p.Release()
	})
}
