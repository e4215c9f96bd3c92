package udp

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// options are what can be changed while the socket is in use.
type options struct {
	ttl, tos      uint8
	broadcast     bool
	receiveErrors bool
	noChecksum    bool
	pathMTU       PathMTU
	segment       int // UDP_SEGMENT, 0 for none
	loop          bool
	multicastTTL  uint8 // of what is sent to groups...
	multicastHost bool  // ...and whether it is 0
	multicastOIF  int
	control       controls
}

// controls are the control messages that a socket wants with what it reads.
type controls uint8

const (
	controlPktInfo controls = 1 << iota
	controlTTL
	controlTOS
	controlOrigDst
	controlOverflow
)

// MaxSegments is how many datagrams one call may send at most in segments
// (Linux's UDP_MAX_SEGMENTS).
const MaxSegments = 128

// SetReadBuffer sets the room for unread datagrams to twice that many bytes, at
// least 2304 (SO_RCVBUF). A datagram costs what it does on Linux: 832 bytes up
// to a length of 576, 2304 up to 1514, and so on.
func (c *Conn) SetReadBuffer(bytes int) error { return c.set(func() { c.limit = readBuffer(bytes) }) }

// MTU returns the longest packet, IPv4 header and all, that the path to the peer
// is known to carry (IP_MTU). The error is ENOTCONN without a peer, or that of
// the route.
func (c *Conn) MTU() (int, error) {
	if !c.raddr().IsValid() {
		return 0, c.fail("get", "getsockopt", netip.AddrPort{}, syscall.ENOTCONN)
	}
	path, err := c.pr.ip.OutputPath(c.raddr().Addr(), c.src(), c.oif)
	if err != nil {
		return 0, c.fail("get", "getsockopt", c.raddr(), err)
	}
	return path.MTU, nil
}

// SocketError takes the errno that the next call would fail with, 0 for none
// (SO_ERROR).
func (c *Conn) SocketError() syscall.Errno {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.pending
	c.pending = 0
	return err
}

// SetBroadcast allows sending to broadcast addresses; without it that fails
// with EACCES (SO_BROADCAST).
func (c *Conn) SetBroadcast(on bool) error { return c.set(func() { c.opts.broadcast = on }) }

// SetTTL sets the time to live of what is sent to unicast and broadcast
// addresses; 0 is the host's default (IP_TTL).
func (c *Conn) SetTTL(ttl uint8) error { return c.set(func() { c.opts.ttl = ttl }) }

// SetTOS sets the differentiated services field and ECN (IP_TOS).
func (c *Conn) SetTOS(tos uint8) error { return c.set(func() { c.opts.tos = tos }) }

// SetMulticastTTL sets the time to live of what is sent to groups, 1 unless set: 0
// keeps it on this host (IP_MULTICAST_TTL).
func (c *Conn) SetMulticastTTL(ttl uint8) error {
	return c.set(func() { c.opts.multicastTTL, c.opts.multicastHost = ttl, ttl == 0 })
}

// SetMulticastLoopback says whether this host, where it is a member, gets a copy
// of what is sent to groups; it does unless set (IP_MULTICAST_LOOP).
func (c *Conn) SetMulticastLoopback(on bool) error { return c.set(func() { c.opts.loop = on }) }

// SetMulticastInterface sets the interface by which packets to groups leave, 0
// for the route's (IP_MULTICAST_IF). The error is EADDRNOTAVAIL for an index that
// is none, or EINVAL for another one than SocketConfig.Interface.
func (c *Conn) SetMulticastInterface(index int) error {
	switch {
	case index == 0:
	case c.pr.ip.Interface(index) == nil:
		return c.fail("set", "setsockopt", netip.AddrPort{}, syscall.EADDRNOTAVAIL)
	case c.oif != 0 && c.oif != index:
		return c.fail("set", "setsockopt", netip.AddrPort{}, syscall.EINVAL)
	}
	return c.set(func() { c.opts.multicastOIF = index })
}

// SetMulticastAll says whether the socket gets what is sent to groups that others
// on this host are members of; it does unless set (IP_MULTICAST_ALL).
func (c *Conn) SetMulticastAll(on bool) error { return c.set(func() { c.joined.Store(!on) }) }

// SetPathMTU sets what happens to datagrams longer than the path carries
// (IP_MTU_DISCOVER).
func (c *Conn) SetPathMTU(m PathMTU) error { return c.set(func() { c.opts.pathMTU = m }) }

// SetNoChecksum has datagrams sent without a checksum (SO_NO_CHECK). It excludes
// segments.
func (c *Conn) SetNoChecksum(on bool) error { return c.set(func() { c.opts.noChecksum = on }) }

// SetSegmentSize has what one call writes sent in datagrams of that many bytes
// each, the last one perhaps shorter; 0 ends it (UDP_SEGMENT). They go down the
// stack as one packet, which the device takes apart if it can. At most
// MaxSegments may come of a call, or it fails with EINVAL; a size that does not
// fit the path makes it fail with EMSGSIZE: segments are not fragmented. A
// message's control message UDP_SEGMENT comes first. The error is EINVAL for a
// size outside 0..65535.
func (c *Conn) SetSegmentSize(bytes int) error {
	if bytes < 0 || bytes > 65535 {
		err := fmt.Errorf("udp: segment size %d, want 0 to 65535: %w", bytes, syscall.EINVAL)
		return c.fail("set", "setsockopt", netip.AddrPort{}, err)
	}
	return c.set(func() { c.opts.segment = bytes })
}

// SetCoalescing lets one read return the data of several datagrams of one
// sender, all of the same size but the last, which may be shorter, with the size
// in the control message UDP_GRO (the socket option UDP_GRO). A reader needs room
// for that message, and should bring 65535 bytes for data.
func (c *Conn) SetCoalescing(on bool) error { return c.set(func() { c.coalesces.Store(on) }) }

// SetPacketInfo has messages come with the control message IP_PKTINFO: the
// interface that received them, the address they were sent to, and the own
// address to answer from.
func (c *Conn) SetPacketInfo(on bool) error { return c.setControl(controlPktInfo, on) }

// SetReceiveTTL has messages come with the control message IP_TTL (the socket
// option IP_RECVTTL).
func (c *Conn) SetReceiveTTL(on bool) error { return c.setControl(controlTTL, on) }

// SetReceiveTOS has messages come with the control message IP_TOS, one byte:
// differentiated services and ECN (the socket option IP_RECVTOS).
func (c *Conn) SetReceiveTOS(on bool) error { return c.setControl(controlTOS, on) }

// SetReceiveOrigDst has messages come with the control message IP_ORIGDSTADDR,
// the address and port they were sent to (the socket option
// IP_RECVORIGDSTADDR).
func (c *Conn) SetReceiveOrigDst(on bool) error { return c.setControl(controlOrigDst, on) }

// SetReceiveOverflow has messages come with the control message SO_RXQ_OVFL once
// a datagram was lost for lack of room: how many were.
func (c *Conn) SetReceiveOverflow(on bool) error { return c.setControl(controlOverflow, on) }

func (c *Conn) setControl(which controls, on bool) error {
	return c.set(func() {
		c.opts.control &^= which
		if on {
			c.opts.control |= which
		}
	})
}

// SetReceiveErrors has every ICMP error about what the socket sent reported: the
// next call fails with its errno, NextError tells the rest, and datagrams that
// find no room below fail with ENOBUFS (IP_RECVERR). Otherwise only the errors
// that are final, such as ECONNREFUSED, are reported, only to connected sockets,
// and without the details. Turning it off forgets the details.
func (c *Conn) SetReceiveErrors(on bool) error {
	return c.set(func() {
		c.opts.receiveErrors = on
		if !on {
			c.errors = nil
			c.releaseLocked()
		}
	})
}

func (c *Conn) set(f func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.fail("set", "setsockopt", netip.AddrPort{}, net.ErrClosed)
	}
	f()
	return nil
}
