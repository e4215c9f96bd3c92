package raw

import (
	"errors"
	"net"
	"net/netip"
	"syscall"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
)

// Write sends b to the peer: what goes behind an IPv4 header, or with
// SocketConfig.HeaderIncluded a whole packet. It never waits. The error is a
// *net.OpError with EDESTADDRREQ without a peer, EMSGSIZE for a packet longer than
// 65535 bytes, or than the path carries with SetDontFragment, or than the interface
// does with a header of its own; EINVAL for such a header that is none; EACCES for
// a broadcast address without SetBroadcast; the errors of ipv4's OutputPath, that
// of an ICMP error, net.ErrClosed or os.ErrDeadlineExceeded. A packet that is lost
// below is no error.
func (c *Conn) Write(b []byte) (int, error) {
	if !c.raddr.IsValid() {
		return 0, c.fail("write", "write", netip.Addr{}, syscall.EDESTADDRREQ)
	}
	return c.write("write", b, c.raddr)
}

// WriteToAddr sends b to an address, with Write's errors and, for a socket with a
// peer, net.ErrWriteToConnected. It does not allocate.
func (c *Conn) WriteToAddr(b []byte, to netip.Addr) (int, error) {
	if c.raddr.IsValid() {
		return 0, c.fail("write", "sendto", to, net.ErrWriteToConnected)
	}
	return c.write("sendto", b, to)
}

// WriteToIP is WriteToAddr in older types.
func (c *Conn) WriteToIP(b []byte, to *net.IPAddr) (int, error) {
	if to == nil {
		return 0, c.fail("write", "sendto", netip.Addr{}, syscall.EDESTADDRREQ)
	}
	a, _ := netip.AddrFromSlice(to.IP)
	return c.WriteToAddr(b, a)
}

// WriteTo is WriteToIP in net.PacketConn's types: to is a *net.IPAddr, anything
// else EINVAL.
func (c *Conn) WriteTo(b []byte, to net.Addr) (int, error) {
	a, ok := to.(*net.IPAddr)
	if !ok {
		return 0, &net.OpError{Op: "write", Net: c.network, Source: c.LocalAddr(), Addr: to, Err: syscall.EINVAL}
	}
	return c.WriteToIP(b, a)
}

// WriteMsgIP is WriteToIP; EINVAL answers control messages.
func (c *Conn) WriteMsgIP(b, oob []byte, to *net.IPAddr) (n, oobn int, err error) {
	if len(oob) > 0 {
		return 0, 0, c.fail("write", "sendmsg", netip.Addr{}, syscall.EINVAL)
	}
	n, err = c.WriteToIP(b, to)
	return n, 0, err
}

func (c *Conn) write(call string, b []byte, to netip.Addr) (int, error) {
	if err := c.send(b, to.Unmap()); err != nil {
		return 0, c.fail("write", call, to, err)
	}
	return len(b), nil
}

// send is Linux's raw_sendmsg.
func (c *Conn) send(b []byte, to netip.Addr) error {
	c.mu.Lock()
	err := c.takeErrorLocked(!c.writes.IsZero() && !c.pr.config.Clock.Now().Before(c.writes))
	opts := c.opts
	c.mu.Unlock()
	switch {
	case err != nil:
		return err
	case len(b) > ipv4.MaxPacketLen:
		return syscall.EMSGSIZE
	case !to.Is4():
		return syscall.EAFNOSUPPORT
	}
	multicast, oif := to.IsMulticast(), c.oif
	if multicast && oif == 0 {
		oif = opts.multicastOIF
	}
	path, err := c.pr.ip.OutputPath(to, c.src, oif)
	if err != nil {
		return err
	}
	if path.Type == ipv4.Broadcast && !opts.broadcast {
		return syscall.EACCES
	}
	p := link.NewPacketFrom(b)
	if opts.headerIncluded {
		err = c.pr.ip.OutputHeader(path, to, p, opts.noLoop)
	} else {
		s := ipv4.Send{Dst: to, Protocol: c.protocol, TTL: opts.ttl, TOS: opts.tos, DF: opts.discovers || opts.dontFragment, Want: !opts.dontFragment}
		if multicast {
			s.TTL, s.NoLoop, s.HostOnly = opts.multicastTTL, opts.noLoop, opts.multicastHost
		}
		if c.raddr.IsValid() {
			s.ID = uint16(c.id.Add(1))
		}
		err = c.pr.ip.OutputBy(path, p, s)
	}
	switch {
	case errors.Is(err, syscall.ENOBUFS), errors.Is(err, link.ErrQueueFull):
		if opts.receiveErrors {
			return syscall.ENOBUFS
		}
		return nil
	case errors.Is(err, syscall.EMSGSIZE):
		c.queueError(QueuedError{Errno: syscall.EMSGSIZE, Origin: Local, Info: uint32(path.MTU), To: to})
	case errors.Is(err, syscall.EIO), errors.Is(err, net.ErrClosed):
		return nil // the device is connected to nothing: sent, and lost
	}
	return err
}
