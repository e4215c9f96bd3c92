package link

// Queue is a first-in first-out list of packets that owns what it holds. The
// zero value is empty. It is not safe for concurrent use.
type Queue struct {
	head, tail *Packet
	n, cost    int
}

// Len returns the number of packets.
func (q *Queue) Len() int { return q.n }

// Cost returns the sum of the packets' Cost.
func (q *Queue) Cost() int { return q.cost }

// Oldest returns the packet at the head without taking it, nil when the queue is
// empty. The queue still owns it.
func (q *Queue) Oldest() *Packet { return q.head }

// Newest returns the packet at the tail without taking it, nil when the queue
// is empty. The queue still owns it.
func (q *Queue) Newest() *Packet { return q.tail }

// Queue appends p.
func (q *Queue) Queue(p *Packet) {
	if p.next != nil || q.tail == p {
		panic("link: packet is in a queue already")
	}
	if q.tail == nil {
		q.head = p
	} else {
		q.tail.next = p
	}
	q.tail = p
	q.n++
	q.cost += p.Cost()
}

// Pop takes the oldest packet, nil when the queue is empty.
func (q *Queue) Pop() *Packet {
	p := q.head
	if p == nil {
		return nil
	}
	q.head, p.next = p.next, nil
	if q.head == nil {
		q.tail = nil
	}
	q.n--
	q.cost -= p.Cost()
	return p
}

// Take moves all packets out, in order, leaving q empty.
func (q *Queue) Take() Queue {
	all := *q
	*q = Queue{}
	return all
}

// Release releases every packet.
func (q *Queue) Release() {
	for p := q.Pop(); p != nil; p = q.Pop() {
		p.Release()
	}
}
