package dhcp

import (
	"net/netip"
	"time"
)

// Forever is the Duration of a lease that does not end (RFC 2131, section 3.3).
const Forever = time.Duration(1<<63 - 1)

// Route is a route that a server announces.
type Route struct {
	Dst     netip.Prefix
	Gateway netip.Addr // 0.0.0.0 or not valid: the destination is on the link
}

// Lease is what a server has given to the client.
type Lease struct {
	Addr      netip.Prefix // the address with the length of its subnet
	Broadcast netip.Addr   // not valid: the subnet's highest
	Server    netip.Addr   // whom to ask for more time
	Routes    []Route
	DNS       []netip.Addr
	Domain    string
	Search    []string
	MTU       int // 0: not given

	Start    time.Time     // when the request was sent
	T1, T2   time.Duration // from Start: when to ask the server, and when to ask all of them
	Duration time.Duration // from Start
}

// End returns when the lease ends, the zero time for never.
func (l Lease) End() time.Time {
	if l.Duration == Forever {
		return time.Time{}
	}
	return l.Start.Add(l.Duration)
}
