package ipv4

import "net/netip"

// Send says how a packet of ours is to be sent. Only Dst and Protocol must be
// given.
type Send struct {
	Src, Dst  netip.Addr // Src not valid: chosen by the route
	Protocol  uint8
	TTL       uint8 // 0: 64, or 1 to multicast groups
	TOS       uint8
	DF        bool   // don't fragment: EMSGSIZE for a packet longer than the path's MTU...
	Want      bool   // ...unless Want: such a packet goes out without DF, in fragments (IP_PMTUDISC_WANT)
	ID        uint16 // identification of a packet that leaves with DF; others get one that is not in use
	Interface int    // index of the interface to leave by, 0 for the route's
	Options   []byte // IP options, at most 40 bytes
}
