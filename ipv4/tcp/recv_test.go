package tcp

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

// TestWindow has a peer that fills the window as it sees it, or saw it before
// the scale rounded it, and a reader in no hurry.
func TestWindow(t *testing.T) {
	for _, scale := range []uint8{0, 3, 7, 14} {
		r := rand.New(rand.NewPCG(uint64(scale), 1))
		v := receiver{limit: 100_000, scale: scale, mss: 1000}
		v.start(0xfffff000)
		seen := v.edge // as the peer computes it
		for range 20000 {
			if r.IntN(2) == 0 {
				n := min(r.IntN(1500), seen.Sub(v.nxt))
				require.True(t, v.acceptable(v.nxt, n))
				p := link.NewPacket(n)
				_, _, ok := v.data(v.nxt, p)
				require.True(t, ok)
			} else {
				v.queue.read(make([]byte, r.IntN(1500)))
			}
			field := v.advance() >> scale
			require.LessOrEqual(t, field, 0xffff)
			edge := v.nxt.Add(field << scale)
			if seen.Sub(edge) >= 1<<scale {
				t.Fatalf("scale %d: edge moved left by %d", scale, seen.Sub(edge))
			}
			if r.IntN(2) == 0 {
				seen = edge
			} else {
				seen = maxSeq(seen, edge)
			}
			require.LessOrEqual(t, v.queue.bytes, v.limit)
		}
		v.release()
	}
	require.Zero(t, link.LivePackets())
}

func TestReceiverAcceptable(t *testing.T) {
	v := receiver{nxt: 100, edge: 200}
	for _, c := range []struct {
		seq  Seq
		n    int
		want bool
	}{
		// RFC 9293 section 3.4, table 5.
		{100, 0, true}, {99, 0, false}, {199, 0, true}, {200, 0, true}, {201, 0, false},
		{100, 1, true}, {99, 1, false}, {99, 2, true}, {50, 50, false}, {50, 51, true}, {50, 500, true},
		{199, 10, true}, {200, 10, true}, {201, 10, false},
	} {
		require.Equal(t, c.want, v.acceptable(c.seq, c.n), "%d+%d", c.seq, c.n)
	}
	v.edge = 100 // closed
	require.True(t, v.acceptable(100, 0))
	require.True(t, v.acceptable(100, 1), "its ACK counts")
	require.False(t, v.acceptable(101, 0))
}
