package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTimestampClock(t *testing.T) {
	epoch := time.Unix(1000, 0)
	ts := timestamps{epoch: &epoch, offset: 0xffffff00}
	at := func(d time.Duration) time.Time { return epoch.Add(d) }
	require.Equal(t, uint32(1000-256), ts.value(at(time.Second)))
	d, ok := ts.sample(ts.value(at(time.Second)), at(time.Second+30*ms))
	require.True(t, ok)
	require.Equal(t, 30*ms, d, "across the wrap")
	_, ok = ts.sample(0, at(0))
	require.False(t, ok)
	_, ok = ts.sample(ts.value(at(time.Minute)), at(time.Second))
	require.False(t, ok, "of the future")

	ts.start(&Options{TSVal: 5}, at(0))
	require.True(t, ts.old(&Options{TSVal: 4}, at(time.Hour)))
	require.False(t, ts.old(&Options{TSVal: 5}, at(time.Hour)))
	require.True(t, ts.old(&Options{TSVal: 0xffffffff}, at(time.Hour)), "circular")
	require.False(t, ts.old(&Options{TSVal: 4}, at(25*24*time.Hour)))
	ts.note(&Options{TSVal: 9}, 101, 100, at(0))
	require.EqualValues(t, 5, ts.recent, "past Last.ACK.sent")
	ts.note(&Options{TSVal: 9}, 100, 100, at(0))
	require.EqualValues(t, 9, ts.recent)
	ts.note(&Options{TSVal: 8}, 100, 100, at(0))
	require.EqualValues(t, 9, ts.recent, "never back")
	require.False(t, ts.foreign(&Options{HasTimestamps: true, TSEcr: ts.value(at(0))}, at(time.Minute)))
	require.True(t, ts.foreign(&Options{HasTimestamps: true, TSEcr: ts.value(at(0)) + 1}, at(0)))
}
