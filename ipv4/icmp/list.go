package icmp

import (
	"cmp"
	"net/netip"
	"slices"
)

// Info is a snapshot of a ping socket.
type Info struct {
	ID        uint16
	Local     netip.Addr // not valid when the route chooses
	Interface int        // bound to, 0: any
	Unread    int        // replies
}

// Sockets returns a snapshot of every ping socket, by identifier.
func (pr *Protocol) Sockets() []Info {
	pr.echo.mu.Lock()
	defer pr.echo.mu.Unlock()
	var all []Info
	for _, c := range pr.echo.conns {
		all = append(all, Info{ID: c.id, Local: c.laddr, Interface: c.oif, Unread: len(c.replies)})
	}
	slices.SortFunc(all, func(a, b Info) int { return cmp.Compare(a.ID, b.ID) })
	return all
}
