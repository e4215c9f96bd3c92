// Package link is the vocabulary of the link layer: hardware addresses, the
// Ethernet header, packets with one owner, and devices.
//
// # Ownership
//
// A *Packet has one owner. Passing it to a function named Input, Output,
// Deliver, Write, Queue or Reply gives it away, on success and on error alike,
// and the taker passes it on or releases it. A []byte parameter is borrowed
// until the call returns. LivePackets counts packets that nobody has released.
//
// # Offloads
//
// A packet may be unfinished: its transport checksum partial, its payload that of
// several segments, part of it in memory that it shares. What a device does not
// take as it is (Features) is finished in one place, Segment, just above the
// device; all other code passes such packets on. GRO makes
// super-segments of what a device gives in single frames, such that Segment gives
// the same frames back. Code that needs the bytes in one piece calls Linearize,
// code that needs the checksum CompleteChecksum.
//
// # Sources
//
// IEEE 802.3 (frame format), IEEE 802.1Q (priority tags), RFC 894 (IPv4 over
// Ethernet), RFC 1112 section 6.4 (multicast mapping), RFC 1071 (checksum).
package link
