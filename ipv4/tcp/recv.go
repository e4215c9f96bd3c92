package tcp

import "github.com/tapstack/tapstack/link"

// received is a packet whose payload waits for the reader, with what it was
// charged.
type received struct {
	p    *link.Packet
	cost int
}

// recvQueue is the in-order part of the stream that nobody has read, kept in
// the packets it came in so that each byte is copied once, to the user.
type recvQueue struct {
	ring    []received // length is a power of two
	head, n int32
	bytes   int
	cost    int
}

const (
	// Above this many bytes of packets, payloads under smallPayload are copied
	// together: a peer that sends single bytes must not make the queue cost
	// a thousand times what the window allows.
	coalesceAbove = 32 << 10
	smallPayload  = 512
	coalesceSize  = 4096 - link.Headroom
)

func (q *recvQueue) last() *received { return &q.ring[int(q.head+q.n-1)&(len(q.ring)-1)] }

// push takes the payload p.
func (q *recvQueue) push(p *link.Packet) {
	n := p.Len()
	if n == 0 {
		p.Release()
		return
	}
	q.bytes += n
	if n <= smallPayload && q.cost > coalesceAbove {
		if q.n > 0 && q.last().p.Tailroom() >= n {
			p.CopyTo(q.last().p.Put(n))
			p.Release()
			return
		}
		c := link.NewPacket(coalesceSize)
		c.Trim(p.CopyTo(c.Bytes()))
		p.Release()
		q.append(received{c, coalesceSize + link.Headroom})
		return
	}
	q.append(received{p, p.Cost()})
}

func (q *recvQueue) append(r received) {
	if int(q.n) == len(q.ring) {
		ring := make([]received, max(4, 2*len(q.ring)))
		for i := range q.n {
			ring[i] = q.ring[int(q.head+i)&(len(q.ring)-1)]
		}
		q.ring, q.head = ring, 0
	}
	q.n++
	*q.last() = r
	q.cost += r.cost
}

// pop takes the oldest packet, nil when there is none.
func (q *recvQueue) pop() *link.Packet {
	if q.n == 0 {
		return nil
	}
	r := q.ring[q.head]
	q.ring[q.head] = received{}
	q.head = (q.head + 1) & int32(len(q.ring)-1)
	q.n--
	q.cost -= r.cost
	q.bytes -= r.p.Len()
	return r.p
}

// read copies to b what is there and releases what it has emptied.
func (q *recvQueue) read(b []byte) int {
	total := 0
	for q.n > 0 && len(b) > 0 {
		p := q.ring[q.head].p
		n := p.Read(b)
		q.bytes -= n
		b, total = b[n:], total+n
		if p.Len() == 0 {
			q.pop().Release()
		}
	}
	return total
}

// shed gives up the ring if it is empty.
func (q *recvQueue) shed() {
	if q.n == 0 {
		q.ring, q.head = nil, 0
	}
}

func (q *recvQueue) release() {
	for p := q.pop(); p != nil; p = q.pop() {
		p.Release()
	}
	q.ring = nil
}

// receiver is the receiving half of a connection (RFC 9293 section 3.3.1).
type receiver struct {
	irs   Seq
	nxt   Seq
	edge  Seq   // right edge of the advertised window; never moves left
	fin   Seq   // sequence number of the peer's FIN, if finSeen
	limit int   // bytes that may wait for the reader
	mss   int32 // payload of the peer's full segments, estimated from what arrives
	scale uint8 // Rcv.Wind.Shift
	fixed bool  // the user has said what limit is

	finSeen bool
	eof     bool // the FIN has had its turn: nothing follows

	queue  recvQueue
	ofo    reassembly
	blocks *blocks  // of ofo, for the peer; nil until there are some
	tune   *rcvTune // of a bulk stream
}

// start sets up the half from the peer's SYN.
func (r *receiver) start(irs Seq) {
	r.irs, r.nxt = irs, irs+1
	r.edge = r.nxt.Add(min(r.limit, 0xffff)) // as in our SYN
}

// window returns how many octets the peer may send now (RCV.WND).
func (r *receiver) window() int { return r.edge.Sub(r.nxt) }

// read returns the sequence number of the first octet that nobody has read.
func (r *receiver) read() Seq { return r.nxt.Add(-r.queue.bytes) }

// free returns the window that memory allows: the packets that wait may cost three
// times what the limit is for their payload, so that short ones, which cost more than
// that, close the window sooner (what Linux counts in truesize).
func (r *receiver) free() int {
	return min(max(r.limit-max(r.queue.bytes, r.queue.cost/3), 0), 0xffff<<r.scale)
}

// advance moves the right edge as far as memory allows, but by no less than a
// segment or half of the buffer: silly window avoidance (RFC 9293 section
// 3.8.6.2.2). It returns the window to advertise. The scale rounds that down in
// the header, so that the edge may seem to move left by less than its unit; up
// to the edge itself data stays acceptable, as RFC 7323 section 2.4 asks.
// (Rounding up, a window that is used byte by byte would never close.)
func (r *receiver) advance() int {
	edge := r.nxt.Add(r.free())
	if edge.Sub(r.edge) >= min(r.limit/2, max(int(r.mss), 1)) {
		r.edge = edge
	}
	return r.window()
}

// acceptable reports whether a segment has a place in the window (RFC 9293
// section 3.10.7.4, first check). As in Linux the right edge itself is
// acceptable: a peer that has filled the window acknowledges from there, and
// with a window of zero ACKs, RSTs and URGs still count.
func (r *receiver) acceptable(seq Seq, n int) bool {
	if n == 0 {
		return r.nxt.LessEq(seq) && seq.LessEq(r.edge)
	}
	return r.nxt.Less(seq.Add(n)) && seq.LessEq(r.edge)
}

// observe updates the estimate of the peer's segment size.
func (r *receiver) observe(n int) {
	if n > int(r.mss) {
		r.mss = int32(n)
	}
}

// data takes the payload p that begins at seq, trimmed already to the window.
// It reports whether RCV.NXT moved; otherwise p went past a gap or, with a
// reason, was refused and is still the caller's.
func (r *receiver) data(seq Seq, p *link.Packet) (moved bool, refused link.DropReason, ok bool) {
	if seq != r.nxt {
		reason, ok := r.ofo.insert(seq, p, 2*r.limit)
		return false, reason, ok
	}
	r.nxt = r.nxt.Add(p.Len())
	r.queue.push(p)
	if !r.ofo.empty() {
		r.nxt = r.ofo.advance(r.nxt, &r.queue)
	}
	return true, 0, true
}

// consumeFIN steps over the peer's FIN once everything before it is there.
func (r *receiver) consumeFIN() bool {
	if !r.finSeen || r.fin != r.nxt {
		return false
	}
	r.nxt++
	r.finSeen, r.eof = false, true
	r.edge = maxSeq(r.edge, r.nxt)
	return true
}

func (r *receiver) release() {
	r.queue.release()
	r.ofo.release()
}
