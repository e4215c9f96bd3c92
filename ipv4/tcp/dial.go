package tcp

import (
	"context"
	"net"
	"net/netip"
	"syscall"

	"github.com/tapstack/tapstack/ipv4"
)

// Dial connects to raddr (RFC 9293 section 3.10.1, active open). laddr may leave
// address, port or both open, as the zero AddrPort does. It waits for the
// handshake, or until ctx ends. Errors are *net.OpError: ECONNREFUSED,
// ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, EADDRNOTAVAIL, EADDRINUSE, the error of
// ctx...
func (pr *Protocol) Dial(ctx context.Context, laddr, raddr netip.AddrPort, sc SocketConfig) (*Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, opError("dial", "connect", laddr, raddr, err)
	}
	c, err := pr.prepare(laddr, raddr, sc)
	if err != nil {
		return nil, err
	}
	if err := c.connect(ctx); err != nil {
		return nil, c.opError("dial", "connect", err)
	}
	return c, nil
}

// prepare makes the connection of Dial, whose SYN is still to be sent.
func (pr *Protocol) prepare(laddr, raddr netip.AddrPort, sc SocketConfig) (*Conn, error) {
	fail := func(call string, err error) (*Conn, error) {
		return nil, opError("dial", call, laddr, raddr, err)
	}
	if pr.closed.Load() {
		return fail("connect", net.ErrClosed)
	}
	laddr = netip.AddrPortFrom(laddr.Addr().Unmap(), laddr.Port())
	raddr = netip.AddrPortFrom(raddr.Addr().Unmap(), raddr.Port())
	src, dst := laddr.Addr(), raddr.Addr()
	switch {
	case !dst.Is4() || src.IsValid() && !src.Is4():
		return fail("connect", syscall.EAFNOSUPPORT)
	case sc.Congestion != "" && newCongestionControl(sc.Congestion) == nil:
		return fail("setsockopt", syscall.ENOENT)
	case raddr.Port() == 0:
		return fail("connect", syscall.ECONNREFUSED)
	case dst.IsUnspecified():
		dst = netip.AddrFrom4([4]byte{127, 0, 0, 1}) // as Linux: this host
	}
	if src.IsUnspecified() {
		src = netip.Addr{}
	}
	if src.IsValid() {
		if err := pr.localAddr(src); err != nil {
			return fail("bind", err)
		}
	}
	path, err := pr.ip.OutputPath(dst, src, sc.Interface)
	if err != nil {
		return fail("connect", err)
	}
	if path.Type != ipv4.Unicast && path.Type != ipv4.Local {
		return fail("connect", syscall.ENETUNREACH) // broadcast, multicast
	}
	c, err := pr.open(tuple{laddr: path.Src.As4(), raddr: dst.As4(), lport: laddr.Port(), rport: raddr.Port()}, pr.socketConfig(sc), path.MTU)
	if err != nil {
		return fail("connect", err)
	}
	return c, nil
}

// open claims a tuple for a connection that is about to be made; k.lport 0 is
// any port.
func (pr *Protocol) open(k tuple, sc *SocketConfig, mtu int) (*Conn, error) {
	now := pr.config.Clock.Now()
	claim := func(port uint16, reuse bool) *Conn {
		k := k
		k.lport = port
		old := pr.demux.lookup(k)
		if old.conn != nil || old.tw != nil && !(reuse && pr.waits.reusable(old.tw, now)) {
			return nil
		}
		c := pr.newConn(k, sc, mtu, now)
		// Locked before anybody can find it: no segment meets it half made.
		c.mu.Lock()
		if !pr.demux.insert(k, endpoint{conn: c}, old.tw) {
			c.mu.Unlock()
			return nil
		}
		iss := pr.secret.iss(k, pr.uptime(now))
		if old.tw != nil {
			pr.waits.forget(old.tw)
			iss = old.tw.sndNxt.Add(0xffff + 2)
		}
		c.snd.start(iss)
		c.state = SynSent
		c.mu.Unlock()
		return c
	}
	if k.lport != 0 {
		if c := claim(k.lport, true); c != nil {
			return c, nil
		}
		return nil, syscall.EADDRINUSE
	}
	// Those in TIME-WAIT are the last resort.
	for _, reuse := range []bool{false, true} {
		var c *Conn
		if _, ok := pr.ephemeral(k.laddr, k.raddr, k.rport, func(port uint16) bool {
			c = claim(port, reuse)
			return c != nil
		}); ok {
			return c, nil
		}
	}
	return nil, syscall.EADDRNOTAVAIL
}

// sendFirst sends the SYN.
func (c *Conn) sendFirst() {
	c.pr.stats.add(activeOpens)
	now := c.now()
	c.lock()
	switch {
	case c.pr.closed.Load():
		// Protocol.Close may have missed it.
		c.endLocked(net.ErrClosed)
	case c.state == SynSent:
		c.sendSYNLocked(now)
	}
	c.unlock()
}

// connect sends the SYN and waits for the end of the handshake.
func (c *Conn) connect(ctx context.Context) error {
	c.sendFirst()
	var ctxErr error
	stop := context.AfterFunc(ctx, func() {
		c.lock()
		ctxErr = ctx.Err()
		c.readable.wakeLocked()
		c.unlock()
	})
	defer stop()

	c.lock()
	defer c.unlock()
	for {
		switch {
		case c.state == SynSent || c.state == SynReceived:
			if ctxErr != nil {
				c.closed = true
				c.abortLocked(c.now(), ctxErr)
				return ctxErr
			}
			c.readable.waitLocked(&c.mu)
		case c.err != nil:
			c.told = true
			return c.err
		default:
			return nil // established, or already past that
		}
	}
}
