package tcp

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link/linktest"
)

// board is a sender's scoreboard next to a naive one, which has a bool for each
// octet.
type board struct {
	t      *testing.T
	l      loss
	q      sentQueue
	e      rtt
	stats  stats
	origin Seq
	una    Seq
	nxt    Seq
	mss    int
	now    time.Duration
	held   []bool // by octet since origin
	edges  map[Seq]bool
}

func newBoard(t *testing.T, origin Seq, mss int) *board {
	b := &board{t: t, origin: origin, una: origin, nxt: origin, mss: mss, now: time.Second, edges: map[Seq]bool{}}
	b.l.sack, b.l.recover = true, origin-1
	b.e.update(20*time.Millisecond, b.now)
	b.l.begin(&b.stats, &b.e).retransmitted = 1 << 30 // any duplicate is believed
	return b
}

// send sends n octets at once.
func (b *board) send(n int) {
	b.q.push(sentSegment{start: b.nxt, end: b.nxt.Add(n), at: b.now, sent: 1})
	for i := 0; i < n; i += b.mss {
		b.edges[b.nxt.Add(i)] = true
	}
	b.nxt = b.nxt.Add(n)
	b.edges[b.nxt] = true
	b.held = append(b.held, make([]bool, n)...)
}

func (b *board) round(ack Seq) round {
	a := round{prior: b.una, una: maxSeq(b.una, ack), nxt: b.nxt, at: b.now, mss: b.mss, maxWnd: 1 << 30, low: b.nxt, high: b.una}
	a.advanced = b.una.Less(a.una)
	return a
}

// ack lets an ACK arrive.
func (b *board) ack(ack Seq, blocks ...SACKBlock) round {
	a := b.round(ack)
	b.l.selective(&b.q, blocks, ack, &b.e, &a)
	s := sender{una: b.una, mss: b.mss, sent: b.q, iss: b.origin - 1}
	s.acked(&b.l, &b.e, &a)
	b.q, b.una = s.sent, a.una
	return a
}

// TestScoreboard compares the scoreboard with the naive one under random blocks,
// numbers at the wrap and losses in between.
func TestScoreboard(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	rounds := 60
	if linktest.Race() {
		rounds = 6
	}
	for range rounds {
		const mss = 100
		b := newBoard(t, Seq(0xffffffff-uint32(r.IntN(20000))), mss)
		for step := range 150 {
			b.now += time.Duration(r.IntN(5)) * time.Millisecond
			if r.IntN(3) == 0 || b.una == b.nxt {
				b.send(1 + r.IntN(10*mss))
			}
			out := b.nxt.Sub(b.una)
			ack := b.una
			if r.IntN(8) == 0 {
				ack = b.una.Add(r.IntN(out + 1))
			}
			var blocks []SACKBlock
			for range r.IntN(maxSACKBlocks + 1) {
				start := b.una.Add(r.IntN(out))
				x := SACKBlock{start, minSeq(start.Add(1+r.IntN(15*mss)), b.nxt)}
				if r.IntN(20) == 0 { // nonsense
					x = SACKBlock{Seq(r.Uint32()), Seq(r.Uint32())}
				}
				blocks = append(blocks, x)
			}
			before := 0
			for _, h := range b.held[b.una.Sub(b.origin):] {
				if h {
					before++
				}
			}
			// A D-SACK says nothing about what is missing.
			a := b.round(ack)
			dup := len(blocks) > 0 && new(recovery).isDuplicate(blocks, ack, &a)
			for i, x := range blocks {
				if i == 0 && dup || !a.una.Less(x.Start) || b.nxt.Less(x.End) || !x.Start.Less(x.End) {
					continue
				}
				b.naive(x, a.una)
			}
			got := b.ack(ack, blocks...)
			sacked, delivered := 0, 0
			for i, h := range b.held {
				s := b.origin.Add(i)
				switch {
				case s.Less(got.prior):
				case s.Less(b.una):
					delivered++
				case h:
					sacked++
					delivered++
				}
			}
			require.Equal(t, sacked, b.l.r.sacked, "step %d", step)
			require.Equal(t, delivered-before, got.delivered, "step %d: what is news", step)
			b.compare()
			switch r.IntN(6) {
			case 0:
				b.l.detect(&b.q, &b.e, &got)
			case 1:
				for i := b.q.firstLost(); i >= 0; i = b.q.firstLost() {
					b.l.retransmitted(&b.q, i)
					x := b.q.at(i)
					x.sent++
					x.at = b.now
					b.l.r.resent(x, 1, 1, phaseRecovery, false)
				}
			case 2:
				if b.q.len() > 0 && r.IntN(5) == 0 {
					a := b.round(b.una)
					w := window{cwnd: 1000, ssthresh: 1000, mss: mss}
					if b.q.at(0).sacked {
						clear(b.held)
					}
					b.l.expiredSelective(&b.q, &w, &reno{}, &a, true, time.Time{})
				}
			}
			b.l.check(t, &b.q)
		}
		require.LessOrEqual(t, b.q.len(), len(b.edges))
	}
}

// isDuplicate is duplicate for a recovery of nobody.
func (r *recovery) isDuplicate(blocks []SACKBlock, ack Seq, a *round) bool {
	r.stats, r.retransmitted = new(stats), 1<<30
	c := *a
	return r.duplicate(blocks, ack, &c)
}

// naive marks the whole segments in x, octet by octet.
func (b *board) naive(x SACKBlock, una Seq) {
	var from Seq
	in := false
	for s := maxSeq(b.una, b.origin); ; s++ {
		// A segment begins where it was sent, or where acknowledgement has cut it.
		if b.segmentEdge(s) {
			if in && s.LessEq(x.End) {
				for i := from.Sub(b.origin); i < s.Sub(b.origin); i++ {
					b.held[i] = true
				}
			}
			in, from = x.Start.LessEq(s), s
		}
		if s == b.nxt {
			return
		}
	}
}

// segmentEdge reports whether a segment may be cut at s.
func (b *board) segmentEdge(s Seq) bool {
	i := b.q.find(s)
	if i == b.q.len() {
		return true
	}
	x := b.q.at(i)
	if s.LessEq(x.start) {
		return true
	}
	if x.sacked {
		return false
	}
	return s.Sub(x.start)%b.mss == 0
}

func (b *board) compare() {
	b.t.Helper()
	for i := range b.q.len() {
		x := b.q.at(i)
		for s := x.start; s != x.end; s++ {
			if b.held[s.Sub(b.origin)] != x.sacked {
				b.t.Fatalf("octet %d of %d..%d: naive %v, scoreboard %v", s.Sub(b.origin), x.start.Sub(b.origin), x.end.Sub(b.origin), !x.sacked, x.sacked)
			}
		}
	}
}

func TestSACKValidation(t *testing.T) {
	const o = Seq(0xfffffe00)
	b := func(start, end int) SACKBlock { return SACKBlock{o.Add(start), o.Add(end)} }
	for name, c := range map[string]struct {
		block  SACKBlock
		dup    bool
		marker int // of undo; -1: off
		want   bool
	}{
		"in flight":                            {b(100, 200), false, -1, true},
		"up to SND.NXT":                        {b(900, 1000), false, -1, true},
		"past SND.NXT":                         {b(900, 1001), false, -1, false},
		"empty":                                {b(300, 300), false, -1, false},
		"backwards":                            {b(400, 300), false, -1, false},
		"at SND.UNA: it would be acknowledged": {b(0, 100), false, -1, false},
		"below SND.UNA":                        {b(-200, -100), false, -1, false},
		"D-SACK without a reduction":           {b(-200, -100), true, -1, false},
		"D-SACK since the reduction":           {b(-200, -100), true, -300, true},
		"D-SACK across SND.UNA":                {b(-200, 100), true, -300, false},
		"D-SACK before the reduction":          {b(-200, -150), true, -100, false},
		"D-SACK across the reduction":          {b(-200, -50), true, -100, true},
		"D-SACK older than the window":         {b(-40000, -50), true, -100, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := &recovery{}
			if c.marker != -1 {
				r.undo.on, r.undo.marker = true, o.Add(c.marker)
			}
			require.Equal(t, c.want, r.valid(c.block, c.dup, &round{una: o, nxt: o.Add(1000), maxWnd: 10000}))
		})
	}
}

func TestSACKWholeSegmentsOnly(t *testing.T) {
	b := newBoard(t, 0xffffff00, 100)
	b.send(1050)
	at := func(n int) Seq { return b.origin.Add(n) }
	b.ack(b.origin, SACKBlock{at(1), at(99)})
	require.Zero(t, b.l.r.sacked, "less than a segment")
	b.ack(b.origin, SACKBlock{at(150), at(420)})
	require.Equal(t, 200, b.l.r.sacked, "two whole ones")
	require.Equal(t, 3, b.q.len())
	b.ack(b.origin, SACKBlock{at(200), at(650)})
	require.Equal(t, 400, b.l.r.sacked)
	require.Equal(t, 3, b.q.len(), "the block grew in place")
	require.EqualValues(t, 1, b.stats.n[sackShifted].Load())
	b.ack(b.origin, SACKBlock{at(1000), at(1050)})
	require.Equal(t, 450, b.l.r.sacked, "the short one at the end")
	for i := range 1050 {
		b.ack(b.origin, SACKBlock{at(i), at(i + 1)})
	}
	require.Equal(t, 450, b.l.r.sacked)
	require.Equal(t, 4, b.q.len(), "no entry for what is no segment")
}

func TestBlocks(t *testing.T) {
	const o = Seq(0xffffffce)
	x := func(start, end int) SACKBlock { return SACKBlock{o.Add(start), o.Add(end)} }
	var b blocks
	held := func() []SACKBlock { return b.held[:b.n] }
	b.add(x(100, 200))
	b.add(x(300, 400))
	require.Equal(t, []SACKBlock{x(300, 400), x(100, 200)}, held(), "the latest first")
	b.add(x(200, 250))
	require.Equal(t, []SACKBlock{x(100, 250), x(300, 400)}, held(), "the one that grew first")
	b.add(x(250, 300))
	require.Equal(t, []SACKBlock{x(100, 400)}, held(), "joined")
	for i := range 5 {
		b.add(x(1000*i+500, 1000*i+600))
	}
	require.Equal(t, []SACKBlock{x(4500, 4600), x(3500, 3600), x(2500, 2600), x(1500, 1600)}, held(), "four at most")
	b.forget(o.Add(2600))
	require.Equal(t, []SACKBlock{x(4500, 4600), x(3500, 3600)}, held())

	b.duplicate = x(0, 10)
	var opt Options
	require.False(t, b.put(&opt, 27, false), "no room beside data")
	require.Zero(t, opt.NumSACK)
	require.True(t, b.put(&opt, 28, false))
	require.Equal(t, []SACKBlock{x(0, 10), x(4500, 4600), x(3500, 3600)}, opt.SACK[:opt.NumSACK], "the duplicate first")
	opt = Options{HasTimestamps: true}
	b.add(x(5500, 5600))
	b.add(x(6500, 6600))
	b.duplicate = x(0, 10)
	require.True(t, b.put(&opt, 0, true))
	require.Equal(t, []SACKBlock{x(0, 10), x(6500, 6600), x(5500, 5600)}, opt.SACK[:opt.NumSACK], "three beside timestamps")
	b.put(&opt, 0, true)
	require.Equal(t, x(6500, 6600), opt.SACK[0], "a duplicate is reported once")
}

// Once there is a recovery, what an ACK with blocks costs is no memory.
func TestSACKAllocs(t *testing.T) {
	b := newBoard(t, 0xffffff00, 100)
	for range 64 {
		b.send(4400)
	}
	end := 1000
	o := Options{NumSACK: 2}
	n := testing.AllocsPerRun(500, func() {
		b.now += time.Millisecond
		end += 300
		o.SACK[0] = SACKBlock{b.origin.Add(end - 300), b.origin.Add(end)}
		o.SACK[1] = SACKBlock{b.origin.Add(200), b.origin.Add(700)}
		a := b.round(b.una)
		b.l.selective(&b.q, o.SACK[:o.NumSACK], b.una, &b.e, &a)
		b.l.detect(&b.q, &b.e, &a)
	})
	require.Zero(t, n)
	require.Greater(t, b.l.r.sacked, 100_000)
	b.l.check(t, &b.q)
}
