package ipv4

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
)

// Memberships are those of a socket in multicast groups: what sets their
// interfaces' and what the socket receives. Make them with NewMemberships, and
// close them with the socket. The methods are named as those of
// golang.org/x/net/ipv4, may be called concurrently, and return what setsockopt
// does on Linux, or net.ErrClosed. An interface is given by its index, 0 for the
// one that the route to the group leaves by.
type Memberships struct {
	ip     *Protocol
	list   atomic.Pointer[[]membership] // immutable
	mu     sync.Mutex                   // held by who changes list; outside of the locks below
	closed bool
}

// membership is in one group on one interface (Linux's struct ip_mc_socklist).
type membership struct {
	group netip.Addr
	iface int
	// filter.Sources is nil before there was one: only then may filter.Only
	// change.
	filter SourceFilter
}

// NewMemberships returns the memberships of a new socket: none.
func (pr *Protocol) NewMemberships() *Memberships {
	ms := &Memberships{ip: pr}
	ms.list.Store(new([]membership))
	return ms
}

// Allow reports whether the socket gets a packet from src to group that iface
// received, 0 for any. all is what holds for groups that it is no member of
// (Linux's ip_mc_sf_allow with IP_MULTICAST_ALL).
func (ms *Memberships) Allow(group, src netip.Addr, iface int, all bool) bool {
	list := *ms.list.Load()
	for i := range list {
		if m := &list[i]; m.group == group && (iface == 0 || m.iface == iface) {
			return m.filter.Allows(src)
		}
	}
	return all
}

// JoinGroup adds a membership (IP_ADD_MEMBERSHIP). The error is ENODEV, EINVAL for
// what is no group, EADDRINUSE for a member, or ENOBUFS for more groups than
// net.ipv4.igmp_max_memberships.
func (ms *Memberships) JoinGroup(index int, group netip.Addr) error {
	return ms.change(index, group, func(m membership, member bool) (membership, error) {
		if member {
			return m, syscall.EADDRINUSE
		}
		return m, nil
	})
}

// LeaveGroup ends a membership, with index 0 the first one in the group
// (IP_DROP_MEMBERSHIP). The error is EADDRNOTAVAIL without one.
func (ms *Memberships) LeaveGroup(index int, group netip.Addr) error {
	group = group.Unmap()
	ms.mu.Lock()
	defer ms.mu.Unlock()
	list := *ms.list.Load()
	i := slices.IndexFunc(list, func(m membership) bool { return m.group == group && (index == 0 || m.iface == index) })
	if i < 0 {
		return syscall.EADDRNOTAVAIL
	}
	ms.leaveLocked(i)
	return nil
}

func (ms *Memberships) leaveLocked(i int) {
	list := *ms.list.Load()
	left := slices.Delete(slices.Clone(list), i, i+1)
	ms.list.Store(&left)
	// An interface that is gone has no members.
	_ = ms.ip.ChangeGroup(list[i].iface, list[i].group, &list[i].filter, nil)
}

// JoinSourceSpecificGroup adds a source to those that are wanted, with the
// membership if there is none (IP_ADD_SOURCE_MEMBERSHIP). The error is
// JoinGroup's, EINVAL for a member that wants all sources but some, EADDRNOTAVAIL
// for a source that is wanted already, or ENOBUFS for more than
// net.ipv4.igmp_max_msf.
func (ms *Memberships) JoinSourceSpecificGroup(index int, group, source netip.Addr) error {
	return ms.change(index, group, func(m membership, member bool) (membership, error) {
		return m.add(source, true, ms.maxSources())
	})
}

// LeaveSourceSpecificGroup undoes JoinSourceSpecificGroup; without its last source
// the membership ends (IP_DROP_SOURCE_MEMBERSHIP). The error is EINVAL without
// such a membership, or EADDRNOTAVAIL without the source.
func (ms *Memberships) LeaveSourceSpecificGroup(index int, group, source netip.Addr) error {
	return ms.change(index, group, func(m membership, member bool) (membership, error) {
		return m.remove(source, true, member)
	})
}

// ExcludeSourceSpecificGroup adds a source to those that a member does not want
// (IP_BLOCK_SOURCE). The error is EINVAL for no member or one that wants only some
// sources, EADDRNOTAVAIL, or ENOBUFS.
func (ms *Memberships) ExcludeSourceSpecificGroup(index int, group, source netip.Addr) error {
	return ms.change(index, group, func(m membership, member bool) (membership, error) {
		if !member {
			return m, syscall.EINVAL
		}
		return m.add(source, false, ms.maxSources())
	})
}

// IncludeSourceSpecificGroup undoes ExcludeSourceSpecificGroup
// (IP_UNBLOCK_SOURCE).
func (ms *Memberships) IncludeSourceSpecificGroup(index int, group, source netip.Addr) error {
	return ms.change(index, group, func(m membership, member bool) (membership, error) {
		return m.remove(source, false, member)
	})
}

// SetSourceFilter gives a member another filter; one that wants nobody's packets
// ends the membership (IP_MSFILTER). The error is EINVAL for no member, or
// ENOBUFS.
func (ms *Memberships) SetSourceFilter(index int, group netip.Addr, f SourceFilter) error {
	return ms.change(index, group, func(m membership, member bool) (membership, error) {
		switch {
		case !member:
			return m, syscall.EINVAL
		case len(f.Sources) > ms.maxSources():
			return m, syscall.ENOBUFS
		}
		m.filter = SourceFilter{Only: f.Only}
		for _, s := range f.Sources {
			if s = s.Unmap(); !slices.Contains(m.filter.Sources, s) {
				m.filter.Sources = append(m.filter.Sources, s)
			}
		}
		return m, nil
	})
}

// SourceFilter returns a member's filter (getsockopt's IP_MSFILTER). The error is
// EADDRNOTAVAIL for no member.
func (ms *Memberships) SourceFilter(index int, group netip.Addr) (SourceFilter, error) {
	group = group.Unmap()
	for _, m := range *ms.list.Load() {
		if m.group == group && (index == 0 || m.iface == index) {
			return SourceFilter{m.filter.Only, slices.Clone(m.filter.Sources)}, nil
		}
	}
	return SourceFilter{}, syscall.EADDRNOTAVAIL
}

// Close ends all memberships. None can be had from then on.
func (ms *Memberships) Close() {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	ms.closed = true
	for len(*ms.list.Load()) > 0 {
		ms.leaveLocked(0)
	}
}

func (ms *Memberships) maxSources() int { return int(ms.ip.sysctls.igmpMaxMSF.Load()) }

// change replaces the socket's membership in a group, or the lack of one, by what
// f makes of it: one that wants nobody's packets is its end.
func (ms *Memberships) change(index int, group netip.Addr, f func(m membership, member bool) (membership, error)) error {
	group = group.Unmap()
	if !group.Is4() || !group.IsMulticast() {
		return syscall.EINVAL
	}
	if index == 0 {
		path, err := ms.ip.OutputPath(group, netip.Addr{}, 0)
		if err != nil {
			return syscall.ENODEV
		}
		index = path.Interface.Index()
	}
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if ms.closed {
		return net.ErrClosed
	}
	list := *ms.list.Load()
	i := slices.IndexFunc(list, func(m membership) bool { return m.group == group && m.iface == index })
	m := membership{group: group, iface: index}
	var was *SourceFilter
	if i >= 0 {
		m, was = list[i], &list[i].filter
	}
	m, err := f(m, i >= 0)
	switch {
	case err != nil:
		return err
	case i >= 0 && m.filter.Empty():
		ms.leaveLocked(i)
		return nil
	case i < 0 && len(list) >= int(ms.ip.sysctls.igmpMaxMemberships.Load()):
		return syscall.ENOBUFS
	}
	// An interface that is gone has taken its memberships along.
	if err := ms.ip.ChangeGroup(index, group, was, &m.filter); err != nil && i < 0 {
		return err
	}
	changed := slices.Clone(list)
	if i < 0 {
		changed = append(changed, m)
	} else {
		changed[i] = m
	}
	ms.list.Store(&changed)
	return nil
}

// add adds a source to those of a membership of that mode (Linux's ip_mc_source).
func (m membership) add(source netip.Addr, only bool, limit int) (membership, error) {
	source = source.Unmap()
	sources := m.filter.Sources
	switch {
	case !source.Is4():
		return m, syscall.EINVAL
	case m.filter.Only != only && sources != nil:
		return m, syscall.EINVAL
	case len(sources) >= limit:
		return m, syscall.ENOBUFS
	case slices.Contains(sources, source):
		return m, syscall.EADDRNOTAVAIL
	}
	m.filter = SourceFilter{only, append(slices.Clone(sources), source)}
	return m, nil
}

// remove undoes add.
func (m membership) remove(source netip.Addr, only, member bool) (membership, error) {
	sources := m.filter.Sources
	if !member || sources != nil && m.filter.Only != only {
		return m, syscall.EINVAL
	}
	i := slices.Index(sources, source.Unmap())
	if i < 0 {
		return m, syscall.EADDRNOTAVAIL
	}
	m.filter = SourceFilter{only, slices.Delete(slices.Clone(sources), i, i+1)}
	return m, nil
}
