package sock

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"syscall"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/ipv4/icmp"
)

// pingSocket is a datagram socket of ICMP, which sends echo requests and receives
// the replies, ICMP header and all; its port is their identifier.
type pingSocket struct {
	*socket
	stub
	conn    *icmp.EchoConn
	addr    netip.Addr // that was asked for
	src     netip.Addr // of a connected one
	port    uint16     // that was asked for
	dst     netip.Addr
	dstPort uint16
	replies []icmp.EchoReply // taken from conn
	pending syscall.Errno
	rd, wr  bool
}

func newPing(s *socket) *pingSocket {
	return &pingSocket{socket: s, addr: netip.IPv4Unspecified(), src: netip.IPv4Unspecified()}
}

// bindable reports whether a socket may be bound to an address of the type
// (inet_addr_valid_or_nonlocal).
func bindable(t ipv4.RouteType) bool {
	return t == ipv4.Local || t == ipv4.Broadcast || t == ipv4.Multicast
}

// localAddr reports whether a is the host's.
func (p *Process) localAddr(a netip.Addr) bool { return p.config.IPv4.AddrType(a) == ipv4.Local }

func (g *pingSocket) bind(a netip.AddrPort) syscall.Errno {
	switch {
	case !a.Addr().IsUnspecified() && !g.p.localAddr(a.Addr()):
		return syscall.EADDRNOTAVAIL
	case g.conn != nil:
		return syscall.EINVAL
	}
	if errno := g.open(a); errno != 0 {
		return errno
	}
	g.addr, g.src, g.port = a.Addr(), a.Addr(), a.Port()
	return 0
}

func (g *pingSocket) open(a netip.AddrPort) syscall.Errno {
	conn, err := g.p.config.ICMP.ListenEchoID(a.Addr(), g.options.index, a.Port())
	if err != nil {
		return errnoOf(err)
	}
	g.conn = conn
	conn.Notify(func() { g.p.wake(g.socket) })
	return 0
}

func (g *pingSocket) autobind() syscall.Errno {
	if g.conn == nil && g.open(netip.AddrPortFrom(g.addr, 0)) != 0 {
		return syscall.EAGAIN
	}
	return 0
}

func (g *pingSocket) connect(a netip.AddrPort, _, _ bool) (syscall.Errno, bool) {
	if !a.IsValid() {
		if g.dst, g.src = (netip.Addr{}), g.addr; g.port == 0 && g.conn != nil {
			g.conn.Close()
			g.conn = nil
		}
		return 0, true
	}
	if errno := g.autobind(); errno != 0 {
		return errno, true
	}
	path, err := g.p.config.IPv4.OutputPath(a.Addr(), g.source(), g.options.index)
	switch {
	case err != nil:
		return errnoOf(err), true
	case path.Type == ipv4.Broadcast && !g.options.broadcast:
		return syscall.EACCES, true
	}
	g.dst, g.dstPort = a.Addr(), a.Port()
	if g.dst.IsUnspecified() {
		g.dst = path.Src
	}
	if g.src.IsUnspecified() {
		g.src = path.Src
	}
	return 0, true
}

// source is the address to send from, not valid for the route's.
func (g *pingSocket) source() netip.Addr {
	if g.src.IsUnspecified() {
		return netip.Addr{}
	}
	return g.src
}

// send is ping_v4_sendmsg.
func (g *pingSocket) send(x *transfer, _ bool) (syscall.Errno, bool) {
	switch {
	case x.size > 0xffff:
		return syscall.EMSGSIZE, true
	case x.flags&msgOOB != 0:
		return syscall.EOPNOTSUPP, true
	case g.autobind() != 0: // inet_send_prepare
		return syscall.EAGAIN, true
	case x.size < icmp.HeaderLen:
		return syscall.EINVAL, true
	}
	b := x.payload.datagram(x.size)
	if b[0] != icmp.TypeEcho || b[1] != 0 {
		return syscall.EINVAL, true
	}
	dst := x.to.Addr()
	if !x.to.IsValid() {
		if dst = g.dst; !dst.IsValid() {
			return syscall.EDESTADDRREQ, true
		}
	}
	if errno := g.takeError(); errno != 0 {
		return errno, true
	}
	if g.wr {
		return syscall.EPIPE, true
	}
	if t := g.p.config.IPv4.AddrType(dst); t == ipv4.Broadcast && !g.options.broadcast {
		return syscall.EACCES, true
	}
	o := &g.options
	err := g.conn.Send(icmp.EchoRequest{Dst: dst, Seq: binary.BigEndian.Uint16(b[6:]), Payload: b[icmp.HeaderLen:],
		TTL: uint8(o.ttl), TOS: uint8(o.tos), DF: o.mtuDiscover > pmtudiscWant, Confirm: x.flags&msgConfirm != 0})
	if err == nil {
		x.n = x.size
	}
	return errnoOf(err), true
}

// maxReplies is how many replies wait here at most.
const maxReplies = 256

// drain takes what has come: replies, and errors as far as such a socket hears of
// them (ping_err).
func (g *pingSocket) drain() {
	for g.conn != nil && len(g.replies) < maxReplies {
		r, err := g.conn.TryReceive()
		switch {
		case err != nil:
			return
		case r.Err == nil:
			g.replies = append(g.replies, r)
		case g.dst.IsValid() && hard(r.Type, r.Code):
			errors.As(r.Err, &g.pending)
		}
	}
}

// hard reports whether an error is fatal to a connected socket (icmp_err_convert).
func hard(t, code uint8) bool {
	switch t {
	case ipv4.TypeUnreachable:
		return code != ipv4.CodeNetUnreachable && code != ipv4.CodeHostUnreachable && code != 5 && code != 11 && code != 12
	case icmp.TypeParameterProblem:
		return true
	}
	return false
}

func (g *pingSocket) recv(x *transfer, last bool) (syscall.Errno, bool) {
	g.drain()
	switch {
	case x.flags&msgOOB != 0:
		return syscall.EOPNOTSUPP, true
	case x.flags&msgErrQueue != 0:
		return syscall.EAGAIN, true
	}
	if errno := g.takeError(); errno != 0 {
		return errno, true
	}
	if len(g.replies) == 0 {
		if g.rd && !last {
			return 0, true
		}
		return syscall.EAGAIN, last
	}
	r := g.replies[0]
	b := make([]byte, icmp.HeaderLen+len(r.Payload))
	b[0] = icmp.TypeEchoReply
	binary.BigEndian.PutUint16(b[4:], g.conn.ID())
	binary.BigEndian.PutUint16(b[6:], r.Seq)
	copy(b[icmp.HeaderLen:], r.Payload)
	icmp.SetChecksum(b)
	if x.flags&msgPeek == 0 {
		g.replies = g.replies[1:]
	}
	x.from = netip.AddrPortFrom(r.From, 0)
	n := min(len(b), int(x.size))
	x.data, x.n, x.truncated = b[:n], int64(n), n < len(b)
	return 0, true
}

func (g *pingSocket) shutdown(rd, wr bool) syscall.Errno {
	g.rd, g.wr = g.rd || rd, g.wr || wr
	if !g.dst.IsValid() {
		return syscall.ENOTCONN
	}
	return 0
}

func (g *pingSocket) close() {
	if g.conn != nil {
		g.conn.Notify(nil)
		g.conn.Close()
	}
}

func (g *pingSocket) poll() events {
	g.drain()
	return datagramPoll(len(g.replies) > 0, true, g.pending != 0, g.rd, g.wr)
}

func (g *pingSocket) local() netip.AddrPort {
	if g.conn == nil {
		return netip.AddrPortFrom(g.src, 0)
	}
	return netip.AddrPortFrom(g.src, g.conn.ID())
}

func (g *pingSocket) peer() (netip.AddrPort, syscall.Errno) {
	if !g.dst.IsValid() {
		return netip.AddrPort{}, syscall.ENOTCONN
	}
	return netip.AddrPortFrom(g.dst, g.dstPort), 0
}

func (g *pingSocket) queued() (in, out int, errno syscall.Errno) {
	return 0, 0, syscall.ENOTTY // it has no ioctl of its own
}

func (g *pingSocket) takeError() syscall.Errno {
	g.drain()
	errno := g.pending
	g.pending = 0
	return errno
}

func (g *pingSocket) mtu() (int, syscall.Errno) {
	if !g.dst.IsValid() {
		return 0, syscall.ENOTCONN
	}
	path, err := g.p.config.IPv4.OutputPath(g.dst, g.source(), g.options.index)
	return path.MTU, errnoOf(err)
}

func (g *pingSocket) apply() syscall.Errno { return 0 }
