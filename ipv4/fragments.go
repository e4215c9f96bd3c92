package ipv4

import (
	"sync"
	"time"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/clock"
)

// fragments is the shell around the reassembler: its lock, its timer, its
// counters.
type fragments struct {
	pr     *Protocol
	mu     sync.Mutex
	r      reassembler
	timer  clock.Timer // nil before the first fragment
	armed  bool
	closed bool
}

func (f *fragments) init(pr *Protocol) { f.pr = pr }

// input takes a fragment and returns the datagram that it completes, nil for
// none.
func (f *fragments) input(h Header, p *link.Packet) *link.Packet {
	pr := f.pr
	pr.stats.ReasmReqds.Add(1)
	limits := fragmentLimits{
		timeout: pr.sysctls.reassemblyTime(),
		memory:  int(pr.sysctls.fragHighThresh.Load()),
		maxDist: uint32(pr.sysctls.fragMaxDist.Load()),
	}
	now := pr.config.Clock.Now()
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		pr.drop(p, link.FragMemory)
		return nil
	}
	res := f.r.add(h, p, now, limits)
	if !f.armed && f.r.order.Len() > 0 {
		f.armLocked(limits.timeout)
	}
	f.mu.Unlock()

	pr.stats.ReasmFails.Add(uint64(res.failed))
	if res.overlap {
		pr.stats.ReasmOverlaps.Add(1)
	}
	for q := res.dropped.Pop(); q != nil; q = res.dropped.Pop() {
		pr.drop(q, res.reason)
	}
	if res.whole != nil {
		pr.stats.ReasmOKs.Add(1)
	}
	return res.whole
}

func (f *fragments) armLocked(d time.Duration) {
	f.armed = true
	if f.timer == nil {
		f.timer = f.pr.config.Clock.AfterFunc(d, f.expire)
		return
	}
	f.timer.Reset(d)
}

// expire gives up the datagrams whose time is up.
func (f *fragments) expire() {
	pr := f.pr
	for {
		now := pr.config.Clock.Now()
		f.mu.Lock()
		first, rest, next, ok := f.r.expired(now)
		if !ok {
			f.armed = false
			if !f.closed && !next.IsZero() {
				f.armLocked(next.Sub(now))
			}
			f.mu.Unlock()
			return
		}
		f.mu.Unlock()
		pr.stats.ReasmTimeout.Add(1)
		pr.stats.ReasmFails.Add(1)
		for q := rest.Pop(); q != nil; q = rest.Pop() {
			pr.drop(q, link.FragReasmTimeout)
		}
		switch {
		case first == nil:
		case !pr.receives(first):
			pr.drop(first, link.FragReasmTimeout)
		default:
			// RFC 1122 section 3.3.2: only who saw the first fragment can say
			// which datagram it was.
			pr.ReportError(first, ErrorMessage{Type: TypeTimeExceeded, Code: CodeReassembly, Reason: link.FragReasmTimeout})
		}
	}
}

// receives reports whether a packet that waited would still be taken in (Linux's
// ip_expire looks up its route again).
func (pr *Protocol) receives(p *link.Packet) bool {
	h, err := Parse(p.Bytes())
	if err != nil {
		return false
	}
	_, _, ok := pr.InputPath(h.Dst, h.Src, p.In)
	return ok
}

// close releases what waits.
func (f *fragments) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	if f.timer != nil {
		f.timer.Stop()
	}
	for _, d := range f.r.datagrams {
		for _, piece := range d.pieces {
			piece.p.Release()
		}
	}
	f.r = reassembler{}
}
