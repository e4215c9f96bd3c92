package tcp

import "time"

// sentSegment is what is remembered of a segment in flight. SYN and FIN count
// in its sequence space.
type sentSegment struct {
	start, end Seq
	at         time.Duration // last transmission, since the connection's epoch
	sent       uint8         // transmissions, saturating
	lost       bool          // to be retransmitted
}

func (s *sentSegment) len() int { return s.end.Sub(s.start) }

// sentQueue holds the segments in flight in order of their sequence numbers,
// in a ring that grows on demand: the retransmission queue, without the bytes,
// which stay in the send buffer.
type sentQueue struct {
	ring    []sentSegment // length is a power of two
	head, n int32
}

func (q *sentQueue) len() int { return int(q.n) }

// at returns the i-th oldest segment; the pointer is good until the next push
// or split.
func (q *sentQueue) at(i int) *sentSegment { return &q.ring[(int(q.head)+i)&(len(q.ring)-1)] }

func (q *sentQueue) push(s sentSegment) {
	if q.len() == len(q.ring) {
		q.grow()
	}
	q.n++
	*q.at(q.len() - 1) = s
}

func (q *sentQueue) grow() {
	ring := make([]sentSegment, max(4, 2*len(q.ring)))
	for i := range q.len() {
		ring[i] = *q.at(i)
	}
	q.ring, q.head = ring, 0
}

// shed gives up the ring if it is empty.
func (q *sentQueue) shed() {
	if q.n == 0 {
		q.ring, q.head = nil, 0
	}
}

func (q *sentQueue) pop() {
	q.head = (q.head + 1) & int32(len(q.ring)-1)
	q.n--
}

// split cuts the i-th segment at seq, for a path MTU that shrank or a partial
// acknowledgement.
func (q *sentQueue) split(i int, seq Seq) {
	tail := *q.at(i)
	tail.start = seq
	q.at(i).end = seq
	q.push(sentSegment{})
	for j := q.len() - 1; j > i+1; j-- {
		*q.at(j) = *q.at(j - 1)
	}
	*q.at(i + 1) = tail
}

// firstLost returns the index of the oldest segment that waits for its
// retransmission, -1 for none.
func (q *sentQueue) firstLost() int {
	for i := range q.len() {
		if q.at(i).lost {
			return i
		}
	}
	return -1
}
