package tcp

import (
	"net"
	"net/netip"
	"syscall"
)

// Binding is a local address and port that a socket has which is not connected
// and does not listen yet (bind). Nothing is received by it.
type Binding struct {
	pr    *Protocol
	laddr addr // zero: every one
	lport uint16
	reuse bool // guarded by demux.listenMu
}

// overlap reports whether two addresses of sockets have one in common.
func overlap(a, b addr) bool { return a == b || a == addr{} || b == addr{} }

// Bind claims laddr. An address that is not valid or unspecified stands for all of
// the host's, port 0 for any that is free. A port is free if no binding, listener,
// connection or what TIME-WAIT leaves of one has it at an address that overlaps;
// with reuse those do not count that allow it too and are no listeners
// (SO_REUSEADDR, Linux's inet_csk_bind_conflict). The errors are a *net.OpError
// with EADDRINUSE or EADDRNOTAVAIL.
func (pr *Protocol) Bind(laddr netip.AddrPort, reuse bool) (*Binding, error) {
	fail := func(err error) (*Binding, error) {
		return nil, opError("listen", "bind", netip.AddrPort{}, laddr, err)
	}
	if pr.closed.Load() {
		return fail(net.ErrClosed)
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
	b := &Binding{pr: pr, laddr: a.As4(), lport: laddr.Port(), reuse: reuse}
	users := pr.users(b.lport)
	if b.lport != 0 {
		if !pr.demux.bind(b, users[b.lport]) {
			return fail(syscall.EADDRINUSE)
		}
		return b, nil
	}
	if _, ok := pr.ephemeral(b.laddr, addr{}, 0, func(port uint16) bool {
		b.lport = port
		return len(users[port]) == 0 && pr.demux.bind(b, nil)
	}); !ok {
		return fail(syscall.EADDRINUSE)
	}
	return b, nil
}

// LocalAddrPort returns the address and port.
func (b *Binding) LocalAddrPort() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4(b.laddr), b.lport)
}

// SetReuse changes what Bind was told.
func (b *Binding) SetReuse(reuse bool) {
	d := &b.pr.demux
	d.listenMu.Lock()
	defer d.listenMu.Unlock()
	b.reuse = reuse
}

// Listen is Protocol.Listen at the bound address. The error is EADDRINUSE, too, when
// a connection has the port and does not share it (SocketConfig.ReuseAddr).
func (b *Binding) Listen(sc SocketConfig) (*Listener, error) {
	for _, u := range b.pr.users(b.lport)[b.lport] {
		// Connections that an earlier listener has accepted.
		if overlap(u.laddr, b.laddr) && !(u.reuse && sc.ReuseAddr) {
			return nil, opError("listen", "listen", netip.AddrPort{}, b.LocalAddrPort(), syscall.EADDRINUSE)
		}
	}
	return b.pr.listen(b.LocalAddrPort(), sc, b)
}

// Release gives the port up. It may be called more than once.
func (b *Binding) Release() {
	d := &b.pr.demux
	d.listenMu.Lock()
	defer d.listenMu.Unlock()
	var rest []*Binding
	for _, o := range d.bindings[b.lport] {
		if o != b {
			rest = append(rest, o)
		}
	}
	if len(rest) > 0 {
		d.bindings[b.lport] = rest
	} else {
		delete(d.bindings, b.lport)
	}
}

// user is a connection, or what is left of one, that has a local port.
type user struct {
	laddr addr
	reuse bool
}

// users returns the connections and TIME-WAITs that have the port, 0 for any, by
// port.
func (pr *Protocol) users(port uint16) map[uint16][]user {
	m := make(map[uint16][]user)
	for _, e := range pr.demux.all() {
		switch {
		case e.conn != nil && (port == 0 || e.conn.key.lport == port):
			e.conn.mu.Lock()
			reuse := e.conn.config.ReuseAddr
			e.conn.mu.Unlock()
			k := e.conn.key
			m[k.lport] = append(m[k.lport], user{k.laddr, reuse})
		case e.tw != nil && (port == 0 || e.tw.key.lport == port):
			m[e.tw.key.lport] = append(m[e.tw.key.lport], user{e.tw.key.laddr, e.tw.reuse})
		}
	}
	return m
}

// bind enters b, unless somebody is in its way: users are those of the port.
func (d *demux) bind(b *Binding, users []user) bool {
	for _, u := range users {
		if overlap(u.laddr, b.laddr) && !(u.reuse && b.reuse) {
			return false
		}
	}
	d.listenMu.Lock()
	defer d.listenMu.Unlock()
	for _, o := range d.bindings[b.lport] {
		if overlap(o.laddr, b.laddr) && !(o.reuse && b.reuse) {
			return false
		}
	}
	if m := d.listeners.Load(); m != nil {
		for k := range *m {
			if k.lport == b.lport && overlap(k.laddr, b.laddr) {
				return false
			}
		}
	}
	if d.bindings == nil {
		d.bindings = make(map[uint16][]*Binding)
	}
	d.bindings[b.lport] = append(d.bindings[b.lport], b)
	return true
}

// portBound reports whether any binding has the port.
func (d *demux) portBound(port uint16) bool {
	d.listenMu.Lock()
	defer d.listenMu.Unlock()
	return len(d.bindings[port]) > 0
}
