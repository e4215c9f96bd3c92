// Package ipv4 is the Internet Protocol, version 4, of a host or a router:
// headers, addresses, routes, input, forwarding, output, fragments.
//
// # Walks
//
// A received packet enters at Protocol.Input, is validated and routed, and is
// delivered to the handler of its protocol, forwarded, or dropped under a
// link.DropReason. A packet of ours enters at Protocol.Output with its front at
// the transport header, is routed, gets its header, and leaves through the
// NextHop of the route's interface. Packets to our own addresses leave through
// the loopback interface and come back by Input.
//
// ICMP is a transport as any other (package ipv4/icmp). It registers itself as
// the one who reports errors (HandleErrors) and hands errors that arrive to the
// transport that they are about (DeliverError).
//
// # Concurrency
//
// Input, Output and all lookups may be called from any number of goroutines and
// take no lock, but for fragments. Addresses and routes are immutable values
// behind atomic pointers; whoever changes them holds Protocol.mu, which is never
// held while a packet moves or a handler runs. Fragments wait under a mutex of
// their own, which nests in nothing.
//
// # Sources
//
// RFC 791 (IPv4), RFC 815 (reassembly), RFC 919 and 922 (broadcasts), RFC 1071
// and 1624 (checksums), RFC 1122 section 3 (hosts), RFC 1191 (path MTU), RFC
// 1812 (routers), RFC 3021 (31-bit prefixes), RFC 5722 (overlapping fragments),
// RFC 6864 (identification). Where they leave a choice, or hosts differ from
// them, Linux is followed, with its names: net.ipv4.conf.*, struct
// skb_drop_reason, the counters of /proc/net/snmp.
package ipv4
