package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAcker(t *testing.T) {
	now := moment(1000 * time.Second)
	var a acker
	require.False(t, a.due(100, 10), "nothing received")
	a.received(now, time.Second)
	require.True(t, a.due(1, 1000), "quick at first")
	for range quickAcks {
		a.sent(1)
	}
	a.received(now+moment(ms), time.Second)
	require.False(t, a.due(1001, 1000), "one full segment")
	require.True(t, a.due(1002, 1000), "more than that")
	require.Equal(t, delackMin, a.delay())
	a.late(time.Second)
	require.True(t, a.due(2, 1000))
	a.sent(2)
	require.Equal(t, 2*delackMin, a.delay(), "the delay grows when it was for nothing")
	a.received(now+moment(10*time.Second), time.Second)
	require.True(t, a.due(3, 1000), "quick again after a pause")
	a.sentData(now + moment(10*time.Second+ms))
	require.False(t, a.due(3, 1000), "a conversation")
	a.late(time.Second)
	require.False(t, a.pingpong)
}
