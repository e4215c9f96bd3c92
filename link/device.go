package link

import "errors"

// ErrQueueFull is returned by a Device whose queue had no room; the packet is
// gone, as with a network card.
var ErrQueueFull = errors.New("link: device queue full")

// Writer takes frames that are complete down to their Ethernet header.
type Writer interface {
	// Write takes p and never blocks: when there is no room p is dropped and
	// the error is ErrQueueFull.
	Write(p *Packet) error
}

// Receiver is a queue of received frames: a device, or one of several that it
// has. One goroutine reads.
type Receiver interface {
	// Read blocks for the next frame and gives it to the caller. After the
	// device's Close it returns an error that is net.ErrClosed.
	Read() (*Packet, error)
}

// MultiQueue is a device with several receive queues, over which the flows are
// spread.
type MultiQueue interface {
	// MoreQueues returns the queues but that which the device's Read reads. Each
	// has to be read from then on; before, the device's Read returns all frames.
	MoreQueues() ([]Receiver, error)
}

// Device is a network card. One goroutine reads; Write and Close may be called
// from any number at once. One whose link can come and go has a method
// ReadCarrier besides, for package stack, and one that passes frames on to
// another Device a method Unwrap that returns it.
type Device interface {
	Writer
	Receiver
	// Addr is the station's own address.
	Addr() Addr
	// MTU is the longest network-layer packet in bytes that a frame carries.
	MTU() int
	// Close releases what the device holds and unblocks Read.
	Close() error
}
