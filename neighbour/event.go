package neighbour

import (
	"sync"
	"sync/atomic"
	"time"
)

// EventKind says what an Event is about.
type EventKind uint8

// The kinds.
const (
	// Created: a new entry, which Linux announces to nobody.
	Created EventKind = iota
	// Changed: the state, the link-layer address or a flag changed.
	Changed
	// Removed: the entry left the table.
	Removed
	// Queued: a packet waits for resolution; Count packets wait now.
	Queued
	// Discarded: Count packets were pushed out of the queue by newer ones.
	Discarded
	// Flushed: the Count packets that waited are being sent.
	Flushed
	// Unreached: the Count packets that waited were reported unreachable.
	Unreached
	// Solicited: a request was sent; Count is the number of the probe.
	Solicited
	// Miss: a probe left to a user-space resolver (app_solicit).
	Miss
	// Overflow: an entry could not be created, the table is full.
	Overflow
)

// String returns the kind in lower case.
func (k EventKind) String() string {
	names := [...]string{"created", "changed", "removed", "queued", "discarded", "flushed", "unreached", "solicited", "miss", "overflow"}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// Cause says what made something happen.
type Cause uint8

// The causes.
const (
	CauseUnknown Cause = iota
	CauseFrame
	CauseTimer
	CauseConfirmation
	CausePacket
	CauseCommand
	CauseLink
	CauseCollector
	CauseManaged
)

// String returns the cause in lower case.
func (c Cause) String() string {
	names := [...]string{"unknown", "frame", "timer", "confirmation", "packet", "command", "link", "gc", "managed"}
	if int(c) < len(names) {
		return names[c]
	}
	return "unknown"
}

// Announcement is the netlink message that Linux multicasts with an event.
type Announcement uint8

// The announcements.
const (
	Silent   Announcement = iota
	NewNeigh              // RTM_NEWNEIGH
	DelNeigh              // RTM_DELNEIGH
	GetNeigh              // RTM_GETNEIGH: "miss" in `ip monitor neigh`
)

// String returns the message's name, "" for Silent.
func (a Announcement) String() string {
	return [...]string{"", "RTM_NEWNEIGH", "RTM_DELNEIGH", "RTM_GETNEIGH"}[a&3]
}

// Event is one thing that happened to an entry. Events of an entry come in the
// order in which they happened, all events in the order of Seq.
type Event struct {
	Seq       uint64
	Time      time.Time
	Kind      EventKind
	Cause     Cause
	Detail    string // what the caller of Update said, may be empty
	Announced Announcement
	From, To  State
	Count     int       // packets, see the kinds
	Entry     EntryInfo // as it is after the event
	Missed    uint64    // events that this subscriber lost just before this one
}

// Subscription is one reader of a table's events.
type Subscription struct {
	// C delivers the events. It is closed by Close and when the table closes.
	C <-chan Event

	c      chan Event
	stream *stream
	gap    uint64 // lost since the last delivery; guarded by stream.mu
	missed atomic.Uint64
}

// Missed returns how many events the subscriber has lost in all, because it read
// too slowly. May be called concurrently.
func (s *Subscription) Missed() uint64 { return s.missed.Load() }

// Close ends the subscription. It may be called more than once, from any
// goroutine.
func (s *Subscription) Close() { s.stream.remove(s) }

// stream is the one ordered stream of a table's events. Its mutex is a leaf:
// events are published under a shard's lock, so that an entry's come in order.
type stream struct {
	readers atomic.Int32
	mu      sync.Mutex
	seq     uint64
	subs    []*Subscription
	closed  bool
}

// active reports whether anybody listens; without, events are not even built.
func (st *stream) active() bool { return st.readers.Load() != 0 }

func (st *stream) subscribe(buffer int) *Subscription {
	c := make(chan Event, max(buffer, 1))
	sub := &Subscription{C: c, c: c, stream: st}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed {
		close(c)
		return sub
	}
	st.subs = append(st.subs, sub)
	st.readers.Store(int32(len(st.subs)))
	return sub
}

func (st *stream) remove(sub *Subscription) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for i, s := range st.subs {
		if s == sub {
			st.subs = append(st.subs[:i:i], st.subs[i+1:]...)
			st.readers.Store(int32(len(st.subs)))
			close(sub.c)
			return
		}
	}
}

func (st *stream) publish(ev *Event) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.seq++
	ev.Seq = st.seq
	for _, s := range st.subs {
		ev.Missed = s.gap
		select {
		case s.c <- *ev:
			s.gap = 0
		default:
			s.gap++
			s.missed.Add(1)
		}
	}
}

func (st *stream) close() {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, s := range st.subs {
		close(s.c)
	}
	st.subs, st.closed = nil, true
	st.readers.Store(0)
}
