package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lossFixture is ten segments of 100 octets in flight from 1000 on.
func lossFixture() (l loss, q sentQueue, w window, cc *reno) {
	for i := range 10 {
		q.push(sentSegment{start: Seq(1000 + 100*i), end: Seq(1100 + 100*i), sent: 1})
	}
	w.start(100, false)
	return loss{recover: 999}, q, w, &reno{}
}

func TestLoss(t *testing.T) {
	now := time.Time{}
	t.Run("flight", func(t *testing.T) {
		l, q, w, cc := lossFixture()
		require.Equal(t, 1000, l.flight(&q, 100))
		l.duplicate(&q, 1000, 2000, &w, cc, now)
		require.Equal(t, phaseDisorder, l.phase)
		require.Equal(t, 900, l.flight(&q, 100), "one has left the network")
		for range 50 {
			l.dupAcks++
		}
		require.Equal(t, 100, l.flight(&q, 100), "forged duplicates take no more than there is")
		l.mark(&q, 0)
		require.Zero(t, l.flight(&q, 100))
	})
	t.Run("fast retransmit once for a window", func(t *testing.T) {
		l, q, w, cc := lossFixture()
		require.False(t, l.duplicate(&q, 1000, 2000, &w, cc, now))
		require.False(t, l.duplicate(&q, 1000, 2000, &w, cc, now))
		require.True(t, l.duplicate(&q, 1000, 2000, &w, cc, now))
		require.Equal(t, 500, w.cwnd)
		require.EqualValues(t, 100, l.lost)
		l.retransmitted(&q, 0)
		require.Equal(t, 700, l.flight(&q, 100), "ten less three duplicates")
		for range 5 {
			require.False(t, l.duplicate(&q, 1000, 2000, &w, cc, now))
		}
		// Partial: three segments, the fourth is a hole.
		for range 3 {
			q.pop()
		}
		require.False(t, l.acked(&q, 1300, 3, 700, &w))
		require.Equal(t, phaseRecovery, l.phase)
		require.True(t, q.at(0).lost)
		require.EqualValues(t, 6, l.dupAcks, "RFC 6582 step 3: deflated by what it covers less one")
		l.retransmitted(&q, 0)
		for q.len() > 0 {
			q.pop()
		}
		require.False(t, l.acked(&q, 2000, 7, 0, &w))
		require.Equal(t, phaseOpen, l.phase)
		require.Equal(t, 200, w.cwnd, "min(ssthresh, flight + SMSS)")
		// Duplicates for the same numbers begin nothing new.
		q.push(sentSegment{start: 2000, end: 2100, sent: 1})
		for range 5 {
			require.False(t, l.duplicate(&q, 2000, 2100, &w, cc, now))
		}
	})
	t.Run("timeout", func(t *testing.T) {
		l, q, w, cc := lossFixture()
		l.expired(&q, 1000, 2000, &w, cc, now)
		require.Equal(t, 100, w.cwnd)
		require.Equal(t, 500, w.ssthresh)
		require.EqualValues(t, 1000, l.lost)
		require.Zero(t, l.flight(&q, 100))
		l.retransmitted(&q, 0)
		l.expired(&q, 1000, 2000, &w, cc, now)
		require.Equal(t, 500, w.ssthresh, "RFC 5681: held on repeated timeouts")
		require.False(t, l.duplicate(&q, 1000, 2000, &w, cc, now), "duplicates are of our own making")
		require.True(t, l.acked(&q, 1500, 5, 500, &w))
		require.Equal(t, phaseLoss, l.phase)
		require.True(t, l.acked(&q, 2000, 5, 0, &w))
		require.Equal(t, phaseOpen, l.phase)
	})
	t.Run("recover stays close behind", func(t *testing.T) {
		l, q, w, _ := lossFixture()
		una := Seq(1000)
		for range 40 {
			una = una.Add(1 << 28)
			l.acked(&q, una, 1, 0, &w)
			require.True(t, l.recover.Less(una))
		}
	})
}
