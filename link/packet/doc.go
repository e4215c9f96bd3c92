// Package packet has sockets below all protocols, as Linux's AF_PACKET (packet(7)):
// they receive copies of the frames that interfaces receive and send, and send
// frames as they are given.
//
// A host has one Table. Its interfaces ask Any for each frame, which is one atomic
// load, and call Received or Sent when somebody listens.
//
// # Concurrency
//
// Everything may be called concurrently. The list of sockets is immutable and is
// replaced under Table.mu; Conn.mu guards a socket's queue. No two of them are held
// together, and nothing is sent with one held.
package packet
