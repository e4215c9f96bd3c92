// Package tcp is the Transmission Control Protocol over IPv4.
//
// # Shape
//
// A Conn is made of structs that each know one concern and are told the time:
// sender, receiver (with reassembly), rtt, rto, loss, window with its
// congestionControl, timestamps, acker, timers. They hold no lock and do no
// I/O. conn_recv.go is RFC 9293 section 3.10.7 in its order; conn_send.go
// decides what goes out; conn_io.go is the user's side. A segment is handled to
// completion in the goroutine that received it.
//
// # Locks
//
// Each connection has one mutex. With it held nothing below is called and no
// packet is sent: segments are built into Conn.out, and Conn.unlock transmits
// them after the mutex is released, one goroutine at a time and so in order.
// Holding the mutex across ipv4.Output would be shorter, but a packet whose next
// hop cannot be resolved returns as an ICMP error within that very call.
//
// Order: Conn.mu, then Listener.mu or timeWaits.mu, then a shard of the demux.
// The last is a leaf, and so is pacer.mu. Users who wait do so on conditions, which testing/synctest
// sees through, never on the mutex.
//
// # Large segments
//
// What leaves is up to 64 KiB of whole segments in one packet (link.GSOTCP), which
// shows the send buffer's chunks; the device, or what is above it, cuts it. One
// sentSegment stands for all of them until a loss is repaired, segment by segment.
// What arrives may be as large, and may come in a batch (link.Batch): in-order data
// is acknowledged and its reader woken once, at the batch's end or when half of the
// receive buffer has come. Checksums are verified unless the device vouches for
// them, and never computed here.
//
// # Loss recovery
//
// As Linux does it by default. A peer with SACK gets RACK: what was sent so long
// before something that has arrived that it cannot be late any more is lost, and a
// tail loss probe stands in for the ACKs that the end of a flight does not bring.
// The window shrinks by Proportional Rate Reduction, and returns if timestamps,
// D-SACK or F-RTO tell that nothing was lost. recovery.go has the phases, sack.go
// the scoreboard, rack.go what is lost, tlp.go the probe, prr.go the window, undo.go
// the way back, blocks.go the peer's half of it. All of that is in a recovery, which
// a connection gets with its first loss. A peer without SACK gets NewReno (loss.go).
//
// # Timers
//
// A connection has one clock timer, which follows the earliest of its deadlines
// but is only ever moved forward; a deadline that has moved back costs a
// spurious wake-up instead of a reset for each ACK. The users' deadlines are times
// that are compared, and join those of the timer only while a call waits. Everything
// in TIME-WAIT shares one timer.
//
// # Idle connections
//
// When its timer fires and nothing is under way a connection is idle: it gives up
// its rings, the conditions nobody waits on, and the timer. What is left is the Conn
// and its place in the demux. Configurations are shared and immutable, times are
// moments.
//
// # Sending
//
// The congestion window belongs to an algorithm behind congestionControl, CUBIC with
// HyStart++ unless Reno is asked for; loss detection, ECN and usage tell it what
// happens. flow holds what that takes, from the first data on; an idle connection that
// has met no congestion gives it up. Segments leave as soon as the windows allow: pacing
// is for those who ask for it or for a rate, and pacer wakes all of a host's.
//
// # Receive buffer
//
// It begins at tcp_rmem[1] and grows to twice what the user reads in a round trip
// (autotune.go). Where data comes in plain frames it stays below what the queue of a TAP
// device holds.
//
// # SYN cookies
//
// When the SYN queue is full SYN-ACKs are sent and forgotten (syncookie.go).
//
// # Neighbour confirmation
//
// An ACK that makes progress, a pure duplicate ACK and a completed handshake
// prove that the next hop works. The next packet that is sent says so
// (link.Packet.Confirm, Linux's sk_dst_confirm). Receiving proves nothing.
//
// # Sources
//
// RFC 9293 (TCP), 1122, 6691 (MSS), 7323 (window scale, timestamps, PAWS), 6298
// (retransmission timer), 5681 and 6582 (congestion control, NewReno), 9438 (CUBIC),
// 9406 (HyStart++), 7661 (unused windows), 3168 and 8311 (ECN), 2018, 2883 and 6675
// (SACK), 8985 (RACK-TLP), 6937 (PRR), 5682 (F-RTO), 3522 and 3708 (undo), 3042
// (limited transmit), 6928 (initial window), 3465 (byte counting), 5961 and 5927
// (attacks in the blind), 4987 (SYN cookies), 6528 (initial sequence numbers), 6056
// (ports), 6191 (TIME-WAIT), 2525, 6093 (urgent data: read in line). Where Linux does
// otherwise, Linux is followed and the line says so.
package tcp
