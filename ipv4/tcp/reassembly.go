package tcp

import "github.com/tapstack/tapstack/link"

// piece is a segment that arrived before its turn.
type piece struct {
	seq Seq
	p   *link.Packet // payload only
}

func (x *piece) end() Seq { return x.seq.Add(x.p.Len()) }

// reassembly holds data past a gap, sorted and without overlap, limited in
// memory. It owns its packets.
type reassembly struct {
	pieces []piece
	cost   int // sum of the packets' Cost
}

// insert takes the payload p, which begins at seq, past what is expected next.
// What is held already is cut from it. It reports whether p brought anything
// new; limit bounds the memory in bytes, and p is refused where it would be
// passed.
func (r *reassembly) insert(seq Seq, p *link.Packet, limit int) (link.DropReason, bool) {
	// Most arrive in order behind a single gap: search from the back.
	i := len(r.pieces)
	for i > 0 && seq.Less(r.pieces[i-1].seq) {
		i--
	}
	if i > 0 { // cut the front by the predecessor
		if over := r.pieces[i-1].end().Sub(seq); over > 0 {
			if over >= p.Len() {
				return link.TCPOldData, false
			}
			p.Skip(over)
			seq = seq.Add(over)
		}
	}
	if r.cost+p.Cost() > limit {
		return link.TCPOfoDrop, false
	}
	// Successors: those that p covers go, the next cuts p's back.
	end := seq.Add(p.Len())
	j := i
	for j < len(r.pieces) && r.pieces[j].end().LessEq(end) {
		r.cost -= r.pieces[j].p.Cost()
		r.pieces[j].p.Release()
		j++
	}
	if j < len(r.pieces) {
		if keep := r.pieces[j].seq.Sub(seq); keep < p.Len() {
			if keep == 0 {
				return link.TCPOldData, false // j == i: nothing was removed
			}
			p.Trim(keep)
		}
	}
	r.cost += p.Cost()
	if j > i {
		r.pieces[i] = piece{seq, p}
		r.remove(i+1, j)
		return 0, true
	}
	r.pieces = append(r.pieces, piece{})
	copy(r.pieces[i+1:], r.pieces[i:])
	r.pieces[i] = piece{seq, p}
	return 0, true
}

func (r *reassembly) remove(i, j int) {
	if i == j {
		return
	}
	k := copy(r.pieces[i:], r.pieces[j:])
	clear(r.pieces[i+k:])
	r.pieces = r.pieces[:i+k]
}

// advance moves what follows nxt without a gap to q and returns the new nxt.
func (r *reassembly) advance(nxt Seq, q *recvQueue) Seq {
	n := 0
	for n < len(r.pieces) && r.pieces[n].seq.LessEq(nxt) {
		x := r.pieces[n]
		n++
		r.cost -= x.p.Cost()
		if x.end().LessEq(nxt) {
			x.p.Release()
			continue
		}
		x.p.Skip(nxt.Sub(x.seq))
		nxt = nxt.Add(x.p.Len())
		q.push(x.p)
	}
	r.remove(0, n)
	if len(r.pieces) == 0 && cap(r.pieces) > 64 {
		r.pieces = nil
	}
	return nxt
}

// overlap returns what of the octets from seq up to end is held already: from the
// first to the last of them.
func (r *reassembly) overlap(seq, end Seq) (b SACKBlock, ok bool) {
	i := len(r.pieces)
	for i > 0 && seq.Less(r.pieces[i-1].end()) {
		i--
	}
	for ; i < len(r.pieces) && r.pieces[i].seq.Less(end); i++ {
		x := &r.pieces[i]
		if !ok {
			b.Start, ok = maxSeq(seq, x.seq), true
		}
		b.End = minSeq(end, x.end())
	}
	return b, ok
}

func (r *reassembly) empty() bool { return len(r.pieces) == 0 }

// release gives up everything.
func (r *reassembly) release() {
	for i := range r.pieces {
		r.pieces[i].p.Release()
	}
	*r = reassembly{}
}
