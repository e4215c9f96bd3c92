package link

// Batcher is a device that says when it has no more frames for now, so that work
// can be put off until then.
type Batcher interface {
	// WhenIdle has Read call f, in its goroutine, before it waits. If f returns
	// true something may have changed, and Read looks for a frame once more. It
	// must be called before Read. It returns false when nobody will call f: for
	// instance a wrapper whose inner device cannot say.
	WhenIdle(f func() bool) bool
}

// Flusher has work that was put off.
type Flusher interface{ Flush() }

// Batch is the work that the receivers of a few frames have put off until the
// last of them has been handled: acknowledgements, wake-ups. Its goroutine is the
// one that delivers the frames. The zero value is empty.
type Batch struct{ list []Flusher }

// Add has f flushed at the end of the batch.
func (b *Batch) Add(f Flusher) { b.list = append(b.list, f) }

// Flush does the work, and reports whether there was any.
func (b *Batch) Flush() bool {
	if len(b.list) == 0 {
		return false
	}
	// What a flush brings in by way of another device belongs to another batch.
	for i, f := range b.list {
		b.list[i] = nil
		f.Flush()
	}
	b.list = b.list[:0]
	return true
}
