package tap

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tapstack/tapstack/link"
)

// Device is an open TAP device. It implements link.Device.
type Device struct {
	file *os.File
	raw  syscall.RawConn
	name string
	addr link.Addr
	peer link.Addr
	mtu  int

	vnet   bool // frames have a virtio-net header in front
	reader *reader
	more   []*queue    // but the first
	spread atomic.Bool // over all queues
	writes sync.Pool   // of *write

	features link.Features
	missing  error // why offloads that were asked for are not there

	nl       *rtnl
	carrier  carrier
	undo     []func() error // what Close takes back, last first
	errDown  error          // Write's answer while the kernel's side is down
	closing  sync.Once
	closeErr error
}

// Open opens the device that c describes, configures the kernel's side and
// brings it up. It must be called in the network namespace of the device; the
// Device may be used from any.
//
// The errors say what to do, and wrap an errno: EBUSY when another process has
// the device, EINVAL for a bad Config and for a name that belongs to something
// else, EPERM or EACCES without the privilege, ENOENT, ENODEV or ENXIO without
// the driver, EADDRINUSE for an address that is somebody else's. After an error
// the kernel is as it was.
func Open(c Config) (*Device, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	nl, err := openRTNL()
	if err != nil {
		return nil, err
	}
	d, err := open(nl, c)
	if err != nil {
		nl.close()
		return nil, err
	}
	return d, nil
}

func open(nl *rtnl, c Config) (*Device, error) {
	if c.Peer.IsValid() {
		has, err := findPeer(c)
		if err != nil {
			return nil, err
		}
		if has {
			c.Peer = netip.Prefix{} // no privilege is needed then
		}
	}
	before, err := probe(nl, c.Name)
	if err != nil {
		return nil, err
	}
	switch {
	case c.Queues <= 1:
	case before.index == 0:
		before.multiQueue = true
	case !before.multiQueue:
		return nil, fmt.Errorf("tap: %s has a single queue; ask for one, or make it anew by `ip tuntap add %[1]s mode tap multi_queue`: %w", c.Name, unix.EINVAL)
	}
	d := &Device{nl: nl}
	if err := d.openFile(c, before); err != nil {
		return nil, err
	}
	if err := d.openQueues(c.Queues - 1); err != nil {
		return nil, errors.Join(err, d.release())
	}
	d.errDown = fmt.Errorf("tap: the kernel's side of %s is down: %w", d.name, unix.EIO)
	d.writes.New = func() any { return newWrite() }
	if err := d.configure(c, before.index != 0); err != nil {
		return nil, errors.Join(err, d.release())
	}
	return d, nil
}

// openFile opens the device with offloads, or where that is not wanted or not
// possible for plain frames.
func (d *Device) openFile(c Config, before found) (err error) {
	if c.Offload != OffloadOff {
		var missing string
		d.file, d.name, d.features, missing, err = openVnet(c.Name, before)
		switch {
		case err == nil && missing != "":
			d.missing = fmt.Errorf("tap: the kernel offers no %s offload on %s: %w", missing, d.name, errors.ErrUnsupported)
		case err != nil && !errors.Is(err, errNoHeader):
			return err
		case err != nil:
			d.missing = fmt.Errorf("tap: no offloads: %w: %w", err, errors.ErrUnsupported)
		}
		if d.missing != nil && c.Offload == OffloadOn {
			if d.file != nil {
				d.file.Close()
			}
			return fmt.Errorf("%w; open it with offload auto or off", d.missing)
		}
		if err == nil {
			d.vnet, d.reader = true, newReader(vnetLen)
			return nil
		}
	}
	d.file, d.name, err = openWater(c.Name, before)
	d.reader = newReader(0)
	return err
}

// Features returns what the device does for the stack (link.Offloader).
func (d *Device) Features() link.Features { return d.features }

// WhenIdle has Read call f before it waits (link.Batcher).
func (d *Device) WhenIdle(f func() bool) bool {
	d.reader.idle = f
	return true
}

// Missing says which offloads are not there though they were asked for, and why;
// nil when nothing is missing.
func (d *Device) Missing() error { return d.missing }

// findPeer reports whether the device has the address for the kernel's side. On
// another interface it is an error: Linux would take it twice, and then answer
// on the wrong one.
func findPeer(c Config) (has bool, err error) {
	ifaces, err := net.Interfaces()
	if err != nil {
		return false, fmt.Errorf("tap: listing interfaces: %w", err)
	}
	for _, i := range ifaces {
		addrs, err := i.Addrs()
		if err != nil {
			continue // the interface has just gone
		}
		for _, a := range addrs {
			n, ok := a.(*net.IPNet)
			if !ok || !n.IP.Equal(c.Peer.Addr().AsSlice()) {
				continue
			}
			if i.Name != c.Name {
				return false, fmt.Errorf("tap: %s is the address of %s already; choose another for the kernel's side: %w", c.Peer.Addr(), i.Name, unix.EADDRINUSE)
			}
			ones, _ := n.Mask.Size()
			has = has || ones == c.Peer.Bits()
		}
	}
	return has, nil
}

// configure sets the kernel's side up. What it changes of a device that existed
// goes to undo; one that was created disappears anyway.
func (d *Device) configure(c Config, existed bool) error {
	raw, err := d.file.SyscallConn()
	if err != nil {
		return err
	}
	d.raw = raw
	dev, err := d.nl.device(d.name)
	if err != nil {
		return fmt.Errorf("tap: looking for %s: %w", d.name, err)
	}
	changed := func(undo func() error) {
		if existed {
			d.undo = append(d.undo, undo)
		}
	}
	d.peer, d.mtu = dev.addr, dev.mtu
	if d.addr, err = c.stationAddr(dev.addr); err != nil {
		return err
	}
	if c.MTU != 0 && c.MTU != dev.mtu {
		if err := d.nl.setMTU(dev.index, c.MTU); err != nil {
			return fmt.Errorf("tap: setting the mtu of %s to %d: %w", d.name, c.MTU, err)
		}
		d.mtu = c.MTU
		changed(func() error { return d.nl.setMTU(dev.index, dev.mtu) })
	}
	if !existed {
		if err := d.nl.setTxQueueLen(dev.index, c.txQueueLen()); err != nil {
			return fmt.Errorf("tap: setting the queue length of %s to %d frames: %w", d.name, c.txQueueLen(), err)
		}
	}
	if c.Peer.IsValid() {
		switch err := d.nl.addAddress(dev.index, c.Peer); {
		case err == nil:
			changed(func() error { return d.nl.deleteAddress(dev.index, c.Peer) })
		case !errors.Is(err, unix.EEXIST):
			return fmt.Errorf("tap: adding %s to %s: %w", c.Peer, d.name, err)
		}
	}
	if !dev.up {
		if err := d.nl.setUp(dev.index, true); err != nil {
			return fmt.Errorf("tap: bringing %s up: %w", d.name, err)
		}
		changed(func() error { return d.nl.setUp(dev.index, false) })
	}
	d.carrier.done = make(chan struct{})
	d.carrier.monitor, err = openMonitor(dev.index)
	return err
}

// Name returns the device's name, which the kernel may have chosen.
func (d *Device) Name() string { return d.name }

// Addr returns the station's own address.
func (d *Device) Addr() link.Addr { return d.addr }

// KernelAddr returns the address of the kernel's side, as it was when the
// device was opened.
func (d *Device) KernelAddr() link.Addr { return d.peer }

// MTU returns the MTU in bytes that both sides had when the device was opened.
func (d *Device) MTU() int { return d.mtu }

// Read blocks for the next frame. Frames longer than the MTU are returned
// whole. The error is net.ErrClosed after Close, and wraps EBADFD when the
// device was removed.
func (d *Device) Read() (*link.Packet, error) { return d.read(d.reader, d.raw) }

// removed reports whether the device is in no network namespace any more.
func (d *Device) removed() bool {
	_, err := d.currentName()
	return errors.Is(err, unix.EBADFD)
}

// Write takes p and gives it to the kernel at once, or not at all. The error is
// link.ErrQueueFull when the kernel has no room, net.ErrClosed after Close, and
// wraps EIO while the kernel's side is down.
func (d *Device) Write(p *link.Packet) error {
	raw := d.writer(p)
	if d.vnet {
		putVnet(p)
	}
	w := d.writes.Get().(*write)
	w.set(p)
	// Control and not Write: the latter waits when the kernel has no room.
	err := raw.Control(w.run)
	errno := w.errno
	clear(w.iov[:w.n])
	d.writes.Put(w)
	p.Release()
	switch {
	case err != nil:
		return net.ErrClosed
	case errno == 0:
		return nil
	case errno == unix.EAGAIN, errno == unix.ENOBUFS, errno == unix.ENOMEM:
		return link.ErrQueueFull
	case errno == unix.EIO:
		return d.errDown
	}
	return fmt.Errorf("tap: writing to %s: %w", d.name, errno)
}

// write is one writev(2), kept with its closure so that writing does not
// allocate.
type write struct {
	run   func(fd uintptr)
	iov   [maxPieces]unix.Iovec
	n     int
	errno unix.Errno
}

// maxPieces is how many pieces of a packet are written as they are; one of more
// is copied together first.
const maxPieces = 16

func newWrite() *write {
	w := new(write)
	// Raw: see newReader. What the kernel does with a frame, its own TCP's
	// input included, is the longest part, but it does not wait.
	w.run = func(fd uintptr) {
		for {
			_, _, w.errno = unix.RawSyscall(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&w.iov[0])), uintptr(w.n))
			if w.errno != unix.EINTR {
				return
			}
		}
	}
	return w
}

func (w *write) set(p *link.Packet) {
	if p.NumPieces() > maxPieces {
		p.Linearize()
	}
	w.n, w.errno = p.NumPieces(), 0
	for i := range w.n {
		b := p.Piece(i)
		w.iov[i].Base = unsafe.SliceData(b)
		w.iov[i].SetLen(len(b))
	}
}

// Close unblocks Read. A device that Open created is removed; one that existed
// gets back the MTU, the address and the state that Open changed.
func (d *Device) Close() error {
	d.closing.Do(func() {
		d.carrier.close() // first: our own doing is no news
		d.closeErr = d.release()
		d.nl.close()
	})
	return d.closeErr
}

func (d *Device) release() error {
	if d.features != 0 {
		// A device that stays must not send what its next user may not
		// understand.
		_ = control(d.file, func(fd int) error { return unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, 0) })
	}
	err := d.file.Close()
	for _, q := range d.more {
		err = errors.Join(err, q.file.Close())
	}
	for i := len(d.undo) - 1; i >= 0; i-- {
		// Somebody else may have removed the device or the address meanwhile.
		if e := d.undo[i](); e != nil && !errors.Is(e, unix.ENODEV) && !errors.Is(e, unix.EADDRNOTAVAIL) {
			err = errors.Join(err, fmt.Errorf("tap: restoring %s: %w", d.name, e))
		}
	}
	return err
}
