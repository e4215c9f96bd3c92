package neighbour

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/stack/clock"
)

func TestSchedule(t *testing.T) {
	v := clock.NewVirtual(time.Unix(0, 0))
	var ran, noted []instant
	busy := true
	s := schedule{
		clock: clock.New(v), due: 10, period: func() time.Duration { return 20 * time.Millisecond },
		now:  func() instant { return instant(v.Now().UnixNano()) },
		note: func(first, last instant, _ time.Duration) { noted = append(noted, first, last) },
	}
	s.job = func() bool { ran = append(ran, s.now()); return busy }
	const period = instant(20 * time.Millisecond)

	v.Advance(time.Duration(10 + period + 5))
	require.Empty(t, ran, "it sleeps")
	s.wake(s.now())
	require.Equal(t, []instant{10, 10 + period}, noted)
	s.wake(s.now())
	v.Advance(2 * time.Duration(period))
	require.Equal(t, []instant{10 + 2*period, 10 + 3*period}, ran, "it keeps the phase")
	busy = false
	v.Advance(time.Duration(period))
	_, armed := v.Next()
	require.False(t, armed, "idle means idle")
	ran, noted = nil, nil
	v.Advance(10 * time.Duration(period))
	s.catchUp(s.now())
	require.Equal(t, []instant{10 + 5*period, 10 + 14*period}, noted)
	require.Empty(t, ran)
	s.wake(s.now())
	s.close()
	v.Advance(time.Hour)
	s.wake(s.now())
	require.Empty(t, ran)
}
