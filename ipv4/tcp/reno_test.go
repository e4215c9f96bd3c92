package tcp

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestReno(t *testing.T) {
	var w window
	w.start(1000, false)
	require.Equal(t, 10000, w.cwnd)
	w.start(1460, false)
	require.Equal(t, 14600, w.cwnd)
	w.start(9000, false)
	require.Equal(t, 18000, w.cwnd, "RFC 6928: jumbo segments")
	w.start(1000, true)
	require.Equal(t, 1000, w.cwnd, "after a lost SYN")
	w.start(1000, false)

	r := &reno{}
	r.acked(&w, acknowledgement{bytes: 10000})
	require.Equal(t, 20000, w.cwnd, "slow start")
	r.congested(&w, 20000, time.Time{})
	require.Equal(t, 10000, w.ssthresh)
	w.set(w.ssthresh)
	for range 10 {
		require.Equal(t, 10000, w.cwnd)
		r.acked(&w, acknowledgement{bytes: 1000})
	}
	require.Equal(t, 11000, w.cwnd, "a segment for each window")
	r.congested(&w, 100, time.Time{})
	require.Equal(t, 2000, w.ssthresh, "two segments at least")
	r.undo(&w)
	require.Equal(t, 10000, w.ssthresh, "nothing was lost after all")
	w.cwnd, w.ssthresh = 1500, 2000
	r.acked(&w, acknowledgement{bytes: 1500})
	require.Equal(t, 2000, w.cwnd, "slow start ends at ssthresh")
	w.set(math.MaxInt)
	require.Equal(t, maxCongestionWindow, w.cwnd)
}
