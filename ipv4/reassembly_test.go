package ipv4

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

// cut is a fragment to send: data[from:to] of a datagram whose length is len.
type cut struct{ from, to int }

func payload(n int) []byte {
	b := make([]byte, n)
	for k := range b {
		b[k] = byte(k ^ k>>8)
	}
	return b
}

// fragmentOf returns a fragment of the datagram with that data.
func fragmentOf(data []byte, c cut, change ...func(*Header)) *link.Packet {
	return packetOf("10.0.0.9", "10.0.0.2", data[c.from:c.to], append([]func(*Header){func(ih *Header) {
		ih.FragmentOffset, ih.MF = c.from, c.to < len(data)
	}}, change...)...)
}

func TestReassemblyInAnyOrder(t *testing.T) {
	h := newTestHost(t)
	data := payload(5*800 - 3)
	cuts := []cut{{0, 800}, {800, 1600}, {1600, 2400}, {2400, 3200}, {3200, len(data)}}
	orders := 0
	var permute func(done []int)
	permute = func(done []int) {
		if len(done) < len(cuts) {
		next:
			for k := range cuts {
				for _, d := range done {
					if d == k {
						continue next
					}
				}
				permute(append(done[:len(done):len(done)], k))
			}
			return
		}
		orders++
		h.clear()
		for n, k := range done {
			require.Empty(t, h.got)
			h.Input(h.t0, fragmentOf(data, cuts[k], func(ih *Header) { ih.ID = uint16(orders); ih.TTL = uint8(10 + k) }))
			require.Equal(t, n == len(cuts)-1, len(h.got) == 1)
		}
		require.Equal(t, data, h.got[0].data, "order %v", done)
		ih := h.got[0].h
		require.False(t, ih.IsFragment())
		require.Equal(t, HeaderLen+len(data), ih.TotalLen)
		require.EqualValues(t, 10, ih.TTL, "the header is the first fragment's")
	}
	permute(nil)
	require.Equal(t, 120, orders)
	require.Empty(t, h.drops.Counts())
	require.EqualValues(t, 600, h.stats.ReasmReqds.Load())
	require.EqualValues(t, 120, h.stats.ReasmOKs.Load())
	require.Zero(t, h.fragments.r.memory)
	require.Empty(t, h.fragments.r.datagrams)
	require.Empty(t, h.fragments.r.sources)
}

func TestReassemblyTable(t *testing.T) {
	data := payload(2400)
	longest := payload(MaxPacketLen - HeaderLen)
	type in struct {
		c      cut
		change func(*Header)
	}
	last := func(ih *Header) { ih.MF = false }
	more := func(ih *Header) { ih.MF = true }
	for _, tc := range []struct {
		name  string
		data  []byte
		in    []in
		whole bool
		drops map[string]uint64
		waits int // fragments
		// overlaps is Linux's ReasmOverlaps, which leaves out what is beyond the end.
		overlaps uint64
	}{
		{name: "two pieces", in: []in{{c: cut{0, 1200}}, {c: cut{1200, 2400}}}, whole: true},
		{name: "one missing", in: []in{{c: cut{0, 800}}, {c: cut{1600, 2400}}}, waits: 2},
		{name: "exact duplicate", in: []in{{c: cut{0, 1200}}, {c: cut{0, 1200}}, {c: cut{1200, 2400}}}, whole: true, drops: map[string]uint64{"DUP_FRAG": 1}},
		{name: "duplicate of the last", in: []in{{c: cut{1200, 2400}}, {c: cut{1200, 2400}}, {c: cut{0, 1200}}}, whole: true, drops: map[string]uint64{"DUP_FRAG": 1}},
		{name: "inside another", in: []in{{c: cut{0, 1200}}, {c: cut{400, 800}}, {c: cut{1200, 2400}}}, whole: true, drops: map[string]uint64{"DUP_FRAG": 1}},
		{name: "inside two that came the other way round", in: []in{{c: cut{800, 1600}}, {c: cut{0, 800}}, {c: cut{400, 1200}}, {c: cut{1600, 2400}}}, overlaps: 1, drops: map[string]uint64{"FRAG_OVERLAP": 3}, waits: 1},
		{name: "inside one of them", in: []in{{c: cut{800, 1600}}, {c: cut{0, 800}}, {c: cut{80, 800}}, {c: cut{1600, 2400}}}, whole: true, drops: map[string]uint64{"DUP_FRAG": 1}},
		{name: "inside two that touch", in: []in{{c: cut{0, 800}}, {c: cut{800, 1600}}, {c: cut{400, 1200}}, {c: cut{1600, 2400}}}, whole: true, drops: map[string]uint64{"DUP_FRAG": 1}},
		{name: "overlap behind", in: []in{{c: cut{0, 1200}}, {c: cut{1192, 2400}}}, overlaps: 1, drops: map[string]uint64{"FRAG_OVERLAP": 2}},
		{name: "overlap in front", in: []in{{c: cut{800, 1600}}, {c: cut{0, 808}}}, overlaps: 1, drops: map[string]uint64{"FRAG_OVERLAP": 2}},
		{name: "around another", in: []in{{c: cut{800, 1600}}, {c: cut{0, 2400}, change: more}}, overlaps: 1, drops: map[string]uint64{"FRAG_OVERLAP": 2}},
		{name: "teardrop", in: []in{{c: cut{0, 1200}}, {c: cut{24, 28}, change: last}}, drops: map[string]uint64{"FRAG_OVERLAP": 2}},
		{name: "two ends", in: []in{{c: cut{1600, 2400}}, {c: cut{1600, 2000}, change: last}}, drops: map[string]uint64{"FRAG_OVERLAP": 2}},
		{name: "beyond the end", in: []in{{c: cut{800, 1600}, change: last}, {c: cut{1600, 2400}, change: more}}, drops: map[string]uint64{"FRAG_OVERLAP": 2}},
		{name: "after an overlap all starts anew", in: []in{{c: cut{0, 1200}}, {c: cut{1192, 2400}}, {c: cut{0, 1200}}, {c: cut{1200, 2400}}}, whole: true, overlaps: 1, drops: map[string]uint64{"FRAG_OVERLAP": 2}},
		{name: "nothing at the end", in: []in{{c: cut{0, 800}}, {c: cut{800, 800}, change: last}}, drops: map[string]uint64{"IP_INHDR": 2}},
		{name: "DF and MF", in: []in{{c: cut{0, 1200}, change: func(ih *Header) { ih.DF = true }}, {c: cut{1200, 2400}, change: func(ih *Header) { ih.DF = true }}}, whole: true},
		{name: "no data", in: []in{{c: cut{0, 0}, change: more}}, drops: map[string]uint64{"IP_INHDR": 1}},
		{name: "7 bytes and more to come", in: []in{{c: cut{0, 7}, change: more}}, drops: map[string]uint64{"IP_INHDR": 1}},
		{name: "length no multiple of 8, cut down", in: []in{{c: cut{0, 1207}, change: more}, {c: cut{1200, 2400}}}, whole: true},
		{name: "64 KiB", data: longest, in: []in{{c: cut{0, 65000}}, {c: cut{65000, len(longest)}}}, whole: true},
		{name: "ping of death", data: longest, in: []in{{c: cut{0, 65000}}, {c: cut{65000, 65512}, change: more}, {c: cut{0, 16}, change: func(ih *Header) { ih.FragmentOffset, ih.MF = 65512, true }}, {c: cut{0, 1000}, change: func(ih *Header) { ih.FragmentOffset, ih.MF = 65528, false }}}, drops: map[string]uint64{"FRAG_TOO_FAR": 4}},
		{name: "ping of death, with a hole", data: longest, in: []in{{c: cut{0, 800}}, {c: cut{0, 1000}, change: func(ih *Header) { ih.FragmentOffset, ih.MF = 65528, false }}}, waits: 2},
		{name: "64 KiB and options", data: longest, in: []in{{c: cut{0, 65000}, change: func(ih *Header) { ih.Options = []byte{1, 1, 1, 1} }}, {c: cut{65000, len(longest)}}}, drops: map[string]uint64{"FRAG_TOO_FAR": 2}},
		{name: "another protocol", in: []in{{c: cut{0, 1200}}, {c: cut{1200, 2400}, change: func(ih *Header) { ih.Protocol = 201 }}}, waits: 2},
		{name: "another identification", in: []in{{c: cut{0, 1200}}, {c: cut{1200, 2400}, change: func(ih *Header) { ih.ID = 8 }}}, waits: 2},
		{name: "another source", in: []in{{c: cut{0, 1200}}, {c: cut{1200, 2400}, change: func(ih *Header) { ih.Src = addr("10.0.0.8") }}}, waits: 2},
		{name: "ECN in one fragment and not in the other", in: []in{{c: cut{0, 1200}}, {c: cut{1200, 2400}, change: func(ih *Header) { ih.TOS = 2 }}}, drops: map[string]uint64{"IP_INHDR": 2}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newTestHost(t)
			if tc.data == nil {
				tc.data = data
			}
			for _, f := range tc.in {
				if f.change == nil {
					f.change = func(*Header) {}
				}
				h.Input(h.t0, fragmentOf(tc.data, f.c, f.change))
			}
			want := tc.drops
			if want == nil {
				want = map[string]uint64{}
			}
			require.Equal(t, want, h.drops.Counts())
			if tc.whole {
				require.Len(t, h.got, 1)
				require.True(t, bytes.Equal(tc.data, h.got[0].data))
			} else {
				require.Empty(t, h.got)
			}
			waits := 0
			for _, d := range h.fragments.r.datagrams {
				waits += len(d.pieces)
			}
			require.Equal(t, tc.waits, waits)
			require.Equal(t, tc.waits == 0, h.fragments.r.memory == 0)
			require.Equal(t, tc.overlaps, h.stats.ReasmOverlaps.Load())
			require.EqualValues(t, len(tc.in), h.stats.ReasmReqds.Load())
			failed := uint64(0)
			if tc.drops != nil && tc.drops["DUP_FRAG"] == 0 {
				failed = 1
			}
			require.Equal(t, failed, h.stats.ReasmFails.Load(), "a datagram, not its fragments")
			require.Empty(t, h.errors)
		})
	}
}

func TestReassemblyMergesHeaders(t *testing.T) {
	for _, tc := range []struct {
		name          string
		first, second func(*Header)
		df            bool
		tos           uint8
	}{
		{"CE in one marks the whole", func(ih *Header) { ih.TOS = 2 }, func(ih *Header) { ih.TOS = 3 }, false, 3},
		{"ECT of both kinds", func(ih *Header) { ih.TOS = 1 }, func(ih *Header) { ih.TOS = 2 }, false, 1},
		{"the first's type of service", func(ih *Header) { ih.TOS = 0x10 }, func(ih *Header) { ih.TOS = 0x20 }, false, 0x10},
		{"DF of the longest", func(ih *Header) { ih.DF = true }, func(ih *Header) {}, true, 0},
		{"DF of a shorter one", func(ih *Header) {}, func(ih *Header) { ih.DF = true }, false, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newTestHost(t)
			data := payload(1000)
			h.Input(h.t0, fragmentOf(data, cut{0, 800}, tc.first))
			h.Input(h.t0, fragmentOf(data, cut{800, 1000}, tc.second))
			require.Len(t, h.got, 1)
			require.Equal(t, tc.df, h.got[0].h.DF)
			require.Equal(t, tc.tos, h.got[0].h.TOS)
		})
	}
}

func TestReassemblyTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		data := payload(2400)
		send := func(id uint16, cuts ...cut) {
			for _, c := range cuts {
				h.Input(h.t0, fragmentOf(data, c, func(ih *Header) { ih.ID = id }))
			}
		}
		send(1, cut{0, 800}, cut{800, 1600})
		time.Sleep(10 * time.Second)
		send(2, cut{800, 1600})
		time.Sleep(19999 * time.Millisecond)
		synctest.Wait()
		require.Empty(t, h.drops.Counts())
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.Equal(t, map[string]uint64{"FRAG_REASM_TIMEOUT": 2}, h.drops.Counts())
		require.Equal(t, []ErrorMessage{{Type: TypeTimeExceeded, Code: 1, Reason: link.FragReasmTimeout}}, h.errors)
		first, err := Parse(h.about[0])
		require.NoError(t, err)
		require.Equal(t, []any{uint16(1), 0, true, len(h.about[0])}, []any{first.ID, first.FragmentOffset, first.MF, 820}, "about the first fragment")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.EqualValues(t, 3, h.drops.Count(link.FragReasmTimeout))
		require.Len(t, h.errors, 1, "no error without the first fragment")
		require.EqualValues(t, 2, h.stats.ReasmTimeout.Load())
		require.EqualValues(t, 2, h.stats.ReasmFails.Load())

		// The timer starts again; a completed datagram leaves nothing to it.
		require.NoError(t, h.SetSysctl("ipfrag_time", 1))
		send(3, cut{0, 1200}, cut{1200, 2400})
		send(4, cut{0, 1200})
		time.Sleep(time.Second)
		synctest.Wait()
		require.EqualValues(t, 4, h.drops.Count(link.FragReasmTimeout))
		require.Len(t, h.got, 1)
	})
}

func TestReassemblyTimeoutGetsShorter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		data := payload(2400)
		h.Input(h.t0, fragmentOf(data, cut{0, 800}))
		require.NoError(t, h.SetSysctl("ipfrag_time", 5))
		h.Input(h.t0, fragmentOf(data, cut{0, 800}, func(ih *Header) { ih.ID = 8 }))
		time.Sleep(30 * time.Second)
		synctest.Wait()
		require.EqualValues(t, 2, h.drops.Count(link.FragReasmTimeout))
	})
}

func TestReassemblyMemory(t *testing.T) {
	h := newTestHost(t)
	require.NoError(t, h.SetSysctl("ipfrag_low_thresh", 0))
	const each = 832 + datagramCost
	require.NoError(t, h.SetSysctl("ipfrag_high_thresh", 10*each))
	data := payload(64)
	for n := range 50 { // a flood of first fragments
		h.Input(h.t0, fragmentOf(data, cut{0, 32}, func(ih *Header) { ih.ID = uint16(n) }))
		require.LessOrEqual(t, h.fragments.r.memory, 11*each, "as with Linux the one that crosses the limit is in")
	}
	require.Equal(t, map[string]uint64{"FRAG_MEMORY": 39}, h.drops.Counts())
	require.EqualValues(t, 39, h.stats.ReasmFails.Load())
	h.Input(h.t0, fragmentOf(data, cut{32, 64}, func(ih *Header) { ih.ID = 3 }))
	require.Empty(t, h.got, "nor is a datagram completed")
	require.NoError(t, h.SetSysctl("ipfrag_high_thresh", 11*each))
	h.Input(h.t0, fragmentOf(data, cut{32, 64}, func(ih *Header) { ih.ID = 3 }))
	require.Len(t, h.got, 1, "what waits can still be completed")
	require.NoError(t, h.SetSysctl("ipfrag_high_thresh", 0))
	h.wantDrop(link.FragMemory, func() { h.Input(h.t0, fragmentOf(data, cut{32, 64}, func(ih *Header) { ih.ID = 4 })) })
}

func TestReassemblyUnderAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		data := payload(2400)
		heap := func() uint64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		before := heap()
		for n := range 20000 {
			src := netip.AddrFrom4([4]byte{10, 0, 0, byte(n%200) + 20})
			h.Input(h.t0, fragmentOf(data, cut{0, 1200}, func(ih *Header) { ih.Src, ih.ID = src, uint16(n/200) }))
			require.LessOrEqual(t, h.fragments.r.memory, 4<<20+2304+datagramCost)
		}
		require.Greater(t, h.drops.Count(link.FragMemory), uint64(15000))
		require.Less(t, heap()-before, uint64(8<<20), "what waits takes no more than it is charged, roughly")
		whole := func() int {
			h.clear()
			h.Input(h.t0, fragmentOf(data, cut{0, 1200}))
			h.Input(h.t0, fragmentOf(data, cut{1200, 2400}))
			return len(h.got)
		}
		require.Zero(t, whole())
		time.Sleep(30 * time.Second)
		synctest.Wait()
		require.Equal(t, 1, whole(), "the flood is over")
		require.Zero(t, h.fragments.r.memory)
	})
}

func TestReassemblyTimeoutOfALostInterface(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		for n, i := range []*Interface{h.t0, h.t1} {
			h.Input(i, fragmentOf(payload(64), cut{0, 32}, func(ih *Header) { ih.ID, ih.Src, ih.Dst = uint16(n), addr("8.8.8.8"), addr("10.0.1.2") }))
		}
		h.RemoveInterface(2)
		require.NoError(t, h.DeleteAddress(3, prefix("10.0.1.2/24")))
		time.Sleep(30 * time.Second)
		synctest.Wait()
		require.EqualValues(t, 2, h.drops.Count(link.FragReasmTimeout))
		require.Empty(t, h.errors, "Linux looks up the route again, and says nothing without one")
	})
}

func TestReassemblyMaxDist(t *testing.T) {
	h := newTestHost(t)
	data := payload(64)
	send := func(id int, c cut) { h.Input(h.t0, fragmentOf(data, c, func(ih *Header) { ih.ID = uint16(id) })) }
	flood := func(n int) {
		for k := range n {
			send(1000+k, cut{0, 32})
		}
	}
	send(1, cut{0, 32})
	flood(63)
	send(1, cut{32, 64})
	require.Len(t, h.got, 1, "63 others in between are few enough")
	send(2, cut{0, 32})
	for k := range 64 {
		send(2000+k, cut{0, 32})
	}
	send(2, cut{32, 64})
	require.Len(t, h.got, 1)
	require.EqualValues(t, 1, h.drops.Count(link.FragTooFar), "the old piece is given up, the new one waits")
	require.NoError(t, h.SetSysctl("ipfrag_max_dist", 0))
	send(2, cut{0, 32})
	require.Len(t, h.got, 2)
}

func TestReassemblyAfterClose(t *testing.T) {
	h := newTestHost(t)
	h.Input(h.t0, fragmentOf(payload(64), cut{0, 32}))
	h.Close()
	h.Input(h.t0, fragmentOf(payload(64), cut{0, 32}))
	require.EqualValues(t, 1, h.drops.Count(link.FragMemory))
}

// model is reassembly as Linux does it, in few words: runs are of pieces that came
// one after the other.
type model struct {
	runs   []cut
	length int
	last   bool
	bytes  int
}

func (m *model) add(c cut) link.DropReason {
	end := -1
	for k, r := range m.runs {
		if end < 0 || r.to > m.runs[end].to {
			end = k
		}
	}
	switch {
	case end >= 0 && c.to > m.runs[end].to && c.from == m.runs[end].to:
		m.runs[end].to = c.to
		return link.NotSpecified
	case end >= 0 && c.to > m.runs[end].to && c.from < m.runs[end].to:
		return link.FragOverlap
	}
	for _, r := range m.runs {
		switch {
		case c.to <= r.from || c.from >= r.to:
		case r.from <= c.from && c.to <= r.to:
			return link.DupFrag
		default:
			return link.FragOverlap
		}
	}
	m.runs = append(m.runs, c)
	return link.NotSpecified
}

func FuzzReassembly(f *testing.F) {
	f.Add([]byte{0, 10, 1, 10, 10, 1, 20, 5, 0})
	f.Add([]byte{20, 5, 0, 0, 10, 1, 10, 10, 1, 5, 3, 1})
	f.Add([]byte{0, 10, 1, 5, 10, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		defer func() { require.Zero(t, link.LivePackets()) }()
		var r reassembler
		data := payload(8 * 600)
		m := new(model)
		now := time.Unix(0, 0)
		limits := fragmentLimits{timeout: 30 * time.Second, memory: 4 << 20}
		for ; len(in) >= 3; in = in[3:] {
			from := int(in[0]) * 8
			c := cut{from, from + int(in[1])*8}
			more := in[2]&1 != 0
			if !more {
				c.to = max(c.from, c.to-int(in[2]>>5))
			}
			p := fragmentOf(data, c, func(ih *Header) { ih.MF = more })
			h, err := Parse(p.Bytes())
			require.NoError(t, err)
			res := r.add(h, p, now, limits)
			for q := res.dropped.Pop(); q != nil; q = res.dropped.Pop() {
				q.Release()
			}
			switch {
			case !more && (c.to < m.length || m.last && c.to != m.length), more && m.last && c.to > m.length:
				require.Equal(t, link.FragOverlap, res.reason)
				require.False(t, res.overlap)
				m = new(model)
				continue
			case c.from == c.to:
				require.Equal(t, link.IPInHdr, res.reason)
				m = new(model)
				continue
			}
			reason := m.add(c)
			require.Equal(t, reason, res.reason)
			if reason == link.FragOverlap {
				require.True(t, res.overlap)
				m = new(model)
				continue
			}
			m.length, m.last = max(m.length, c.to), m.last || !more
			if reason == link.DupFrag {
				continue // completes nothing, even if it tells the length
			}
			m.bytes += c.to - c.from
			if m.last && m.bytes == m.length {
				require.NotNil(t, res.whole)
				require.True(t, bytes.Equal(data[:m.length], res.whole.Bytes()[HeaderLen:]))
				res.whole.Release()
				m = new(model)
			} else {
				require.Nil(t, res.whole)
			}
		}
		for {
			first, rest, _, ok := r.expired(now.Add(time.Hour))
			if !ok {
				break
			}
			if first != nil {
				first.Release()
			}
			rest.Release()
		}
		require.Zero(t, r.memory)
		require.Empty(t, r.sources)
	})
}

func TestFragmentThenReassemble(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	h := newTestHost(t)
	for n := range 200 {
		h.clear()
		data := payload(1 + r.IntN(20000))
		mtu := MinMTU + r.IntN(2000)
		var opts []byte
		if n%3 == 0 {
			opts = []byte{148, 4, 0, 0, 7, 7, 8, 1, 2, 3, 4, 0}
		}
		p := packetOf("10.0.0.9", "10.0.0.2", data, func(ih *Header) { ih.ID, ih.Options = uint16(n), opts })
		ih, err := Parse(p.Bytes())
		require.NoError(t, err)
		if p.Len() <= mtu {
			p.Release()
			continue
		}
		queue := fragment(ih, p, mtu)
		var pieces []*link.Packet
		for q := queue.Pop(); q != nil; q = queue.Pop() {
			require.LessOrEqual(t, q.Len(), mtu)
			pieces = append(pieces, q)
		}
		r.Shuffle(len(pieces), func(a, b int) { pieces[a], pieces[b] = pieces[b], pieces[a] })
		for _, q := range pieces {
			h.Input(h.t0, q)
		}
		require.Len(t, h.got, 1, fmt.Sprint(len(data), mtu))
		require.True(t, bytes.Equal(data, h.got[0].data))
	}
}
