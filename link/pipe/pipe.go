package pipe

import (
	"net"
	"sync/atomic"

	"github.com/tapstack/tapstack/link"
)

// The documented defaults of Config and LANConfig.
const (
	DefaultMTU   = 1500
	DefaultQueue = 1000 // frames; txqueuelen of an Ethernet device on Linux
)

// LoopbackMTU is the MTU of a Loopback in bytes, that of Linux's lo.
const LoopbackMTU = 65536

// Config describes the cable that New makes.
type Config struct {
	// Addrs are the stations' addresses; zero ones become
	// 02:00:00:00:00:01 and 02:00:00:00:00:02.
	Addrs [2]link.Addr
	// MTU in bytes of both ends, 0 for DefaultMTU. It is what the devices
	// announce; longer frames pass all the same.
	MTU int
	// Queue is how many unread frames each end holds, 0 for DefaultQueue.
	Queue int
}

// Device is one end of a cable, a port of a LAN, or a loopback. It implements
// link.Device.
type Device struct {
	addr   link.Addr
	mtu    int
	rx     *link.Ring
	closed atomic.Bool
	// send takes a frame to whoever is on the other side.
	send func(p *link.Packet) error
	// detach ends what others hold of the device; nil when nothing does.
	detach   func()
	features link.Features
}

// New returns the two ends of a cable. When one end is closed, what the other
// writes is lost without an error, as on a cable that hangs loose.
func New(c Config) (a, b *Device) {
	for i := range c.Addrs {
		if c.Addrs[i].IsZero() {
			c.Addrs[i] = link.Addr{0x02, 0, 0, 0, 0, byte(i + 1)}
		}
	}
	a, b = newDevice(c.Addrs[0], c.MTU, c.Queue), newDevice(c.Addrs[1], c.MTU, c.Queue)
	a.send, b.send = b.deliver, a.deliver
	return a, b
}

// Loopback returns a device that reads what it writes, with no address and an
// MTU of LoopbackMTU. As Linux's lo it takes packets in any state, and they come
// back as they are: what never leaves the host needs no checksum and no
// segmentation.
func Loopback() *Device {
	d := newDevice(link.Addr{}, LoopbackMTU, 0)
	d.features = link.ScatterGather | link.ChecksumOffload | link.TCPSegmentation | link.UDPSegmentation
	d.send = d.rx.Write
	return d
}

func newDevice(addr link.Addr, mtu, queue int) *Device {
	if mtu == 0 {
		mtu = DefaultMTU
	}
	if queue == 0 {
		queue = DefaultQueue
	}
	return &Device{addr: addr, mtu: mtu, rx: link.NewRing(queue)}
}

// deliver puts a frame that comes from another device into d's queue.
func (d *Device) deliver(p *link.Packet) error {
	if err := d.rx.Write(p); err == link.ErrQueueFull {
		return err
	}
	return nil // unplugged: who sends does not notice
}

// Write takes p. The error is link.ErrQueueFull when the other side does not
// read fast enough, or net.ErrClosed after Close.
func (d *Device) Write(p *link.Packet) error {
	if d.closed.Load() {
		p.Release()
		return net.ErrClosed
	}
	return d.send(p)
}

// Read blocks for the next frame. After Close it returns net.ErrClosed.
func (d *Device) Read() (*link.Packet, error) { return d.rx.Read() }

// Addr returns the station's address.
func (d *Device) Addr() link.Addr { return d.addr }

// MTU returns the longest network-layer packet in bytes.
func (d *Device) MTU() int { return d.mtu }

// Features returns what the device does for the stack (link.Offloader): the
// loopback everything, others nothing.
func (d *Device) Features() link.Features { return d.features }

// Missed returns how many frames found d's receive queue full.
func (d *Device) Missed() uint64 { return d.rx.Missed() }

// Close unplugs the device, unblocks Read and releases unread frames. It may be
// called more than once, and always returns nil.
func (d *Device) Close() error {
	if !d.closed.Swap(true) && d.detach != nil {
		d.detach()
	}
	d.rx.Close()
	return nil
}
