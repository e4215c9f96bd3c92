package ipv4

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"syscall"
)

// AllHosts is the group that every host is a member of, on each interface (RFC
// 1112, section 4).
var AllHosts = netip.AddrFrom4([4]byte{224, 0, 0, 1})

// groups are an interface's by address; immutable.
type groups map[netip.Addr]group

// receives reports whether a packet from src to a multicast group is for us, when
// it comes by this interface (Linux's ip_check_mc_rcu). What IGMP says to a group
// concerns each member.
func (i *Interface) receives(to, src netip.Addr, protocol uint8) bool {
	if to == AllHosts || i.Loopback() {
		return true
	}
	g, ok := (*i.groups.Load())[to]
	return ok && (protocol == ProtocolIGMP || isZeronet(src) || g.filter.Allows(src))
}

// Group is a multicast group that an interface is a member of.
type Group struct {
	Addr    netip.Addr
	Members int          // memberships of sockets, and one of the interface's own in AllHosts
	Filter  SourceFilter // whose packets one of them wants
}

// Groups returns the multicast groups that the interface is a member of, by
// address.
func (i *Interface) Groups() []Group {
	all := *i.groups.Load()
	list := []Group{{Addr: AllHosts, Members: 1 + all[AllHosts].members()}}
	for a, g := range all {
		if a != AllHosts {
			list = append(list, Group{Addr: a, Members: g.members(), Filter: g.filter})
		}
	}
	slices.SortFunc(list, func(a, b Group) int { return a.Addr.Compare(b.Addr) })
	return list
}

// HandleGroups registers who is told that the groups of an interface may have
// changed, or that it went up or down; package igmp does. fn is called with no
// lock held, from any goroutine: what Groups and Up say meanwhile is newer.
func (pr *Protocol) HandleGroups(fn func(i *Interface)) { pr.groupsChanged.Store(&fn) }

func (pr *Protocol) tellGroups(i *Interface) {
	if fn := pr.groupsChanged.Load(); fn != nil {
		(*fn)(i)
	}
}

// JoinGroup makes the interface a member of a multicast group, once more for
// each call. The error is ENODEV or EINVAL.
func (pr *Protocol) JoinGroup(index int, group netip.Addr) error {
	return pr.ChangeGroup(index, group, nil, new(SourceFilter))
}

// LeaveGroup undoes one JoinGroup. The error is ENODEV, EINVAL, or EADDRNOTAVAIL
// without membership.
func (pr *Protocol) LeaveGroup(index int, group netip.Addr) error {
	return pr.ChangeGroup(index, group, new(SourceFilter), nil)
}

// ChangeGroup replaces one membership of the interface in a multicast group, from,
// by another, to; nil is none. Whoever calls it keeps account of its own
// memberships, each of which names a source once. The error is ENODEV, EINVAL, or
// EADDRNOTAVAIL when there is no membership like from.
func (pr *Protocol) ChangeGroup(index int, group netip.Addr, from, to *SourceFilter) error {
	if !group.Is4() || !group.IsMulticast() {
		return fmt.Errorf("ipv4: %v is no multicast group: %w", group, syscall.EINVAL)
	}
	i, err := pr.changeGroup(index, group, from, to)
	if err != nil {
		return err
	}
	pr.tellGroups(i)
	return nil
}

func (pr *Protocol) changeGroup(index int, to netip.Addr, remove, add *SourceFilter) (*Interface, error) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	i := pr.interfaces.Load().byIndex(index)
	if i == nil {
		return nil, fmt.Errorf("ipv4: group %v: no interface %d: %w", to, index, syscall.ENODEV)
	}
	all := maps.Clone(*i.groups.Load())
	g := all[to]
	if remove != nil {
		if remove.Only && g.only == 0 || !remove.Only && g.but == 0 {
			return nil, fmt.Errorf("ipv4: %s is no member of %v: %w", i.Name(), to, syscall.EADDRNOTAVAIL)
		}
		g = g.with(*remove, -1)
	}
	if add != nil {
		g = g.with(*add, 1)
	}
	if all[to] = g; g.members() == 0 {
		delete(all, to)
	}
	i.groups.Store(&all)
	return i, nil
}
