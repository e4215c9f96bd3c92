package link

import (
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestRingOrderAndLimit(t *testing.T) {
	wantNoPackets(t)
	r := NewRing(2)
	for i := range 2 {
		require.NoError(t, r.Write(NewPacketFrom([]byte{byte(i)})))
	}
	require.ErrorIs(t, r.Write(NewPacket(1)), ErrQueueFull)
	require.EqualValues(t, 1, r.Missed())
	for i := range 2 {
		p, err := r.Read()
		require.NoError(t, err)
		require.Equal(t, byte(i), p.Bytes()[0])
		p.Release()
	}
	require.NoError(t, r.Write(NewPacket(1)), "room again")
	r.Close()
	r.Close()
	require.ErrorIs(t, r.Write(NewPacket(1)), net.ErrClosed)
	_, err := r.Read()
	require.ErrorIs(t, err, net.ErrClosed)
	require.EqualValues(t, 1, r.Missed(), "a closed ring misses nothing")
}

func TestRingCloseUnblocksRead(t *testing.T) {
	wantNoPackets(t)
	synctest.Test(t, func(t *testing.T) {
		r := NewRing(1)
		done := make(chan error)
		go func() {
			_, err := r.Read()
			done <- err
		}()
		synctest.Wait() // a blocked reader counts as idle
		r.Close()
		require.ErrorIs(t, <-done, net.ErrClosed)
	})
}

func TestRingConcurrent(t *testing.T) {
	wantNoPackets(t)
	const writers, each = 4, 1000
	r := NewRing(writers * each)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				p := NewPacket(3)
				b := p.Bytes()
				b[0], b[1], b[2] = byte(w), byte(i>>8), byte(i)
				if err := r.Write(p); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var next [writers]int
	for range writers * each {
		p, err := r.Read()
		require.NoError(t, err)
		b := p.Bytes()
		require.Equal(t, next[b[0]], int(b[1])<<8|int(b[2]), "each writer's order is kept")
		next[b[0]]++
		p.Release()
	}
	wg.Wait()
	r.Close()
}

func TestRingDoesNotAllocate(t *testing.T) {
	wantNoPackets(t)
	r := NewRing(4)
	defer r.Close()
	wantNoAllocs(t, func() {
		_ = r.Write(NewPacket(64))
		p, _ := r.Read()
		p.Release()
	})
}
