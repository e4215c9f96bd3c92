package tcp

// selective takes in the blocks of an ACK (RFC 2018 section 5, RFC 6675's Update).
// What they cover is marked, in whole segments only: a peer that acknowledges
// odd octets must not make as many entries of them.
func (l *loss) selective(q *sentQueue, blocks []SACKBlock, ack Seq, e *rtt, a *round) {
	r := l.r
	if len(blocks) == 0 || ack.Less(a.prior.Add(-a.maxWnd)) {
		return
	}
	dup := r.duplicate(blocks, ack, a)
	var valid [maxSACKBlocks]SACKBlock
	n := 0
	for i, b := range blocks {
		isDup := dup && i == 0
		switch {
		case !r.valid(b, isDup, a):
			r.invalid(b, isDup, ack, a)
		case !a.prior.Less(b.End): // old
		case isDup:
			l.duplicateAbove(q, b, a)
		default:
			valid[n] = b
			n++
		}
	}
	if r.sacked == 0 {
		r.high, r.seen = a.una, [maxSACKBlocks]SACKBlock{}
	}
	sortBlocks(valid[:n])
	for _, b := range valid[:n] {
		l.sackBlock(q, b, e, a)
	}
	r.seen = valid
	if l.phase != phaseLoss || r.undo.on {
		r.late(a.low, a)
	}
	a.low = a.nxt
}

// duplicate reports whether the first block is a D-SACK, and counts it (RFC 2883
// section 4).
func (r *recovery) duplicate(blocks []SACKBlock, ack Seq, a *round) bool {
	first := blocks[0]
	switch {
	case first.Start.Less(ack):
		r.stats.add(dsackRecv)
	case len(blocks) > 1 && !blocks[1].End.Less(first.End) && !first.Start.Less(blocks[1].Start):
		r.stats.add(dsackOFORecv)
	default:
		return false
	}
	n := first.End.Sub(first.Start)
	if n <= 0 || n > a.maxWnd || r.dsackDups > r.retransmitted {
		// More than were ever sent twice: the network's doing, or a lie.
		r.stats.add(dsackIgnoredDubious)
		return false
	}
	segments := int32((n + a.mss - 1) / a.mss)
	r.dsackDups += segments
	a.dsack = true
	a.dsackTLP = r.probe.on && r.probe.retrans && first.End == r.probe.high
	u := &r.undo
	if u.on && u.retrans > 0 && first.End.LessEq(a.prior) && u.marker.Less(first.End) {
		u.retrans = max(u.retrans-segments, 0)
	}
	return true
}

// duplicateAbove accounts for a D-SACK past SND.UNA.
func (l *loss) duplicateAbove(q *sentQueue, b SACKBlock, a *round) {
	u := &l.r.undo
	for i := q.find(b.Start); i < q.len(); i++ {
		x := q.at(i)
		if b.End.LessEq(x.start) {
			return
		}
		if x.sent > 1 && u.on && u.retrans > 0 && u.marker.Less(x.end) {
			n := minSeq(b.End, x.end).Sub(maxSeq(b.Start, x.start))
			u.retrans = max(u.retrans-int32((n+a.mss-1)/a.mss), 0)
			if x.sacked {
				a.low = minSeq(a.low, x.start)
			}
		}
	}
}

// valid reports whether the peer can mean b: something between SND.UNA and
// SND.NXT or, of a D-SACK, something that was sent since the window was reduced
// last (Linux's tcp_is_sackblock_valid; RFC 5961's rule for ACKs).
func (r *recovery) valid(b SACKBlock, dup bool, a *round) bool {
	switch {
	case a.nxt.Less(b.End) || !b.Start.Less(b.End) || !b.Start.Less(a.nxt):
		return false
	case a.una.Less(b.Start):
		return true
	case !dup || !r.undo.on || a.una.Less(b.End):
		return false
	case r.undo.marker.LessEq(b.Start):
		return true
	}
	return r.undo.marker.Less(b.End) && b.End.Add(-a.maxWnd).LessEq(b.Start)
}

func (r *recovery) invalid(b SACKBlock, dup bool, ack Seq, a *round) {
	switch {
	case dup && r.undo.on:
		r.stats.add(dsackIgnoredOld)
	case dup:
		r.stats.add(dsackIgnoredNoUndo)
	case ack != a.una && b.End.LessEq(a.una): // an ACK that was overtaken
	default:
		r.stats.add(sackDiscard)
	}
}

// sackBlock marks what b covers.
func (l *loss) sackBlock(q *sentQueue, b SACKBlock, e *rtt, a *round) {
	for i := q.find(b.Start); i < q.len(); i++ {
		x := q.at(i)
		if b.End.LessEq(x.start) {
			return
		}
		if x.sacked {
			// What the last ACK said already is passed over at once.
			if end, ok := l.r.known(x); ok {
				i = max(i, q.find(minSeq(end, b.End))-1)
			}
			continue
		}
		if x.start.Less(b.Start) {
			cut := x.start.Add(roundUp(b.Start.Sub(x.start), a.mss))
			switch {
			case !cut.Less(x.end):
				continue
			case b.End.Less(x.end) && b.End.Sub(cut) < a.mss:
				return // no whole one
			}
			q.split(i, cut)
			continue // with the rest
		}
		end := x.end
		if b.End.Less(x.end) {
			end = x.start.Add(b.End.Sub(x.start) / a.mss * a.mss)
			if end == x.start {
				return
			}
		}
		l.sackPart(x, end, e, a)
		switch {
		case end == x.end:
		case i > 0 && q.at(i-1).sacked:
			// A block that grows takes from what follows.
			l.r.stats.add(sackShifted)
			p := q.at(i - 1)
			p.end, p.sent = end, max(p.sent, x.sent)
			p.lost, p.retrans = false, false
			x.start = end
			continue
		default:
			q.split(i, end)
			x = q.at(i)
		}
		x.sacked, x.lost, x.retrans = true, false, false
	}
}

// sackPart accounts for the part of x before end, which the peer holds now.
func (l *loss) sackPart(x *sentSegment, end Seq, e *rtt, a *round) {
	r := l.r
	n := end.Sub(x.start)
	r.rack.delivered(x, end, e, a.at)
	if x.sent == 1 {
		// It was in a hole and was not sent again: it is late.
		if x.start.Less(r.high) {
			a.low = minSeq(a.low, x.start)
		}
		a.original = a.original || end.LessEq(l.recover)
		if a.firstSack == 0 {
			a.firstSack = x.at
		}
	}
	if x.lost {
		l.lost -= int32(n)
	}
	if x.retrans {
		r.retrans -= n
	}
	r.sacked += n
	a.delivered += n
	a.sacked = true
	r.high = maxSeq(r.high, end)
}

// known returns the end of the block of the last ACK that covers x.
func (r *recovery) known(x *sentSegment) (end Seq, ok bool) {
	for _, b := range r.seen {
		if b.Start.LessEq(x.start) && x.end.LessEq(b.End) && b.Start != b.End {
			return b.End, true
		}
	}
	return 0, false
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }
