package control

import (
	"time"

	"github.com/tapstack/tapstack/ipv4"
)

// How long a probe is waited for when another has been answered, as multiples of
// that one's time, and what is added to that: traceroute(8)'s defaults.
const (
	hereFactor = 3
	nearFactor = 10
	waitSlack  = time.Millisecond
)

// probes are those of a traceroute, hop by hop: it says when which is to be sent,
// and when one is over. It takes the time from its caller.
type probes struct {
	list       []probe
	queries    int // a hop
	atOnce     int
	wait       time.Duration
	patient    bool
	start, end int // of those whose end has not been told
}

type probe struct {
	sent   time.Time
	done   bool
	answer probeAnswer
}

func newProbes(first, last, queries, atOnce int, wait time.Duration, patient bool) *probes {
	return &probes{list: make([]probe, last*queries), queries: queries, atOnce: atOnce, wait: wait, patient: patient,
		start: (first - 1) * queries, end: last * queries}
}

// over reports whether the end of every probe has been told.
func (p *probes) over() bool { return p.start >= p.end }

// step returns the probes whose end is to be told, in order, those that are to be
// sent now, and when step is to be called next unless there is an answer before.
func (p *probes) step(now time.Time) (finished, send []int, next time.Time) {
	flying := 0
	for n := p.start; n < p.end && flying < p.atOnce; n++ {
		b := &p.list[n]
		if !b.done && !b.sent.IsZero() && !now.Before(b.sent.Add(p.timeout(n))) {
			b.done = true
		}
		if b.done {
			if b.final() {
				p.end = min(p.end, (n/p.queries+1)*p.queries)
			}
			if n == p.start {
				finished = append(finished, n)
				p.start++
			}
			continue
		}
		flying++
		if b.sent.IsZero() {
			b.sent = now
			send = append(send, n)
		}
		if at := b.sent.Add(p.timeout(n)); next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return finished, send, next
}

// answered notes the first answer to a probe.
func (p *probes) answered(a probeAnswer) {
	if a.probe < 0 || a.probe >= len(p.list) {
		return
	}
	if b := &p.list[a.probe]; !b.done && !b.sent.IsZero() {
		b.done, b.answer = true, a
	}
}

// final reports whether the way ends here: at its destination, or where nobody
// knows how to go on.
func (b *probe) final() bool {
	a := b.answer
	return a.from.IsValid() && !(a.typ == ipv4.TypeTimeExceeded && a.code == ipv4.CodeTTLExceeded)
}

// timeout returns how long to wait for a probe: not for long if another of its
// hop, or of one further away, has come back sooner.
func (p *probes) timeout(n int) time.Duration {
	if p.patient {
		return p.wait
	}
	took := func(n int) time.Duration {
		if b := p.list[n]; b.done && b.answer.from.IsValid() {
			return b.answer.at.Sub(b.sent)
		}
		return 0
	}
	hop := n - n%p.queries
	for i := hop; i < hop+p.queries; i++ {
		if d := took(i); d > 0 {
			return min((d+waitSlack)*hereFactor, p.wait)
		}
	}
	for i := n + 1; i < len(p.list) && !p.list[i].sent.IsZero(); i++ {
		if d := took(i); d > 0 {
			return min((d+waitSlack)*nearFactor, p.wait)
		}
	}
	return p.wait
}
