// Package raw has raw sockets (Linux's raw(7)): they receive copies of all packets of
// one protocol, whatever else becomes of those, and send packets that get an IPv4
// header, or have one.
//
// A Conn is what *net.IPConn is. Programs written for golang.org/x/net/icmp work
// over one with little change, as net.PacketConn is all that they need; only
// icmp.ListenPacket itself opens a socket of the operating system, so that
// stack.Host.ListenPacket("ip4:icmp", "0.0.0.0") takes its place.
//
// # Locks
//
// The list of sockets is immutable and replaced under Protocol.mu; Conn.mu guards
// a socket's queue and options. No two of them are held together, and nothing is
// sent or called with one held.
package raw
