package tcp

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

// TestReassembly feeds random overlapping pieces of a stream in random order.
func TestReassembly(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	stream := make([]byte, 5000)
	for i := range stream {
		stream[i] = byte(r.Uint32())
	}
	const origin = Seq(0xfffff000)
	for range 50 {
		v := receiver{nxt: origin, edge: origin.Add(len(stream)), limit: 1 << 20}
		for v.nxt != origin.Add(len(stream)) {
			i := r.IntN(len(stream))
			j := i + 1 + r.IntN(min(300, len(stream)-i))
			if origin.Add(j).LessEq(v.nxt) {
				continue
			}
			if old := v.nxt.Sub(origin); i < old {
				i = old
			}
			p := link.NewPacketFrom(stream[i:j])
			_, _, ok := v.data(origin.Add(i), p)
			if !ok {
				p.Release()
			}
			cost := 0
			for k := range v.ofo.pieces {
				x := &v.ofo.pieces[k]
				cost += x.p.Cost()
				if !v.nxt.Less(x.seq) || k > 0 && !v.ofo.pieces[k-1].end().LessEq(x.seq) {
					t.Fatal("want what is past a gap only, sorted, without overlap")
				}
			}
			if cost != v.ofo.cost {
				t.Fatalf("cost %d, want %d", v.ofo.cost, cost)
			}
		}
		require.True(t, v.ofo.empty())
		require.Zero(t, v.ofo.cost)
		got := make([]byte, len(stream)+1)
		require.Equal(t, len(stream), v.queue.read(got))
		require.Equal(t, stream, got[:len(stream)])
	}
	require.Zero(t, link.LivePackets())
}

func TestReassemblyRefusals(t *testing.T) {
	var v reassembly
	defer v.release()
	insert := func(seq Seq, n, limit int) link.DropReason {
		p := link.NewPacket(n)
		reason, ok := v.insert(seq, p, limit)
		if !ok {
			p.Release()
		}
		return reason
	}
	require.Zero(t, insert(100, 50, 1000))
	require.Equal(t, link.TCPOldData, insert(100, 50-1, 2000))
	require.Equal(t, link.TCPOldData, insert(120, 30, 2000))
	require.Equal(t, link.TCPOfoDrop, insert(200, 10, 1000))
	require.Zero(t, insert(200, 10, 2000))
	require.Zero(t, insert(90, 200, 9000), "covers both")
	require.Len(t, v.pieces, 1)
}
