package tcp

import (
	"testing"
	"testing/quick"

	"github.com/stretchr/testify/require"
)

func TestSeqAroundWrap(t *testing.T) {
	// Whatever the origin, the order is that of the distances.
	check := func(origin uint32, a, b int32) bool {
		a, b = a%(1<<30), b%(1<<30) // less than 2^31 apart
		x, y := Seq(origin).Add(int(a)), Seq(origin).Add(int(b))
		return x.Less(y) == (a < b) && x.LessEq(y) == (a <= b) && y.Sub(x) == int(b)-int(a) &&
			maxSeq(x, y) == Seq(origin).Add(int(max(a, b))) && minSeq(x, y) == Seq(origin).Add(int(min(a, b)))
	}
	require.NoError(t, quick.Check(check, nil))
	for _, origin := range []uint32{0, 1, 0x7fffffff, 0x80000000, 0xffffffff} {
		for _, d := range []int32{0, 1, 1<<30 - 1} {
			require.True(t, check(origin, 0, d))
			require.True(t, check(origin, d, 0))
			require.True(t, check(origin, -d, d/2))
		}
	}
	in := func(first uint32, n uint16, off uint32) bool {
		return Seq(first+off).In(Seq(first), int(n)) == (off < uint32(n))
	}
	require.NoError(t, quick.Check(in, nil))
}
