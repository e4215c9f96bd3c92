package tcp

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	base := func(options ...byte) []byte {
		for len(options)%4 != 0 {
			options = append(options, optEnd)
		}
		b := make([]byte, MinHeaderLen, MaxHeaderLen+4)
		b = append(b, options...)
		b[12] = byte(len(b)/4) << 4
		return b
	}
	for _, c := range []struct {
		name string
		b    []byte
		want Options
		err  error
	}{
		{"ok, no options", base(), Options{}, nil},
		{"ok, SYN of Linux", base(2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7),
			Options{MSS: 1460, SACKPermitted: true, HasTimestamps: true, TSVal: 1, HasWindowScale: true, WindowScale: 7}, nil},
		{"ok, aligned timestamps", base(1, 1, 8, 10, 0, 0, 0, 5, 0, 0, 0, 6), Options{HasTimestamps: true, TSVal: 5, TSEcr: 6}, nil},
		{"ok, SACK", base(1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4),
			Options{NumSACK: 2, SACK: [4]SACKBlock{{1, 2}, {3, 4}}}, nil},
		{"ok, unknown option is skipped", base(254, 4, 1, 2, 2, 4, 1, 0), Options{MSS: 256}, nil},
		{"ok, nothing counts after the end", base(0, 2, 4, 5, 180), Options{}, nil},
		{"ok, shift over 14 is 14", base(3, 3, 255), Options{HasWindowScale: true, WindowScale: 14}, nil},
		{"ok, wrong length is skipped", base(2, 3, 9, 4, 2), Options{SACKPermitted: true}, nil},
		{"bad, option length 0 ends the list", base(254, 0, 2, 4, 5, 180), Options{}, nil},
		{"bad, option past the header ends the list", base(2, 9, 5, 180), Options{}, nil},
		{"bad, option without length ends the list", base(1, 1, 1, 2), Options{}, nil},
		{"bad, short", make([]byte, 19), Options{}, ErrHeader},
		{"bad, offset under 5", make([]byte, 20), Options{}, ErrHeader},
		{"bad, offset past the end", func() []byte { b := base(); b[12] = 0x60; return b }(), Options{}, ErrHeader},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, n, err := Parse(c.b)
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.want, h.Options)
			if err == nil {
				require.Equal(t, len(c.b), n)
			}
		})
	}
}

func TestHeaderRoundTrip(t *testing.T) {
	for _, o := range []Options{
		{}, {MSS: 1460}, {MSS: 1460, SACKPermitted: true}, {SACKPermitted: true, HasTimestamps: true, TSVal: 1, TSEcr: 2},
		{MSS: 65495, HasWindowScale: true, WindowScale: 7}, {HasTimestamps: true, NumSACK: 3, SACK: [4]SACKBlock{{1, 2}, {3, 4}, {5, 6}}},
		{NumSACK: 4, SACK: [4]SACKBlock{{1, 2}, {3, 4}, {5, 6}, {7, 8}}},
		{MSS: 1, SACKPermitted: true, HasTimestamps: true, HasWindowScale: true},
	} {
		h := Header{SrcPort: 1, DstPort: 2, Seq: 3, Ack: 4, Flags: SYN | ACK, Window: 5, Checksum: 6, Urgent: 7, Options: o}
		b := make([]byte, h.Len())
		h.Put(b)
		got, n, err := Parse(b)
		require.NoError(t, err)
		require.Equal(t, h.Len(), n)
		require.LessOrEqual(t, n, MaxHeaderLen)
		require.Equal(t, h, got)
	}
	// More blocks than fit beside timestamps.
	h := Header{Options: Options{HasTimestamps: true, NumSACK: 4}}
	require.Equal(t, MinHeaderLen+12+4+24, h.Len())
}

func TestFlagsString(t *testing.T) {
	require.Equal(t, "S.", (SYN | ACK).String())
	require.Equal(t, "FSRP.UEW", Flags(255).String())
	require.Equal(t, "none", Flags(0).String())
}

func FuzzParse(f *testing.F) {
	h := Header{Flags: SYN, Options: Options{MSS: 1460, SACKPermitted: true, HasTimestamps: true, HasWindowScale: true}}
	b := make([]byte, h.Len())
	h.Put(b)
	f.Add(b)
	f.Add(make([]byte, 20))
	f.Add([]byte{0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0x10, 0, 0, 0, 0, 0, 0, 5, 255, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := Parse(b)
		if err != nil {
			return
		}
		require.GreaterOrEqual(t, n, MinHeaderLen)
		require.LessOrEqual(t, n, min(len(b), MaxHeaderLen))
		require.Equal(t, binary.BigEndian.Uint16(b), h.SrcPort)
		// What Put writes of it Parse reads back, but for what does not fit.
		if h.Len() > MaxHeaderLen {
			return
		}
		h.Options.NumSACK = h.Options.sackBlocks()
		clear(h.Options.SACK[h.Options.NumSACK:])
		c := make([]byte, h.Len())
		h.Put(c)
		again, _, err := Parse(c)
		require.NoError(t, err)
		require.Equal(t, h, again)
	})
}

func BenchmarkParse(b *testing.B) {
	h := Header{Flags: ACK, Options: Options{HasTimestamps: true}}
	buf := make([]byte, h.Len())
	h.Put(buf)
	b.ReportAllocs()
	for b.Loop() {
		Parse(buf)
	}
}
