package link

import (
	"fmt"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
)

// Headroom is the number of bytes that NewPacket keeps free in front of the
// data: virtio-net header 12, Ethernet 14, IPv4 60 and TCP 60, rounded up. Any
// header the stack adds fits without a copy.
const Headroom = 160

// Packet is a frame, or the part of it that the current layer sees: a piece of
// memory of its own with room in front for the headers that lower layers add,
// and behind it, in large TCP segments only, a body of further pieces that it
// shares with others (see Append). Its operations are those of Linux's sk_buff:
// Push and Pull move the front, Put and Trim the back.
//
// Headers are always in the packet's own memory, which is what Bytes shows.
// Whoever needs the rest too asks for it: Len and Copy count the body, Read and
// Pieces walk over it, Linearize ends it.
//
// A Packet has one owner (see the package documentation) and is not safe for
// concurrent use. Memory is reused: the bytes that NewPacket, Push and Put
// uncover are stale, and who uncovers them writes them all.
type Packet struct {
	view       *buffer.View
	buf        []byte
	head, tail int
	network    int
	transport  int
	body       []piece
	bodyLen    int
	csumStart  int // where in buf a partial checksum begins
	csumOffset int // and how far behind that its field is
	next       *Packet
	owner      Owner // nil: nobody
	charge     int   // what owner is charged

	// EtherType is the protocol of the network header: set from the Ethernet
	// header on input, by the network layer on output.
	EtherType EtherType
	// Type is how the received frame was addressed.
	Type PacketType
	// Confirm says that the sender has fresh evidence that the next hop works;
	// the neighbour layer takes note when it transmits the packet (Linux's
	// dst_pending_confirm).
	Confirm bool
	// In is the index of the interface that received the packet, 0 for one
	// made by this host.
	In int
	// Batch is not nil while more frames may follow in a moment: who receives the
	// packet may put off until its end what can be done once for several.
	Batch *Batch
	// Checksum says who vouches for the transport checksum.
	Checksum ChecksumState
	// GSO is not GSONone for a super-segment: one set of headers for several
	// segments that carry GSOSize bytes of payload each, the last one perhaps
	// fewer.
	GSO     GSOType
	GSOSize int
	// FixedID says that the segments of a super-segment share one IPv4
	// identification. Otherwise they count up.
	FixedID bool
}

// piece is a part of a packet's body.
type piece struct {
	b     []byte
	chunk *Chunk
}

// Packets come from the pools with their memory, which is where it stays: 512
// bytes for what is short, 2048 for a full Ethernet frame. Longer ones borrow a
// view each time.
const (
	shortMemory = 512
	frameMemory = 2048
)

var (
	shortPackets = sync.Pool{New: func() any { return &Packet{view: buffer.NewViewSize(shortMemory)} }}
	framePackets = sync.Pool{New: func() any { return &Packet{view: buffer.NewViewSize(frameMemory)} }}
	longPackets  = sync.Pool{New: func() any { return new(Packet) }}
	live         atomic.Int64
)

// LivePackets returns how many packets exist that nobody has released yet. A
// host that has closed holds none; tests assert it.
func LivePackets() int64 { return live.Load() }

// NewPacket returns a packet of n bytes, whose content is unspecified, behind
// Headroom free bytes.
func NewPacket(n int) *Packet {
	var p *Packet
	switch size := Headroom + n; {
	case size <= shortMemory:
		p = shortPackets.Get().(*Packet)
	case size <= frameMemory:
		p = framePackets.Get().(*Packet)
	default:
		p = longPackets.Get().(*Packet)
		p.view = buffer.NewViewSize(size)
	}
	// NewViewSize has advanced the view's write index too; the offsets are ours,
	// so the view only lends its memory.
	p.buf, p.head, p.tail, p.network, p.transport = p.view.AsSlice(), Headroom, Headroom+n, -1, -1
	live.Add(1)
	return p
}

// NewPacketFrom returns a packet with a copy of b, behind Headroom free bytes.
func NewPacketFrom(b []byte) *Packet {
	p := NewPacket(len(b))
	copy(p.Bytes(), b)
	return p
}

// Release gives the packet's memory back. Releasing a packet twice panics: it
// has been somebody else's since the first time.
func (p *Packet) Release() {
	size := len(p.buf)
	if size == 0 {
		panic("link: packet released twice")
	}
	if len(p.body) > 0 {
		p.releaseBody()
	}
	// Field by field: NewPacket sets the others, and the memory stays.
	p.buf, p.head, p.tail, p.next = nil, 0, 0, nil
	p.EtherType, p.Type, p.Confirm, p.In, p.Batch = 0, Host, false, 0, nil
	p.Checksum, p.GSO, p.GSOSize, p.FixedID = ChecksumUnknown, GSONone, 0, false
	owner, charge := p.owner, p.charge
	p.owner, p.charge = nil, 0
	live.Add(-1)
	if owner != nil {
		owner.Uncharge(charge)
	}
	switch size {
	case shortMemory:
		shortPackets.Put(p)
	case frameMemory:
		framePackets.Put(p)
	default:
		p.view.Release()
		p.view = nil
		longPackets.Put(p)
	}
}

// Owner is a sender that is charged for what is on its way: a socket with a send
// buffer (Linux's sk_wmem_alloc).
type Owner interface {
	// Uncharge gives back what a packet was charged. It may be called with any
	// lock of a lower layer held.
	Uncharge(n int)
}

// SetOwner says that o has been charged n for the packet, until its release.
// Copies are nobody's.
func (p *Packet) SetOwner(o Owner, n int) { p.owner, p.charge = o, n }

// Orphan gives the charge back before the release: the packet has left the
// sender's host.
func (p *Packet) Orphan() {
	if o := p.owner; o != nil {
		p.owner = nil
		o.Uncharge(p.charge)
	}
}

// Copy returns an independent packet with the same bytes and marks. The copy
// has at least Headroom free bytes in front, memory of its own for what Bytes
// shows, and shares the body.
func (p *Packet) Copy() *Packet {
	q := NewPacket(p.tail - p.head)
	copy(q.Bytes(), p.Bytes())
	for _, x := range p.body {
		x.chunk.Retain()
		q.Append(x.chunk, x.b)
	}
	shift := q.head - p.head
	if p.network >= 0 {
		q.network = p.network + shift
	}
	if p.transport >= 0 {
		q.transport = p.transport + shift
	}
	q.EtherType, q.Type, q.Confirm, q.In = p.EtherType, p.Type, p.Confirm, p.In
	q.Checksum, q.GSO, q.GSOSize, q.FixedID = p.Checksum, p.GSO, p.GSOSize, p.FixedID
	q.csumStart, q.csumOffset = p.csumStart+shift, p.csumOffset
	return q
}

// Len returns the number of bytes between front and back, the body included.
func (p *Packet) Len() int { return p.tail - p.head + p.bodyLen }

// Bytes returns the bytes from the front to the back, or to where the body
// begins: of a packet with a body at least its headers. The slice aliases the
// packet and dies with it.
func (p *Packet) Bytes() []byte { return p.buf[p.head:p.tail:p.tail] }

// Headroom returns how many bytes Push can still take.
func (p *Packet) Headroom() int { return p.head }

// Push moves the front back by n bytes and returns those n bytes, to be
// written by the caller. It panics when there is no room, which Headroom rules
// out for the stack's own headers.
func (p *Packet) Push(n int) []byte {
	if n < 0 || n > p.head {
		panic(fmt.Sprintf("link: push of %d bytes with headroom %d", n, p.head))
	}
	p.head -= n
	return p.buf[p.head : p.head+n : p.head+n]
}

// Pull takes n bytes off the front and returns them. It panics when Bytes is
// shorter; the caller has parsed those bytes before.
func (p *Packet) Pull(n int) []byte {
	if n < 0 || n > p.tail-p.head {
		panic(fmt.Sprintf("link: pull of %d bytes from %d", n, p.tail-p.head))
	}
	b := p.buf[p.head : p.head+n : p.head+n]
	p.head += n
	return b
}

// Tailroom returns how many bytes Put can still take: none in front of a body.
func (p *Packet) Tailroom() int {
	if p.bodyLen > 0 {
		return 0
	}
	return len(p.buf) - p.tail
}

// Put moves the back by n bytes and returns those n bytes, to be written by
// the caller. It panics when there is no room.
func (p *Packet) Put(n int) []byte {
	if n < 0 || n > p.Tailroom() {
		panic(fmt.Sprintf("link: put of %d bytes with tailroom %d", n, p.Tailroom()))
	}
	p.tail += n
	return p.buf[p.tail-n : p.tail : p.tail]
}

// Trim cuts the packet to its first n bytes, for instance to drop Ethernet
// padding. A packet that is shorter already stays as it is.
func (p *Packet) Trim(n int) {
	if n < 0 || n >= p.Len() {
		return
	}
	if over := p.Len() - n; over < p.bodyLen {
		p.trimBody(over)
		return
	}
	p.releaseBody()
	p.tail = p.head + n
}

// SetNetworkHeader remembers that the network header starts at the front.
func (p *Packet) SetNetworkHeader() { p.network = p.head }

// SetTransportHeader remembers that the transport header starts at the front.
func (p *Packet) SetTransportHeader() { p.transport = p.head }

// NetworkHeader returns the bytes from the remembered network header to the
// end of Bytes, even if the front has moved past it, or nil when none is remembered.
func (p *Packet) NetworkHeader() []byte { return p.from(p.network) }

// TransportHeader returns the bytes from the remembered transport header to the
// end of Bytes, or nil when none is remembered.
func (p *Packet) TransportHeader() []byte { return p.from(p.transport) }

func (p *Packet) from(off int) []byte {
	if off < 0 || off > p.tail {
		return nil
	}
	return p.buf[off:p.tail:p.tail]
}

// RestoreNetworkHeader moves the front back to the remembered network header.
// It does nothing when none is remembered.
func (p *Packet) RestoreNetworkHeader() {
	if p.network >= 0 {
		p.head = p.network
	}
}

// Cost is what the packet is charged in a queue that is limited in bytes, in
// place of Linux's skb truesize: 832 up to 576 bytes, 2304 up to a full
// Ethernet frame, beyond that its length rounded up to 256 plus 768.
func (p *Packet) Cost() int {
	switch n := p.Len(); {
	case n <= 576:
		return 832
	case n <= 1514:
		return 2304
	default:
		return (n+255)&^255 + 768
	}
}
