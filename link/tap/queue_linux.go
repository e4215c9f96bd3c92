package tap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tapstack/tapstack/link"
)

// queue is a further queue of a device. Its frames are those of flows that the
// kernel saw coming from it last (the driver's automatic steering), so that a
// flow stays where Write puts it.
type queue struct {
	d      *Device
	file   *os.File
	raw    syscall.RawConn
	reader *reader
}

// openQueues opens n further queues of the device. They are detached: until
// MoreQueues is called, the first one gets everything.
func (d *Device) openQueues(n int) error {
	flags, header := uint16(unix.IFF_TAP|unix.IFF_NO_PI|unix.IFF_MULTI_QUEUE), 0
	if d.vnet {
		flags, header = flags|unix.IFF_VNET_HDR, vnetLen
	}
	for range n {
		fd, err := unix.Open(driver, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return openError(d.name, err)
		}
		err = setIff(fd, d.name, flags)
		if err == nil {
			err = setQueue(fd, unix.IFF_DETACH_QUEUE)
		}
		if err != nil {
			unix.Close(fd)
			return fmt.Errorf("tap: opening queue %d of %s: %w", len(d.more)+1, d.name, err)
		}
		q := &queue{d: d, file: os.NewFile(uintptr(fd), driver), reader: newReader(header)}
		d.more = append(d.more, q)
		if q.raw, err = q.file.SyscallConn(); err != nil {
			return err
		}
	}
	return nil
}

func setQueue(fd int, flag uint16) error {
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return err
	}
	ifr.SetUint16(flag)
	return unix.IoctlIfreq(fd, unix.TUNSETQUEUE, ifr)
}

// MoreQueues returns the device's queues but the first, which is its own Read's
// (link.MultiQueue). From then on each has to be read.
func (d *Device) MoreQueues() ([]link.Receiver, error) {
	var list []link.Receiver
	for _, q := range d.more {
		err := control(q.file, func(fd int) error { return setQueue(fd, unix.IFF_ATTACH_QUEUE) })
		if err != nil && !errors.Is(err, unix.EINVAL) { // attached already
			return nil, fmt.Errorf("tap: attaching queue %d of %s: %w", len(list)+1, d.name, err)
		}
		list = append(list, q)
	}
	d.spread.Store(len(d.more) > 0)
	return list, nil
}

// Read is Device.Read for the queue's frames.
func (q *queue) Read() (*link.Packet, error) { return q.d.read(q.reader, q.raw) }

// WhenIdle has Read call f before it waits (link.Batcher).
func (q *queue) WhenIdle(f func() bool) bool {
	q.reader.idle = f
	return true
}

// read returns the next frame of a queue.
func (d *Device) read(r *reader, raw syscall.RawConn) (*link.Packet, error) {
	p, err := r.next(raw)
	switch {
	case err == nil:
		return p, nil
	case errors.Is(err, os.ErrClosed):
		return nil, net.ErrClosed
	case d.removed():
		// Read's own error depends on the moment: waiting is refused, too.
		return nil, fmt.Errorf("tap: %s was removed: %w", d.name, unix.EBADFD)
	}
	return nil, fmt.Errorf("tap: reading from %s: %w", d.name, err)
}

// writer returns the queue by which a frame leaves. The kernel's answers come the
// same way.
func (d *Device) writer(p *link.Packet) syscall.RawConn {
	if !d.spread.Load() {
		return d.raw
	}
	if i := int(uint64(flowHash(p.Bytes())) * uint64(len(d.more)+1) >> 32); i > 0 {
		return d.more[i-1].raw
	}
	return d.raw
}

// flowHash returns the same for all frames of a flow: of its addresses, and of
// its ports unless it has fragments. It is 0 for what is not IPv4.
func flowHash(b []byte) uint32 {
	const ip = link.EthernetHeaderLen
	if len(b) < ip+20 || binary.BigEndian.Uint16(b[12:]) != uint16(link.IPv4) {
		return 0
	}
	h := binary.BigEndian.Uint32(b[ip+12:])*0x85ebca6b ^ binary.BigEndian.Uint32(b[ip+16:])
	ports := ip + int(b[ip]&15)*4
	if proto := b[ip+9]; (proto == unix.IPPROTO_TCP || proto == unix.IPPROTO_UDP) &&
		binary.BigEndian.Uint16(b[ip+6:])&0x3fff == 0 && len(b) >= ports+4 {
		h ^= binary.BigEndian.Uint32(b[ports:])
	}
	h ^= h >> 16
	return h * 0x9e3779b1
}
