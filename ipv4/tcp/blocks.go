package tcp

// blocks is what the next ACKs tell the peer about data past a gap: the blocks of
// reassembly, the one that grew last first (RFC 2018 section 4), and a duplicate
// to report (RFC 2883).
type blocks struct {
	held      [maxSACKBlocks]SACKBlock
	n         int
	duplicate SACKBlock // empty: none
}

// blocksFor makes sure that there are blocks.
func (r *receiver) blocksFor() *blocks {
	if r.blocks == nil {
		r.blocks = new(blocks)
	}
	return r.blocks
}

// sacks takes note that the octets from seq up to end were stored: past a gap, or
// with moved at its front.
func (r *receiver) sacks(seq, end Seq, moved bool) {
	if !moved {
		r.blocksFor().add(SACKBlock{seq, end})
		return
	}
	if r.blocks != nil {
		r.blocks.forget(r.nxt)
	}
}

// shedBlocks gives up the blocks if there is nothing to tell.
func (r *receiver) shedBlocks() {
	if b := r.blocks; b != nil && b.n == 0 && b.duplicate.Start == b.duplicate.End {
		r.blocks = nil
	}
}

// add puts x, together with what it touches, to the front.
func (b *blocks) add(x SACKBlock) {
	k := 0
	for _, y := range b.held[:b.n] {
		if y.Start.LessEq(x.End) && x.Start.LessEq(y.End) {
			x = SACKBlock{minSeq(x.Start, y.Start), maxSeq(x.End, y.End)}
			continue
		}
		b.held[k] = y
		k++
	}
	k = min(k, maxSACKBlocks-1) // the one that grew longest ago is left out
	copy(b.held[1:], b.held[:k])
	b.held[0] = x
	b.n = k + 1
}

// forget removes what comes before nxt, as it is acknowledged.
func (b *blocks) forget(nxt Seq) {
	k := 0
	for _, y := range b.held[:b.n] {
		if nxt.Less(y.End) {
			b.held[k] = y
			k++
		}
	}
	b.n = k
}

// put writes to o what there is to tell, unless it does not fit into room octets,
// which the data of a segment has left; alone says that there is no data. It
// reports false if something remains to be told.
func (b *blocks) put(o *Options, room int, alone bool) bool {
	n := b.n
	dup := b.duplicate.Start != b.duplicate.End
	if dup {
		n++
	}
	if n == 0 {
		return true
	}
	limit := maxSACKBlocks
	if o.HasTimestamps {
		limit--
	}
	n = min(n, limit)
	if !alone && room < 4+8*n {
		return false
	}
	k := 0
	if dup {
		o.SACK[0] = b.duplicate
		k = 1
		b.duplicate = SACKBlock{}
	}
	copy(o.SACK[k:n], b.held[:n-k])
	o.NumSACK = n
	return true
}
