package link

// Append puts b, a part of c, behind the packet's bytes, as part of its body. It
// takes over one reference to c. From now on Put is out of bounds.
func (p *Packet) Append(c *Chunk, b []byte) {
	p.body = append(p.body, piece{b, c})
	p.bodyLen += len(b)
}

// HasBody reports whether Bytes is not all there is.
func (p *Packet) HasBody() bool { return p.bodyLen > 0 }

// Pieces calls f with the packet's bytes from front to back, piece by piece,
// until it returns false. The slices are read-only and die with the packet.
func (p *Packet) Pieces(f func(b []byte) bool) {
	if p.head < p.tail && !f(p.Bytes()) {
		return
	}
	for _, x := range p.body {
		if !f(x.b) {
			return
		}
	}
}

// NumPieces returns how many pieces there are, Bytes among them even if it is
// empty; Piece returns the i-th.
func (p *Packet) NumPieces() int { return 1 + len(p.body) }

// Piece returns the i-th piece: Bytes, then those of the body.
func (p *Packet) Piece(i int) []byte {
	if i == 0 {
		return p.Bytes()
	}
	return p.body[i-1].b
}

// Chunk returns the memory that the i-th piece is a part of, nil for the packet's
// own. Who wants to keep it retains it.
func (p *Packet) Chunk(i int) *Chunk {
	if i == 0 {
		return nil
	}
	return p.body[i-1].chunk
}

// CopyTo copies the first len(b) bytes to b, fewer when there are fewer, and
// returns how many.
func (p *Packet) CopyTo(b []byte) int {
	n := copy(b, p.Bytes())
	for i := 0; i < len(p.body) && n < len(b); i++ {
		n += copy(b[n:], p.body[i].b)
	}
	return n
}

// Read moves bytes from the front to b, as many as fit, and returns how many.
func (p *Packet) Read(b []byte) int {
	n := p.CopyTo(b)
	p.Skip(n)
	return n
}

// Skip takes n bytes off the front, wherever they are. It panics when there are
// fewer.
func (p *Packet) Skip(n int) {
	k := min(n, p.tail-p.head)
	p.Pull(k)
	n -= k
	i := 0
	for ; n > 0; i++ {
		x := &p.body[i]
		if n < len(x.b) {
			x.b = x.b[n:]
			p.bodyLen -= n
			break
		}
		n -= len(x.b)
		p.bodyLen -= len(x.b)
		x.chunk.Release()
	}
	if i > 0 {
		k := copy(p.body, p.body[i:])
		clear(p.body[k:])
		p.body = p.body[:k]
	}
}

// trimBody takes n bytes, fewer than there are, off the end of the body.
func (p *Packet) trimBody(n int) {
	p.bodyLen -= n
	for n > 0 {
		x := &p.body[len(p.body)-1]
		if n < len(x.b) {
			x.b = x.b[:len(x.b)-n]
			return
		}
		n -= len(x.b)
		x.chunk.Release()
		*x = piece{}
		p.body = p.body[:len(p.body)-1]
	}
}

func (p *Packet) releaseBody() {
	for i := range p.body {
		p.body[i].chunk.Release()
		p.body[i] = piece{}
	}
	p.body, p.bodyLen = p.body[:0], 0
}

// Linearize copies the body into the packet's own memory, so that Bytes is all
// there is and may be written. Slices of the packet taken before are stale.
func (p *Packet) Linearize() {
	if p.bodyLen == 0 {
		return
	}
	n := p.bodyLen
	if len(p.buf)-p.tail < n {
		// Offsets stay as they are.
		q := NewPacket(max(p.tail+n-Headroom, 0))
		copy(q.buf, p.buf[:p.tail])
		p.view, p.buf, q.view, q.buf = q.view, q.buf, p.view, p.buf
		q.Release()
	}
	at := p.tail
	for _, x := range p.body {
		at += copy(p.buf[at:], x.b)
	}
	p.releaseBody()
	p.tail = at
}
