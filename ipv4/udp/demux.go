package udp

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/tapstack/tapstack/ipv4"
)

// The ports of sockets that ask for none, unless SetPortRange says others (Linux's
// net.ipv4.ip_local_port_range).
const (
	firstEphemeral = 32768
	lastEphemeral  = 60999
	ephemerals     = lastEphemeral - firstEphemeral + 1
)

// flow is how a received datagram is addressed.
type flow struct {
	local, remote netip.AddrPort
	iif           int // interface that received it, 0 for not known
}

// demux finds the socket of a datagram.
type demux struct {
	// pages holds the sockets by port, the high byte first; each port's list is
	// immutable, newest first. Two levels, because most hosts use few ports.
	pages [256]atomic.Pointer[page]

	mu     sync.Mutex // held by who changes a list
	closed bool
	ports  atomic.Uint32 // the first and the last for those that ask for none; 0: the default
}

// portRange returns the ports for sockets that ask for none.
func (d *demux) portRange() (first, last uint16) {
	if w := d.ports.Load(); w != 0 {
		return uint16(w >> 16), uint16(w)
	}
	return firstEphemeral, lastEphemeral
}

// PortRange returns the ports of sockets that ask for none.
func (pr *Protocol) PortRange() (first, last uint16) { return pr.demux.portRange() }

// SetPortRange changes the ports of sockets that ask for none. first must not be 0,
// nor more than last.
func (pr *Protocol) SetPortRange(first, last uint16) {
	pr.demux.ports.Store(uint32(first)<<16 | uint32(last))
}

type page [256]atomic.Pointer[[]*Conn]

// port returns the sockets of a port.
func (d *demux) port(port uint16) []*Conn {
	pg := d.pages[port>>8].Load()
	if pg == nil {
		return nil
	}
	list := pg[port&255].Load()
	if list == nil {
		return nil
	}
	return *list
}

// lookup returns the socket that gets a datagram to one of our unicast
// addresses, nil if none does: of those that match, one bound to the address
// before one that is not, then the most specific, then the newest (Linux's
// __udp4_lib_lookup and compute_score). Of a group with ReusePort it is the one
// that the flow's hash says.
func (d *demux) lookup(f flow, hash flowHash) *Conn {
	var best *Conn
	high := -1
	for _, c := range d.port(f.local.Port()) {
		if s := c.score(f); s > high {
			best, high = c, s
		}
	}
	if best != nil && best.group != nil && !best.raddr().IsValid() {
		return best.group.choose(hash.sum(f.local, f.remote), best)
	}
	return best
}

// wants reports whether the socket receives the datagram, as far as the
// addresses say (Linux's __udp_is_mcast_sock).
func (c *Conn) wants(f flow) bool { return c.score(f) >= 0 }

// score says how closely the socket is bound to a datagram's addresses, -1 for
// not at all.
func (c *Conn) score(f flow) int {
	s := 0
	e := c.ends.Load()
	if !e.laddr.Addr().IsUnspecified() {
		if e.laddr.Addr() != f.local.Addr() {
			return -1
		}
		s += 16 // Linux looks among these first, and at no others if there is one
	}
	if e.raddr.IsValid() {
		if e.raddr != f.remote {
			return -1
		}
		s += 8
	}
	if c.oif != 0 {
		if f.iif != 0 && f.iif != c.oif {
			return -1
		}
		s += 4
	}
	return s
}

// conflicts reports whether two sockets cannot be bound to one port (Linux's
// udp_lib_lport_inuse).
func (c *Conn) conflicts(o *Conn) bool {
	a, b := c.laddr().Addr(), o.laddr().Addr()
	return (a == b || a.IsUnspecified() || b.IsUnspecified()) && (c.oif == 0 || o.oif == 0 || c.oif == o.oif)
}

// bind enters c under the port of its address, or under a free one when that is 0,
// chosen from start on. The error is EADDRINUSE, or net.ErrClosed after close.
func (d *demux) bind(c *Conn, start uint32) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return net.ErrClosed
	}
	if port := c.laddr().Port(); port != 0 {
		for _, o := range d.port(port) {
			if c.conflicts(o) && !(c.reuse && o.reuse) && !(c.reusePort && o.reusePort) {
				return syscall.EADDRINUSE
			}
		}
		d.insertLocked(c)
		return nil
	}
	first, last := d.portRange()
	n := uint32(last-first) + 1
	start %= n // no overflow on the way: it would leave ports out
	for i := range n {
		port := first + uint16((start+i)%n)
		if !slices.ContainsFunc(d.port(port), c.conflicts) {
			c.bound = netip.AddrPortFrom(c.bound.Addr(), port)
			e := *c.ends.Load()
			e.laddr = netip.AddrPortFrom(e.laddr.Addr(), port)
			c.ends.Store(&e)
			d.insertLocked(c)
			return nil
		}
	}
	return syscall.EADDRINUSE
}

func (d *demux) insertLocked(c *Conn) {
	port := c.laddr().Port()
	pg := d.pages[port>>8].Load()
	if pg == nil {
		pg = new(page)
		d.pages[port>>8].Store(pg)
	}
	c.joinGroupLocked(d.port(port))
	list := append([]*Conn{c}, d.port(port)...)
	pg[port&255].Store(&list)
}

// remove takes c out.
func (d *demux) remove(c *Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	port := c.laddr().Port()
	c.leaveGroupLocked()
	list := slices.DeleteFunc(slices.Clone(d.port(port)), func(o *Conn) bool { return o == c })
	if len(list) == 0 {
		d.pages[port>>8].Load()[port&255].Store(nil)
		return
	}
	d.pages[port>>8].Load()[port&255].Store(&list)
}

// close refuses further sockets and returns those there are.
func (d *demux) close() (all []*Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for i := range d.pages {
		if pg := d.pages[i].Load(); pg != nil {
			for j := range pg {
				if list := pg[j].Load(); list != nil {
					all = append(all, *list...)
				}
			}
		}
	}
	return all
}

// bindable returns the source address for what a socket bound to a sends: a
// itself when it is ours, none when it only receives (broadcast, multicast) or
// is bound to no address. The error is EADDRNOTAVAIL (Linux's inet_bind).
func (pr *Protocol) bindable(a netip.Addr) (src netip.Addr, errno syscall.Errno) {
	if a.IsUnspecified() {
		return netip.Addr{}, 0
	}
	switch pr.ip.AddrType(a) {
	case ipv4.Local:
		return a, 0
	case ipv4.Broadcast, ipv4.Multicast:
		return netip.Addr{}, 0
	}
	return netip.Addr{}, syscall.EADDRNOTAVAIL
}
