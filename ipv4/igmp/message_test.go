package igmp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func addrs(s ...string) (list []netip.Addr) {
	for _, a := range s {
		list = append(list, addr(a))
	}
	return list
}

// queryV3 returns a query of version 3.
func queryV3(code uint8, group string, robustness, interval uint8, sources ...string) []byte {
	b := make([]byte, queryLen+len(sources)*addrLen)
	Header{Type: TypeQuery, Code: code, Group: addr(group)}.Put(b)
	b[8], b[9] = robustness, interval
	binary.BigEndian.PutUint16(b[10:], uint16(len(sources)))
	for i, s := range sources {
		a := addr(s).As4()
		copy(b[queryLen+i*addrLen:], a[:])
	}
	SetChecksum(b)
	return b
}

// old returns a message of version 1 or 2.
func old(kind, code uint8, group string) []byte {
	b := make([]byte, HeaderLen)
	Header{Type: kind, Code: code, Group: addr(group)}.Put(b)
	SetChecksum(b)
	return b
}

func TestParseQuery(t *testing.T) {
	for _, c := range []struct {
		name string
		b    []byte
		want Query
		err  error
	}{
		{"bad, empty", nil, Query{}, ErrTruncated},
		{"bad, 7 bytes", make([]byte, 7), Query{}, ErrTruncated},
		{"bad, 9 bytes", make([]byte, 9), Query{}, ErrLength},
		{"bad, 11 bytes", make([]byte, 11), Query{}, ErrLength},
		{"bad, sources missing", queryV3(1, "239.1.1.1", 0, 0, "1.1.1.1")[:15], Query{}, ErrTruncated},
		{"ok, version 1 has no group", old(TypeQuery, 0, "239.1.1.1"), Query{Version: 1, Group: addr("0.0.0.0"), MaxResponse: 10 * time.Second}, nil},
		{"ok, version 2", old(TypeQuery, 200, "239.1.1.1"), Query{Version: 2, Group: addr("239.1.1.1"), MaxResponse: 20 * time.Second}, nil},
		{"ok, version 3", queryV3(0x80, "0.0.0.0", 8|3, 0x8f), Query{Version: 3, Group: addr("0.0.0.0"), MaxResponse: 12800 * time.Millisecond, Suppress: true, Robustness: 3, Interval: 248 * time.Second, sources: []byte{}}, nil},
		{"ok, longest times", queryV3(0xff, "0.0.0.0", 0, 0xff), Query{Version: 3, Group: addr("0.0.0.0"), MaxResponse: 3174400 * time.Millisecond, Interval: 31744 * time.Second, sources: []byte{}}, nil},
		{"ok, sources", queryV3(10, "239.1.1.1", 2, 125, "1.1.1.1", "1.1.1.2"), Query{Version: 3, Group: addr("239.1.1.1"), MaxResponse: time.Second, Robustness: 2, Interval: 125 * time.Second, sources: []byte{1, 1, 1, 1, 1, 1, 1, 2}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			q, err := ParseQuery(c.b)
			require.Equal(t, c.err, err)
			require.Equal(t, c.want, q)
		})
	}
	q, _ := ParseQuery(queryV3(10, "239.1.1.1", 2, 125, "1.1.1.1", "1.1.1.2"))
	require.Equal(t, 2, q.Sources())
	require.Equal(t, addr("1.1.1.2"), q.Source(1))
}

func TestReports(t *testing.T) {
	records := []Record{
		{ChangeToExclude, addr("239.1.1.1"), nil},
		{AllowNewSources, addr("239.1.1.2"), addrs("10.0.0.1", "10.0.0.2")},
	}
	b := make([]byte, reportLen(records))
	putReport(b, records)
	require.EqualValues(t, 0xffff, ipv4.Sum(b, 0))
	got, err := ParseReport(b)
	require.NoError(t, err)
	require.Equal(t, records, got)
	for n := range b {
		_, err := ParseReport(b[:n])
		require.ErrorIs(t, err, ErrTruncated)
	}
	require.Equal(t, "IS_IN IS_EX TO_IN TO_EX ALLOW BLOCK ? ?", fmt.Sprintf("%v %v %v %v %v %v %v %v",
		ModeIsInclude, ModeIsExclude, ChangeToInclude, ChangeToExclude, AllowNewSources, BlockOldSources, RecordType(0), RecordType(7)))
	aux := make([]byte, reportLen(records[:1]))
	putReport(aux, records[:1])
	aux[HeaderLen+1] = 1 // a word of auxiliary data
	_, err = ParseReport(aux)
	require.ErrorIs(t, err, ErrTruncated)
	got, err = ParseReport(append(aux, 1, 2, 3, 4))
	require.NoError(t, err)
	require.Equal(t, records[:1], got)
}

// RFC 3376, section 4.2.16.
func TestReportsFitTheLink(t *testing.T) {
	const room = 40 // a header and two records, or one with six sources
	group := addr("239.1.1.1")
	var sources []netip.Addr
	for n := range 14 {
		sources = append(sources, netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}))
	}
	plain := func(n int) (list []Record) {
		for i := range n {
			list = append(list, Record{ModeIsExclude, netip.AddrFrom4([4]byte{239, 1, 1, byte(i)}), nil})
		}
		return list
	}
	for _, c := range []struct {
		name    string
		records []Record
		want    [][]Record
	}{
		{"nothing", nil, nil},
		{"all fit", plain(4), [][]Record{plain(4)}},
		{"one more", plain(5), [][]Record{plain(4), plain(5)[4:]}},
		{"sources go on", []Record{{AllowNewSources, group, sources}}, [][]Record{
			{{AllowNewSources, group, sources[:6]}}, {{AllowNewSources, group, sources[6:12]}}, {{AllowNewSources, group, sources[12:]}}}},
		{"all but some is said once", []Record{{ChangeToExclude, group, sources}, {ModeIsExclude, group, nil}}, [][]Record{
			{{ChangeToExclude, group, sources[:6]}}, {{ModeIsExclude, group, nil}}}},
		{"a long one begins a report", []Record{{ModeIsExclude, group, nil}, {ModeIsInclude, group, sources[:6]}}, [][]Record{
			{{ModeIsExclude, group, nil}}, {{ModeIsInclude, group, sources[:6]}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := split(c.records, room)
			require.Equal(t, c.want, got)
			for _, r := range got {
				require.LessOrEqual(t, reportLen(r), room)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(queryV3(10, "239.1.1.1", 2, 125, "1.1.1.1", "1.1.1.2"))
	f.Add(old(TypeQuery, 0, "0.0.0.0"))
	f.Add(old(TypeReportV2, 0, "239.1.1.1"))
	b := make([]byte, 20)
	putReport(b, []Record{{AllowNewSources, addr("239.1.1.2"), addrs("10.0.0.1")}})
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if q, err := ParseQuery(b); err == nil {
			for i := range q.Sources() {
				q.Source(i)
			}
			if q.Version < 1 || q.Version > 3 || q.MaxResponse < 0 || q.MaxResponse > 3175*time.Second {
				t.Errorf("%+v", q)
			}
		}
		records, err := ParseReport(b)
		if err != nil {
			return
		}
		out := make([]byte, reportLen(records))
		putReport(out, records)
		again, err := ParseReport(out)
		require.NoError(t, err)
		require.Equal(t, records, again)
	})
}
