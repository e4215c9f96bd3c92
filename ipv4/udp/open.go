package udp

import (
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
	raddr = unmap(raddr)
	if !raddr.Addr().Is4() {
		return nil, syscall.EAFNOSUPPORT
	}
	path, err := pr.ip.OutputPath(raddr.Addr(), src, sc.Interface)
	if err != nil {
		return nil, err
	}
	if path.Type == ipv4.Broadcast && !sc.Broadcast {
		return nil, syscall.EACCES
	}
	if raddr.Addr().IsUnspecified() {
		raddr = netip.AddrPortFrom(path.Src, raddr.Port()) // 0.0.0.0 is this host
	}
	if laddr.Addr().IsUnspecified() {
		laddr = netip.AddrPortFrom(path.Src, laddr.Port())
		src = path.Src
	}
	return pr.open(newConn(pr, laddr, raddr, src, sc))
}

// open enters a new socket into the table.
func (pr *Protocol) open(c *Conn) (*Conn, error) {
	if err := pr.demux.bind(c, pr.config.Rand.Uint32N(ephemerals)); err != nil {
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
