package ipv4

import (
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

// at0203 is how long after midnight the time stamp is 2 3 4 5.
const at0203 = 0x02030405 * time.Millisecond

// cat joins bytes and addresses.
func cat(parts ...any) (b []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case []byte:
			b = append(b, p...)
		case string:
			ip := addr(p).As4()
			b = append(b, ip[:]...)
		}
	}
	return b
}

var stampBytes = []byte{2, 3, 4, 5}

// The answers are Linux 6.18's, asked by echo requests.
func TestOptionsInAndBack(t *testing.T) {
	z := func(n int) []byte { return make([]byte, n) }
	for _, tc := range []struct {
		name    string
		opts    []byte
		pointer uint32 // of the parameter problem, 0 for none
		quoted  []byte // the options that it quotes; nil: as sent
		answer  []byte // of the echo reply, without padding
		silent  bool   // no echo reply
	}{
		{name: "record route", opts: cat(7, 11, 4, z(8), 0), answer: cat(7, 11, 12, "10.0.0.2", "10.0.0.2")},
		{name: "record route, full", opts: cat(7, 7, 8, "1.2.3.4", 0), answer: cat(7, 7, 8, "1.2.3.4")},
		{name: "record route twice", opts: cat(7, 7, 4, z(4), 7, 7, 4, z(6)), pointer: 27, quoted: cat(7, 7, 8, "10.0.0.2", 7, 7, 4, z(6))},
		{name: "record route, no room for an entry", opts: cat(7, 7, 5, z(5)), pointer: 22},
		{name: "record route, too short", opts: cat(7, 2, 0, 0), pointer: 21},
		{name: "record route, pointer 3", opts: cat(1, 7, 7, 3, z(4)), pointer: 23},
		{name: "record route, pointer out of step", opts: cat(7, 11, 6, z(9)), silent: true},
		{name: "record route, length out of step", opts: cat(7, 12, 9, z(9)), answer: cat(7, 12, 13, z(5), "10.0.0.2")},
		{name: "timestamp", opts: cat(68, 12, 5, 0, z(8)), answer: cat(68, 12, 13, 0, stampBytes, stampBytes)},
		{name: "timestamp with address", opts: cat(68, 20, 5, 1, z(16)), answer: cat(68, 20, 21, 1, "10.0.0.2", stampBytes, "10.0.0.2", stampBytes)},
		{name: "timestamp with address, room for half", opts: cat(68, 8, 5, 1, z(4)), pointer: 22},
		{name: "timestamp, full: overflow", opts: cat(68, 8, 9, 0, "9.9.9.9"), answer: cat(68, 8, 9, 0x10, "9.9.9.9")},
		{name: "timestamp, overflow 14", opts: cat(68, 8, 9, 0xe0, z(4)), answer: cat(68, 8, 9, 0xf0, z(4))},
		{name: "timestamp, overflow overflows", opts: cat(68, 8, 9, 0xf0, z(4)), pointer: 23},
		{name: "timestamp, unknown flag", opts: cat(68, 8, 5, 2, z(4)), answer: cat(68, 8, 5, 2, z(4))},
		{name: "timestamp, unknown flag and full", opts: cat(68, 8, 9, 2, z(4)), answer: cat(68, 8, 9, 0x12, z(4))},
		{name: "timestamp, asked for ours", opts: cat(68, 20, 5, 3, "10.0.0.2", z(4), "10.0.0.9", z(4)), answer: cat(68, 20, 13, 3, "10.0.0.2", stampBytes, "10.0.0.9", z(4))},
		{name: "timestamp, asked for two of ours", opts: cat(68, 20, 5, 3, "10.0.0.2", z(4), "10.0.1.2", z(4)), answer: cat(68, 20, 21, 3, "10.0.0.2", stampBytes, "10.0.1.2", stampBytes)},
		{name: "timestamp, asked for another's", opts: cat(68, 12, 5, 3, "10.0.0.7", z(4)), answer: cat(68, 12, 5, 3, "10.0.0.7", z(4))},
		{name: "timestamp, asked for everybody's", opts: cat(68, 12, 5, 3, "10.0.0.255", z(4)), answer: cat(68, 12, 13, 3, "10.0.0.255", stampBytes)},
		{name: "timestamp, asked and full", opts: cat(68, 12, 13, 0xf3, "10.0.0.2", z(4)), answer: cat(68, 12, 13, 0xf3, "10.0.0.2", z(4))},
		{name: "timestamp, pointer 4", opts: cat(68, 8, 4, 0, z(4)), pointer: 22},
		{name: "timestamp, too short", opts: cat(68, 3, 5, 0), pointer: 21},
		{name: "router alert", opts: cat(148, 4, 0, 0)},
		{name: "router alert, short", opts: cat(148, 3, 0, 0), pointer: 21},
		{name: "unknown", opts: cat(222, 4, 9, 9)},
		{name: "security and stream identifier", opts: cat(130, 11, z(9), 136, 4, 1, 2, 0)},
		{name: "length 1", opts: cat(222, 1, 0, 0), pointer: 20},
		{name: "length past the end", opts: cat(222, 5, 0, 0), pointer: 20},
		{name: "type at the very end", opts: cat(1, 1, 1, 222), pointer: 23},
		{name: "rubbish after the end", opts: cat(1, 0, 7, 7)},
		{name: "record route goes first", opts: cat(68, 8, 5, 0, z(4), 7, 7, 4, z(4), 1), answer: cat(7, 7, 8, "10.0.0.2", 68, 8, 9, 0, stampBytes)},
		{name: "record route and rubbish", opts: cat(7, 7, 4, z(4), 222), pointer: 27, quoted: cat(7, 7, 8, "10.0.0.2", 222)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // the bubble starts at midnight
				time.Sleep(at0203)
				h := newTestHost(t)
				h.Input(h.t0, h.datagram("10.0.0.9", "10.0.0.2", func(ih *Header) { ih.Options = tc.opts }))
				if tc.pointer != 0 {
					require.Equal(t, []ErrorMessage{{Type: TypeParameterProblem, Info: tc.pointer << 24, Reason: link.IPOptions}}, h.errors)
					if tc.quoted == nil {
						tc.quoted = tc.opts
					}
					require.Equal(t, tc.quoted, h.about[0][20:20+len(tc.quoted)])
					require.EqualValues(t, 1, h.drops.Count(link.IPOptions))
					require.EqualValues(t, 1, h.stats.InHdrErrors.Load())
					return
				}
				require.Len(t, h.got, 1)
				err := h.answer(h.got[0].h)
				if tc.silent {
					require.ErrorIs(t, err, syscall.EINVAL)
					require.EqualValues(t, 1, h.drops.Count(link.IPOptions))
					return
				}
				require.NoError(t, err)
				pad := (4 - len(tc.answer)%4) % 4
				require.Equal(t, cat(tc.answer, z(pad)), cat(h.sent[0].h.Options))
			})
		})
	}
}

// answer sends a reply to a packet with that header.
func (h *testHost) answer(ih Header) error {
	return h.Output(segment(8), Send{Src: ih.Dst, Dst: ih.Src, Protocol: testProtocol, Options: EchoOptions(nil, &ih)})
}

// These, too, are Linux's, as a router.
func TestOptionsForwarded(t *testing.T) {
	z := func(n int) []byte { return make([]byte, n) }
	for _, tc := range []struct {
		name string
		dst  string
		opts []byte
		want []byte
	}{
		{"record route: the address that it leaves by", "10.0.1.9", cat(7, 11, 4, z(9)), cat(7, 11, 8, "10.0.1.2", z(5))},
		{"record route: the source of the route", "192.168.78.1", cat(7, 11, 4, z(9)), cat(7, 11, 8, "10.0.0.3", z(5))},
		{"record route, second entry", "10.0.1.9", cat(7, 11, 8, "1.2.3.4", z(5)), cat(7, 11, 12, "1.2.3.4", "10.0.1.2", 0)},
		{"timestamp with address: that which it came by", "10.0.1.9", cat(68, 20, 5, 1, z(16)), cat(68, 20, 13, 1, "10.0.0.2", stampBytes, z(8))},
		{"timestamp", "10.0.1.9", cat(68, 12, 5, 0, z(8)), cat(68, 12, 9, 0, stampBytes, z(4))},
		{"timestamp, asked for ours", "10.0.1.9", cat(68, 12, 5, 3, "10.0.1.2", z(4)), cat(68, 12, 13, 3, "10.0.1.2", stampBytes)},
		{"timestamp, asked for another's", "10.0.1.9", cat(68, 12, 5, 3, "10.0.1.9", z(4)), cat(68, 12, 5, 3, "10.0.1.9", z(4))},
		{"security", "10.0.1.9", cat(130, 11, z(10)), cat(130, 11, z(10))},
		{"rubbish after the end", "10.0.1.9", cat(1, 0, 9, 9), cat(1, z(3))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(at0203)
				h := newTestHost(t)
				h.forward()
				require.NoError(t, h.AddAddress(2, Address{Prefix: prefix("10.0.0.3/24")}))
				h.route(Route{Dst: prefix("192.168.78.0/24"), Gateway: addr("10.0.1.9"), Src: addr("10.0.0.3")})
				h.Input(h.t0, h.datagram("10.0.0.9", tc.dst, func(ih *Header) { ih.Options = tc.opts }))
				require.Len(t, h.sent, 1)
				require.Equal(t, tc.want, cat(h.sent[0].h.Options))
			})
		})
	}
}

// And these are Linux's with accept_source_route.
func TestSourceRoutes(t *testing.T) {
	type want struct {
		iface    int // that the packet leaves by; 0: it does not
		dst      string
		opts     []byte
		local    string // destination as delivered here
		answer   []byte // options of the answer
		first    string // where the answer goes first
		report   *ErrorMessage
		silently bool
	}
	unreachable := &ErrorMessage{Type: TypeUnreachable, Code: CodeSourceRouteFailed, Reason: link.IPOptions}
	problem := func(pointer uint32) *ErrorMessage {
		return &ErrorMessage{Type: TypeParameterProblem, Info: pointer << 24, Reason: link.IPOptions}
	}
	for _, tc := range []struct {
		name string
		dst  string
		opts []byte
		want want
	}{
		{"loose, a neighbour next", "10.0.0.2", cat(131, 7, 4, "10.0.1.9", 0), want{iface: 3, dst: "10.0.1.9", opts: cat(131, 7, 8, "10.0.1.2", 0)}},
		{"loose, one of two hops", "10.0.0.2", cat(131, 11, 4, "10.0.1.9", "7.7.7.7", 0), want{iface: 3, dst: "10.0.1.9", opts: cat(131, 11, 8, "10.0.1.2", "7.7.7.7", 0)}},
		{"loose, through ourselves", "10.0.0.2", cat(131, 15, 4, "10.0.0.2", "10.0.1.2", "10.0.1.9", 0), want{iface: 3, dst: "10.0.1.9", opts: cat(131, 15, 16, "10.0.0.2", "10.0.1.2", "10.0.1.2", 0)}},
		{"loose, to ourselves", "10.0.0.2", cat(131, 7, 4, "10.0.1.2", 0), want{local: "10.0.1.2", first: "10.0.0.9"}},
		{"loose, at its end", "10.0.0.2", cat(131, 7, 8, "10.0.0.9", 0), want{local: "10.0.0.2", first: "10.0.0.9"}},
		{"the way back", "10.0.0.2", cat(131, 11, 12, "10.0.0.7", "10.0.0.8", 0), want{local: "10.0.0.2", first: "10.0.0.8", answer: cat(131, 11, 4, "10.0.0.7", "10.0.0.9", 0)}},
		{"the way back, mended", "10.0.0.2", cat(131, 15, 16, "10.0.0.9", "10.0.0.7", "10.0.0.8", 0), want{local: "10.0.0.2", first: "10.0.0.8", answer: cat(131, 11, 4, "10.0.0.7", "10.0.0.9", 0)}},
		{"loose, passing by", "10.0.1.9", cat(131, 7, 4, "7.7.7.7", 0), want{iface: 3, dst: "10.0.1.9", opts: cat(131, 7, 4, "7.7.7.7", 0)}},
		{"strict, passing by", "10.0.1.9", cat(137, 7, 4, "7.7.7.7", 0), want{report: problem(16)}},
		{"strict, a neighbour next", "10.0.0.2", cat(137, 7, 4, "10.0.1.9", 0), want{iface: 3, dst: "10.0.1.9", opts: cat(137, 7, 8, "10.0.1.2", 0)}},
		{"strict, and a gateway", "10.0.0.2", cat(137, 7, 4, "192.168.77.1", 0), want{report: unreachable}},
		{"loose, and a gateway", "10.0.0.2", cat(131, 7, 4, "192.168.77.1", 0), want{iface: 3, dst: "192.168.77.1", opts: cat(131, 7, 8, "10.0.1.2", 0)}},
		{"out by the same link, no redirect", "10.0.0.2", cat(131, 7, 4, "192.168.79.1", 0), want{iface: 2, dst: "192.168.79.1", opts: cat(131, 7, 8, "10.0.0.2", 0)}},
		{"no route", "10.0.0.2", cat(131, 7, 4, "99.0.0.1", 0), want{silently: true}},
		{"a broadcast next", "10.0.0.2", cat(131, 7, 4, "10.0.1.255", 0), want{silently: true}},
		{"in a broadcast", "10.0.0.255", cat(131, 7, 4, "10.0.1.9", 0), want{silently: true}},
		{"pointer 3", "10.0.0.2", cat(131, 7, 3, "10.0.1.9", 0), want{report: problem(22)}},
		{"pointer 6", "10.0.0.2", cat(131, 7, 6, "10.0.1.9", 0), want{report: problem(22)}},
		{"too short", "10.0.0.2", cat(131, 2, 4, 0), want{report: problem(21)}},
		{"loose and strict", "10.0.0.2", cat(131, 7, 8, "10.0.1.9", 137, 7, 8, "10.0.1.9", 0, 0), want{report: problem(27)}},
		{"all together", "10.0.0.2", cat(131, 7, 4, "10.0.1.9", 7, 11, 4, make([]byte, 8), 68, 12, 5, 1, make([]byte, 8), 0, 0), want{iface: 3, dst: "10.0.1.9", opts: cat(131, 7, 8, "10.0.1.2", 7, 11, 8, "10.0.1.2", make([]byte, 4), 68, 12, 13, 1, "10.0.1.2", stampBytes, 0, 0)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(at0203)
				h := newTestHost(t)
				h.forward()
				require.NoError(t, h.SetConf("all", "accept_source_route", 1))
				h.route(Route{Dst: prefix("192.168.77.0/24"), Gateway: addr("10.0.1.9")})
				h.route(Route{Dst: prefix("192.168.79.0/24"), Gateway: addr("10.0.0.9")})
				h.Input(h.t0, h.datagram("10.0.0.9", tc.dst, func(ih *Header) { ih.Options = tc.opts }))
				w := tc.want
				if w.report != nil || w.silently {
					require.EqualValues(t, 1, h.drops.Count(link.IPOptions))
				}
				if w.report != nil {
					require.Equal(t, []ErrorMessage{*w.report}, h.errors)
				} else {
					require.Empty(t, h.errors)
				}
				if w.iface == 0 {
					require.Empty(t, h.sent)
				} else {
					require.Len(t, h.sent, 1)
					require.Equal(t, []any{w.iface, addr(w.dst), cat(w.opts)}, []any{h.sent[0].iface, h.sent[0].h.Dst, cat(h.sent[0].h.Options)})
				}
				if w.local == "" {
					require.Empty(t, h.got)
					return
				}
				require.Len(t, h.got, 1)
				require.Equal(t, addr(w.local), h.got[0].h.Dst)
				require.NoError(t, h.answer(h.got[0].h))
				require.Equal(t, []any{addr(w.first), cat(w.answer)}, []any{h.sent[0].h.Dst, cat(h.sent[0].h.Options)})
			})
		})
	}
}

func TestSourceRoutesAreAcceptedWithBothSwitches(t *testing.T) {
	h := newTestHost(t)
	h.forward()
	send := func() {
		h.clear()
		h.Input(h.t0, h.datagram("10.0.0.9", "10.0.0.2", func(ih *Header) { ih.Options = cat(131, 7, 4, "10.0.1.9", 0) }))
	}
	set := func(all, dev int) {
		require.NoError(t, h.SetConf("all", "accept_source_route", all))
		require.NoError(t, h.SetConf("t0", "accept_source_route", dev))
	}
	h.wantDrop(link.IPOptions, send) // the default
	set(0, 1)
	h.wantDrop(link.IPOptions, send)
	set(1, 0)
	h.wantDrop(link.IPOptions, send)
	require.Empty(t, h.errors, "silently")
	set(1, 1)
	send()
	require.Len(t, h.sent, 1)
}

func TestOutputOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(at0203)
		h := newTestHost(t)
		h.route(Route{Dst: prefix("192.168.77.0/24"), Gateway: addr("10.0.1.9")})
		for _, tc := range []struct {
			name       string
			dst        string
			opts, want []byte
			to         string
			errno      syscall.Errno
		}{
			{"record route", "10.0.0.9", cat(7, 7, 4, make([]byte, 4)), cat(7, 7, 8, "10.0.0.2", 0), "10.0.0.9", 0},
			{"forty bytes", "10.0.0.9", cat(7, 39, 4, make([]byte, 37)), cat(7, 39, 8, "10.0.0.2", make([]byte, 33)), "10.0.0.9", 0},
			{"timestamp", "10.0.0.9", cat(68, 12, 5, 1, make([]byte, 8)), cat(68, 12, 13, 1, "10.0.0.2", stampBytes), "10.0.0.9", 0},
			{"loose source route", "99.0.0.1", cat(131, 11, 4, "10.0.1.9", "10.0.1.10"), cat(131, 11, 4, "10.0.1.10", "99.0.0.1", 0), "10.0.1.9", 0},
			{"strict source route", "99.0.0.1", cat(137, 7, 4, "10.0.1.9"), cat(137, 7, 4, "99.0.0.1", 0), "10.0.1.9", 0},
			{"strict source route, and a gateway", "99.0.0.1", cat(137, 7, 4, "192.168.77.1"), nil, "", syscall.EHOSTUNREACH},
			{"source route, pointer 8", "99.0.0.1", cat(131, 7, 8, "10.0.1.9"), nil, "", syscall.EINVAL},
			{"record route, no room for an entry", "10.0.0.9", cat(7, 7, 5, make([]byte, 5)), nil, "", syscall.EINVAL},
			{"length past the end", "10.0.0.9", cat(222, 5, 0, 0), nil, "", syscall.EINVAL},
		} {
			h.clear()
			send := func() {
				requireErrno(t, tc.errno, h.Output(segment(8), Send{Dst: addr(tc.dst), Protocol: 17, Options: tc.opts}))
			}
			if tc.errno != 0 {
				h.wantDrop(link.IPOptions, send)
				continue
			}
			send()
			require.Equal(t, []any{addr(tc.to), cat(tc.want)}, []any{h.sent[0].h.Dst, cat(h.sent[0].h.Options)}, tc.name)
		}
	})
}

func TestCheckOptions(t *testing.T) {
	for _, bad := range [][]byte{make([]byte, 41), cat(7, 2, 0, 0), cat(131, 7, 8, "10.0.1.9"), cat(131, 8, 4, "10.0.1.9", 0), cat(131, 3, 4), cat(68, 8, 9, 0xf0, 1, 2, 3, 4), cat(222, 9), cat(148, 3, 0)} {
		_, err := CheckOptions(bad)
		require.ErrorIs(t, err, syscall.EINVAL, "% x", bad)
	}
	route := cat(131, 11, 4, "10.0.1.9", "10.0.1.10")
	padded, err := CheckOptions(route)
	require.NoError(t, err)
	require.Equal(t, cat(route, 0), padded)
	require.Equal(t, addr("10.0.1.9"), FirstHop(padded, addr("99.0.0.1")))
	require.Equal(t, addr("99.0.0.1"), FirstHop(cat(7, 7, 4, "10.0.1.9", 0), addr("99.0.0.1")))
	padded, err = CheckOptions(nil)
	require.NoError(t, err)
	require.Empty(t, padded)
}

func FuzzOptions(f *testing.F) {
	for _, o := range [][]byte{{7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0}, {68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0}, {68, 12, 5, 3, 10, 0, 1, 2, 0, 0, 0, 0}, {1, 148, 4, 0, 0, 0, 0, 0}, {131, 11, 12, 1, 2, 3, 4, 5, 6, 7, 8, 0}} {
		f.Add(o)
	}
	host := optionHost{received: true, addr: func() netip.Addr { return addr("10.0.0.2") }, now: func() uint32 { return 1 }, others: func(a netip.Addr) bool { return a.As4()[3] == 9 }}
	f.Fuzz(func(t *testing.T, opts []byte) {
		if len(opts) > maxOptionsLen {
			return
		}
		opts = append(opts, make([]byte, -len(opts)&3)...)
		head := append(make([]byte, HeaderLen), opts...)
		var o options
		pointer, ok := o.compile(head, &host)
		if !ok {
			require.GreaterOrEqual(t, pointer, HeaderLen)
			require.Less(t, pointer, len(head))
			return
		}
		if o.routeAddr {
			o.putRouteAddr(head, addr("10.0.0.3"))
		}
		if o.stampAddr {
			o.putStampAddr(head, addr("10.0.0.3"))
		}
		blank := slices.Clone(head)
		blankOptions(blank)
		var left options
		_, ok = left.compile(blank, &host)
		require.True(t, ok)
		require.Equal(t, options{sourceRoute: o.sourceRoute, strict: o.strict}, left, "what has the copied flag")

		// An answer is no longer than the question, and can be sent unless a
		// pointer is out of step.
		h := Header{Src: addr("10.0.0.9"), Dst: addr("10.0.0.2"), Options: head[HeaderLen:]}
		back := EchoOptions(nil, &h)
		require.LessOrEqual(t, len(back), len(opts))
		answer := append(append(make([]byte, HeaderLen), back...), make([]byte, -len(back)&3)...)
		var sent options
		if _, ok := sent.compile(answer, &optionHost{lenient: true, others: host.others}); ok {
			sent.fill(answer, h.Dst, h.Src, 2)
		}
	})
}
