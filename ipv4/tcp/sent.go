package tcp

import "time"

// sentSegment is what is remembered of a segment in flight. SYN and FIN count
// in its sequence space.
type sentSegment struct {
	start, end Seq
	at         time.Duration // last transmission, since the connection's epoch
	sent       uint8         // transmissions, saturating
	lost       bool          // to be retransmitted
	sacked     bool          // the peer holds it
	retrans    bool          // its retransmission is under way
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

// split cuts the i-th segment at seq: for a path MTU that shrank, or because one
// part of what was sent at once has arrived and another has not.
func (q *sentQueue) split(i int, seq Seq) {
	if q.len() == len(q.ring) {
		q.grow()
	}
	// Room is made on the side that has less to move.
	q.n++
	if i < q.len()/2 {
		q.head = (q.head - 1) & int32(len(q.ring)-1)
		for j := range i + 1 {
			*q.at(j) = *q.at(j + 1)
		}
	} else {
		for j := q.len() - 1; j > i; j-- {
			*q.at(j) = *q.at(j - 1)
		}
	}
	*q.at(i + 1) = *q.at(i)
	q.at(i).end = seq
	q.at(i + 1).start = seq
}

// find returns the index of the segment that holds seq, or of the first behind
// it.
func (q *sentQueue) find(seq Seq) int {
	lo, hi := 0, q.len()
	for lo < hi {
		if mid := (lo + hi) / 2; seq.Less(q.at(mid).end) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
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
