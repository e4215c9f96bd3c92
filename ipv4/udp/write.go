package udp

import (
	"errors"
	"net"
	"net/netip"
	"syscall"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
)

// SendOptions are for one datagram.
type SendOptions struct {
	// Confirm says that the peer is known to work, so that the neighbour it is
	// reached by need not be probed (MSG_CONFIRM).
	Confirm bool
}

// Write sends b to the peer. It never waits. The error is a *net.OpError with
// EDESTADDRREQ without a peer, EMSGSIZE for more than 65507 bytes, EACCES for a
// broadcast address without SetBroadcast, the errors of ipv4's OutputPath, that
// of an ICMP error about an earlier datagram, net.ErrClosed or
// os.ErrDeadlineExceeded. A datagram that is lost below is no error.
func (c *Conn) Write(b []byte) (int, error) {
	if !c.raddr.IsValid() {
		return 0, c.fail("write", "write", netip.AddrPort{}, syscall.EDESTADDRREQ)
	}
	return c.write("write", b, c.raddr, SendOptions{})
}

// WriteToUDPAddrPort sends b to an address, with Write's errors and, for a
// socket with a peer, net.ErrWriteToConnected. It does not allocate.
func (c *Conn) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if c.raddr.IsValid() {
		return 0, c.fail("write", "sendto", to, net.ErrWriteToConnected)
	}
	return c.write("sendto", b, to, SendOptions{})
}

// WriteToUDP is WriteToUDPAddrPort in older types.
func (c *Conn) WriteToUDP(b []byte, to *net.UDPAddr) (int, error) {
	if to == nil {
		return 0, c.fail("write", "sendto", netip.AddrPort{}, syscall.EDESTADDRREQ)
	}
	return c.WriteToUDPAddrPort(b, to.AddrPort())
}

// WriteTo is WriteToUDPAddrPort in net.PacketConn's types: to is a
// *net.UDPAddr, anything else EINVAL.
func (c *Conn) WriteTo(b []byte, to net.Addr) (int, error) {
	a, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, &net.OpError{Op: "write", Net: network, Source: c.LocalAddr(), Addr: to, Err: syscall.EINVAL}
	}
	return c.WriteToUDP(b, a)
}

// Send sends b with options, to the peer if to is not valid, and else to that
// address even from a socket with a peer, as sendmsg does.
func (c *Conn) Send(b []byte, to netip.AddrPort, o SendOptions) (int, error) {
	if !to.IsValid() {
		if to = c.raddr; !to.IsValid() {
			return 0, c.fail("write", "sendmsg", netip.AddrPort{}, syscall.EDESTADDRREQ)
		}
	}
	return c.write("sendmsg", b, to, o)
}

func (c *Conn) write(call string, b []byte, to netip.AddrPort, o SendOptions) (int, error) {
	if err := c.send(b, unmap(to), o); err != nil {
		return 0, c.fail("write", call, to, err)
	}
	return len(b), nil
}

// send is Linux's udp_sendmsg.
func (c *Conn) send(b []byte, to netip.AddrPort, o SendOptions) error {
	c.mu.Lock()
	err := c.takeErrorLocked(!c.writes.IsZero() && !c.pr.config.Clock.Now().Before(c.writes))
	opts := c.opts
	c.mu.Unlock()
	switch {
	case err != nil:
		return err
	case len(b) > MaxPayload:
		return syscall.EMSGSIZE
	case !to.Addr().Is4():
		return syscall.EAFNOSUPPORT
	case to.Port() == 0:
		return syscall.EINVAL
	}
	path, err := c.pr.ip.OutputPath(to.Addr(), c.src, c.oif)
	if err != nil {
		return err
	}
	dst := to.Addr()
	if dst.IsUnspecified() {
		dst = path.Src // 0.0.0.0 is this host
	}
	s := ipv4.Send{Dst: dst, Protocol: ipv4.ProtocolUDP, TTL: opts.ttl, TOS: opts.tos, DF: opts.pathMTU != Dont, Want: opts.pathMTU == Want}
	switch path.Type {
	case ipv4.Broadcast:
		if !opts.broadcast {
			return syscall.EACCES
		}
	case ipv4.Multicast:
		s.TTL = 0 // IP_TTL is not for groups
	}
	if s.DF {
		s.ID = uint16(c.id.Add(1))
	}
	p := link.NewPacket(HeaderLen + len(b))
	d := p.Bytes()
	copy(d[HeaderLen:], b)
	// The checksum is left to the device, or to what makes up for one that
	// computes none.
	sum := ipv4.PseudoHeaderSum(path.Src, dst, ipv4.ProtocolUDP, len(d))
	Header{SrcPort: c.laddr.Port(), DstPort: to.Port(), Length: len(d), Checksum: sum}.Put(d)
	p.SetPartialChecksum(checksumOffset)
	p.Confirm = o.Confirm
	return c.sent(c.pr.ip.OutputBy(path, p, s), to, path, opts)
}

// sent says what becomes of an error from below: the application hears of one
// only if it could have known better, or asked to (Linux's udp_send_skb).
func (c *Conn) sent(err error, to netip.AddrPort, path ipv4.Path, opts options) error {
	switch {
	case err == nil:
	case errors.Is(err, syscall.ENOBUFS), errors.Is(err, link.ErrQueueFull):
		if opts.receiveErrors {
			return syscall.ENOBUFS
		}
		c.pr.stats.SndbufErrors.Add(1)
		return nil
	case errors.Is(err, syscall.EMSGSIZE):
		if opts.receiveErrors {
			c.mu.Lock()
			c.queueErrorLocked(QueuedError{Errno: syscall.EMSGSIZE, Origin: Local, Info: uint32(path.MTU), To: to})
			c.mu.Unlock()
		}
		return syscall.EMSGSIZE
	case errors.Is(err, syscall.EIO), errors.Is(err, net.ErrClosed):
		// The device is connected to nothing: sent, and lost.
	default:
		return err
	}
	c.pr.stats.OutDatagrams.Add(1)
	return nil
}
