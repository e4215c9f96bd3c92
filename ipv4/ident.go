package ipv4

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tapstack/tapstack/stack/clock"
)

// idents chooses the identification of datagrams that may be fragmented: RFC
// 6864 asks that source, destination and protocol do not see a value again
// while a fragment with it may be around. As with Linux, each such triple
// shares a counter with those of the same hash, which jumps by a random step
// that grows with the time it was idle, so that it tells nobody how much we send.
type idents struct {
	rand    *rand.Rand
	key     [2]uint64
	counter [2048]ident

	// tick is the time in ticks, 0 for not known: the clock is read once in a
	// tick that needs it, and a timer tells when that is over. Nothing runs while
	// nothing is sent.
	tick   atomic.Int64
	clock  clock.Clock
	mu     sync.Mutex
	timer  clock.Timer
	closed bool
}

type ident struct {
	last atomic.Int64 // when it was used, in ticks
	next atomic.Uint32
}

// identTick is Linux's jiffy at HZ=250.
const identTick = 4 * time.Millisecond

func (s *idents) init(c clock.Clock, r *rand.Rand) {
	s.clock, s.rand, s.key = c, r, [2]uint64{r.Uint64(), r.Uint64()}
	for n := range s.counter {
		s.counter[n].next.Store(r.Uint32N(1 << 16))
	}
}

// close stops the timer.
func (s *idents) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.tick.Store(0)
	if s.timer != nil {
		s.timer.Stop()
	}
}

// now returns the time in ticks.
func (s *idents) now() int64 {
	if tick := s.tick.Load(); tick != 0 {
		return tick
	}
	tick := s.clock.Now().UnixNano() / int64(identTick)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return tick
	}
	s.tick.Store(tick)
	if s.timer == nil {
		s.timer = s.clock.AfterFunc(identTick, func() { s.tick.Store(0) })
	} else {
		s.timer.Reset(identTick)
	}
	return tick
}

// choose returns the first of n values, one for each segment of a packet.
func (s *idents) choose(src, dst netip.Addr, protocol uint8, n int) uint16 {
	a, b := src.As4(), dst.As4()
	ends := uint64(binary.BigEndian.Uint32(a[:]))<<32 | uint64(binary.BigEndian.Uint32(b[:]))
	high, low := bits.Mul64(ends^s.key[0], (uint64(protocol)<<56^s.key[1])|1)
	c := &s.counter[(high^low)%uint64(len(s.counter))]
	tick := s.now()
	var step uint32
	if last := c.last.Load(); last != tick && c.last.CompareAndSwap(last, tick) && last != 0 {
		step = s.rand.Uint32N(uint32(min(max(tick-last, 1), 1<<16)))
	}
	return uint16(c.next.Add(step+uint32(n)) - uint32(n) + 1)
}
