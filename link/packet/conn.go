package packet

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/bpf"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/deadline"
)

// SocketConfig is what a socket begins with.
type SocketConfig struct {
	// Interface is the index of the one that is listened to, 0 for all.
	Interface int
	// Protocol is the EtherType that is listened to; 0 is All.
	Protocol link.EtherType
	// Cooked sockets receive and send what is in frames, without the Ethernet
	// header (SOCK_DGRAM); others whole frames (SOCK_RAW).
	Cooked bool
	// Filter is as for SetBPF. Unlike with SetBPF, no frame gets by it.
	Filter []bpf.RawInstruction
	// ReadBuffer is the room in bytes for unread frames, see Conn.SetReadBuffer;
	// 0 for DefaultReadBuffer.
	ReadBuffer int
}

// Stats counts frames that came by the filter.
type Stats struct {
	Packets uint64 // those that were dropped too
	Drops   uint64 // no room in the receive buffer
}

// Conn is a packet socket, a net.PacketConn. Its methods may be called
// concurrently.
type Conn struct {
	t        *Table
	iface    int
	protocol link.EtherType
	cooked   bool
	filter   atomic.Pointer[bpf.VM]
	incoming atomic.Bool // those that the host sends are unwanted

	// promisc and allMulti are the table's to change.
	promisc, allMulti bool

	mu       sync.Mutex
	readable sync.Cond
	queue    []frame // the first is at next
	next     int
	cost     int
	limit    int
	stats    Stats
	pending  syscall.Errno
	closed   bool
	reads    deadline.Deadline
	writes   time.Time
}

type frame struct {
	p *link.Packet
	Frame
}

// Frame tells about a frame that was read.
type Frame struct {
	Addr
	Len  int // bytes before the filter or the buffer cut it
	Time time.Time
}

var _ net.PacketConn = (*Conn)(nil)

// Listen returns a new socket. The error is a *net.OpError with ENODEV for an
// unknown interface, EINVAL for a filter that is none, or net.ErrClosed.
func (t *Table) Listen(sc SocketConfig) (*Conn, error) {
	if sc.Protocol == 0 {
		sc.Protocol = All
	}
	if sc.ReadBuffer == 0 {
		sc.ReadBuffer = DefaultReadBuffer / 2
	}
	c := &Conn{t: t, iface: sc.Interface, protocol: sc.Protocol, cooked: sc.Cooked, limit: readBuffer(sc.ReadBuffer)}
	c.readable.L = &c.mu
	c.reads.Init(&c.readable, t.config.Clock)
	vm, err := newFilter(sc.Filter)
	if err != nil {
		return nil, c.fail("listen", "setsockopt", err)
	}
	c.filter.Store(vm)
	if sc.Interface != 0 {
		if _, ok := t.config.Link(sc.Interface); !ok {
			return nil, c.fail("listen", "bind", syscall.ENODEV)
		}
	}
	if err := t.change(func(s *state) { s.conns = append(s.conns, c) }); err != nil {
		return nil, c.fail("listen", "socket", err)
	}
	return c, nil
}

func readBuffer(bytes int) int { return max(2*bytes, 2304) }

func newFilter(raw []bpf.RawInstruction) (*bpf.VM, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	instructions, ok := bpf.Disassemble(raw)
	if !ok {
		return nil, fmt.Errorf("packet: filter has unknown instructions: %w", syscall.EINVAL)
	}
	vm, err := bpf.NewVM(instructions)
	if err != nil {
		return nil, fmt.Errorf("packet: filter: %w: %w", err, syscall.EINVAL)
	}
	return vm, nil
}

// wants reports whether a frame is for the socket at all.
func (c *Conn) wants(a *Addr) bool {
	return (c.iface == 0 || c.iface == a.Interface) &&
		(c.protocol == All && (a.Type != link.Outgoing || !c.incoming.Load()) || c.protocol == a.Protocol && a.Type != link.Outgoing)
}

// input shows the socket a frame whose link headers are network bytes long
// (Linux's packet_rcv).
func (c *Conn) input(b []byte, a Addr, network int) {
	if c.cooked {
		b = b[network:]
	}
	keep := len(b)
	if vm := c.filter.Load(); vm != nil {
		// An error is a program's that reads past the end.
		n, err := vm.Run(b)
		if err != nil || n <= 0 {
			return
		}
		keep = min(keep, n)
	}
	p := link.NewPacketFrom(b[:keep])
	f := frame{p: p, Frame: Frame{Addr: a, Len: len(b), Time: c.t.config.Clock.Now()}}
	cost := p.Cost()
	c.mu.Lock()
	c.stats.Packets++
	full := c.cost > 0 && c.cost+cost > c.limit
	if full && !c.closed {
		c.stats.Drops++
	}
	if full || c.closed {
		c.mu.Unlock()
		p.Release()
		return
	}
	c.queue = append(c.queue, f)
	c.cost += cost
	c.readable.Signal()
	c.mu.Unlock()
}

func (c *Conn) report(err syscall.Errno) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = err
	c.readable.Broadcast()
}

// ReadFrame copies the next frame into b; what does not fit is lost. The error is a
// *net.OpError with net.ErrClosed, os.ErrDeadlineExceeded, or ENETDOWN once when
// the interface went down.
func (c *Conn) ReadFrame(b []byte) (int, Frame, error) {
	f, err := c.take()
	if err != nil {
		return 0, Frame{}, c.fail("read", "recvfrom", err)
	}
	n := copy(b, f.p.Bytes())
	f.p.Release()
	return n, f.Frame, nil
}

// ReadFrom is ReadFrame in net.PacketConn's types: the address is an *Addr.
func (c *Conn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, f, err := c.ReadFrame(b)
	if err != nil {
		return 0, nil, err
	}
	return n, &f.Addr, nil
}

func (c *Conn) take() (frame, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if err := c.takeErrorLocked(c.reads.PassedLocked()); err != nil {
			return frame{}, err
		}
		if c.next < len(c.queue) {
			break
		}
		c.reads.WaitLocked()
	}
	f := c.queue[c.next]
	c.queue[c.next] = frame{}
	c.cost -= f.p.Cost()
	if c.next++; c.next >= 64 && c.next*2 >= len(c.queue) || c.next == len(c.queue) {
		c.queue, c.next = slices.Delete(c.queue, 0, c.next), 0
	}
	return f, nil
}

func (c *Conn) takeErrorLocked(expired bool) error {
	switch {
	case c.closed:
		return net.ErrClosed
	case expired:
		return os.ErrDeadlineExceeded
	case c.pending != 0:
		err := c.pending
		c.pending = 0
		return err
	}
	return nil
}

// WriteTo sends b: a whole frame with its Ethernet header, or from a cooked socket
// what goes into one to addr. addr is an *Addr, or nil for what the socket is bound
// to. It never waits. The error is a *net.OpError with EINVAL for a frame shorter
// than its header or another type of address, EMSGSIZE for one longer than the
// interface carries, ENXIO without an interface, ENETDOWN, what the device answers,
// net.ErrClosed or os.ErrDeadlineExceeded.
func (c *Conn) WriteTo(b []byte, addr net.Addr) (int, error) {
	to, ok := addr.(*Addr)
	if addr == nil || ok && to == nil {
		to, ok = new(Addr), true
	}
	if !ok {
		return 0, &net.OpError{Op: "write", Net: network, Source: c.LocalAddr(), Addr: addr, Err: syscall.EINVAL}
	}
	if err := c.send(b, *to); err != nil {
		return 0, &net.OpError{Op: "write", Net: network, Source: c.LocalAddr(), Addr: addr, Err: asCall("sendto", err)}
	}
	return len(b), nil
}

// Write is WriteTo with nil.
func (c *Conn) Write(b []byte) (int, error) { return c.WriteTo(b, nil) }

func (c *Conn) send(b []byte, to Addr) error {
	c.mu.Lock()
	err := c.takeErrorLocked(!c.writes.IsZero() && !c.t.config.Clock.Now().Before(c.writes))
	c.mu.Unlock()
	if err != nil {
		return err
	}
	if to.Interface == 0 {
		to.Interface = c.iface
	}
	if to.Protocol == 0 {
		to.Protocol = c.protocol
	}
	l, ok := c.t.config.Link(to.Interface)
	head := link.EthernetHeaderLen
	if c.cooked {
		head = 0
	}
	switch {
	case !ok:
		return syscall.ENXIO
	case !l.Up:
		return syscall.ENETDOWN
	case len(b) < head:
		return syscall.EINVAL
	case len(b) > head+l.MTU:
		// One VLAN tag may be on top.
		if head == 0 || len(b) > head+4+l.MTU || link.EtherType(uint16(b[12])<<8|uint16(b[13])) != link.VLAN {
			return syscall.EMSGSIZE
		}
	}
	p := link.NewPacketFrom(b)
	if c.cooked {
		p.EtherType = to.Protocol
		link.Ethernet{Dst: to.Addr, Src: l.Addr, Type: to.Protocol}.Put(p.Push(link.EthernetHeaderLen))
	} else {
		p.EtherType = link.EtherType(uint16(b[12])<<8 | uint16(b[13]))
	}
	return l.Write(p, c)
}

// SetBPF has frames go through a filter (SO_ATTACH_FILTER): those for which it
// returns 0 are not for the socket, others are cut to so many bytes. It sees what
// the socket reads: whole frames, or what is in them. nil ends it. The error is
// EINVAL. It makes Conn one of those that golang.org/x/net/bpf.Setter is about.
func (c *Conn) SetBPF(filter []bpf.RawInstruction) error {
	vm, err := newFilter(filter)
	if err != nil {
		return c.fail("set", "setsockopt", err)
	}
	return c.set(func() { c.filter.Store(vm) })
}

// SetPromiscuous says that the interface is to receive frames to other stations
// too, which it does while any socket wants them (PACKET_MR_PROMISC). The error is
// ENODEV for a socket of all interfaces.
func (c *Conn) SetPromiscuous(on bool) error {
	return c.setMode(&c.promisc, on, func(s *state) map[int]int { return s.promisc })
}

// SetAllMulticast is SetPromiscuous for frames to groups (PACKET_MR_ALLMULTI).
func (c *Conn) SetAllMulticast(on bool) error {
	return c.setMode(&c.allMulti, on, func(s *state) map[int]int { return s.allMulti })
}

func (c *Conn) setMode(mode *bool, on bool, counts func(*state) map[int]int) error {
	if c.iface == 0 {
		return c.fail("set", "setsockopt", syscall.ENODEV)
	}
	closed := false
	_ = c.t.change(func(s *state) {
		if closed = !slices.Contains(s.conns, c); closed || *mode == on {
			return
		}
		*mode = on
		add(counts(s), c.iface, on)
	})
	if closed {
		return c.fail("set", "setsockopt", net.ErrClosed)
	}
	return nil
}

func add(counts map[int]int, index int, more bool) {
	if more {
		counts[index]++
	} else if counts[index]--; counts[index] == 0 {
		delete(counts, index)
	}
}

// SetIgnoreOutgoing has the socket not see the frames that the host sends
// (PACKET_IGNORE_OUTGOING).
func (c *Conn) SetIgnoreOutgoing(on bool) error { return c.set(func() { c.incoming.Store(on) }) }

// SetReadBuffer sets the room for unread frames to twice that many bytes, at least
// 2304 (SO_RCVBUF). A frame costs what link.Packet.Cost says.
func (c *Conn) SetReadBuffer(bytes int) error { return c.set(func() { c.limit = readBuffer(bytes) }) }

// Stats returns what was counted since the last call (PACKET_STATISTICS).
func (c *Conn) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	c.stats = Stats{}
	return s
}

// LocalAddr returns what the socket listens to, an *Addr.
func (c *Conn) LocalAddr() net.Addr { return &Addr{Interface: c.iface, Protocol: c.protocol} }

// Close ends calls that wait with net.ErrClosed. A second call returns that.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return c.fail("close", "close", net.ErrClosed)
	}
	c.closed = true
	unread := c.queue[c.next:]
	c.queue = nil
	c.next = 0
	c.reads.StopLocked()
	c.readable.Broadcast()
	c.mu.Unlock()
	for _, f := range unread {
		f.p.Release()
	}
	return c.t.change(func(s *state) {
		i := slices.Index(s.conns, c)
		if i < 0 {
			return
		}
		s.conns = slices.Delete(s.conns, i, i+1)
		if c.promisc {
			add(s.promisc, c.iface, false)
		}
		if c.allMulti {
			add(s.allMulti, c.iface, false)
		}
	})
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *Conn) SetDeadline(t time.Time) error {
	return c.set(func() { c.reads.SetLocked(t); c.writes = t })
}

// SetReadDeadline makes reads, those that wait too, fail with
// os.ErrDeadlineExceeded from t on; the zero time is never.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.set(func() { c.reads.SetLocked(t) }) }

// SetWriteDeadline makes writes fail from t on. They never wait.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.set(func() { c.writes = t }) }

func (c *Conn) set(f func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.fail("set", "setsockopt", net.ErrClosed)
	}
	f()
	return nil
}

func (c *Conn) fail(op, call string, err error) error {
	return &net.OpError{Op: op, Net: network, Addr: c.LocalAddr(), Err: asCall(call, err)}
}

func asCall(call string, err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return os.NewSyscallError(call, errno)
	}
	return err
}
