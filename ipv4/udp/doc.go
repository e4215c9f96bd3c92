// Package udp is the User Datagram Protocol (RFC 768, RFC 1122 section 4.1) as
// Linux speaks it: sockets, bound or connected, that are net.PacketConn and
// net.Conn.
//
// Which socket a datagram belongs to, what binds together, which ICMP errors
// reach whom and what a full receive buffer loses are Linux's rules; the
// comments name its functions.
//
// # Locks
//
// Lookup of a socket takes no lock: the sockets of a port are an immutable
// list, replaced under demux.mu. Conn.mu guards what a socket has queued and
// its options. No two of them are held together, and nothing is sent, reported
// or called with one held.
package udp
