package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTimers(t *testing.T) {
	var x timers
	now := time.Unix(1000, 0)
	require.True(t, x.earliest().IsZero())
	x.set(timerRTO, now.Add(2))
	x.set(timerDelack, now.Add(1))
	require.Equal(t, now.Add(1), x.earliest())
	require.False(t, x.due(timerDelack, now))
	require.True(t, x.due(timerDelack, now.Add(1)))
	require.False(t, x.due(timerDelack, now.Add(1)), "once")
	require.Equal(t, now.Add(2), x.earliest())
	x.clear(timerRTO)
	require.False(t, x.armed(timerRTO))
	require.True(t, x.earliest().IsZero())
}
