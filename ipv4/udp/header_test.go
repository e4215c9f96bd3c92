package udp

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		want Header
		err  error
	}{
		{"ok", []byte{0x12, 0x34, 0, 53, 0, 9, 0xab, 0xcd, 'x'}, Header{0x1234, 53, 9, 0xabcd}, nil},
		{"ok, cut off behind the header", []byte{0, 1, 0, 2, 0xff, 0xff, 0, 0}, Header{1, 2, 65535, 0}, nil},
		{"bad, 7 bytes", make([]byte, 7), Header{}, ErrTruncated},
		{"bad, empty", nil, Header{}, ErrTruncated},
		{"bad, length 7", []byte{0, 1, 0, 2, 0, 7, 0, 0}, Header{}, ErrLength},
		{"bad, length 0", []byte{0, 1, 0, 2, 0, 0, 0, 0}, Header{}, ErrLength},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, err := Parse(c.in)
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.want, h)
		})
	}
}

func TestChecksum(t *testing.T) {
	src, dst := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	datagram := func(data []byte) []byte {
		b := make([]byte, HeaderLen+len(data))
		Header{SrcPort: 1000, DstPort: 2000, Length: len(b)}.Put(b)
		copy(b[HeaderLen:], data)
		return b
	}
	t.Run("worked out by hand", func(t *testing.T) {
		// 0a00 0001 0a00 0002 0011 000a, 03e8 07d0 000a 0000 4142
		b := datagram([]byte("AB"))
		SetChecksum(b, src, dst)
		require.Equal(t, []byte{0x9e, 0xdd}, b[6:8])
	})
	for _, data := range []string{"", "a", "ab", "abc"} {
		b := datagram([]byte(data))
		SetChecksum(b, src, dst)
		require.True(t, ValidChecksum(b, src, dst))
		require.True(t, ValidChecksum(b, dst, src), "the sum does not know the order")
		require.False(t, ValidChecksum(b, src, netip.MustParseAddr("10.0.0.3")))
		for bit := range 8 * len(b) {
			b[bit/8] ^= 1 << (bit % 8)
			if b[6] != 0 || b[7] != 0 {
				require.False(t, ValidChecksum(b, src, dst), "bit %d", bit)
			}
			b[bit/8] ^= 1 << (bit % 8)
		}
		SetChecksum(b, src, dst)
		require.True(t, ValidChecksum(b, src, dst), "an old checksum does not count")
	}
	t.Run("RFC 768: 0 is sent as all ones", func(t *testing.T) {
		b := datagram([]byte{0, 0})
		SetChecksum(b, src, dst)
		copy(b[8:], b[6:8]) // now the sum of everything is all ones
		SetChecksum(b, src, dst)
		require.Equal(t, []byte{0xff, 0xff}, b[6:8])
		require.True(t, ValidChecksum(b, src, dst))
	})
	t.Run("RFC 1122 4.1.3.4: none is accepted", func(t *testing.T) {
		require.True(t, ValidChecksum(datagram([]byte("x")), src, dst))
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{0x12, 0x34, 0, 53, 0, 9, 0xab, 0xcd, 'x'})
	f.Add([]byte{0, 1, 0, 2, 0, 7, 0, 0})
	f.Add([]byte{})
	src, dst := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := Parse(b)
		if err != nil {
			require.Equal(t, Header{}, h)
			return
		}
		require.GreaterOrEqual(t, h.Length, HeaderLen)
		out := make([]byte, HeaderLen)
		h.Put(out)
		require.Equal(t, b[:HeaderLen], out)
		b = bytes.Clone(b)
		SetChecksum(b, src, dst)
		require.True(t, ValidChecksum(b, src, dst))
	})
}
