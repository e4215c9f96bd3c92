package udp

import "github.com/tapstack/tapstack/link"

// deliver takes a datagram, or a super-segment of several, front at its data, for
// the socket to read.
func (c *Conn) deliver(p *link.Packet) {
	if p.GSO == link.GSONone || c.coalesces.Load() {
		c.enqueue(p)
		return
	}
	datagrams := split(p)
	for p := datagrams.Pop(); p != nil; p = datagrams.Pop() {
		c.enqueue(p)
	}
}

func (c *Conn) enqueue(p *link.Packet) {
	p.Orphan() // from here on it is charged to whoever reads it
	c.mu.Lock()
	reason := link.NotSpecified
	switch cost := p.Cost(); {
	case c.closed:
		reason = link.SocketClosed
	case c.costLocked() > 0 && c.costLocked()+cost > c.limit:
		reason = link.SocketRcvBuff
	case !c.reserveLocked(cost):
		reason = link.ProtoMem
	default:
		c.queue.Queue(p)
		c.readable.Signal()
	}
	onEvent := c.onEvent
	c.mu.Unlock()
	if reason == link.NotSpecified {
		if onEvent != nil {
			onEvent()
		}
		return
	}
	switch reason {
	case link.SocketRcvBuff:
		c.pr.stats.RcvbufErrors.Add(1)
	case link.ProtoMem:
		c.pr.stats.MemErrors.Add(1)
	}
	if reason != link.SocketClosed {
		c.drops.Add(1)
		c.pr.stats.InErrors.Add(1)
	}
	c.pr.config.Drops.Drop(p, reason)
}

func (c *Conn) costLocked() int { return c.queue.Cost() + len(c.errors)*queuedErrorCost }

// duplicate returns a copy of p, front at its data, with the headers in front,
// which tell a reader who sent it.
func duplicate(p *link.Packet) *link.Packet {
	n := len(p.NetworkHeader()) - len(p.Bytes())
	p.Push(n)
	q := p.Copy()
	p.Pull(n)
	q.Pull(n)
	return q
}
