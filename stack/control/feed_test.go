package control

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFeed(t *testing.T) {
	var attached []bool
	f := feed[int]{attach: func(on bool) { attached = append(attached, on) }}
	f.publish(0)
	a, b := f.subscribe(2), f.subscribe(8)
	require.True(t, f.watched())
	for i := 1; i <= 4; i++ {
		f.publish(i)
	}
	require.Equal(t, tallied[int]{1, 0}, <-a.C)
	require.Equal(t, tallied[int]{2, 0}, <-a.C)
	f.publish(5)
	require.Equal(t, tallied[int]{5, 2}, <-a.C, "what it was too slow for is counted")
	for i := 1; i <= 5; i++ {
		require.Equal(t, tallied[int]{i, 0}, <-b.C, "others lose nothing")
	}
	a.close()
	f.publish(6)
	require.Empty(t, a.C)
	b.close()
	require.False(t, f.watched())
	require.Equal(t, []bool{true, false}, attached)
}
