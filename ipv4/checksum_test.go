package ipv4

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// naiveSum is RFC 1071 by the letter: 16-bit words and end-around carry.
func naiveSum(b []byte, initial uint16) uint16 {
	s := uint32(initial)
	for n := 0; n < len(b); n += 2 {
		w := uint32(b[n]) << 8
		if n+1 < len(b) {
			w |= uint32(b[n+1])
		}
		if s += w; s > 0xffff {
			s -= 0xffff
		}
	}
	return uint16(s)
}

func TestSumIsNaiveSum(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 200)
	for n := range 2000 {
		for k := range b {
			b[k] = byte(r.Uint32())
		}
		if n%4 == 0 { // carries at every step
			for k := range b {
				b[k] = 0xff
			}
		}
		part := b[r.IntN(8) : 8+r.IntN(192)]
		initial := uint16(r.Uint32())
		want, have := naiveSum(part, initial), Sum(part, initial)
		if want != have && !(want%0xffff == 0 && have%0xffff == 0) { // +0 and -0 are one number
			t.Fatalf("%x from %#x: have %#x, want %#x", part, initial, have, want)
		}
	}
}

func TestChecksumOfRFC1071(t *testing.T) {
	// The example of RFC 1071 section 3: sum ddf2.
	require.EqualValues(t, 0xddf2, Sum([]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}, 0))
	require.EqualValues(t, 0, Sum(nil, 0))
	require.EqualValues(t, 0xffff, Checksum(nil, 0))
}

func TestPseudoHeaderSum(t *testing.T) {
	var b [12]byte
	for _, tc := range []struct {
		src, dst string
		proto    uint8
		length   int
	}{{"10.0.0.1", "10.0.0.2", 17, 8}, {"255.255.255.255", "255.255.255.255", 255, 65535}, {"0.0.0.0", "0.0.0.0", 0, 0}} {
		s, d := addr(tc.src).As4(), addr(tc.dst).As4()
		copy(b[0:], s[:])
		copy(b[4:], d[:])
		b[9] = tc.proto
		binary.BigEndian.PutUint16(b[10:], uint16(tc.length))
		require.EqualValues(t, naiveSum(b[:], 0)%0xffff, PseudoHeaderSum(addr(tc.src), addr(tc.dst), tc.proto, tc.length)%0xffff)
	}
}

func TestUpdateChecksum(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, 20)
	for range 1000 {
		for k := range b {
			b[k] = byte(r.Uint32())
		}
		b[10], b[11] = 0, 0
		check := Checksum(b, 0)
		old, word := binary.BigEndian.Uint16(b[8:]), uint16(r.Uint32())
		binary.BigEndian.PutUint16(b[8:], word)
		binary.BigEndian.PutUint16(b[10:], UpdateChecksum(check, old, word))
		require.EqualValues(t, 0xffff, Sum(b, 0))
	}
}

func BenchmarkChecksum(b *testing.B) {
	for _, n := range []int{20, 64, 1480, 65515} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			data := make([]byte, n)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			var s uint16
			for b.Loop() {
				s += Checksum(data, 0)
			}
			_ = s
		})
	}
}
