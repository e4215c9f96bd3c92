// Package pcap wraps a device and writes what passes to a file in the pcapng
// format (draft-ietf-opsawg-pcapng), with each frame's direction and, if asked
// for, a comment.
//
// Capturing never disturbs traffic: frames are copied into a bounded queue that
// a goroutine writes out; what finds the queue full, or a writer that failed,
// is counted and not recorded.
package pcap
