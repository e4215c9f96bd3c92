package udp

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/deadline"
)

// minReadBuffer is the smallest receive buffer in bytes (Linux's
// SOCK_MIN_RCVBUF).
const minReadBuffer = 2304

// Conn is a UDP socket: a net.PacketConn, and a net.Conn, which sends only when
// it was made by Dial. Its methods may be called concurrently. They are those of
// *net.UDPConn but for SyscallConn and File: there is no descriptor behind it, and
// programs that look for one, such as quic-go, do without when there is no such
// method.
type Conn struct {
	pr        *Protocol
	bound     netip.AddrPort // what was asked for, with the port that was found
	ends      atomic.Pointer[ends]
	oif       int
	reuse     bool
	reusePort bool
	group     *group        // nil without reusePort
	id        atomic.Uint32 // IPv4 identification of the next datagram with DF
	drops     atomic.Uint64 // datagrams that found no room
	// coalesces says that reads take several datagrams at once (UDP_GRO).
	coalesces atomic.Bool
	// joined says that of groups only those that the socket is a member of are
	// for it (IP_MULTICAST_ALL is off).
	joined  atomic.Bool
	members *ipv4.Memberships

	mu       sync.Mutex
	readable sync.Cond // something to read, an error, or a change of deadline
	onEvent  func()    // see Notify
	queue    link.Queue
	limit    int // bytes that queue and errors may cost
	reserved int // bytes of the protocol's memory that are the socket's
	errors   []QueuedError
	pending  syscall.Errno // what the next call returns (Linux's sk_err)
	closed   bool
	reads    deadline.Deadline
	opts     options
	sends    sendBuffer
}

var (
	_ net.Conn       = (*Conn)(nil)
	_ net.PacketConn = (*Conn)(nil)
)

func newConn(pr *Protocol, laddr, raddr netip.AddrPort, src netip.Addr, sc SocketConfig) *Conn {
	c := &Conn{
		pr: pr, bound: laddr, oif: sc.Interface, reuse: sc.ReuseAddr, reusePort: sc.ReusePort,
		limit: pr.config.ReadBuffer,
		opts:  options{ttl: sc.TTL, tos: sc.TOS, broadcast: sc.Broadcast, receiveErrors: sc.ReceiveErrors, pathMTU: sc.PathMTU},
	}
	if sc.ReadBuffer != 0 {
		c.limit = readBuffer(sc.ReadBuffer)
	}
	c.ends.Store(&ends{laddr, raddr, src})
	c.members = pr.ip.NewMemberships()
	c.readable.L, c.sends.writable.L, c.sends.mu = &c.mu, &c.mu, &c.mu
	c.sends.limit.Store(defaultWriteBuffer)
	c.sends.deadline.Init(&c.sends.writable, pr.config.Clock)
	c.opts.loop = true
	c.reads.Init(&c.readable, pr.config.Clock)
	c.id.Store(pr.config.Rand.Uint32())
	return c
}

func readBuffer(bytes int) int { return max(2*bytes, minReadBuffer) }

// ends is where a socket is: what Connect changes. It is immutable.
type ends struct {
	laddr netip.AddrPort // the address may be 0.0.0.0
	raddr netip.AddrPort // of the only peer, not valid without one
	src   netip.Addr     // of what is sent, not valid if the route chooses
}

func (c *Conn) laddr() netip.AddrPort { return c.ends.Load().laddr }
func (c *Conn) raddr() netip.AddrPort { return c.ends.Load().raddr }
func (c *Conn) src() netip.Addr       { return c.ends.Load().src }

// LocalAddr returns the address that the socket is bound to, a *net.UDPAddr.
func (c *Conn) LocalAddr() net.Addr { return udpAddr(c.laddr()) }

// RemoteAddr returns the peer's address, a *net.UDPAddr, or nil without one.
func (c *Conn) RemoteAddr() net.Addr { return udpAddr(c.raddr()) }

// LocalAddrPort returns the address that the socket is bound to.
func (c *Conn) LocalAddrPort() netip.AddrPort { return c.laddr() }

// RemoteAddrPort returns the peer's address, not valid without one.
func (c *Conn) RemoteAddrPort() netip.AddrPort { return c.raddr() }

// Dropped returns how many datagrams found no room in the receive buffer
// (SO_MEMINFO's drops).
func (c *Conn) Dropped() uint64 { return c.drops.Load() }

// Close frees the port, drops what was not read, and ends calls that wait with
// net.ErrClosed. A second call returns net.ErrClosed.
func (c *Conn) Close() error {
	if !c.close() {
		return c.fail("close", "close", c.raddr(), net.ErrClosed)
	}
	return nil
}

func (c *Conn) close() bool {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return false
	}
	c.closed = true
	unread := c.queue.Take()
	c.errors = nil
	c.pr.memory.release(c.reserved)
	c.reserved = 0
	c.reads.StopLocked()
	c.sends.deadline.StopLocked()
	c.readable.Broadcast()
	c.sends.writable.Broadcast()
	c.mu.Unlock()
	c.pr.demux.remove(c)
	c.members.Close()
	for p := unread.Pop(); p != nil; p = unread.Pop() {
		c.pr.config.Drops.Drop(p, link.SocketClosed)
	}
	return true
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *Conn) SetDeadline(t time.Time) error {
	return c.set(func() { c.reads.SetLocked(t); c.sends.deadline.SetLocked(t) })
}

// SetReadDeadline makes reads, those that wait too, fail with
// os.ErrDeadlineExceeded from t on; the zero time is never.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.set(func() { c.reads.SetLocked(t) }) }

// SetWriteDeadline makes writes fail from t on, and ends those that wait.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.set(func() { c.sends.deadline.SetLocked(t) })
}

// takeErrorLocked returns what ends a call before it begins: the socket is
// closed, the deadline has passed, or an error waits to be told.
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

// fail is what a method returns for err. addr is the peer's, if it has to do
// with one.
func (c *Conn) fail(op, call string, addr netip.AddrPort, err error) error {
	return opError(op, call, c.laddr(), addr, err)
}
