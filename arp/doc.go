// Package arp is the Address Resolution Protocol for IPv4 over Ethernet: the
// packet's form, what Linux does with one that arrives, solicitations, proxy
// ARP and announcements. It keeps no addresses and runs no resolution timers;
// what it learns goes to the neighbour table.
//
// # Sources
//
// RFC 826 (ARP), RFC 1027 and RFC 925 (proxy ARP), RFC 3069 (private VLANs),
// RFC 5227 (probes and announcements), RFC 5494 (assigned numbers), and the
// Linux sysctls net.ipv4.conf.*.arp_*, proxy_arp, proxy_arp_pvlan, medium_id and
// drop_gratuitous_arp. Where Linux departs from an RFC, Linux is followed.
//
// # Concurrency
//
// All methods of Protocol may be called concurrently. One lock guards the queue
// of delayed proxy requests and the changes of configuration, another the claims
// to addresses. Neither is taken with the other held, and nothing is sent or
// called back with one of them.
package arp
