package raw

import (
	"net/netip"
	"syscall"

	"github.com/tapstack/tapstack/ipv4"
)

// SetHeaderIncluded says whether what is sent has its IPv4 header (IP_HDRINCL): its
// length and checksum are filled in, and source and identification where they are
// 0.
func (c *Conn) SetHeaderIncluded(on bool) error { return c.set(func() { c.opts.headerIncluded = on }) }

// SetICMPFilter has a socket for ICMP not receive the types below 32 whose bits
// are set (ICMP_FILTER).
func (c *Conn) SetICMPFilter(types uint32) error { return c.set(func() { c.filter.Store(types) }) }

// SetReadBuffer sets the room for unread packets to twice that many bytes, at
// least 2304 (SO_RCVBUF). A packet costs what link.Packet.Cost says.
func (c *Conn) SetReadBuffer(bytes int) error { return c.set(func() { c.limit = readBuffer(bytes) }) }

// SetWriteBuffer takes the size of a buffer that there is no need for: writing
// never waits, and what finds no room below is lost (SO_SNDBUF).
func (c *Conn) SetWriteBuffer(int) error { return c.set(func() {}) }

// SetBroadcast allows sending to broadcast addresses; without it that fails with
// EACCES (SO_BROADCAST).
func (c *Conn) SetBroadcast(on bool) error { return c.set(func() { c.opts.broadcast = on }) }

// SetTTL sets the time to live of what is sent to unicast and broadcast addresses;
// 0 is the host's default (IP_TTL).
func (c *Conn) SetTTL(ttl uint8) error { return c.set(func() { c.opts.ttl = ttl }) }

// SetTOS sets the differentiated services field and ECN (IP_TOS).
func (c *Conn) SetTOS(tos uint8) error { return c.set(func() { c.opts.tos = tos }) }

// SetDontFragment has packets that are longer than the path carries answered with
// EMSGSIZE, and not fragmented (IP_MTU_DISCOVER with IP_PMTUDISC_DO).
func (c *Conn) SetDontFragment(on bool) error { return c.set(func() { c.opts.dontFragment = on }) }

// SetReceiveErrors has every ICMP error about what the socket sent reported: the
// next call fails with its errno, NextError tells the rest, and packets that find
// no room below fail with ENOBUFS (IP_RECVERR). Otherwise only the errors that are
// final are reported, only to connected sockets, and without the details. Turning
// it off forgets the details.
func (c *Conn) SetReceiveErrors(on bool) error {
	return c.set(func() {
		if c.opts.receiveErrors = on; !on {
			c.errors = nil
		}
	})
}

// SetMulticastTTL sets the time to live of what is sent to groups, 1 unless set: 0
// keeps it on this host (IP_MULTICAST_TTL).
func (c *Conn) SetMulticastTTL(ttl uint8) error {
	return c.set(func() { c.opts.multicastTTL, c.opts.multicastHost = ttl, ttl == 0 })
}

// SetMulticastLoopback says whether this host, where it is a member, gets a copy
// of what is sent to groups; it does unless set (IP_MULTICAST_LOOP).
func (c *Conn) SetMulticastLoopback(on bool) error { return c.set(func() { c.opts.noLoop = !on }) }

// SetMulticastInterface sets the interface by which packets to groups leave, 0
// for the route's (IP_MULTICAST_IF). The error is EADDRNOTAVAIL for an index that
// is none, or EINVAL for another one than SocketConfig.Interface.
func (c *Conn) SetMulticastInterface(index int) error {
	switch {
	case index == 0:
	case c.pr.ip.Interface(index) == nil:
		return c.fail("set", "setsockopt", netip.Addr{}, syscall.EADDRNOTAVAIL)
	case c.oif != 0 && c.oif != index:
		return c.fail("set", "setsockopt", netip.Addr{}, syscall.EINVAL)
	}
	return c.set(func() { c.opts.multicastOIF = index })
}

// SetMulticastAll says whether the socket gets what is sent to groups that others
// on this host are members of; it does unless set (IP_MULTICAST_ALL).
func (c *Conn) SetMulticastAll(on bool) error { return c.set(func() { c.all.Store(on) }) }

// JoinGroup and the methods after it are those of ipv4.Memberships; the errors are
// wrapped in a *net.OpError.
func (c *Conn) JoinGroup(index int, group netip.Addr) error {
	return c.membership(c.members.JoinGroup(index, group))
}

// LeaveGroup undoes JoinGroup.
func (c *Conn) LeaveGroup(index int, group netip.Addr) error {
	return c.membership(c.members.LeaveGroup(index, group))
}

// JoinSourceSpecificGroup is IP_ADD_SOURCE_MEMBERSHIP.
func (c *Conn) JoinSourceSpecificGroup(index int, group, source netip.Addr) error {
	return c.membership(c.members.JoinSourceSpecificGroup(index, group, source))
}

// LeaveSourceSpecificGroup is IP_DROP_SOURCE_MEMBERSHIP.
func (c *Conn) LeaveSourceSpecificGroup(index int, group, source netip.Addr) error {
	return c.membership(c.members.LeaveSourceSpecificGroup(index, group, source))
}

// ExcludeSourceSpecificGroup is IP_BLOCK_SOURCE.
func (c *Conn) ExcludeSourceSpecificGroup(index int, group, source netip.Addr) error {
	return c.membership(c.members.ExcludeSourceSpecificGroup(index, group, source))
}

// IncludeSourceSpecificGroup is IP_UNBLOCK_SOURCE.
func (c *Conn) IncludeSourceSpecificGroup(index int, group, source netip.Addr) error {
	return c.membership(c.members.IncludeSourceSpecificGroup(index, group, source))
}

// SetSourceFilter is IP_MSFILTER.
func (c *Conn) SetSourceFilter(index int, group netip.Addr, f ipv4.SourceFilter) error {
	return c.membership(c.members.SetSourceFilter(index, group, f))
}

func (c *Conn) membership(err error) error {
	if err != nil {
		return c.fail("set", "setsockopt", netip.Addr{}, err)
	}
	return nil
}
