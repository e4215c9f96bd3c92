// Package igmp is a host's side of the Internet Group Management Protocol: it tells
// the routers of a link which multicast groups, and whose packets to them, are
// wanted. It speaks version 3, and 2 or 1 while it hears a router that knows no
// better.
//
// What is wanted comes from ipv4, where sockets join groups. host is the protocol,
// one for each interface: pure, with now as a parameter. Protocol is the shell with
// the lock, the timers and the packets.
//
// # Concurrency
//
// Everything may be called concurrently. Protocol.mu guards the hosts and is never
// held while a packet moves.
//
// # Sources
//
// RFC 1112 (version 1), RFC 2236 (version 2), RFC 3376 (version 3), RFC 2113 (router
// alert). Where they leave a choice, Linux is followed, with the names of its
// settings: net.ipv4.igmp_*, net.ipv4.conf.*.force_igmp_version and
// igmpv{2,3}_unsolicited_report_interval.
package igmp
