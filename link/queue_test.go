package link

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQueueOrder(t *testing.T) {
	wantNoPackets(t)
	var q Queue
	require.Nil(t, q.Pop())
	require.Nil(t, q.Newest())
	for i := range 3 {
		q.Queue(NewPacketFrom([]byte{byte(i)}))
	}
	require.Equal(t, 3, q.Len())
	require.Equal(t, 3*832, q.Cost())
	require.Equal(t, byte(2), q.Newest().Bytes()[0])
	for i := range 3 {
		p := q.Pop()
		require.Equal(t, byte(i), p.Bytes()[0])
		p.Release()
	}
	require.Equal(t, Queue{}, q, "an emptied queue is as new")
}

func TestQueueTake(t *testing.T) {
	wantNoPackets(t)
	var q Queue
	q.Queue(NewPacket(1))
	q.Queue(NewPacket(1))
	all := q.Take()
	require.Zero(t, q.Len())
	q.Queue(NewPacket(1))
	require.Equal(t, 2, all.Len(), "what was taken is no longer connected to the queue")
	all.Release()
	q.Release()
	require.Zero(t, q.Len()+q.Cost())
}

func TestQueueTwice(t *testing.T) {
	wantNoPackets(t)
	var q Queue
	p := NewPacket(1)
	q.Queue(p)
	require.Panics(t, func() { q.Queue(p) }, "at the tail")
	q.Queue(NewPacket(1))
	require.Panics(t, func() { q.Queue(p) }, "with a successor")
	q.Release()
}

// TestQueueModel compares the queue with a slice over random operations.
func TestQueueModel(t *testing.T) {
	wantNoPackets(t)
	var (
		r     = rand.New(rand.NewPCG(1, 2))
		q     Queue
		model []*Packet
	)
	for range 10_000 {
		if r.IntN(5) < 3 {
			p := NewPacket(r.IntN(3000))
			q.Queue(p)
			model = append(model, p)
		} else if p := q.Pop(); p != nil {
			require.Same(t, model[0], p)
			model = model[1:]
			p.Release()
		} else {
			require.Empty(t, model)
		}
		cost := 0
		for _, p := range model {
			cost += p.Cost()
		}
		require.Equal(t, []int{len(model), cost}, []int{q.Len(), q.Cost()})
		if len(model) > 20 {
			q.Release()
			model = nil
		}
	}
	q.Release()
}
