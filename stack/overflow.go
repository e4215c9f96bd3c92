package stack

import (
	"log/slog"
	"sync"
	"time"

	"github.com/tapstack/tapstack/stack/clock"
)

// The rate of Linux's net_ratelimit: net.core.message_burst lines in
// net.core.message_cost seconds.
const (
	logBurst    = 10
	logInterval = 5 * time.Second
)

// overflowLog says that the neighbour table is full, in Linux's words and at its
// rate: under a flood of strangers each of them would be a line.
type overflowLog struct {
	clock clock.Clock
	log   *slog.Logger

	mu         sync.Mutex
	began      time.Time
	written    int
	suppressed int
}

func (o *overflowLog) full() {
	if suppressed, ok := o.admit(o.clock.Now()); ok {
		o.log.Warn("neighbour: arp_cache: neighbor table overflow!", "suppressed", suppressed)
	}
}

// admit reports whether a line may be written, and how many were not before it.
func (o *overflowLog) admit(now time.Time) (suppressed int, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.began.IsZero() || now.Sub(o.began) > logInterval {
		o.began, o.written = now, 0
	}
	if o.written == logBurst {
		o.suppressed++
		return 0, false
	}
	o.written++
	suppressed, o.suppressed = o.suppressed, 0
	return suppressed, true
}
