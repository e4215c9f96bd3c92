package tcp

// Seq is a sequence number. Sequence space is circular: comparisons hold for
// numbers less than 2^31 apart (RFC 9293 section 3.4).
type Seq uint32

// Less reports whether s comes before t.
func (s Seq) Less(t Seq) bool { return int32(s-t) < 0 }

// LessEq reports whether s comes before t or is t.
func (s Seq) LessEq(t Seq) bool { return int32(s-t) <= 0 }

// Add returns the number n octets after s; n may be negative.
func (s Seq) Add(n int) Seq { return s + Seq(n) }

// Sub returns how many octets s comes after t, negative when it comes before.
func (s Seq) Sub(t Seq) int { return int(int32(s - t)) }

// In reports whether s lies in the n octets from first on.
func (s Seq) In(first Seq, n int) bool { return uint32(s-first) < uint32(n) }

func maxSeq(a, b Seq) Seq {
	if a.Less(b) {
		return b
	}
	return a
}

func minSeq(a, b Seq) Seq {
	if b.Less(a) {
		return b
	}
	return a
}
