package control

import (
	"slices"
	"sync"
)

// feed hands every item to each of its readers. A reader that is too slow holds
// up nobody: what finds no room is lost and counted. The zero value is ready,
// except that attach may be set before use.
type feed[T any] struct {
	// attach is told when the first reader comes and the last one leaves, with
	// the feed's lock held.
	attach func(on bool)

	mu      sync.Mutex // a leaf, but for attach
	readers []*reader[T]
}

// reader is one reader of a feed. Its fields are for its goroutine.
type reader[T any] struct {
	C <-chan tallied[T]

	feed *feed[T]
	c    chan tallied[T]
	gap  uint64 // lost since the last item; guarded by feed.mu
}

// tallied is an item, and how many the reader lost just before it.
type tallied[T any] struct {
	item   T
	missed uint64
}

// subscribe returns a reader with room for buffer items. It must be closed.
func (f *feed[T]) subscribe(buffer int) *reader[T] {
	c := make(chan tallied[T], buffer)
	r := &reader[T]{C: c, c: c, feed: f}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readers = append(f.readers, r)
	if len(f.readers) == 1 && f.attach != nil {
		f.attach(true)
	}
	return r
}

// close ends the reader. C is not closed; nothing comes from it any more.
func (r *reader[T]) close() {
	f := r.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readers = slices.DeleteFunc(f.readers, func(o *reader[T]) bool { return o == r })
	if len(f.readers) == 0 && f.attach != nil {
		f.attach(false)
	}
}

// watched reports whether there are readers.
func (f *feed[T]) watched() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.readers) > 0
}

// publish never blocks.
func (f *feed[T]) publish(item T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.readers {
		select {
		case r.c <- tallied[T]{item, r.gap}:
			r.gap = 0
		default:
			r.gap++
		}
	}
}
