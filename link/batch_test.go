package link

import (
	"testing"

	"github.com/stretchr/testify/require"
)

type flushed struct{ n int }

func (f *flushed) Flush() { f.n++ }

func TestBatch(t *testing.T) {
	var b Batch
	require.False(t, b.Flush(), "nothing was put off")
	x, y := new(flushed), new(flushed)
	b.Add(x)
	b.Add(y)
	require.True(t, b.Flush())
	require.False(t, b.Flush())
	b.Add(y)
	require.True(t, b.Flush())
	require.Equal(t, []int{1, 2}, []int{x.n, y.n})
}
