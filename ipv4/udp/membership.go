package udp

import (
	"net"
	"net/netip"
	"slices"
	"syscall"
)

// Limits of a socket, Linux's net.ipv4.igmp_max_memberships and igmp_max_msf.
const (
	maxMemberships = 20
	maxSources     = 10
)

// membership is a socket's in one multicast group on one interface (Linux's
// struct ip_mc_socklist).
type membership struct {
	group netip.Addr
	iface int
	// only says that sources are those that are wanted, and not those that are
	// unwanted. sources is nil before there was one.
	only    bool
	sources []netip.Addr
}

// memberships are immutable.
type memberships []membership

func (ms memberships) index(iface int, group netip.Addr) int {
	return slices.IndexFunc(ms, func(m membership) bool { return m.group == group && m.iface == iface })
}

// allows reports whether a socket with these memberships gets a datagram from src
// to group that iface received, 0 for any. all is what holds for groups that the
// socket is no member of (Linux's ip_mc_sf_allow).
func (ms memberships) allows(group, src netip.Addr, iface int, all bool) bool {
	for i := range ms {
		if m := &ms[i]; m.group == group && (iface == 0 || m.iface == iface) {
			return slices.Contains(m.sources, src) == m.only
		}
	}
	return all
}

// JoinGroup makes the socket a member of a multicast group on the interface with
// that index, 0 for the one that the route to the group leaves by
// (IP_ADD_MEMBERSHIP). The error is ENODEV, EINVAL, EADDRINUSE for a member, or
// ENOBUFS for more than 20 groups.
func (c *Conn) JoinGroup(index int, group netip.Addr) error {
	return c.changeMembership(index, group, func(m membership, member bool) (membership, error) {
		if member {
			return m, syscall.EADDRINUSE
		}
		return m, nil
	})
}

// LeaveGroup ends a membership, with index 0 the first one in the group
// (IP_DROP_MEMBERSHIP). The error is EADDRNOTAVAIL without one. Close ends all.
func (c *Conn) LeaveGroup(index int, group netip.Addr) error {
	group = group.Unmap()
	c.joins.Lock()
	defer c.joins.Unlock()
	old := *c.members.Load()
	i := slices.IndexFunc(old, func(m membership) bool { return m.group == group && (index == 0 || m.iface == index) })
	if i < 0 {
		return c.fail("set", "setsockopt", netip.AddrPort{}, syscall.EADDRNOTAVAIL)
	}
	c.leave(old, i)
	return nil
}

// leave ends the i-th of the memberships that there are. joins is held.
func (c *Conn) leave(old memberships, i int) {
	left := slices.Delete(slices.Clone(old), i, i+1)
	c.members.Store(&left)
	// An interface that is gone has no members.
	_ = c.pr.ip.LeaveGroup(old[i].iface, old[i].group)
}

// JoinSourceSpecificGroup makes the socket receive what source sends to a group,
// as a member that wants only such sources (IP_ADD_SOURCE_MEMBERSHIP). The error
// is JoinGroup's, EINVAL for a member that wants all sources but some,
// EADDRNOTAVAIL for a source that it wants already, or ENOBUFS for more than 10.
func (c *Conn) JoinSourceSpecificGroup(index int, group, source netip.Addr) error {
	return c.changeMembership(index, group, func(m membership, member bool) (membership, error) {
		return m.add(source, true)
	})
}

// LeaveSourceSpecificGroup undoes JoinSourceSpecificGroup; without its last
// source the membership ends (IP_DROP_SOURCE_MEMBERSHIP). The error is EINVAL
// without such a membership, or EADDRNOTAVAIL without the source.
func (c *Conn) LeaveSourceSpecificGroup(index int, group, source netip.Addr) error {
	return c.changeMembership(index, group, func(m membership, member bool) (membership, error) {
		return m.remove(source, true, member)
	})
}

// ExcludeSourceSpecificGroup makes the socket, a member of the group, not receive
// what source sends to it (IP_BLOCK_SOURCE). The error is EINVAL for no member or
// one that wants only some sources, EADDRNOTAVAIL, or ENOBUFS.
func (c *Conn) ExcludeSourceSpecificGroup(index int, group, source netip.Addr) error {
	return c.changeMembership(index, group, func(m membership, member bool) (membership, error) {
		if !member {
			return m, syscall.EINVAL
		}
		return m.add(source, false)
	})
}

// IncludeSourceSpecificGroup undoes ExcludeSourceSpecificGroup
// (IP_UNBLOCK_SOURCE).
func (c *Conn) IncludeSourceSpecificGroup(index int, group, source netip.Addr) error {
	return c.changeMembership(index, group, func(m membership, member bool) (membership, error) {
		return m.remove(source, false, member)
	})
}

// changeMembership replaces the socket's membership in a group, or the lack of
// one, by what f makes of it: one that wants only sources and has none is its end.
func (c *Conn) changeMembership(index int, group netip.Addr, f func(m membership, member bool) (membership, error)) error {
	if err := c.tryMembership(index, group.Unmap(), f); err != nil {
		return c.fail("set", "setsockopt", netip.AddrPort{}, err)
	}
	return nil
}

func (c *Conn) tryMembership(index int, group netip.Addr, f func(m membership, member bool) (membership, error)) error {
	if !group.Is4() || !group.IsMulticast() {
		return syscall.EINVAL
	}
	if index == 0 {
		path, err := c.pr.ip.OutputPath(group, netip.Addr{}, 0)
		if err != nil {
			return syscall.ENODEV
		}
		index = path.Interface.Index()
	}
	c.joins.Lock()
	defer c.joins.Unlock()
	if c.isClosed() {
		return net.ErrClosed // and leaveAll has been, or will be when joins is free
	}
	old := *c.members.Load()
	i := old.index(index, group)
	m := membership{group: group, iface: index}
	if i >= 0 {
		m = old[i]
	}
	m, err := f(m, i >= 0)
	switch {
	case err != nil:
		return err
	case i >= 0 && m.only && len(m.sources) == 0:
		c.leave(old, i)
		return nil
	case i < 0 && len(old) == maxMemberships:
		return syscall.ENOBUFS
	case i < 0:
		if err := c.pr.ip.JoinGroup(index, group); err != nil {
			return err
		}
	}
	changed := slices.Clone(old)
	if i < 0 {
		changed = append(changed, m)
	} else {
		changed[i] = m
	}
	c.members.Store(&changed)
	return nil
}

func (c *Conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// leaveAll ends every membership of a socket that is closed.
func (c *Conn) leaveAll() {
	c.joins.Lock()
	defer c.joins.Unlock()
	for _, m := range *c.members.Swap(new(memberships)) {
		_ = c.pr.ip.LeaveGroup(m.iface, m.group)
	}
}

// add adds a source to those of a membership of that mode. Linux's
// ip_mc_source.
func (m membership) add(source netip.Addr, only bool) (membership, error) {
	if m.only != only {
		if m.sources != nil {
			return m, syscall.EINVAL
		}
		m.only = only // an empty list has no mode yet
	}
	switch {
	case len(m.sources) >= maxSources:
		return m, syscall.ENOBUFS
	case slices.Contains(m.sources, source):
		return m, syscall.EADDRNOTAVAIL
	}
	m.sources = append(slices.Clone(m.sources), source)
	return m, nil
}

// remove undoes add.
func (m membership) remove(source netip.Addr, only, member bool) (membership, error) {
	if !member || m.sources != nil && m.only != only {
		return m, syscall.EINVAL
	}
	i := slices.Index(m.sources, source)
	if i < 0 {
		return m, syscall.EADDRNOTAVAIL
	}
	m.sources = slices.Delete(slices.Clone(m.sources), i, i+1)
	return m, nil
}
