package service

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// The bytes are part of what people compare hashes of: they must not change.
func TestBlobIsAlwaysTheSame(t *testing.T) {
	b, err := io.ReadAll(&blob{n: 19})
	require.NoError(t, err)
	require.Equal(t, uint64(0xe220a8397b1dcdaf), word(0), "splitmix64's first number from seed 0")
	require.Equal(t, uint64(0x6e789e6aa1b965f4), word(1))
	require.Equal(t, []byte{0xaf, 0xcd, 0x1d, 0x7b, 0x39, 0xa8, 0x20, 0xe2, 0xf4, 0x65, 0xb9, 0xa1, 0x6a, 0x9e, 0x78, 0x6e}, b[:16])
	require.Len(t, b, 19)
}

func TestBlobReadsAndSeeks(t *testing.T) {
	whole, err := io.ReadAll(&blob{n: 1000})
	require.NoError(t, err)
	require.NoError(t, iotest.TestReader(&blob{n: 1000}, whole))
	for _, at := range []int64{0, 1, 7, 8, 500, 993, 999, 1000} {
		b := &blob{n: 1000}
		_, err := b.Seek(at, io.SeekStart)
		require.NoError(t, err)
		rest, err := io.ReadAll(iotest.OneByteReader(b))
		require.NoError(t, err)
		require.True(t, bytes.Equal(whole[at:], rest), "from %d", at)
	}
	b := &blob{n: 1000}
	end, err := b.Seek(-8, io.SeekEnd)
	require.NoError(t, err)
	require.EqualValues(t, 992, end)
	_, err = b.Seek(-993, io.SeekCurrent)
	require.Error(t, err)
}

func BenchmarkBlob(b *testing.B) {
	buf := make([]byte, 32<<10)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	r := &blob{n: MaxBlob}
	for b.Loop() {
		r.at = 0
		r.Read(buf)
	}
}
