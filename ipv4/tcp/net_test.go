package tcp

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/random"
)

// testIP is an IPv4 with one address whose output goes where a test wants it.
type testIP struct {
	addr    netip.Addr
	mtu     int
	whole   bool // the output takes super-segments
	output  func(p *link.Packet, s ipv4.Send) error
	handler ipv4.Handler
}

var errNoRoute = syscall.ENETUNREACH

// Output hands single segments with complete checksums to output, unless that
// takes anything.
func (i *testIP) Output(p *link.Packet, s ipv4.Send) error {
	if i.whole {
		return i.output(p, s)
	}
	h := ipv4.Header{Src: s.Src, Dst: s.Dst, Protocol: s.Protocol, TTL: 64, TotalLen: ipv4.HeaderLen + p.Len()}
	h.Put(p.Push(ipv4.HeaderLen))
	segments, ok := link.Segment(p, 0)
	if !ok {
		panic("malformed super-segment sent")
	}
	var err error
	for q := segments.Pop(); q != nil; q = segments.Pop() {
		q.Pull(ipv4.HeaderLen)
		if e := i.output(q, s); e != nil {
			err = e
		}
	}
	return err
}

func (i *testIP) OutputPath(dst, src netip.Addr, oif int) (ipv4.Path, error) {
	if dst == netip.MustParseAddr("203.0.113.1") {
		return ipv4.Path{}, errNoRoute
	}
	return ipv4.Path{Type: ipv4.Unicast, Src: i.addr, MTU: i.mtu}, nil
}
func (i *testIP) UpdatePathMTU(netip.Addr, int) {}

func (i *testIP) AddrType(a netip.Addr) ipv4.RouteType {
	switch {
	case a == i.addr:
		return ipv4.Local
	case a == netip.MustParseAddr("10.0.0.255"):
		return ipv4.Broadcast
	}
	return ipv4.Unicast
}
func (i *testIP) Handle(_ uint8, h ipv4.Handler) { i.handler = h }

// faults are what a testWire does to packets. Probabilities are in [0,1).
type faults struct {
	loss, dup, reorder float64
	delay              time.Duration
	rate, queue        int // of a bottleneck: bytes a second, 0 for none; bytes that may wait for it
	mark               int // bytes that wait from which on ECT packets are marked, 0: never
}

// testWire joins two testIPs. Packets travel by timers of the bubble's clock,
// so the order of equal delays is kept.
type testWire struct {
	mu     sync.Mutex
	rng    *rand.Rand
	faults faults
	drop   func(from *testIP, h Header, payload []byte) bool // may be nil
	closed bool
	sent   int
	lost   int
}

func (w *testWire) join(from, to *testIP) {
	var mu sync.Mutex
	type onWire struct {
		p   *link.Packet
		tos uint8
	}
	var queue []onWire
	due, pumping := 0, false
	var free time.Time // when the bottleneck has sent what waits
	deliver := func(p *link.Packet, tos uint8) {
		w.mu.Lock()
		closed := w.closed
		w.mu.Unlock()
		if closed {
			p.Release()
			return
		}
		to.handler.Input(ipv4.Header{Src: from.addr, Dst: to.addr, Protocol: ipv4.ProtocolTCP, TOS: tos}, p)
	}
	from.output = func(p *link.Packet, s ipv4.Send) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sent++
		h, n, err := Parse(p.Bytes())
		if err != nil {
			panic("malformed segment sent")
		}
		if w.closed || w.rng.Float64() < w.faults.loss || w.drop != nil && w.drop(from, h, p.Bytes()[n:]) {
			w.lost++
			p.Release()
			return nil
		}
		var wait time.Duration
		var marked bool
		send := func(p *link.Packet, extra time.Duration) {
			tos := s.TOS & ecnMask
			if marked {
				tos = ecnCE
			}
			if extra > 0 {
				time.AfterFunc(w.faults.delay+wait+extra, func() { deliver(p, tos) })
				return
			}
			mu.Lock()
			queue = append(queue, onWire{p, tos})
			mu.Unlock()
			// Timers of one instant run at once; one of them delivers for all.
			time.AfterFunc(w.faults.delay+wait, func() {
				mu.Lock()
				defer mu.Unlock()
				due++
				if pumping {
					return
				}
				pumping = true
				for ; due > 0; due-- {
					p := queue[0]
					queue = queue[1:]
					mu.Unlock()
					deliver(p.p, p.tos)
					mu.Lock()
				}
				pumping = false
			})
		}
		if w.faults.rate > 0 {
			n := p.Len() + ipv4.HeaderLen
			now := time.Now()
			waiting := int(max(free.Sub(now), 0).Seconds() * float64(w.faults.rate))
			if waiting+n > w.faults.queue {
				w.lost++
				p.Release()
				return nil
			}
			if w.faults.mark > 0 && waiting > w.faults.mark && s.TOS&ecnMask == ecnECT0 {
				marked = true
			}
			if free.Before(now) {
				free = now
			}
			free = free.Add(time.Duration(float64(n) / float64(w.faults.rate) * 1e9))
			wait = free.Sub(now)
		}
		if w.rng.Float64() < w.faults.dup {
			send(p.Copy(), 0)
		}
		var extra time.Duration
		if w.rng.Float64() < w.faults.reorder {
			extra = time.Duration(w.rng.Int64N(int64(w.faults.delay) + int64(time.Millisecond)))
		}
		send(p, extra)
		return nil
	}
}

// testPair is two hosts on a wire.
type testPair struct {
	wire       *testWire
	a, b       *Protocol
	aIP, bIP   *testIP
	listenAddr netip.AddrPort
}

func newTestPair(t testing.TB, f faults, seed uint64, c Config) *testPair {
	t.Helper()
	p := &testPair{
		wire: &testWire{rng: random.New(seed), faults: f},
		aIP:  &testIP{addr: netip.MustParseAddr("10.0.0.1"), mtu: 1500},
		bIP:  &testIP{addr: netip.MustParseAddr("10.0.0.2"), mtu: 1500},
	}
	p.listenAddr = netip.AddrPortFrom(p.bIP.addr, 80)
	p.wire.join(p.aIP, p.bIP)
	p.wire.join(p.bIP, p.aIP)
	ca, cb := c, c
	ca.Rand, cb.Rand = random.New(seed+1), random.New(seed+2)
	p.a, p.b = newProtocol(p.aIP, ca), newProtocol(p.bIP, cb)
	return p
}

// close ends the hosts and lets what is on the wire arrive nowhere.
func (p *testPair) close(t testing.TB) {
	t.Helper()
	p.a.Close()
	p.b.Close()
	p.wire.mu.Lock()
	p.wire.closed = true
	p.wire.mu.Unlock()
	time.Sleep(10 * time.Second)
	require.Zero(t, link.LivePackets(), "packets left over")
}

func (p *testPair) connect(t testing.TB, sc SocketConfig) (client, server *Conn) {
	t.Helper()
	l, err := p.b.Listen(p.listenAddr, sc)
	require.NoError(t, err)
	defer l.Close()
	client, err = p.a.Dial(t.Context(), netip.AddrPort{}, p.listenAddr, sc)
	require.NoError(t, err)
	server, err = l.AcceptTCP()
	require.NoError(t, err)
	return client, server
}

// queueTo sends the output of i to to, in order and without delay, by way of a
// goroutine, until stop is called.
func (i *testIP) queueTo(to *testIP) (stop func()) {
	var mu sync.Mutex
	ready := sync.NewCond(&mu)
	var queue link.Queue
	closed, done := false, make(chan struct{})
	i.whole = true
	i.output = func(p *link.Packet, _ ipv4.Send) error {
		mu.Lock()
		defer mu.Unlock()
		if closed {
			p.Release()
			return nil
		}
		queue.Queue(p)
		ready.Signal()
		return nil
	}
	h := ipv4.Header{Src: i.addr, Dst: to.addr, Protocol: ipv4.ProtocolTCP}
	go func() {
		defer close(done)
		mu.Lock()
		defer mu.Unlock()
		for {
			for queue.Len() == 0 {
				if closed {
					return
				}
				ready.Wait()
			}
			batch := queue.Take()
			mu.Unlock()
			for p := batch.Pop(); p != nil; p = batch.Pop() {
				to.handler.Input(h, p)
			}
			mu.Lock()
		}
	}()
	return func() {
		mu.Lock()
		closed = true
		ready.Signal()
		mu.Unlock()
		<-done
	}
}
