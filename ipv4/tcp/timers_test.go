package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTimers(t *testing.T) {
	now := time.Unix(1000, 0)
	epoch := now.Add(-1)
	x := timers{epoch: &epoch}
	require.Zero(t, x.earliest())
	x.set(timerRTO, now.Add(2))
	x.set(timerDelack, now.Add(1))
	require.Equal(t, moment(2), x.earliest())
	require.False(t, x.due(timerDelack, now))
	require.True(t, x.due(timerDelack, now.Add(1)))
	require.False(t, x.due(timerDelack, now.Add(1)), "once")
	require.Equal(t, moment(3), x.earliest())
	x.clear(timerRTO)
	require.False(t, x.armed(timerRTO))
	require.Zero(t, x.earliest())
}
