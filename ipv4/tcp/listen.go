package tcp

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
)

// Listener accepts connections. It is a net.Listener; all methods may be called
// concurrently.
type Listener struct {
	pr     *Protocol
	key    listenKey
	config *SocketConfig // of its connections too

	// mu comes after a connection's in the lock order, and before the demux's.
	mu       sync.Mutex
	ready    sync.Cond
	backlog  int
	half     map[*Conn]struct{} // in SYN-RECEIVED: the SYN queue
	queue    []*Conn            // established, not accepted yet
	deadline deadline
	cookieAt moment // when a SYN cookie was sent last, 0: never
	closed   bool
	onEvent  func()       // see Notify
	binding  *Binding     // nil without one
	deferral atomic.Int32 // see SetDeferAccept
}

// Listen opens laddr for connections (RFC 9293 section 3.10.1, passive open). An
// address that is not valid or unspecified stands for all of the host's, port 0
// for any that is free. Errors are *net.OpError: EADDRINUSE, EADDRNOTAVAIL.
// Accepted connections begin with sc.
func (pr *Protocol) Listen(laddr netip.AddrPort, sc SocketConfig) (*Listener, error) {
	return pr.listen(laddr, sc, nil)
}

func (pr *Protocol) listen(laddr netip.AddrPort, sc SocketConfig, b *Binding) (*Listener, error) {
	fail := func(err error) (*Listener, error) {
		return nil, opError("listen", "bind", netip.AddrPort{}, laddr, err)
	}
	if pr.closed.Load() {
		return fail(net.ErrClosed)
	}
	if sc.Congestion != "" && newCongestionControl(sc.Congestion) == nil {
		return fail(syscall.ENOENT)
	}
	a := laddr.Addr().Unmap()
	if !a.IsValid() {
		a = netip.IPv4Unspecified()
	}
	if !a.IsUnspecified() {
		if err := pr.localAddr(a); err != nil {
			return fail(err)
		}
	}
	if sc.Backlog <= 0 || sc.Backlog > pr.config.MaxBacklog {
		sc.Backlog = pr.config.MaxBacklog
	}
	l := &Listener{pr: pr, key: listenKey{a.As4(), laddr.Port()}, config: pr.socketConfig(sc), backlog: sc.Backlog, half: make(map[*Conn]struct{}), binding: b}
	l.ready.L = &l.mu
	claimed := l.key.lport != 0 && pr.demux.listen(l)
	if l.key.lport == 0 {
		_, claimed = pr.ephemeral(l.key.laddr, addr{}, 0, func(port uint16) bool {
			l.key.lport = port
			return pr.demux.listen(l)
		})
	}
	if !claimed {
		return fail(syscall.EADDRINUSE)
	}
	if pr.closed.Load() { // Protocol.Close may have missed it
		l.Close()
		return fail(net.ErrClosed)
	}
	return l, nil
}

// Addr returns the address, a *net.TCPAddr.
func (l *Listener) Addr() net.Addr { return tcpAddr(l.addrPort()) }

func (l *Listener) addrPort() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4(l.key.laddr), l.key.lport)
}

// Accept waits for a connection. The error is net.ErrClosed or
// os.ErrDeadlineExceeded in a *net.OpError.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptTCP is Accept with the connection's own type.
func (l *Listener) AcceptTCP() (*Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		var err error
		switch {
		case l.closed:
			err = net.ErrClosed
		case l.deadline.passedLocked(l.pr.config.Clock):
			err = os.ErrDeadlineExceeded
		case len(l.queue) > 0:
			c := l.queue[0]
			l.queue[0] = nil
			l.queue = l.queue[1:]
			return c, nil
		default:
			l.deadline.waitLocked(l.pr.config.Clock, &l.ready)
			continue
		}
		return nil, opError("accept", "accept", netip.AddrPort{}, l.addrPort(), err)
	}
}

// SetDeadline sets the deadline of Accept; the zero time means none.
func (l *Listener) SetDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return opError("set", "setdeadline", netip.AddrPort{}, l.addrPort(), net.ErrClosed)
	}
	l.deadline.at = t
	l.ready.Broadcast()
	return nil
}

// Close stops listening. Connections that nobody has accepted are reset. The
// error of a second Close is net.ErrClosed.
func (l *Listener) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return opError("close", "close", netip.AddrPort{}, l.addrPort(), net.ErrClosed)
	}
	l.closed = true
	l.deadline.stopLocked()
	l.ready.Broadcast()
	orphans := l.queue
	for c := range l.half {
		orphans = append(orphans, c)
	}
	l.queue, l.half = nil, nil
	l.mu.Unlock()
	l.pr.demux.unlisten(l)
	for _, c := range orphans {
		c.Abort()
	}
	return nil
}

// input handles a segment for which there is no connection (RFC 9293 section
// 3.10.7.2, LISTEN). iss is what a new connection begins with, 0 for its own
// choice.
func (l *Listener) input(s *segment, p *link.Packet, iss Seq) {
	switch {
	case s.Flags&RST != 0: // first
		l.pr.config.Drops.Drop(p, link.TCPReset)
	case s.Flags&ACK != 0: // second
		if !l.cookieInput(s, p) {
			l.pr.refuse(s, p, link.TCPFlags)
		}
	case s.Flags&(SYN|FIN) == SYN: // third; SYN with FIN is nobody's honest work (Linux)
		l.synInput(s, p, iss)
	default:
		l.pr.config.Drops.Drop(p, link.TCPFlags)
	}
}

func (l *Listener) synInput(s *segment, p *link.Packet, iss Seq) {
	if l.pr.ip.AddrType(netip.AddrFrom4(s.key.laddr)) != ipv4.Local {
		// To a broadcast address, though in a frame for us (RFC 9293 section
		// 3.9.2.3, MUST-57).
		l.pr.config.Drops.Drop(p, link.IPInvalidDest)
		return
	}
	now := l.pr.config.Clock.Now()
	// Before anything is spent on a flood.
	switch l.room(now, iss == 0 && l.pr.params.Load().syncookies) {
	case synDropped:
		l.pr.config.Drops.Drop(p, link.TCPListenOverflow)
		return
	case synCookie:
		p.Release()
		l.sendCookie(now, s)
		return
	}
	path, err := l.pr.ip.OutputPath(netip.AddrFrom4(s.key.raddr), netip.AddrFrom4(s.key.laddr), l.config.Interface)
	if err != nil {
		l.pr.stats.add(listenDrops)
		l.pr.config.Drops.Drop(p, link.IPOutNoRoutes)
		return
	}
	c := l.pr.newConn(s.key, l.config, path.MTU, now)
	c.lock()
	defer c.unlock()
	if !l.admit(c) {
		l.pr.config.Drops.Drop(p, link.TCPListenOverflow)
		return
	}
	// Data that comes with the SYN is left to be sent again, as Linux does
	// without TCP Fast Open.
	p.Release()
	if !l.pr.demux.insert(s.key, endpoint{conn: c}, nil) {
		l.forget(c) // the same SYN on two queues at once
		return
	}
	c.parent = l
	if iss == 0 {
		iss = l.pr.secret.iss(s.key, l.pr.uptime(now))
	}
	c.snd.start(iss)
	c.rcv.start(s.Seq)
	c.negotiateLocked(&s.Options, now)
	c.negotiateECNLocked(s)
	c.snd.wnd, c.snd.maxWnd = int(s.Window), int(s.Window)
	c.snd.wl1, c.snd.wl2 = s.Seq, iss
	c.setStateLocked(SynReceived)
	c.sendSYNLocked(now)
}

// synFate is what becomes of a SYN.
type synFate uint8

const (
	synDropped synFate = iota
	synQueued
	synCookie
)

// room says whether the SYN queue takes another, which it does if it and the accept
// queue have room. If only the accept queue has, a cookie will do.
func (l *Listener) room(now time.Time, cookies bool) synFate {
	l.mu.Lock()
	defer l.mu.Unlock()
	fate := l.roomLocked(cookies)
	if fate == synCookie {
		l.cookieAt = momentOf(now, l.pr.epoch)
	}
	return fate
}

func (l *Listener) roomLocked(cookies bool) synFate {
	switch {
	case l.closed:
		return synDropped
	case len(l.queue) > l.backlog: // as Linux: one more than the backlog
		l.pr.stats.add(listenOverflows)
	case len(l.half) < max(l.backlog, 1):
		return synQueued
	case cookies:
		l.pr.stats.add(queueFullCookie)
		return synCookie
	default:
		l.pr.stats.add(queueFullDrop)
	}
	l.pr.stats.add(listenDrops)
	return synDropped
}

// admit takes c into the SYN queue, if there is room.
func (l *Listener) admit(c *Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.roomLocked(false) != synQueued {
		return false
	}
	l.half[c] = struct{}{}
	return true
}

// forget takes c, which has ended, off the SYN queue.
func (l *Listener) forget(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.half, c)
}

// acceptLocked reports whether the handshake may complete: there is room in the
// accept queue. queueLocked follows when it has.
func (c *Conn) acceptLocked() bool {
	l := c.parent
	if l == nil {
		return true // an active open
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.queue) > l.backlog {
		l.pr.stats.add(listenOverflows)
		l.pr.stats.add(listenDrops)
		return false
	}
	return true
}

// queueLocked puts c into the accept queue. The listener keeps no say in it.
func (c *Conn) queueLocked() {
	l := c.parent
	if l == nil {
		return
	}
	c.parent = nil
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.half, c)
	if l.closed {
		// Close has not seen it in either queue, or is about to reset it.
		return
	}
	l.pr.stats.add(passiveOpens)
	l.queue = append(l.queue, c)
	c.onEvent = l.onEvent // until it is accepted
	l.ready.Signal()
}
