package icmp

import (
	"math/rand/v2"
	"net/netip"
	"time"
)

// limiter decides which messages of ours may leave (RFC 1812, section 4.3.2.8),
// with Linux's two token buckets: one for all messages together, and one for
// each destination. It is pure: now comes from the caller.
type limiter struct {
	credit  int // messages that may leave now, of all destinations
	stamp   time.Time
	recent  map[netip.Addr]tokens
	earlier map[netip.Addr]tokens
}

// tokens is the bucket of a destination: time saved up, at most limitBurst
// intervals.
type tokens struct {
	saved time.Duration
	last  time.Time
}

const (
	// limitBurst is how many messages a destination gets at once (Linux's
	// XRLIM_BURST_FACTOR).
	limitBurst = 6
	// routeErrorCost and routeErrorBurst are net.ipv4.route.error_cost and
	// error_burst.
	routeErrorCost  = time.Second
	routeErrorBurst = 5 * time.Second
	// limitStep is how often the common bucket is filled.
	limitStep = 20 * time.Millisecond
	// limitPeers is how many destinations are remembered, at least; twice as
	// many at most.
	limitPeers = 2048
)

// global takes from the common bucket, which perSecond fills up to burst.
func (l *limiter) global(now time.Time, perSecond, burst int, r *rand.Rand) bool {
	passed := min(now.Sub(l.stamp), time.Second)
	if l.stamp.IsZero() {
		passed = time.Second
	}
	if passed >= limitStep {
		if more := int(time.Duration(perSecond) * passed / time.Second); more > 0 {
			l.credit = min(l.credit+more, burst)
			l.stamp = now
		}
	}
	if l.credit <= 0 {
		return false
	}
	// One on average, at random: who counts our errors must not learn how many
	// went to others (Linux, against CVE-2020-25705).
	l.credit = max(l.credit-r.IntN(3), 0)
	return true
}

// host takes from the bucket of dst, which gets one message an interval.
func (l *limiter) host(now time.Time, dst netip.Addr, interval time.Duration) bool {
	return l.take(now, dst, interval, limitBurst*interval)
}

// route takes from the same bucket for an error about a missing route, which
// Linux's ip_error limits before host does: two such errors leave at once, and
// then one every two seconds.
func (l *limiter) route(now time.Time, dst netip.Addr) bool {
	return l.take(now, dst, routeErrorCost, routeErrorBurst)
}

// take takes cost from the bucket of dst, which holds at most burst.
func (l *limiter) take(now time.Time, dst netip.Addr, cost, burst time.Duration) bool {
	t, ok := l.recent[dst]
	if !ok {
		if t, ok = l.earlier[dst]; !ok {
			t = tokens{saved: burst, last: now}
		}
		if len(l.recent) >= limitPeers {
			l.earlier, l.recent = l.recent, nil
		}
		if l.recent == nil {
			l.recent = make(map[netip.Addr]tokens)
		}
	}
	t.saved = min(t.saved+now.Sub(t.last), burst)
	t.last = now
	allowed := t.saved >= cost
	if allowed {
		t.saved -= cost
	}
	l.recent[dst] = t
	return allowed
}
