package ipv4

import (
	"container/list"
	"net/netip"
	"slices"
	"sort"
	"time"

	"github.com/tapstack/tapstack/link"
)

// reassembler puts fragments together (RFC 791, section 3.2). It is pure: it has
// no clock and no lock, and returns what is to be done.
type reassembler struct {
	datagrams map[datagramKey]*datagram
	order     list.List // of *datagram, by deadline
	sources   map[netip.Addr]*fragmentSource
	memory    int // of the fragments that wait by their Cost, and datagramCost for each datagram
}

// datagramCost is what a datagram is charged besides its fragments: what its
// entry, that of its source and those in the maps take.
const datagramCost = 512

// datagramKey names a datagram (RFC 791, section 3.2).
type datagramKey struct {
	src, dst netip.Addr
	id       uint16
	protocol uint8
}

// datagram is one whose fragments wait.
type datagram struct {
	key      datagramKey
	deadline time.Time
	pieces   []piece // by offset, not overlapping
	in       int     // index of the interface that received the newest fragment
	length   int     // of the data as far as known
	last     bool    // length is final
	arrived  int     // bytes of data
	maxSize  int     // longest fragment, for the DF bit
	maxDF    int     // longest fragment with DF
	ecn      uint8   // code points seen, a bit each
	stamp    uint32  // of the source, at the newest fragment
	order    *list.Element
	source   *fragmentSource
}

// piece is a fragment: its packet, front at the IPv4 header, and which bytes of
// the datagram's data it holds.
type piece struct {
	start, end int
	// joined says that this piece came next after the one in front of it. Linux
	// keeps such pieces as one run, and what lies inside a run is a duplicate.
	joined bool
	p      *link.Packet
}

// fragmentSource counts the fragments that a host has sent, while some of them
// wait: when many came between two of a datagram, its identification may have
// wrapped around, and the two belong to different datagrams.
type fragmentSource struct {
	stamp     uint32
	datagrams int
}

// fragmentLimits are the sysctls as they are at a fragment's arrival.
type fragmentLimits struct {
	timeout time.Duration
	memory  int    // bytes, net.ipv4.ipfrag_high_thresh; 0: no reassembly
	maxDist uint32 // net.ipv4.ipfrag_max_dist, 0: any
}

// fragmentResult is what comes of a fragment.
type fragmentResult struct {
	whole   *link.Packet // the datagram, if it is complete now
	dropped link.Queue   // fragments that are of no use
	reason  link.DropReason
	failed  int  // datagrams given up
	overlap bool // because fragments overlap
}

// add takes a fragment, front at the IPv4 header h, no longer than h says.
func (r *reassembler) add(h Header, p *link.Packet, now time.Time, limits fragmentLimits) (res fragmentResult) {
	// Linux refuses fragments while too much waits, rather than throw away
	// what has waited longest: a flood would push out every honest datagram.
	if limits.memory == 0 || r.memory > limits.memory {
		res.refuse(p, link.FragMemory)
		res.failed++
		return res
	}
	d := r.datagram(h, now.Add(limits.timeout))
	r.tooFar(d, now.Add(limits.timeout), limits.maxDist, &res)
	start, end := h.FragmentOffset, h.FragmentOffset+p.Len()-h.Len()
	if h.MF {
		end &^= 7 // only the last has a length that is no multiple of 8
	}
	if reason := d.fits(start, end, !h.MF); reason != link.NotSpecified {
		res.refuse(p, reason)
		r.discard(d, &res, reason)
		return res
	}
	switch reason := d.insert(piece{start: start, end: end, p: p}); reason {
	case link.NotSpecified:
	case link.DupFrag:
		res.refuse(p, reason)
		return res
	default:
		// RFC 5722: who overlaps is up to no good; Linux applies it to IPv4.
		res.refuse(p, reason)
		res.overlap = true
		r.discard(d, &res, reason)
		return res
	}
	r.memory += p.Cost()
	d.note(h, p, h.Len()+end-start)
	if !d.last || d.arrived != d.length {
		return res
	}
	r.complete(d, &res)
	return res
}

// tooFar empties a datagram whose newest fragment many others of its source have
// followed: its identification may have come round since (Linux's
// ip_frag_too_far).
func (r *reassembler) tooFar(d *datagram, deadline time.Time, maxDist uint32, res *fragmentResult) {
	before := d.stamp
	d.source.stamp++
	d.stamp = d.source.stamp
	if len(d.pieces) == 0 || maxDist == 0 || d.stamp-before <= maxDist {
		return
	}
	for _, f := range d.pieces {
		r.memory -= f.p.Cost()
		res.refuse(f.p, link.FragTooFar)
	}
	res.failed++
	d.pieces, d.arrived, d.length, d.last, d.ecn, d.maxSize = nil, 0, 0, false, 0, 0
	r.order.Remove(d.order)
	r.schedule(d, deadline)
}

func (res *fragmentResult) refuse(p *link.Packet, reason link.DropReason) {
	res.dropped.Queue(p)
	res.reason = reason
}

// datagram returns the datagram that h is a fragment of, a new one if need be.
func (r *reassembler) datagram(h Header, deadline time.Time) *datagram {
	key := datagramKey{h.Src, h.Dst, h.ID, h.Protocol}
	if d := r.datagrams[key]; d != nil {
		return d
	}
	if r.datagrams == nil {
		r.datagrams = make(map[datagramKey]*datagram)
		r.sources = make(map[netip.Addr]*fragmentSource)
	}
	src := r.sources[h.Src]
	if src == nil {
		src = new(fragmentSource)
		r.sources[h.Src] = src
	}
	src.datagrams++
	d := &datagram{key: key, source: src}
	r.schedule(d, deadline)
	r.datagrams[key] = d
	r.memory += datagramCost
	return d
}

// schedule puts d in its place of the order.
func (r *reassembler) schedule(d *datagram, deadline time.Time) {
	d.deadline = deadline
	// Deadlines come in order unless ipfrag_time has just become shorter.
	at := r.order.Back()
	for at != nil && at.Value.(*datagram).deadline.After(deadline) {
		at = at.Prev()
	}
	if at == nil {
		d.order = r.order.PushFront(d)
	} else {
		d.order = r.order.InsertAfter(d, at)
	}
}

// fits notes how long the datagram is and checks that all fragments agree.
// Whether it is too long is seen when it is complete, as with Linux.
func (d *datagram) fits(start, end int, last bool) link.DropReason {
	switch {
	case last && (end < d.length || d.last && end != d.length), !last && d.last && end > d.length:
		return link.FragOverlap // beyond the end
	case end == start:
		return link.IPInHdr
	}
	d.length = max(d.length, end)
	d.last = d.last || last
	return link.NotSpecified
}

// insert places a piece among the others. It is Linux's
// inet_frag_queue_insert: bytes of a run may come again, anything else that
// overlaps may not.
func (d *datagram) insert(n piece) link.DropReason {
	end := 0
	if k := len(d.pieces); k > 0 {
		end = d.pieces[k-1].end
	}
	if n.end > end { // fragments come in order nearly always
		if n.start < end {
			return link.FragOverlap
		}
		n.joined = n.start == end && end > 0
		d.pieces = append(d.pieces, n)
		d.arrived += n.end - n.start
		return link.NotSpecified
	}
	at := sort.Search(len(d.pieces), func(k int) bool { return d.pieces[k].end > n.start })
	if n.end > d.pieces[at].start {
		if d.holds(at, n) {
			return link.DupFrag
		}
		return link.FragOverlap
	}
	d.pieces = slices.Insert(d.pieces, at, n)
	d.arrived += n.end - n.start
	return link.NotSpecified
}

// holds reports whether the run with the piece at has all bytes of n.
func (d *datagram) holds(at int, n piece) bool {
	if d.pieces[at].start > n.start {
		return false
	}
	for d.pieces[at].end < n.end {
		if at++; at == len(d.pieces) || !d.pieces[at].joined {
			return false
		}
	}
	return true
}

// note remembers of a fragment what concerns the whole header.
func (d *datagram) note(h Header, p *link.Packet, size int) {
	d.in = p.In
	d.maxSize = max(d.maxSize, size)
	if h.DF {
		d.maxDF = max(d.maxDF, size)
	}
	d.ecn |= 1 << (h.TOS & 3)
}

// Code points of ECN (RFC 3168, section 5).
const (
	ecnNotECT = 0
	ecnCE     = 3
)

// mergedECN returns the code point of the whole (RFC 3168, section 5.3): CE if
// any fragment has it; ok is false when some fragments support ECN and others
// do not.
func (d *datagram) mergedECN(first uint8) (ecn uint8, ok bool) {
	if d.ecn&(1<<ecnNotECT) != 0 {
		return ecnNotECT, d.ecn == 1<<ecnNotECT
	}
	if d.ecn&(1<<ecnCE) != 0 {
		return ecnCE, true
	}
	return first & 3, true
}

// complete puts the pieces of d together into one packet.
func (r *reassembler) complete(d *datagram, res *fragmentResult) {
	first := d.pieces[0].p
	h, err := Parse(first.Bytes())
	ecn, ok := d.mergedECN(h.TOS)
	n := h.Len()
	switch {
	case err != nil || !ok:
		r.discard(d, res, link.IPInHdr)
		return
	case n+d.length > MaxPacketLen:
		r.discard(d, res, link.FragTooFar)
		return
	}
	w := link.NewPacket(n + d.length)
	b := w.Bytes()
	for _, f := range d.pieces {
		skip := int(f.p.Bytes()[0]&15) * 4
		copy(b[n+f.start:n+f.end], f.p.Bytes()[skip:])
	}
	h.TOS = h.TOS&^3 | ecn
	h.TotalLen, h.MF, h.FragmentOffset = len(b), false, 0
	// The whole must not be fragmented again if its longest piece must not be
	// (Linux's max_df_size).
	h.DF = d.maxDF == d.maxSize
	h.Put(b)
	w.SetNetworkHeader()
	w.EtherType, w.Type, w.In = first.EtherType, first.Type, d.in
	r.remove(d)
	for _, f := range d.pieces {
		f.p.Release()
	}
	res.whole = w
}

// remove forgets d, whose pieces are the caller's then.
func (r *reassembler) remove(d *datagram) {
	delete(r.datagrams, d.key)
	r.order.Remove(d.order)
	r.memory -= datagramCost
	for _, f := range d.pieces {
		r.memory -= f.p.Cost()
	}
	if d.source.datagrams--; d.source.datagrams == 0 {
		delete(r.sources, d.key.src)
	}
}

func (r *reassembler) discard(d *datagram, res *fragmentResult, reason link.DropReason) {
	r.remove(d)
	for _, f := range d.pieces {
		res.refuse(f.p, reason)
	}
	res.reason = reason
	res.failed++
}

// expired removes a datagram whose time is up. The first fragment is apart, nil
// if it never came: its sender is to be told. ok is false when none is left;
// next is the earliest deadline of those that stay, zero for none.
func (r *reassembler) expired(now time.Time) (first *link.Packet, rest link.Queue, next time.Time, ok bool) {
	e := r.order.Front()
	if e == nil {
		return nil, rest, time.Time{}, false
	}
	d := e.Value.(*datagram)
	if d.deadline.After(now) {
		return nil, rest, d.deadline, false
	}
	r.remove(d)
	for _, f := range d.pieces {
		if f.start == 0 {
			first = f.p
			first.In = d.in
		} else {
			rest.Queue(f.p)
		}
	}
	return first, rest, time.Time{}, true
}
