package ipv4

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// EventKind says what happened.
type EventKind uint8

// What happened. The changes that Linux makes without telling, such as those to
// the routes by an interface that went down, are not told here either.
const (
	RouteAdded     EventKind = 1 + iota // or put in the place of another
	RouteDeleted                        // by a command, or with its address
	AddressAdded                        // or changed
	AddressDeleted                      // by a command, with its primary, or as its time was over
	LinkChanged                         // an interface came, went up or down, or has another MTU or carrier
	LinkDeleted                         // an interface went
)

// Event is a change of the routes, addresses or interfaces.
type Event struct {
	Time time.Time
	Kind EventKind
	// Interface is that of an address or the one that changed, Name its name.
	Interface int
	Name      string
	Route     Route
	Address   Address
	// Missed is how many events were lost just before this one, because they were
	// read too slowly.
	Missed uint64
}

// Subscription is a reader of events. They come in the order of the changes.
type Subscription struct {
	C <-chan Event

	c      chan Event
	of     *subscriptions
	missed uint64 // guarded by of.mu
}

type subscriptions struct {
	mu   sync.Mutex // a leaf
	list []*Subscription
}

// Subscribe returns a Subscription with room for buffer events; what finds no
// room is lost and counted. It must be closed.
func (pr *Protocol) Subscribe(buffer int) *Subscription {
	c := make(chan Event, buffer)
	s := &Subscription{C: c, c: c, of: &pr.subscriptions}
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.of.list = append(s.of.list, s)
	return s
}

// Close ends the Subscription. C is not closed; nothing comes from it any more.
func (s *Subscription) Close() {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.of.list = slices.DeleteFunc(s.of.list, func(o *Subscription) bool { return o == s })
}

// publish never blocks.
func (x *subscriptions) publish(events ...Event) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, s := range x.list {
		for _, e := range events {
			e.Missed = s.missed
			select {
			case s.c <- e:
				s.missed = 0
			default:
				s.missed++
			}
		}
	}
}

// change is a change of the routes that is under way, with Protocol.mu held.
type change struct {
	pr     *Protocol
	f      *fib
	events []Event
}

func (pr *Protocol) changeLocked() *change { return &change{pr: pr, f: pr.fib.Load()} }

// note adds to what commit tells.
func (c *change) note(e Event) { c.events = append(c.events, e) }

// commit publishes the routes, and then tells of what changed.
func (c *change) commit() {
	c.pr.setRoutesLocked(c.f)
	now := c.pr.config.Clock.Now()
	for n := range c.events {
		c.events[n].Time = now
	}
	c.pr.subscriptions.publish(c.events...)
}

// remove takes the first route to dst that matches, and reports whether there
// was one.
func (c *change) remove(dst netip.Prefix, id uint8, match func(*route) bool) bool {
	r := c.f.find(dst, id, match)
	if r == nil {
		return false
	}
	c.f = c.f.withoutRoute(r)
	c.note(Event{Kind: RouteDeleted, Route: r.shown()})
	return true
}

// linkEvent tells that something about i is not as it was.
func (pr *Protocol) linkEvent(i *Interface, kind EventKind) {
	pr.subscriptions.publish(Event{Time: pr.config.Clock.Now(), Kind: kind, Interface: i.Index(), Name: i.Name()})
}
