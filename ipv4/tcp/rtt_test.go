package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const ms = time.Millisecond

func TestRTT(t *testing.T) {
	var r rtt
	r.update(100*ms, 0) // RFC 6298 (2.2)
	require.Equal(t, rtt{srtt: 100 * ms, rttvar: 50 * ms, latest: 100 * ms, min: 100 * ms}, r)
	r.update(180*ms, 0) // (2.3): rttvar 3/4*50 + 1/4*80, srtt 7/8*100 + 1/8*180
	require.Equal(t, rtt{srtt: 110 * ms, rttvar: 57500 * time.Microsecond, latest: 180 * ms, min: 100 * ms}, r)
	for range 200 {
		r.update(20*ms, 0)
	}
	require.InDelta(t, 20*ms, r.srtt, float64(ms))
	require.Less(t, r.rttvar, ms)
	require.Equal(t, 20*ms, r.min)
	r.update(-5, 0)
	require.Equal(t, time.Microsecond, r.latest)
}

func TestRTO(t *testing.T) {
	var r rto
	require.Equal(t, time.Second, r.current(), "RFC 6298 (2.1)")
	r.backOff()
	require.Equal(t, 2*time.Second, r.current(), "(5.5)")
	r.update(&rtt{srtt: 100 * ms, rttvar: 75 * ms})
	require.Equal(t, 400*ms, r.current(), "(2.3), and the backoff is over")
	r.update(&rtt{srtt: 100 * ms, rttvar: ms})
	require.Equal(t, 300*ms, r.current(), "the variance counts for 200 ms at least")
	for range 40 {
		r.backOff()
	}
	require.Equal(t, 120*time.Second, r.current())
	r.update(&rtt{srtt: time.Hour})
	require.Equal(t, 120*time.Second, r.current())
}
