package ipv4

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link/linktest"
)

func TestParse(t *testing.T) {
	good := "4500003c1c4640004006b1e6ac100a63ac100a0c"
	for _, tc := range []struct {
		name, in string
		want     Header
		err      error
	}{
		{"plain", good, Header{TotalLen: 60, ID: 0x1c46, DF: true, TTL: 64, Protocol: 6, Checksum: 0xb1e6, Src: addr("172.16.10.99"), Dst: addr("172.16.10.12")}, nil},
		{"fragment", "45c000220007205d40c800000a0000090a000002",
			Header{TOS: 0xc0, TotalLen: 34, ID: 7, MF: true, FragmentOffset: 744, TTL: 64, Protocol: 200, Src: addr("10.0.0.9"), Dst: addr("10.0.0.2")}, nil},
		{"options", "46000018000000004001000001020304050607080101" + "0100",
			Header{TotalLen: 24, TTL: 64, Protocol: 1, Src: addr("1.2.3.4"), Dst: addr("5.6.7.8"), Options: []byte{1, 1, 1, 0}}, nil},
		{"empty", "", Header{}, ErrTruncated},
		{"19 bytes", good[:38], Header{}, ErrTruncated},
		{"version 6", "6" + good[1:], Header{}, ErrVersion},
		{"IHL 4", "44" + good[2:], Header{}, ErrHeaderLen},
		{"IHL past the end", "46" + good[2:], Header{}, ErrTruncated},
		{"total length 19", "45000013" + good[8:], Header{}, ErrTotalLen},
		{"total length inside options", "46000017000000004001000001020304050607080101" + "0100", Header{}, ErrTotalLen},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, err := hex.DecodeString(tc.in)
			require.NoError(t, err)
			h, err := Parse(b)
			require.Equal(t, tc.err, err)
			require.Equal(t, tc.want, h)
		})
	}
}

func TestPutParseIsIdentity(t *testing.T) {
	b := make([]byte, MaxHeaderLen)
	for n := range 41 {
		opts := make([]byte, n)
		for k := range opts {
			opts[k] = 1
		}
		h := Header{TOS: 3, TotalLen: 1234, ID: 99, MF: true, FragmentOffset: 8 * 1000, TTL: 1, Protocol: 17, Src: addr("1.2.3.4"), Dst: addr("255.255.255.255"), Options: opts}
		for k := range b {
			b[k] = 0xaa // Put writes all it claims
		}
		h.Put(b[:h.Len()])
		require.EqualValues(t, 0xffff, Sum(b[:h.Len()], 0))
		back, err := Parse(b[:h.Len()])
		require.NoError(t, err)
		require.Equal(t, h.Len(), back.Len())
		require.Equal(t, opts, append([]byte{}, back.Options[:n]...), "options, then padding")
		for _, pad := range back.Options[n:] {
			require.Zero(t, pad)
		}
		back.Options, back.Checksum = opts, 0
		require.Equal(t, h, back)
	}
}

func TestHeaderDoesNotAllocate(t *testing.T) {
	b := make([]byte, MaxHeaderLen)
	h := Header{TotalLen: 60, TTL: 64, Src: addr("1.2.3.4"), Dst: addr("5.6.7.8"), Options: make([]byte, 40)}
	linktest.WantNoAllocs(t, func() {
		h.Put(b)
		h, _ = Parse(b)
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"4500003c1c4640004006b1e6ac100a63ac100a0c", "46000018000000004001000001020304050607080101" + "0100", "4f", ""} {
		b, _ := hex.DecodeString(s)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		h, err := Parse(in)
		if err != nil {
			require.Equal(t, Header{}, h)
			return
		}
		require.LessOrEqual(t, h.Len(), len(in))
		require.LessOrEqual(t, h.Len(), h.TotalLen)
		out := make([]byte, h.Len())
		h.Put(out)
		back, err := Parse(out)
		require.NoError(t, err)
		back.Checksum = h.Checksum
		if h.Options == nil {
			require.Nil(t, back.Options)
		}
		require.Equal(t, h, back)
		EchoOptions(nil, &h)
	})
}
