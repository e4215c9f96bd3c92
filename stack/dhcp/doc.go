// Package dhcp gets the addresses of a host's interfaces from DHCP servers.
//
// machine is the client of RFC 2131 as a value: it is told what happened and when,
// and returns what to do. Client puts it on an interface: it sends and receives,
// asks by ARP whether an offered address is free, and gives the interface what
// the server says: address, routes, MTU, name servers.
//
// # Locks
//
// Client.mu guards the machine. Nothing is sent, and the host is not called, while
// it is held; what the machine wants done is done by one goroutine, in order.
//
// # Sources
//
// RFC 2131 (DHCP), RFC 2132 (options), RFC 3396 (long options), RFC 3442
// (classless routes), RFC 5227 (address conflict detection), RFC 3927 section
// 1.9: no link-local address is taken when there is no server.
package dhcp
