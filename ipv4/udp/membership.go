package udp

import (
	"net/netip"

	"github.com/tapstack/tapstack/ipv4"
)

// JoinGroup makes the socket a member of a multicast group on the interface with
// that index, 0 for the one that the route to the group leaves by
// (IP_ADD_MEMBERSHIP). The error is ENODEV, EINVAL, EADDRINUSE for a member, or
// ENOBUFS for more than 20 groups.
func (c *Conn) JoinGroup(index int, group netip.Addr) error {
	return c.membership(c.members.JoinGroup(index, group))
}

// LeaveGroup ends a membership, with index 0 the first one in the group
// (IP_DROP_MEMBERSHIP). The error is EADDRNOTAVAIL without one. Close ends all.
func (c *Conn) LeaveGroup(index int, group netip.Addr) error {
	return c.membership(c.members.LeaveGroup(index, group))
}

// JoinSourceSpecificGroup makes the socket receive what source sends to a group,
// as a member that wants only such sources (IP_ADD_SOURCE_MEMBERSHIP). The error
// is JoinGroup's, EINVAL for a member that wants all sources but some,
// EADDRNOTAVAIL for a source that it wants already, or ENOBUFS for more than 10.
func (c *Conn) JoinSourceSpecificGroup(index int, group, source netip.Addr) error {
	return c.membership(c.members.JoinSourceSpecificGroup(index, group, source))
}

// LeaveSourceSpecificGroup undoes JoinSourceSpecificGroup; without its last
// source the membership ends (IP_DROP_SOURCE_MEMBERSHIP). The error is EINVAL
// without such a membership, or EADDRNOTAVAIL without the source.
func (c *Conn) LeaveSourceSpecificGroup(index int, group, source netip.Addr) error {
	return c.membership(c.members.LeaveSourceSpecificGroup(index, group, source))
}

// ExcludeSourceSpecificGroup makes the socket, a member of the group, not receive
// what source sends to it (IP_BLOCK_SOURCE). The error is EINVAL for no member or
// one that wants only some sources, EADDRNOTAVAIL, or ENOBUFS.
func (c *Conn) ExcludeSourceSpecificGroup(index int, group, source netip.Addr) error {
	return c.membership(c.members.ExcludeSourceSpecificGroup(index, group, source))
}

// IncludeSourceSpecificGroup undoes ExcludeSourceSpecificGroup
// (IP_UNBLOCK_SOURCE).
func (c *Conn) IncludeSourceSpecificGroup(index int, group, source netip.Addr) error {
	return c.membership(c.members.IncludeSourceSpecificGroup(index, group, source))
}

// SetSourceFilter gives a member another filter; one that wants nobody's packets
// ends the membership (IP_MSFILTER). The error is EINVAL for no member, or ENOBUFS
// for more than 10 sources.
func (c *Conn) SetSourceFilter(index int, group netip.Addr, f ipv4.SourceFilter) error {
	return c.membership(c.members.SetSourceFilter(index, group, f))
}

func (c *Conn) membership(err error) error {
	if err != nil {
		return c.fail("set", "setsockopt", netip.AddrPort{}, err)
	}
	return nil
}
