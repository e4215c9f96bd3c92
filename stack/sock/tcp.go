package sock

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/ipv4/tcp"
)

// tcpSocket is a stream socket: at any time bound, or not, and one of a listener,
// a connection, or nothing yet.
type tcpSocket struct {
	*socket
	ss       ssState
	binding  *tcp.Binding
	chosen   bool       // the binding's port was not asked for: it ends with what uses it
	addr     netip.Addr // that was asked for
	stale    uint16     // a port that it has no more, which getsockname still tells
	listener *tcp.Listener
	conn     *tcp.Conn
	pending  syscall.Errno // of a connection that was dissolved
	rd, wr   bool          // shut down without a connection
	fragment bool          // packets leave without DF
	closed   bool
}

// ssState is Linux's socket->state, which follows what calls have told.
type ssState uint8

const (
	ssUnconnected ssState = iota
	ssConnecting
	ssConnected
	ssDisconnecting // shut down before it was connected
)

func newTCP(s *socket) *tcpSocket { return &tcpSocket{socket: s, addr: netip.IPv4Unspecified()} }

// state is the state of the connection. A descriptor does not see TIME-WAIT:
// what is left then is none of its business (tcp_time_wait).
func (t *tcpSocket) state() tcp.State {
	switch {
	case t.listener != nil:
		return tcp.Listen
	case t.conn == nil:
		return tcp.Closed
	}
	return ended(t.conn.Ready().State)
}

func ended(s tcp.State) tcp.State {
	if s == tcp.TimeWait {
		return tcp.Closed
	}
	return s
}

func connecting(s tcp.State) bool { return s == tcp.SynSent || s == tcp.SynReceived }

func (t *tcpSocket) wake() { t.p.wake(t.socket) }

func (t *tcpSocket) info() tcp.Info {
	var i tcp.Info
	switch {
	case t.listener != nil:
		i = t.listener.Info()
	case t.conn != nil:
		i = t.conn.Info()
		if i.State = ended(i.State); i.SndMSS > 0 {
			return i
		}
	}
	d := t.p.config.TCP.Defaults()
	if i.RTO == 0 {
		i.RTO = time.Second
	}
	i.SndMSS, i.RcvMSS, i.SndCwnd, i.Congestion = unknownMSS, unknownMSS, 10*unknownMSS, d.CongestionControl()
	return i
}

// unknownMSS is what TCP assumes of a peer that it knows nothing of.
const unknownMSS = 536

// maxSeg is what TCP_MAXSEG tells.
func (t *tcpSocket) maxSeg() int {
	if s := t.state(); t.options.tcp.maxSeg > 0 && (s == tcp.Closed || s == tcp.Listen) {
		return t.options.tcp.maxSeg
	}
	if t.conn != nil {
		if n := t.conn.Info().SndMSS; n > 0 {
			return n
		}
	}
	return unknownMSS
}

func (t *tcpSocket) bind(a netip.AddrPort) syscall.Errno {
	if t.binding != nil || t.state() != tcp.Closed || t.conn != nil {
		if !a.Addr().IsUnspecified() && !t.p.localAddr(a.Addr()) {
			return syscall.EADDRNOTAVAIL // looked at first (__inet_bind)
		}
		return syscall.EINVAL
	}
	b, err := t.p.config.TCP.Bind(a, t.options.reuseAddr)
	if err != nil {
		return errnoOf(err)
	}
	t.binding, t.addr, t.chosen = b, a.Addr(), a.Port() == 0
	return 0
}

// listen is inet_listen: again on a listener it only changes the backlog.
func (t *tcpSocket) listen(backlog int) syscall.Errno {
	switch {
	case t.ss != ssUnconnected:
		return syscall.EINVAL
	case t.listener != nil:
		t.listener.SetBacklog(backlog)
		return 0
	case t.state() != tcp.Closed:
		return syscall.EINVAL
	}
	if t.binding == nil {
		b, err := t.p.config.TCP.Bind(netip.AddrPortFrom(t.addr, 0), t.options.reuseAddr)
		if err != nil {
			return errnoOf(err)
		}
		t.binding, t.chosen = b, true
	}
	l, err := t.binding.Listen(t.config())
	if err != nil {
		return errnoOf(err)
	}
	l.SetBacklog(backlog)
	l.Notify(t.wake)
	t.listener = l
	return t.apply()
}

// unbind gives up a port that was not asked for.
func (t *tcpSocket) unbind() {
	if t.chosen {
		t.stale = t.binding.LocalAddrPort().Port()
		t.binding.Release()
		t.binding, t.chosen = nil, false
	}
}

func (t *tcpSocket) accept() (protocol, netip.AddrPort, syscall.Errno) {
	if t.listener == nil {
		return nil, netip.AddrPort{}, syscall.EINVAL
	}
	conn, err := t.listener.TryAccept()
	if err != nil {
		return nil, netip.AddrPort{}, errnoOf(err)
	}
	s := &socket{p: t.p, kind: t.kind, proto: t.proto, options: t.options} // sk_clone_lock
	child := &tcpSocket{socket: s, ss: ssConnected, conn: conn, addr: netip.IPv4Unspecified()}
	s.impl = child
	conn.Notify(child.wake)
	child.apply()
	return child, addrPort(conn.RemoteAddr()), 0
}

func addrPort(a net.Addr) netip.AddrPort {
	if a, ok := a.(*net.TCPAddr); ok {
		p := a.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}

// connect is __inet_stream_connect.
func (t *tcpSocket) connect(a netip.AddrPort, begun, last bool) (syscall.Errno, bool) {
	if !a.IsValid() {
		t.disconnect()
		t.ss = ssUnconnected
		return 0, true
	}
	errno := syscall.EALREADY
	switch t.ss {
	case ssDisconnecting:
		return syscall.EINVAL, true
	case ssConnected:
		if begun {
			return 0, true // another call has seen the end
		}
		return syscall.EISCONN, true
	case ssUnconnected:
		if begun {
			return syscall.ECONNABORTED, true // another call has seen the end, or dissolved it
		}
		if t.state() != tcp.Closed || t.conn != nil {
			return syscall.EISCONN, true
		}
		if errno := t.start(a); errno != 0 {
			return errno, true
		}
		t.ss = ssConnecting
		// The answer to the SYN is not looked at before the first wait, even
		// if it is there: Linux holds it back as the socket is in use.
		if last {
			return syscall.EINPROGRESS, true
		}
		errno = syscall.EINPROGRESS
	}
	if begun {
		errno = syscall.EINPROGRESS // the time is up
	}
	switch r := t.conn.Ready(); {
	case connecting(r.State):
		return errno, last
	case ended(r.State) == tcp.Closed:
		if errno = t.conn.SocketError(false); errno == 0 {
			errno = syscall.ECONNABORTED
		}
		t.disconnect()
		t.pending = 0
		t.ss = ssUnconnected
		return errno, true
	}
	t.ss = ssConnected
	return 0, true
}

func (t *tcpSocket) start(a netip.AddrPort) syscall.Errno {
	local := netip.AddrPortFrom(t.addr, 0)
	if t.binding != nil {
		local = t.binding.LocalAddrPort()
	}
	conn, err := t.p.config.TCP.Start(local, a, t.config())
	switch errno := errnoOf(err); {
	case errno == syscall.EADDRINUSE:
		return syscall.EADDRNOTAVAIL // __inet_check_established
	case errno != 0:
		return errno
	}
	t.conn, t.pending, t.rd, t.wr, t.fragment = conn, 0, false, false, false
	conn.Notify(t.wake)
	t.apply()
	return 0
}

// disconnect is tcp_disconnect: a reset for a peer that is there, and the socket as
// good as new, but with its port if that was asked for.
func (t *tcpSocket) disconnect() {
	switch {
	case t.listener != nil:
		t.listener.Close()
		t.listener = nil
	case t.conn != nil:
		switch s := t.conn.Ready().State; s {
		case tcp.SynSent, tcp.SynReceived, tcp.Established, tcp.CloseWait, tcp.FinWait1, tcp.FinWait2:
			t.pending = syscall.ECONNRESET
		}
		t.stale = addrPort(t.conn.LocalAddr()).Port()
		t.conn.Notify(nil)
		t.conn.Abort()
		t.conn = nil
	}
	t.rd, t.wr = false, false
	t.unbind()
}

// send is tcp_sendmsg_locked.
func (t *tcpSocket) send(x *transfer, last bool) (syscall.Errno, bool) {
	switch {
	case x.flags&msgOOB != 0:
		return syscall.EOPNOTSUPP, true // urgent data is not sent here
	case x.flags&msgFastOpen != 0:
		return syscall.EOPNOTSUPP, true // as with net.ipv4.tcp_fastopen=0
	case t.conn == nil:
		if errno := t.takePending(); errno != 0 {
			return errno, true
		}
		return syscall.EPIPE, true
	}
	r := t.conn.Ready()
	if connecting(r.State) { // sk_stream_wait_connect
		if t.wr {
			return syscall.EPIPE, true
		}
		return syscall.EAGAIN, last
	}
	for {
		if x.n > 0 && (x.n == x.size || r.Error) {
			return 0, true // the next call will tell
		}
		b := x.next(len(zeroPage))
		n, err := t.conn.TryWrite(b, x.flags&msgMore != 0 || x.n+int64(len(b)) < x.size)
		x.n += int64(n)
		switch {
		case err == nil && x.n == x.size:
			return 0, true
		case err == nil:
			r = t.conn.Ready()
		case errors.Is(err, syscall.EAGAIN) && !last:
			return 0, false
		case x.n > 0:
			return 0, true
		default:
			return errnoOf(err), true
		}
	}
}

func (t *tcpSocket) takePending() syscall.Errno {
	errno := t.pending
	t.pending = 0
	return errno
}

// recv is tcp_recvmsg_locked.
func (t *tcpSocket) recv(x *transfer, last bool) (syscall.Errno, bool) {
	switch {
	case x.flags&msgErrQueue != 0:
		return syscall.EAGAIN, true
	case t.listener != nil:
		return syscall.ENOTCONN, true
	case x.flags&msgOOB != 0:
		return syscall.EINVAL, true // there never is urgent data
	case t.conn == nil:
		switch errno := t.takePending(); {
		case errno != 0:
			return errno, true
		case t.rd:
			return 0, true
		}
		return syscall.ENOTCONN, true
	}
	target := min(x.size, 1)
	if x.flags&msgWaitAll != 0 {
		target = x.size
	}
	target = max(target, 1) // sock_rcvlowat
	for {
		r := t.conn.Ready()
		over := last || r.EOF || r.Error
		if r.Readable > 0 {
			if x.flags&msgPeek != 0 && int64(r.Readable) < target && !over {
				return 0, false
			}
			errno := t.read(x, r.Readable)
			if errno != 0 || x.n >= min(target, x.size) || x.flags&msgPeek != 0 {
				return errno, true
			}
			continue
		}
		if x.n > 0 {
			return 0, over // errors are for the next call
		}
		_, err := t.conn.TryRead(nil, true)
		switch {
		case err == nil: // it has just come
		case errors.Is(err, io.EOF):
			return 0, true
		case errors.Is(err, syscall.EAGAIN):
			return syscall.EAGAIN, last
		default:
			return errnoOf(err), true
		}
	}
}

// read takes, or looks at, what there is, at least available bytes.
func (t *tcpSocket) read(x *transfer, available int) syscall.Errno {
	want := int(min(x.size-x.n, int64(available)))
	peek := x.flags&msgPeek != 0
	switch {
	case want == 0:
		return 0
	case !x.show || x.flags&msgTrunc != 0: // MSG_TRUNC: nobody wants to see it
		n, err := want, error(nil)
		if !peek {
			n, err = t.conn.Discard(want)
		}
		x.n += int64(n)
		return errnoOf(err)
	case x.n+int64(want) > maxTransfer:
		want = int(maxTransfer - x.n)
	}
	at := len(x.data)
	x.data = append(x.data, make([]byte, want)...)
	n, err := t.conn.TryRead(x.data[at:], peek)
	x.data = x.data[:at+n]
	x.n += int64(n)
	return errnoOf(err)
}

// shutdown is inet_shutdown.
func (t *tcpSocket) shutdown(rd, wr bool) syscall.Errno {
	if t.ss == ssConnecting {
		if t.ss = ssConnected; t.state() == tcp.Closed || connecting(t.state()) {
			t.ss = ssDisconnecting
		}
	}
	switch s := t.state(); {
	case s == tcp.Listen && !rd:
		return 0
	case s == tcp.Listen, s == tcp.SynSent:
		t.disconnect()
		t.ss = ssUnconnected
		return 0
	}
	t.rd, t.wr = t.rd || rd, t.wr || wr
	defer t.p.retry(t.socket)
	if t.state() == tcp.Closed {
		return syscall.ENOTCONN
	}
	if rd {
		t.conn.CloseRead()
	}
	if wr {
		t.conn.CloseWrite()
	}
	return 0
}

func (t *tcpSocket) close() {
	if t.closed {
		return
	}
	t.closed = true
	if t.listener != nil {
		t.listener.Notify(nil)
		t.listener.Close()
	}
	if t.conn != nil {
		if !t.options.linger || t.options.lingerSec == 0 {
			t.conn.Notify(nil)
		}
		t.conn.Close()
	}
	if t.binding != nil {
		t.binding.Release()
	}
}

// lingering is sk_stream_closing.
func (t *tcpSocket) lingering() bool {
	if t.conn == nil {
		return false
	}
	switch t.conn.Ready().State {
	case tcp.FinWait1, tcp.Closing, tcp.LastAck:
		return true
	}
	return false
}

// poll is tcp_poll.
func (t *tcpSocket) poll() (e events) {
	if t.listener != nil {
		if t.listener.Pending() > 0 {
			e = pollIn | pollRdNorm
		}
		return e
	}
	r, rd, wr := tcp.Readiness{Writable: true}, t.rd, t.wr
	if t.conn != nil {
		r = t.conn.Ready()
		over := ended(r.State) == tcp.Closed // tcp_done shuts both ways
		rd, wr = rd || r.EOF, wr || over
	}
	state := ended(r.State)
	if rd && wr || state == tcp.Closed {
		e |= pollHup
	}
	if rd {
		e |= pollIn | pollRdNorm | pollRdHup
	}
	if !connecting(state) {
		if r.Readable > 0 {
			e |= pollIn | pollRdNorm
		}
		if wr || r.Writable {
			e |= pollOut | pollWrNorm
		}
	}
	if r.Error || t.pending != 0 {
		e |= pollErr
	}
	return e
}

func (t *tcpSocket) local() netip.AddrPort {
	switch {
	case t.conn != nil:
		return addrPort(t.conn.LocalAddr())
	case t.binding != nil:
		return t.binding.LocalAddrPort()
	}
	return netip.AddrPortFrom(t.addr, t.stale)
}

func (t *tcpSocket) peer() (netip.AddrPort, syscall.Errno) {
	if s := t.state(); t.conn == nil || s == tcp.Closed || s == tcp.SynSent { // inet_getname
		return netip.AddrPort{}, syscall.ENOTCONN
	}
	return addrPort(t.conn.RemoteAddr()), 0
}

// queued is tcp_ioctl.
func (t *tcpSocket) queued() (in, out int, errno syscall.Errno) {
	switch s := t.state(); {
	case s == tcp.Listen:
		return 0, 0, syscall.EINVAL
	case t.conn == nil, connecting(s):
		return 0, 0, 0
	}
	in, out = t.conn.Queued()
	return in, out, 0
}

func (t *tcpSocket) takeError() syscall.Errno {
	if errno := t.takePending(); errno != 0 || t.conn == nil {
		return errno
	}
	return t.conn.SocketError(true)
}

func (t *tcpSocket) mtu() (int, syscall.Errno) {
	if t.conn == nil || t.state() == tcp.Closed {
		return 0, syscall.ENOTCONN
	}
	return t.conn.Info().PMTU, 0
}

// config is what the options say to a connection or listener that begins.
func (t *tcpSocket) config() tcp.SocketConfig {
	o := &t.options
	c := tcp.SocketConfig{MSS: o.tcp.maxSeg, Interface: o.index, SendBuffer: o.sndbuf, ReceiveBuffer: t.window()}
	t.configure(&c)
	return c
}

// window is how many bytes may wait to be read, 0 for the default: of SO_RCVBUF
// half is for what they cost (tcp_win_from_space).
func (t *tcpSocket) window() int {
	n := t.options.rcvbuf / 2
	if clamp := t.options.tcp.windowClamp; clamp > 0 && (n == 0 || clamp < n) {
		n = clamp
	}
	return n
}

// configure writes to c what may change later.
func (t *tcpSocket) configure(c *tcp.SocketConfig) {
	o := &t.options
	c.Nagle, c.ReuseAddr, c.TTL, c.TOS = !o.tcp.noDelay, o.reuseAddr, uint8(o.ttl), uint8(o.tos)
	c.KeepAlive = net.KeepAliveConfig{Enable: o.keepAlive, Idle: seconds(o.tcp.keepIdle), Interval: seconds(o.tcp.keepInterval), Count: o.tcp.keepCount}
	c.SynRetries, c.FinTimeout, c.NotSentLowat = o.tcp.synCount, seconds(o.tcp.linger2), o.tcp.notSentLowat
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func (t *tcpSocket) apply() syscall.Errno {
	o := &t.options
	if t.binding != nil {
		t.binding.SetReuse(o.reuseAddr)
	}
	if t.listener != nil {
		t.listener.SetDeferAccept(o.tcp.deferAccept)
	}
	if t.conn == nil {
		return 0
	}
	c := t.conn
	c.Configure(t.configure)
	if o.linger && o.lingerSec == 0 {
		c.SetLinger(0)
	} else {
		c.SetLinger(-1) // a close that waits does so here
	}
	if o.sndbuf > 0 {
		c.SetWriteBuffer(o.sndbuf)
	}
	if n := t.window(); n > 0 {
		c.SetReadBuffer(n)
	}
	c.SetUserTimeout(time.Duration(o.tcp.userTimeout) * time.Millisecond)
	c.SetCork(o.tcp.cork)
	if fragment := o.mtuDiscover == pmtudiscDont; fragment != t.fragment {
		c.SetDontFragment(!fragment)
		t.fragment = fragment
	}
	if q := o.tcp.quickAck; q != nil {
		c.SetQuickAck(*q)
		o.tcp.quickAck = nil // it does not last
	}
	return 0
}
