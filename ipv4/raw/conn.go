package raw

import (
	"errors"
	"fmt"
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

// minReadBuffer is the smallest receive buffer in bytes (Linux's SOCK_MIN_RCVBUF).
const minReadBuffer = 2304

// protocolRaw receives little and sends packets with their headers (IPPROTO_RAW).
const protocolRaw = 255

// SocketConfig is what a socket begins with. The zero value is what Linux gives a
// new socket.
type SocketConfig struct {
	// Network is what errors call the socket; empty: "ip4:" and the protocol's
	// number.
	Network string
	// Interface is the index of the only interface that the socket receives from
	// and sends by (SO_BINDTODEVICE); 0 for any.
	Interface int
	// HeaderIncluded says that what is sent has its IPv4 header (IP_HDRINCL), as
	// with protocol 255 always.
	HeaderIncluded bool
	// Broadcast allows sending to broadcast addresses (SO_BROADCAST).
	Broadcast bool
	// ReceiveErrors has every ICMP error reported, see Conn.SetReceiveErrors.
	ReceiveErrors bool
	// ReadBuffer is the room in bytes for unread packets, see Conn.SetReadBuffer;
	// 0 for DefaultReadBuffer.
	ReadBuffer int
}

func (sc *SocketConfig) network(protocol uint8) string {
	if sc.Network != "" {
		return sc.Network
	}
	return fmt.Sprintf("ip4:%d", protocol)
}

// options are what can be changed while the socket is in use.
type options struct {
	headerIncluded bool
	ttl, tos       uint8
	broadcast      bool
	receiveErrors  bool
	discovers      bool // sets DF, net.ipv4.ip_no_pmtu_disc was 0 at first
	dontFragment   bool
	noLoop         bool
	multicastTTL   uint8 // of what is sent to groups...
	multicastHost  bool  // ...and whether it is 0
	multicastOIF   int
}

// Conn is a raw socket with the methods of *net.IPConn, but for SyscallConn and
// File: a net.PacketConn, and a net.Conn, which sends only when it was made by
// Dial. They may be called concurrently.
type Conn struct {
	pr       *Protocol
	network  string
	protocol uint8
	laddr    netip.Addr // may be 0.0.0.0
	raddr    netip.Addr // of the only peer, not valid without one
	src      netip.Addr // of what is sent, not valid if the route chooses
	oif      int
	id       atomic.Uint32 // IPv4 identification of the next packet with DF
	drops    atomic.Uint64
	filter   atomic.Uint32 // ICMP types that are unwanted, a bit each
	all      atomic.Bool   // of groups that others are members of (IP_MULTICAST_ALL)
	members  *ipv4.Memberships

	mu       sync.Mutex
	readable sync.Cond
	queue    link.Queue
	limit    int // bytes that queue and errors may cost
	errors   []QueuedError
	pending  syscall.Errno // what the next call returns (Linux's sk_err)
	closed   bool
	reads    deadline.Deadline
	writes   time.Time // deadline, zero for none: writing never waits
	opts     options
}

var (
	_ net.Conn       = (*Conn)(nil)
	_ net.PacketConn = (*Conn)(nil)
)

func newConn(pr *Protocol, laddr, raddr, src netip.Addr, protocol uint8, sc SocketConfig) *Conn {
	c := &Conn{
		pr: pr, network: sc.network(protocol), protocol: protocol, laddr: laddr, raddr: raddr, src: src, oif: sc.Interface,
		limit: DefaultReadBuffer, members: pr.ip.NewMemberships(),
		opts: options{headerIncluded: sc.HeaderIncluded || protocol == protocolRaw, broadcast: sc.Broadcast, receiveErrors: sc.ReceiveErrors, discovers: pr.ip.PathMTUDiscovery()},
	}
	if sc.ReadBuffer != 0 {
		c.limit = readBuffer(sc.ReadBuffer)
	}
	c.readable.L = &c.mu
	c.reads.Init(&c.readable, pr.config.Clock)
	c.all.Store(true)
	c.id.Store(pr.config.Rand.Uint32())
	return c
}

func readBuffer(bytes int) int { return max(2*bytes, minReadBuffer) }

// matches reports whether a packet to our address local from remote, received by
// iif or 0 for any, is for the socket (Linux's raw_v4_match).
func (c *Conn) matches(protocol uint8, local, remote netip.Addr, iif int) bool {
	return c.protocol == protocol && (c.laddr.IsUnspecified() || c.laddr == local) &&
		(!c.raddr.IsValid() || c.raddr == remote) && (c.oif == 0 || iif == 0 || c.oif == iif)
}

// filtered reports whether the socket does not want an ICMP message.
func (c *Conn) filtered(b []byte) bool {
	return len(b) == 0 || b[0] < 32 && c.filter.Load()>>b[0]&1 == 1
}

// LocalAddr returns the address that the socket is bound to, a *net.IPAddr.
func (c *Conn) LocalAddr() net.Addr { return ipAddr(c.laddr) }

// RemoteAddr returns the peer's address, a *net.IPAddr, or nil without one.
func (c *Conn) RemoteAddr() net.Addr { return ipAddr(c.raddr) }

// Dropped returns how many packets found no room in the receive buffer.
func (c *Conn) Dropped() uint64 { return c.drops.Load() }

// Close drops what was not read, and ends calls that wait with net.ErrClosed. A
// second call returns that.
func (c *Conn) Close() error {
	if !c.close() {
		return c.fail("close", "close", c.raddr, net.ErrClosed)
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
	c.reads.StopLocked()
	c.readable.Broadcast()
	c.mu.Unlock()
	c.pr.remove(c)
	c.members.Close()
	for p := unread.Pop(); p != nil; p = unread.Pop() {
		c.pr.config.Drops.Drop(p, link.SocketClosed)
	}
	return true
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
		return c.fail("set", "setsockopt", netip.Addr{}, net.ErrClosed)
	}
	f()
	return nil
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

func ipAddr(a netip.Addr) net.Addr {
	if !a.IsValid() {
		return nil
	}
	return &net.IPAddr{IP: a.AsSlice()}
}

func (c *Conn) fail(op, call string, addr netip.Addr, err error) error {
	return opError(c.network, op, call, c.laddr, addr, err)
}

// opError wraps err as package net does: an errno in the system call that would
// have returned it, everything in a *net.OpError.
func opError(network, op, call string, source, addr netip.Addr, err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		err = os.NewSyscallError(call, errno)
	}
	return &net.OpError{Op: op, Net: network, Source: ipAddr(source), Addr: ipAddr(addr), Err: err}
}
