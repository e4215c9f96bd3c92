package udp

import "net/netip"

// Info is a snapshot of a socket.
type Info struct {
	Local     netip.AddrPort
	Remote    netip.AddrPort // not valid without a peer
	Interface int            // bound to, 0: any

	Unread     int    // what unread datagrams and errors cost in bytes (Linux's sk_rmem_alloc)
	ReadBuffer int    // what they may cost (SO_RCVBUF)
	Dropped    uint64 // datagrams that found no room
}

// Info returns a snapshot of the socket.
func (c *Conn) Info() Info {
	e := c.ends.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	return Info{Local: e.laddr, Remote: e.raddr, Interface: c.oif,
		Unread: c.costLocked(), ReadBuffer: c.limit, Dropped: c.drops.Load()}
}

// Sockets returns a snapshot of every socket, by port.
func (pr *Protocol) Sockets() []Info {
	var all []Info
	for port := range 1 << 16 {
		if port&255 == 0 && pr.demux.pages[port>>8].Load() == nil {
			continue
		}
		for _, c := range pr.demux.port(uint16(port)) {
			all = append(all, c.Info())
		}
	}
	return all
}
