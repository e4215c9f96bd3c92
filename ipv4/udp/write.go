package udp

import (
	"errors"
	"net"
	"net/netip"
	"syscall"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
)

// SendOptions are for one call.
type SendOptions struct {
	// Confirm says that the peer is known to work, so that the neighbour it is
	// reached by need not be probed (MSG_CONFIRM).
	Confirm bool
	// Probe goes as far as the route, with its errors, and sends nothing
	// (MSG_PROBE). With Confirm the neighbour layer is told at once.
	Probe bool
	// SegmentSize is what SetSegmentSize sets, 0 for that.
	SegmentSize int
	// Source is the address to send from, one of ours; not valid or 0.0.0.0 for
	// the socket's or the route's. Interface is the index of the interface to
	// leave by, 0 for the socket's or the route's (IP_PKTINFO).
	Source    netip.Addr
	Interface int
	// TTL is for unicast, broadcast and multicast; 0 for the socket's.
	TTL uint8

	dontWait     bool // EAGAIN when the send buffer is full
	tos          uint8
	tosGiven     bool
	segmentGiven bool // a SegmentSize of 0 counts too
}

// Write sends b to the peer, and waits while the send buffer is full. The error is a *net.OpError with
// EDESTADDRREQ without a peer, EMSGSIZE for more than 65507 bytes, EACCES for a
// broadcast address without SetBroadcast, the errors of ipv4's OutputPath, that
// of an ICMP error about an earlier datagram, net.ErrClosed or
// os.ErrDeadlineExceeded. A datagram that is lost below is no error.
func (c *Conn) Write(b []byte) (int, error) {
	if !c.raddr().IsValid() {
		return 0, c.fail("write", "write", netip.AddrPort{}, syscall.EDESTADDRREQ)
	}
	return c.write("write", b, c.raddr(), SendOptions{})
}

// WriteToUDPAddrPort sends b to an address, with Write's errors and, for a
// socket with a peer, net.ErrWriteToConnected. It does not allocate.
func (c *Conn) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if c.raddr().IsValid() {
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
		if to = c.raddr(); !to.IsValid() {
			return 0, c.fail("write", "sendmsg", netip.AddrPort{}, syscall.EDESTADDRREQ)
		}
	}
	return c.write("sendmsg", b, to, o)
}

func (c *Conn) write(call string, b []byte, to netip.AddrPort, o SendOptions) (int, error) {
	if err := c.send([][]byte{b}, unmap(to), o); err != nil {
		return 0, c.fail("write", call, to, err)
	}
	return len(b), nil
}

// send is Linux's udp_sendmsg.
func (c *Conn) send(data [][]byte, to netip.AddrPort, o SendOptions) error {
	n := 0
	for _, b := range data {
		n += len(b)
	}
	c.mu.Lock()
	err := c.takeErrorLocked(c.sends.deadline.PassedLocked())
	opts := c.opts
	c.mu.Unlock()
	switch {
	case err != nil:
		return err
	case n > MaxPayload:
		return syscall.EMSGSIZE
	case !to.Addr().Is4():
		return syscall.EAFNOSUPPORT
	case to.Port() == 0:
		return syscall.EINVAL
	}
	o.complete(c, &opts, to.Addr().IsMulticast())
	path, err := c.pr.ip.OutputPath(to.Addr(), o.Source, o.Interface)
	if err != nil {
		return err
	}
	dst := to.Addr()
	if dst.IsUnspecified() {
		dst = path.Src // 0.0.0.0 is this host
	}
	if path.Type == ipv4.Broadcast && !opts.broadcast {
		return syscall.EACCES
	}
	if !opts.pathMTU.usesPath() {
		path.MTU = path.Interface.MTU()
	}
	count, err := c.fit(n, to, path, &o, &opts)
	if err != nil {
		return err
	}
	if o.Probe {
		if o.Confirm {
			c.pr.config.Confirm(path.Interface.Index(), path.NextHop(dst))
		}
		return nil
	}
	if err := c.waitForRoom(o.dontWait); err != nil {
		return err
	}
	s := ipv4.Send{Dst: dst, Protocol: ipv4.ProtocolUDP, TTL: o.TTL, TOS: o.tos, DF: opts.pathMTU.setsDF(), Want: opts.pathMTU == Want}
	if path.Type == ipv4.Multicast {
		s.NoLoop, s.HostOnly = !opts.loop, o.TTL == 0 && opts.multicastHost
	}
	if s.DF {
		// One each, counted on from the first.
		s.ID = uint16(c.id.Add(uint32(count)) - uint32(count) + 1)
	}
	p := link.NewPacket(HeaderLen + n)
	d := p.Bytes()
	at := HeaderLen
	for _, b := range data {
		at += copy(d[at:], b)
	}
	h := Header{SrcPort: c.laddr().Port(), DstPort: to.Port(), Length: len(d)}
	if !opts.noChecksum {
		// The rest is left to the device, or to what makes up for one that
		// computes none.
		h.Checksum = ipv4.PseudoHeaderSum(path.Src, dst, ipv4.ProtocolUDP, len(d))
		p.SetPartialChecksum(checksumOffset)
	}
	h.Put(d)
	if count > 1 {
		p.GSO, p.GSOSize = link.GSOUDP, o.SegmentSize
	}
	p.Confirm = o.Confirm
	c.sends.charge(p)
	return c.sent(c.pr.ip.OutputBy(path, p, s), to, path, opts)
}

// complete fills in what the socket's options say and the call's do not.
func (o *SendOptions) complete(c *Conn, opts *options, multicast bool) {
	if !o.Source.IsValid() || o.Source.IsUnspecified() {
		o.Source = c.src()
	}
	if o.Interface == 0 {
		if o.Interface = c.oif; multicast && c.oif == 0 {
			o.Interface = opts.multicastOIF
		}
	}
	if !o.segmentGiven && o.SegmentSize == 0 {
		o.SegmentSize = opts.segment
	}
	switch {
	case o.TTL != 0:
	case multicast: // IP_TTL is not for groups
		o.TTL = opts.multicastTTL
	default:
		o.TTL = opts.ttl
	}
	if !o.tosGiven {
		o.tos = opts.tos
	}
}

// fit checks that n bytes can be sent by the path, and returns in how many
// datagrams (Linux's udp_send_skb).
func (c *Conn) fit(n int, to netip.AddrPort, path ipv4.Path, o *SendOptions, opts *options) (int, error) {
	const headers = ipv4.HeaderLen + HeaderLen
	if size := o.SegmentSize; size > 0 {
		switch {
		case headers+min(n, size) > path.MTU:
			return 0, syscall.EMSGSIZE
		case n > size*MaxSegments, opts.noChecksum:
			return 0, syscall.EINVAL
		}
		return max((n+size-1)/size, 1), nil
	}
	if headers+n > path.MTU && !opts.pathMTU.fragments() {
		return 0, c.tooLong(to, path, opts)
	}
	return 1, nil
}

// tooLong tells of a datagram that the path does not carry.
func (c *Conn) tooLong(to netip.AddrPort, path ipv4.Path, opts *options) error {
	if opts.receiveErrors {
		c.mu.Lock()
		// As Linux's ip_local_error: the port is the peer's, if there is one.
		to = netip.AddrPortFrom(to.Addr(), c.raddr().Port())
		c.queueErrorLocked(QueuedError{Errno: syscall.EMSGSIZE, Origin: Local, Info: uint32(path.MTU), To: to})
		c.mu.Unlock()
	}
	return syscall.EMSGSIZE
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
		return c.tooLong(to, path, &opts)
	case errors.Is(err, syscall.EIO), errors.Is(err, net.ErrClosed):
		// The device is connected to nothing: sent, and lost.
	default:
		return err
	}
	c.pr.stats.OutDatagrams.Add(1)
	return nil
}
