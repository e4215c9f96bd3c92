package neighbour

import "github.com/tapstack/tapstack/link"

// drainBacklog bounds what may wait, by cost, while a goroutine is sending what
// waited before. Those packets wait for a goroutine, not for a neighbour, so
// UnresQueueBytes does not apply.
const drainBacklog = 4 << 20

// enqueueLocked lets p wait in e and returns the packets that had to go for it,
// the oldest ones. The newest packet always stays, whatever the limit (RFC 1122
// section 2.3.2.2: save at least the latest).
func (e *entry) enqueueLocked(p *link.Packet, limit int) (dropped link.Queue) {
	if e.pending == nil {
		e.pending = new(link.Queue)
	}
	for e.pending.Len() > 0 && e.pending.Cost()+p.Cost() > limit {
		dropped.Queue(e.pending.Pop())
	}
	e.pending.Queue(p)
	return dropped
}

// drain sends the packets that waited in e, beginning with batch. One goroutine at a time does so for
// an entry; senders that come meanwhile queue behind, and only when nothing waits
// any more, seen under the lock, does the fast path open. So no packet overtakes
// another.
func (s *shard) drain(e *entry, batch link.Queue) {
	for batch.Len() > 0 {
		for p := batch.Pop(); p != nil; p = batch.Pop() {
			// As the entry is now: it may move or fail while this runs, even go.
			w := e.load()
			if w&deadBit != 0 || !w.state().Valid() {
				s.table.drops.Drop(p, link.NeighFailed)
				continue
			}
			e.iface.transmit(p, w)
		}
		s.mu.Lock()
		if e.load().state().Valid() {
			batch = e.takeLocked()
		}
		if batch.Len() == 0 {
			// Done, or no longer valid: what waits then waits for resolution.
			e.marks &^= draining
			s.publishLocked(e)
		}
		s.mu.Unlock()
	}
}
