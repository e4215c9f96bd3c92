package udp

import (
	"net"
	"net/netip"
	"syscall"

	"github.com/tapstack/tapstack/ipv4"
)

// Listen returns a socket bound to laddr, which receives from anyone. The
// address may be one of ours, 0.0.0.0 or not valid for all of them, or a
// broadcast or multicast address to receive only what is sent there; port 0
// stands for one that is free, from 32768 to 60999. The error is a
// *net.OpError with EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, ENODEV, or
// net.ErrClosed.
func (pr *Protocol) Listen(laddr netip.AddrPort, sc SocketConfig) (*Conn, error) {
	c, err := pr.listen(laddr, sc)
	if err != nil {
		return nil, opError("listen", "bind", netip.AddrPort{}, laddr, err)
	}
	return c, nil
}

func (pr *Protocol) listen(laddr netip.AddrPort, sc SocketConfig) (*Conn, error) {
	laddr, err := pr.local(laddr, sc)
	if err != nil {
		return nil, err
	}
	src, errno := pr.bindable(laddr.Addr())
	if errno != 0 {
		return nil, errno
	}
	return pr.open(newConn(pr, laddr, netip.AddrPort{}, src, sc))
}

// Dial returns a socket connected to raddr: it sends there, receives only from
// there, and hears of ICMP errors. laddr is as for Listen; if it names no
// address, the route to raddr chooses one, for good. The error is a
// *net.OpError with what Listen returns, the errors of ipv4's OutputPath, or
// EACCES for a broadcast address without SocketConfig.Broadcast.
func (pr *Protocol) Dial(laddr, raddr netip.AddrPort, sc SocketConfig) (*Conn, error) {
	c, err := pr.dial(laddr, raddr, sc)
	if err != nil {
		return nil, opError("dial", "connect", laddr, raddr, err)
	}
	return c, nil
}

func (pr *Protocol) dial(laddr, raddr netip.AddrPort, sc SocketConfig) (*Conn, error) {
	laddr, err := pr.local(laddr, sc)
	if err != nil {
		return nil, err
	}
	src, errno := pr.bindable(laddr.Addr())
	if errno != 0 {
		return nil, errno
	}
	e, err := pr.connect(ends{laddr, unmap(raddr), src}, sc.Interface, sc.Broadcast)
	if err != nil {
		return nil, err
	}
	c := newConn(pr, e.laddr, e.raddr, e.src, sc)
	c.bound = laddr
	return pr.open(c)
}

// connect completes the ends of a socket with a peer: the route chooses what is
// not given (Linux's __ip4_datagram_connect).
func (pr *Protocol) connect(e ends, oif int, broadcast bool) (ends, error) {
	if !e.raddr.Addr().Is4() {
		return e, syscall.EAFNOSUPPORT
	}
	path, err := pr.ip.OutputPath(e.raddr.Addr(), e.src, oif)
	if err != nil {
		return e, err
	}
	if path.Type == ipv4.Broadcast && !broadcast {
		return e, syscall.EACCES
	}
	if e.raddr.Addr().IsUnspecified() {
		e.raddr = netip.AddrPortFrom(path.Src, e.raddr.Port()) // 0.0.0.0 is this host
	}
	if e.laddr.Addr().IsUnspecified() {
		e.laddr = netip.AddrPortFrom(path.Src, e.laddr.Port())
		e.src = path.Src
	}
	return e, nil
}

// Connect makes raddr the socket's only peer, in place of another: as if Dial had
// made it. What was received before stays to be read. An address that is not
// valid makes it a socket without a peer again, which has the address that it was
// bound to; unlike on Linux it keeps a port that it did not ask for. The errors
// are Dial's.
func (c *Conn) Connect(raddr netip.AddrPort) error {
	if err := c.connect(unmap(raddr)); err != nil {
		return c.fail("dial", "connect", raddr, err)
	}
	return nil
}

func (c *Conn) connect(raddr netip.AddrPort) error {
	c.mu.Lock()
	closed, broadcast := c.closed, c.opts.broadcast
	c.mu.Unlock()
	if closed {
		return net.ErrClosed
	}
	e := ends{raddr: raddr}
	if !raddr.IsValid() {
		var errno syscall.Errno
		e.laddr = c.bound
		if e.src, errno = c.pr.bindable(c.bound.Addr()); errno != 0 {
			e.src = c.bound.Addr() // ours once: sending will tell
		}
		c.ends.Store(&e)
		return nil
	}
	old := c.ends.Load()
	e.laddr, e.src = old.laddr, old.src
	e, err := c.pr.connect(e, c.oif, broadcast)
	if err != nil {
		return err
	}
	c.ends.Store(&e)
	return nil
}

// open enters a new socket into the table.
func (pr *Protocol) open(c *Conn) (*Conn, error) {
	if err := pr.demux.bind(c, pr.config.Rand.Uint32()); err != nil {
		return nil, err
	}
	return c, nil
}

// local checks the local address and interface that a socket asks for.
func (pr *Protocol) local(laddr netip.AddrPort, sc SocketConfig) (netip.AddrPort, error) {
	laddr = unmap(laddr)
	if a := laddr.Addr(); !a.IsValid() || a == netip.IPv6Unspecified() {
		laddr = netip.AddrPortFrom(netip.IPv4Unspecified(), laddr.Port())
	}
	if !laddr.Addr().Is4() {
		return netip.AddrPort{}, syscall.EAFNOSUPPORT
	}
	if sc.Interface != 0 && pr.ip.Interface(sc.Interface) == nil {
		return netip.AddrPort{}, syscall.ENODEV
	}
	return laddr, nil
}

// unmap turns an IPv4 address in IPv6's clothes, as package net makes them, into
// a plain one.
func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
