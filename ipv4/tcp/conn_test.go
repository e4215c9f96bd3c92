package tcp

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/random"
)

// seg is a segment as tests write it: numbers are relative to the initial
// sequence numbers of its sender and its receiver.
type seg struct {
	flags    Flags
	seq, ack int
	win      int // unscaled field; 0: 65535 when delivered, any when wanted; -1: 0
	data     string
	mss      int
	ws       int // window scale + 1
	ts, ecr  uint32
	confirm  bool
	df       bool
	sackOK   bool
	sack     [][2]int // blocks: when delivered about our octets, when wanted about the peer's
	tos      uint8
}

func (s seg) String() string {
	data := s.data
	if len(data) > 16 {
		data = fmt.Sprintf("%s...%d bytes", data[:8], len(data))
	}
	return fmt.Sprintf("%v seq=%d ack=%d win=%d mss=%d ws=%d sack=%v %q", s.flags, s.seq, s.ack, s.win, s.mss, s.ws-1, s.sack, data)
}

// testConn is a host whose peer is the test: it delivers segments, and wants
// segments.
type testConn struct {
	t       *testing.T
	pr      *Protocol
	ip      *testIP
	conn    *Conn
	l       *Listener
	key     tuple
	iss     Seq // ours, once seen
	irs     Seq // the test's
	haveISS bool

	mu   sync.Mutex
	sent []seg
	raw  []Header
	fail error // what Output returns
}

const testIRS = Seq(0xfffffff0) // so that every test crosses the wrap

func newTestConn(t *testing.T, c Config) *testConn {
	t.Helper()
	tc := &testConn{t: t, irs: testIRS, ip: &testIP{addr: netip.MustParseAddr("10.0.0.1"), mtu: 1500}}
	tc.ip.output = tc.output
	if c.Rand == nil {
		c.Rand = random.New(1)
	}
	tc.pr = newProtocol(tc.ip, c)
	t.Cleanup(func() { require.Zero(t, link.LivePackets(), "packets left over") })
	return tc
}

func (tc *testConn) output(p *link.Packet, s ipv4.Send) error {
	tc.mu.Lock()
	defer tc.mu.Unlock()
	defer p.Release()
	if tc.fail != nil {
		return tc.fail
	}
	b := p.Bytes()
	h, n, err := Parse(b)
	if err != nil {
		panic(err)
	}
	if ipv4.Checksum(b, ipv4.PseudoHeaderSum(s.Src, s.Dst, ipv4.ProtocolTCP, len(b))) != 0 {
		panic("checksum wrong")
	}
	if h.Flags&SYN != 0 && !tc.haveISS {
		tc.iss, tc.haveISS = h.Seq, true
		tc.key = tuple{laddr: s.Src.As4(), raddr: s.Dst.As4(), lport: h.SrcPort, rport: h.DstPort}
	}
	x := seg{flags: h.Flags, seq: h.Seq.Sub(tc.iss), win: int(h.Window), data: string(b[n:]), mss: int(h.Options.MSS), confirm: p.Confirm, df: s.DF, tos: s.TOS}
	if h.Flags&ACK != 0 {
		x.ack = h.Ack.Sub(tc.irs)
	}
	if h.Options.HasWindowScale {
		x.ws = int(h.Options.WindowScale) + 1
	}
	if h.Options.HasTimestamps {
		x.ts, x.ecr = h.Options.TSVal, h.Options.TSEcr
	}
	x.sackOK = h.Options.SACKPermitted
	for _, b := range h.Options.SACK[:h.Options.NumSACK] {
		x.sack = append(x.sack, [2]int{b.Start.Sub(tc.irs), b.End.Sub(tc.irs)})
	}
	tc.sent = append(tc.sent, x)
	tc.raw = append(tc.raw, h)
	return nil
}

// packet builds what arrives for s.
func (tc *testConn) packet(s seg) (ipv4.Header, *link.Packet) {
	h := Header{SrcPort: tc.key.rport, DstPort: tc.key.lport, Seq: tc.irs.Add(s.seq), Flags: s.flags, Window: uint16(s.win)}
	switch {
	case s.win == 0:
		h.Window = 0xffff
	case s.win < 0:
		h.Window = 0
	}
	if s.flags&ACK != 0 {
		h.Ack = tc.iss.Add(s.ack)
	}
	h.Options.MSS = uint16(s.mss)
	if s.ws > 0 {
		h.Options.HasWindowScale, h.Options.WindowScale = true, uint8(s.ws-1)
	}
	if s.ts != 0 {
		h.Options.HasTimestamps, h.Options.TSVal, h.Options.TSEcr = true, s.ts, s.ecr
	}
	h.Options.SACKPermitted = s.sackOK
	for i, b := range s.sack {
		h.Options.SACK[i] = SACKBlock{tc.iss.Add(b[0]), tc.iss.Add(b[1])}
		h.Options.NumSACK++
	}
	p := link.NewPacketFrom([]byte(s.data))
	src, dst := netip.AddrFrom4(tc.key.raddr), netip.AddrFrom4(tc.key.laddr)
	seal(&h, p, src, dst)
	p.CompleteChecksum()
	return ipv4.Header{Src: src, Dst: dst, Protocol: ipv4.ProtocolTCP, TOS: s.tos}, p
}

// deliver lets s arrive, and the goroutines that it wakes run.
func (tc *testConn) deliver(s seg) {
	tc.t.Helper()
	tc.ip.handler.Input(tc.packet(s))
	synctest.Wait()
}

// next returns the next segment sent, without taking it; ok is false for none.
func (tc *testConn) take() (s seg, ok bool) {
	tc.mu.Lock()
	defer tc.mu.Unlock()
	if len(tc.sent) == 0 {
		return seg{}, false
	}
	s = tc.sent[0]
	tc.sent = tc.sent[1:]
	return s, true
}

// want takes the next segment sent and compares it: flags, numbers and data
// always, window and options when they are given.
func (tc *testConn) want(why string, w seg) seg {
	tc.t.Helper()
	synctest.Wait()
	s, ok := tc.take()
	require.True(tc.t, ok, "%s: want %v, nothing was sent", why, w)
	same := s.flags&^PSH == w.flags&^PSH && s.seq == w.seq && s.ack == w.ack && s.data == w.data &&
		(w.mss == 0 || s.mss == w.mss) && (w.ws == 0 || s.ws == w.ws) &&
		(w.sack == nil || slices.Equal(s.sack, w.sack)) && (!w.confirm || s.confirm)
	switch {
	case w.win > 0:
		same = same && s.win == w.win
	case w.win < 0:
		same = same && s.win == 0
	}
	require.True(tc.t, same, "%s:\nwant %v\ngot  %v", why, w, s)
	return s
}

// wantIdle wants that nothing more was sent.
func (tc *testConn) wantIdle(why string) {
	tc.t.Helper()
	synctest.Wait()
	s, ok := tc.take()
	require.False(tc.t, ok, "%s: want nothing, got %v", why, s)
}

// advance lets time pass.
func (tc *testConn) advance(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (tc *testConn) wantState(s State) {
	tc.t.Helper()
	synctest.Wait()
	got := tc.conn.Info().State
	require.Equal(tc.t, s, got, "want state %v, have %v", s, got)
}

// dial begins an active open; done yields its error.
func (tc *testConn) dial(sc SocketConfig) (done chan error) {
	done = make(chan error, 1)
	go func() {
		c, err := tc.pr.Dial(context.Background(), netip.AddrPort{}, netip.MustParseAddrPort("10.0.0.2:80"), sc)
		tc.conn = c
		done <- err
	}()
	synctest.Wait()
	return done
}

// plain is a peer without options, so that numbers in tests are round; its MSS
// is 1000.
var plain = SocketConfig{NoTimestamps: true}

// active establishes a connection that we opened.
func (tc *testConn) active(sc SocketConfig) {
	tc.t.Helper()
	done := tc.dial(sc)
	tc.want("the SYN", seg{flags: SYN})
	tc.deliver(seg{flags: SYN | ACK, ack: 1, mss: 1000, win: 60000})
	require.NoError(tc.t, <-done)
	tc.want("the last ACK of the handshake", seg{flags: ACK, seq: 1, ack: 1})
	tc.wantIdle("after the handshake")
}

// passive establishes a connection that the peer opened.
func (tc *testConn) passive(sc SocketConfig) {
	tc.t.Helper()
	tc.listen(sc)
	tc.deliver(seg{flags: SYN, mss: 1000, win: 60000})
	tc.want("the SYN-ACK", seg{flags: SYN | ACK, ack: 1})
	tc.deliver(seg{flags: ACK, seq: 1, ack: 1, win: 60000})
	tc.accept()
	tc.wantIdle("after the handshake")
}

func (tc *testConn) listen(sc SocketConfig) {
	tc.t.Helper()
	l, err := tc.pr.Listen(netip.MustParseAddrPort("10.0.0.1:80"), sc)
	require.NoError(tc.t, err)
	tc.l = l
	tc.key = tuple{laddr: addr{10, 0, 0, 1}, raddr: addr{10, 0, 0, 2}, lport: 80, rport: 5000}
}

func (tc *testConn) accept() {
	tc.t.Helper()
	require.NoError(tc.t, tc.l.SetDeadline(time.Now().Add(time.Nanosecond)))
	c, err := tc.l.AcceptTCP()
	require.NoError(tc.t, err)
	require.NoError(tc.t, tc.l.SetDeadline(time.Time{}))
	tc.conn = c
}

func (tc *testConn) write(s string) {
	tc.t.Helper()
	n, err := tc.conn.Write([]byte(s))
	require.NoError(tc.t, err)
	require.Equal(tc.t, len(s), n)
}

func (tc *testConn) read(want string) {
	tc.t.Helper()
	b := make([]byte, len(want)+1)
	require.NoError(tc.t, tc.conn.SetReadDeadline(time.Now().Add(time.Nanosecond)))
	n, err := tc.conn.Read(b)
	require.NoError(tc.t, err)
	require.Equal(tc.t, want, string(b[:n]))
	require.NoError(tc.t, tc.conn.SetReadDeadline(time.Time{}))
}

// state brings a connection into state s.
func (tc *testConn) state(s State) {
	tc.t.Helper()
	switch s {
	case SynReceived:
		tc.listen(plain)
		tc.deliver(seg{flags: SYN, mss: 1000, win: 60000})
		tc.want("the SYN-ACK", seg{flags: SYN | ACK, ack: 1})
		tc.conn = tc.pr.demux.lookup(tc.key).conn
	case Established:
		tc.active(plain)
	case FinWait1:
		tc.active(plain)
		require.NoError(tc.t, tc.conn.CloseWrite())
		tc.want("our FIN", seg{flags: FIN | ACK, seq: 1, ack: 1})
	case FinWait2:
		tc.state(FinWait1)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 2})
	case CloseWait:
		tc.active(plain)
		tc.deliver(seg{flags: FIN | ACK, seq: 1, ack: 1})
		tc.want("ACK of the FIN", seg{flags: ACK, seq: 1, ack: 2})
	case Closing:
		tc.state(FinWait1)
		tc.deliver(seg{flags: FIN | ACK, seq: 1, ack: 1})
		tc.want("ACK of the FIN", seg{flags: ACK, seq: 2, ack: 2})
	case LastAck:
		tc.state(CloseWait)
		require.NoError(tc.t, tc.conn.CloseWrite())
		tc.want("our FIN", seg{flags: FIN | ACK, seq: 1, ack: 2})
	case TimeWait:
		tc.state(FinWait2)
		tc.deliver(seg{flags: FIN | ACK, seq: 1, ack: 2})
		tc.want("ACK of the FIN", seg{flags: ACK, seq: 2, ack: 2})
	}
	tc.wantState(s)
	tc.wantIdle("in " + s.String())
}

// bubble runs f in a synctest bubble with a fresh host.
func bubble(t *testing.T, name string, c Config, f func(tc *testConn)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tc := newTestConn(t, c)
			defer func() {
				tc.mu.Lock()
				tc.fail = nil
				tc.mu.Unlock()
				tc.pr.Close()
			}()
			f(tc)
		})
	})
}

func bytesOf(c byte, n int) string { return strings.Repeat(string(rune(c)), n) }

// conn4 is the peer's address.
func (tc *testConn) conn4() netip.Addr { return netip.AddrFrom4(tc.key.raddr) }
