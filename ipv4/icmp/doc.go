// Package icmp is the Internet Control Message Protocol of a host or a router:
// it answers echo and timestamp requests, sends the errors that IPv4 and the
// transports ask for, hands errors that arrive to the transport they are about,
// and has sockets that ping.
//
// # Concurrency
//
// Everything may be called concurrently. Two mutexes, neither held while a
// packet moves: that of the rate limits, and that of the ping sockets' table.
//
// # Sources
//
// RFC 792 (ICMP), RFC 1122 section 3.2.2 (hosts), RFC 1812 section 4.3
// (routers), RFC 5927 (attacks by errors), RFC 6633 (source quench is no more).
// Limits, their names and defaults are Linux's: net.ipv4.icmp_*.
package icmp
