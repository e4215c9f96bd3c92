package arp

import (
	"sync"

	"github.com/tapstack/tapstack/link"
)

// answers are an interface's finished replies that leave together, at the end of
// the batch of frames that asked for them (link.Batch). Who asks from the other
// side of a TAP sleeps until the answer is there, and the kernel wakes it within
// our write: answers in a row wake it once, answers in turn with reads each time.
type answers struct {
	pr  *Protocol
	dev link.Writer

	mu    sync.Mutex // several queues of a device may have a batch each
	queue link.Queue
}

// queueReply takes a finished reply, to be sent when b ends.
func (a *answers) queueReply(p *link.Packet, b *link.Batch) {
	a.mu.Lock()
	first := a.queue.Len() == 0
	a.queue.Queue(p)
	a.mu.Unlock()
	if first {
		b.Add(a)
	}
}

// Flush implements link.Flusher.
func (a *answers) Flush() {
	a.mu.Lock()
	q := a.queue.Take()
	a.mu.Unlock()
	for p := q.Pop(); p != nil; p = q.Pop() {
		_ = a.pr.write(a.dev, p, Reply) // who asked will ask again
	}
}
