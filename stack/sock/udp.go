package sock

import (
	"errors"
	"net/netip"
	"syscall"

	"github.com/tapstack/tapstack/ipv4/udp"
)

// udpSocket is a datagram socket. It has a socket below once it has a port, which
// it gets when it first needs one.
type udpSocket struct {
	*socket
	stub
	conn   *udp.Conn
	addr   netip.Addr // that it was bound to, kept without a port
	port   uint16     // that it was bound to, 0: the one it has was not asked for
	rd, wr bool
	corked *corked
}

// corked is a datagram that MSG_MORE keeps open.
type corked struct {
	data []byte
	to   netip.AddrPort
}

func newUDP(s *socket) *udpSocket { return &udpSocket{socket: s, addr: netip.IPv4Unspecified()} }

func (u *udpSocket) bind(a netip.AddrPort) syscall.Errno {
	if u.conn != nil {
		if t := u.p.config.IPv4; !a.Addr().IsUnspecified() && !bindable(t.AddrType(a.Addr())) {
			return syscall.EADDRNOTAVAIL
		}
		return syscall.EINVAL
	}
	if errno := u.open(a); errno != 0 {
		return errno
	}
	u.addr, u.port = a.Addr(), a.Port()
	return 0
}

func (u *udpSocket) open(a netip.AddrPort) syscall.Errno {
	o := &u.options
	c := udp.SocketConfig{Interface: o.index, ReuseAddr: o.reuseAddr, ReusePort: o.reusePort}
	conn, err := u.p.config.UDP.Listen(a, c)
	if err != nil {
		return errnoOf(err)
	}
	u.conn = conn
	conn.Notify(func() { u.p.wake(u.socket) })
	return u.apply()
}

// autobind gives the socket a port if it has none (inet_autobind).
func (u *udpSocket) autobind() syscall.Errno {
	if u.conn != nil {
		return 0
	}
	if u.open(netip.AddrPortFrom(u.addr, 0)) != 0 {
		return syscall.EAGAIN
	}
	return 0
}

// connect is __ip4_datagram_connect, and with no address __udp_disconnect.
func (u *udpSocket) connect(a netip.AddrPort, _, _ bool) (syscall.Errno, bool) {
	if !a.IsValid() {
		switch {
		case u.conn == nil:
		case u.port != 0:
			u.conn.Connect(netip.AddrPort{})
		default:
			// The port was not asked for: it goes, and what is unread with it.
			u.conn.Close()
			u.conn = nil
		}
		return 0, true
	}
	if errno := u.autobind(); errno != 0 {
		return errno, true
	}
	return errnoOf(u.conn.Connect(a)), true
}

// send is udp_sendmsg.
func (u *udpSocket) send(x *transfer, last bool) (syscall.Errno, bool) {
	switch {
	case x.size > 0xffff:
		return syscall.EMSGSIZE, true
	case x.flags&msgOOB != 0:
		return syscall.EOPNOTSUPP, true
	case x.to.IsValid() && x.to.Port() == 0:
		return syscall.EINVAL, true
	}
	// sendto comes with a port (inet_send_prepare).
	if errno := u.autobind(); errno != 0 {
		return errno, true
	}
	if !x.to.IsValid() && u.corked == nil && !u.conn.RemoteAddrPort().IsValid() {
		return syscall.EDESTADDRREQ, true
	}
	if u.wr {
		return syscall.EPIPE, true
	}
	if u.corked != nil || x.flags&msgMore != 0 {
		return u.cork(x)
	}
	return u.transmit(x, x.payload.datagram(x.size), x.to, last)
}

func (u *udpSocket) transmit(x *transfer, b []byte, to netip.AddrPort, last bool) (syscall.Errno, bool) {
	err := u.conn.TrySend(b, to, udp.SendOptions{Confirm: x.flags&msgConfirm != 0, Probe: x.flags&msgProbe != 0})
	if errors.Is(err, syscall.EAGAIN) && !last {
		return 0, false
	}
	if err == nil {
		x.n = x.size
	}
	return errnoOf(err), true
}

// cork adds to a datagram, and sends it unless there is more (ip_append_data).
func (u *udpSocket) cork(x *transfer) (syscall.Errno, bool) {
	if u.corked == nil {
		u.corked = &corked{to: x.to}
	}
	if len(u.corked.data)+int(x.size) > udp.MaxPayload {
		u.corked = nil // udp_flush_pending_frames
		return syscall.EMSGSIZE, true
	}
	u.corked.data = append(u.corked.data, x.payload.datagram(x.size)...)
	x.n = x.size
	if x.flags&msgMore != 0 {
		return 0, true
	}
	d := u.corked
	u.corked = nil
	return u.transmit(x, d.data, d.to, true)
}

// recv is udp_recvmsg.
func (u *udpSocket) recv(x *transfer, last bool) (syscall.Errno, bool) {
	if x.flags&msgErrQueue != 0 {
		return syscall.EAGAIN, true
	}
	err := error(syscall.EAGAIN)
	if u.conn != nil {
		flags := 0
		if x.flags&msgPeek != 0 {
			flags |= udp.MsgPeek
		}
		if x.flags&msgTrunc != 0 {
			flags |= udp.MsgTrunc
		}
		var n int
		x.data = make([]byte, min(x.size, int64(u.conn.Ready().Next)))
		n, x.from, x.truncated, err = u.conn.TryRead(x.data, flags)
		x.n, x.data = int64(n), x.data[:min(n, len(x.data))]
	}
	switch {
	case err == nil:
		return 0, true
	case errors.Is(err, syscall.EAGAIN) && !last && u.rd:
		return 0, true // __skb_wait_for_more_packets
	case errors.Is(err, syscall.EAGAIN) && !last:
		return 0, false
	}
	return errnoOf(err), true
}

// shutdown says ENOTCONN without a peer, but it counts (inet_shutdown).
func (u *udpSocket) shutdown(rd, wr bool) syscall.Errno {
	u.rd, u.wr = u.rd || rd, u.wr || wr
	if _, errno := u.peer(); errno != 0 {
		return errno
	}
	return 0
}

func (u *udpSocket) close() {
	if u.conn != nil {
		u.conn.Notify(nil)
		u.conn.Close()
	}
}

// poll is udp_poll.
func (u *udpSocket) poll() (e events) {
	r := udp.Readiness{Writable: true}
	if u.conn != nil {
		r = u.conn.Ready()
	}
	return datagramPoll(r.Readable, r.Writable, r.Error, u.rd, u.wr)
}

// datagramPoll is datagram_poll.
func datagramPoll(readable, writable, failed, rd, wr bool) (e events) {
	if failed {
		e |= pollErr
	}
	if rd {
		e |= pollRdHup | pollIn | pollRdNorm
	}
	if rd && wr {
		e |= pollHup
	}
	if readable {
		e |= pollIn | pollRdNorm
	}
	if writable {
		e |= pollOut | pollWrNorm | pollWrBand
	}
	return e
}

func (u *udpSocket) local() netip.AddrPort {
	if u.conn == nil {
		return netip.AddrPortFrom(u.addr, 0)
	}
	return u.conn.LocalAddrPort()
}

func (u *udpSocket) peer() (netip.AddrPort, syscall.Errno) {
	if u.conn == nil || !u.conn.RemoteAddrPort().IsValid() {
		return netip.AddrPort{}, syscall.ENOTCONN
	}
	return u.conn.RemoteAddrPort(), 0
}

func (u *udpSocket) queued() (in, out int, errno syscall.Errno) {
	if u.conn != nil {
		in, out = u.conn.Ready().Next, u.conn.Charged()
	}
	return in, out, 0
}

func (u *udpSocket) takeError() syscall.Errno {
	if u.conn == nil {
		return 0
	}
	return u.conn.SocketError()
}

func (u *udpSocket) mtu() (int, syscall.Errno) {
	if u.conn == nil {
		return 0, syscall.ENOTCONN
	}
	n, err := u.conn.MTU()
	return n, errnoOf(err)
}

// pathMTUs are the ways of IP_MTU_DISCOVER, by number.
var pathMTUs = [...]udp.PathMTU{udp.Dont, udp.Want, udp.Do, udp.Probe, udp.InterfaceMTU, udp.Omit}

func (u *udpSocket) apply() syscall.Errno {
	if u.conn == nil {
		return 0
	}
	c, o := u.conn, &u.options
	c.SetBroadcast(o.broadcast)
	c.SetTTL(uint8(o.ttl))
	c.SetTOS(uint8(o.tos))
	c.SetPathMTU(pathMTUs[o.mtuDiscover])
	if o.rcvbuf > 0 {
		c.SetReadBuffer(o.rcvbuf / 2)
	}
	if o.sndbuf > 0 {
		c.SetWriteBuffer(o.sndbuf / 2)
	}
	return 0
}
