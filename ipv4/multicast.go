package ipv4

import (
	"fmt"
	"maps"
	"net/netip"
	"syscall"
)

// member reports whether we belong to a group on the interface. Every host
// belongs to all-hosts (RFC 1112, section 4).
func (i *Interface) member(group netip.Addr) bool {
	if group.As4() == [4]byte{224, 0, 0, 1} || i.Loopback() {
		return true
	}
	return (*i.groups.Load())[group] > 0
}

// JoinGroup makes the interface a member of a multicast group, once more for
// each call. The error is ENODEV or EINVAL.
func (pr *Protocol) JoinGroup(index int, group netip.Addr) error {
	return pr.changeGroup(index, group, 1)
}

// LeaveGroup undoes one JoinGroup. The error is ENODEV, EINVAL, or EADDRNOTAVAIL
// without membership.
func (pr *Protocol) LeaveGroup(index int, group netip.Addr) error {
	return pr.changeGroup(index, group, -1)
}

func (pr *Protocol) changeGroup(index int, group netip.Addr, by int) error {
	if !group.Is4() || !group.IsMulticast() {
		return fmt.Errorf("ipv4: %v is no multicast group: %w", group, syscall.EINVAL)
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	i := pr.interfaces.Load().byIndex(index)
	if i == nil {
		return fmt.Errorf("ipv4: group %v: no interface %d: %w", group, index, syscall.ENODEV)
	}
	groups := maps.Clone(*i.groups.Load())
	n := groups[group] + by
	if n < 0 {
		return fmt.Errorf("ipv4: %s is no member of %v: %w", i.Name(), group, syscall.EADDRNOTAVAIL)
	}
	groups[group] = n
	if n == 0 {
		delete(groups, group)
	}
	i.groups.Store(&groups)
	return nil
}
