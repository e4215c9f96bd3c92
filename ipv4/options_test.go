package ipv4

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseOptions(t *testing.T) {
	for _, tc := range []struct {
		name    string
		opts    []byte
		want    options
		pointer int
		ok      bool
	}{
		{"none", nil, options{}, 0, true},
		{"nothing but padding", []byte{1, 1, 0, 99}, options{}, 0, true},
		{"unknown is skipped", []byte{222, 4, 9, 9}, options{}, 0, true},
		{"record route", []byte{1, 7, 7, 4, 0, 0, 0, 0}, options{recordRoute: 21}, 0, true},
		{"record route, full", []byte{7, 7, 8, 1, 2, 3, 4, 0}, options{recordRoute: 20}, 0, true},
		{"record route twice", []byte{7, 7, 4, 0, 0, 0, 0, 7, 7, 4, 0, 0, 0, 0, 0, 0}, options{recordRoute: 20}, 27, false},
		{"record route, no room for an entry", []byte{7, 7, 5, 0, 0, 0, 0, 0}, options{}, 22, false},
		{"record route, too short", []byte{7, 2, 0, 0}, options{}, 21, false},
		{"timestamp", []byte{68, 8, 5, 0, 0, 0, 0, 0}, options{timestamp: 20}, 0, true},
		{"timestamp with address", []byte{68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0}, options{timestamp: 20}, 0, true},
		{"timestamp with address, room for half", []byte{68, 8, 5, 1, 0, 0, 0, 0}, options{}, 22, false},
		{"timestamp, pointer 4", []byte{68, 8, 4, 0, 0, 0, 0, 0}, options{}, 22, false},
		{"timestamp, unknown flag", []byte{68, 8, 5, 2, 0, 0, 0, 0}, options{}, 23, false},
		{"timestamp, overflow overflows", []byte{68, 8, 9, 0xf0, 0, 0, 0, 0}, options{}, 23, false},
		{"router alert", []byte{148, 4, 0, 0}, options{}, 0, true},
		{"router alert, short", []byte{148, 3, 0, 0}, options{}, 21, false},
		{"length 1", []byte{222, 1, 0, 0}, options{}, 20, false},
		{"length past the end", []byte{222, 5, 0, 0}, options{}, 20, false},
		{"type at the very end", []byte{1, 1, 1, 222}, options{}, 23, false},
		{"source route", []byte{131, 7, 4, 1, 2, 3, 4, 0}, options{sourceRoute: 20}, 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, pointer, ok := parseOptions(append(make([]byte, HeaderLen), tc.opts...))
			require.Equal(t, tc.want, o)
			require.Equal(t, tc.pointer, pointer)
			require.Equal(t, tc.ok, ok)
		})
	}
}

func TestRecordOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the bubble starts at midnight
		h := newTestHost(t)
		send := func(opts ...byte) []byte {
			h.clear()
			h.Input(h.t0, h.datagram("10.0.0.9", "10.0.0.2", func(ih *Header) { ih.Options = opts }))
			require.Len(t, h.got, 1)
			return h.got[0].h.Options
		}
		require.Equal(t, []byte{7, 11, 8, 10, 0, 0, 2, 0, 0, 0, 0, 0}, send(7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0))
		require.Equal(t, []byte{7, 7, 8, 9, 9, 9, 9, 0}, send(7, 7, 8, 9, 9, 9, 9, 0), "full")
		require.Equal(t, []byte{68, 12, 13, 1, 10, 0, 0, 2, 0, 0, 0, 0}, send(68, 12, 5, 1, 0, 0, 0, 0, 9, 9, 9, 9))
		require.Equal(t, []byte{68, 8, 9, 0, 0, 0, 0, 0}, send(68, 8, 5, 0, 9, 9, 9, 9))
		require.Equal(t, []byte{68, 8, 9, 0x10, 9, 9, 9, 9}, send(68, 8, 9, 0, 9, 9, 9, 9), "overflow is counted")
		require.Equal(t, []byte{68, 12, 13, 3, 10, 0, 1, 2, 0, 0, 0, 0}, send(68, 12, 5, 3, 10, 0, 1, 2, 9, 9, 9, 9), "asked for one of ours")
		require.Equal(t, []byte{68, 12, 5, 3, 10, 0, 1, 3, 9, 9, 9, 9}, send(68, 12, 5, 3, 10, 0, 1, 3, 9, 9, 9, 9), "asked for another's")

		require.NoError(t, h.Output(segment(8), Send{Dst: addr("10.0.0.9"), Protocol: 1, Options: []byte{7, 7, 4, 0, 0, 0, 0}}))
		require.Equal(t, []byte{7, 7, 8, 10, 0, 0, 2, 0}, h.sent[0].h.Options)
	})
}

func FuzzOptions(f *testing.F) {
	for _, o := range [][]byte{{7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0}, {68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0}, {68, 12, 5, 3, 10, 0, 1, 2, 0, 0, 0, 0}, {1, 148, 4, 0, 0, 0, 0, 0}} {
		f.Add(o)
	}
	f.Fuzz(func(t *testing.T, opts []byte) {
		if len(opts) > 40 {
			return
		}
		head := append(make([]byte, HeaderLen), opts...)
		o, pointer, ok := parseOptions(head)
		if !ok {
			require.GreaterOrEqual(t, pointer, HeaderLen)
			require.Less(t, pointer, len(head))
			return
		}
		blank := append([]byte(nil), head...)
		blankOptions(blank)
		left, _, ok := parseOptions(blank)
		require.True(t, ok)
		require.Equal(t, options{sourceRoute: o.sourceRoute}, left, "what has the copied flag")
		// A pointer out of step may leave too little room behind an entry,
		// which is the next host's to complain about, as with Linux.
		o.record(head, addr("10.0.0.2"), time.Unix(0, 0), func(netip.Addr) bool { return true })
		EchoOptions(nil, opts)
	})
}

func TestEchoOptions(t *testing.T) {
	require.Equal(t, []byte{7, 7, 8, 1, 2, 3, 4, 68, 4, 5, 0}, EchoOptions(nil, []byte{1, 148, 4, 0, 0, 7, 7, 8, 1, 2, 3, 4, 1, 68, 4, 5, 0, 0, 7, 7}))
	require.Empty(t, EchoOptions(nil, []byte{7, 9, 0, 0}))
}
