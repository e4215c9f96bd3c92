package neighbour

import (
	"sync"
	"time"

	"github.com/tapstack/tapstack/stack/clock"
)

// ticking is a clock that moves on by step whenever somebody looks at it. Its
// timers never fire.
type ticking struct {
	mu   sync.Mutex
	now  time.Time
	step time.Duration
}

func newTicking() *ticking { return &ticking{now: time.Unix(0, 0)} }

func (c *ticking) clock() clock.Clock { return clock.New(c) }

func (c *ticking) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *ticking) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(c.step)
	return c.now
}

func (c *ticking) AfterFunc(time.Duration, func()) clock.Timer { return idle{} }

type idle struct{}

func (idle) Stop() bool               { return false }
func (idle) Reset(time.Duration) bool { return false }
