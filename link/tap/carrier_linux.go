package tap

import (
	"errors"
	"fmt"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// carrier is what a Device knows of its link.
type carrier struct {
	lost bool          // as ReadCarrier said last
	gone bool          // the interface is not where the monitor is
	done chan struct{} // closed by close

	mu      sync.Mutex // guards what close needs
	monitor *monitor   // written by ReadCarrier, which reads it without the lock
	closed  bool
}

// ReadCarrier blocks until the device's link comes or goes, and returns whether
// there is one. It begins with a link, which is there while the kernel's side is
// up (IFF_UP), that is while the kernel takes our frames. The lower state of the
// kernel's side (IFF_LOWER_UP) says whether we are there, and is of no interest
// to us.
//
// A device that is removed has lost its link for good, one that is moved to
// another network namespace until it is up there. The error is net.ErrClosed
// after Close; another one means that no more will be known. One goroutine may
// call it at a time.
func (d *Device) ReadCarrier() (on bool, err error) {
	c := &d.carrier
	for {
		if c.gone {
			if err := d.follow(); err != nil {
				return false, err
			}
			c.gone = false
		}
		s, err := c.monitor.next()
		if err != nil {
			return false, err
		}
		c.gone = s == linkGone
		if lost := s != linkUp; lost != c.lost {
			c.lost = lost
			return !lost, nil
		}
	}
}

// follow looks for a device that has left its network namespace in another one.
// One that is nowhere was removed: then follow waits for Close.
func (d *Device) follow() error {
	for {
		name, ns, err := d.place()
		if errors.Is(err, unix.EBADFD) {
			<-d.carrier.done
			return net.ErrClosed
		}
		if err != nil {
			return err
		}
		m, err := openMonitorIn(ns, name)
		unix.Close(ns)
		if errors.Is(err, unix.ENODEV) {
			continue // it has moved on
		}
		if err != nil {
			return err
		}
		return d.carrier.replace(m)
	}
}

// place returns the name of the kernel's side, and a descriptor of the network
// namespace that it is in. The error is EBADFD when it was removed.
func (d *Device) place() (name string, ns int, err error) {
	if name, err = d.currentName(); err != nil {
		return "", 0, err
	}
	closed := d.raw.Control(func(fd uintptr) { ns, err = unix.IoctlRetInt(int(fd), unix.TUNGETDEVNETNS) })
	switch {
	case closed != nil:
		return "", 0, net.ErrClosed
	case err != nil:
		return "", 0, fmt.Errorf("tap: looking for the network namespace of %s: %w", name, err)
	}
	return name, ns, nil
}

// currentName asks for the name of the kernel's side. The error is EBADFD when
// it was removed.
func (d *Device) currentName() (string, error) {
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return "", err
	}
	closed := d.raw.Control(func(fd uintptr) { err = unix.IoctlIfreq(int(fd), unix.TUNGETIFF, ifr) })
	switch {
	case closed != nil:
		return "", net.ErrClosed
	case err != nil:
		return "", fmt.Errorf("tap: looking for %s: %w", d.name, err)
	}
	return ifr.Name(), nil
}

// replace makes m the monitor. The error is net.ErrClosed after close.
func (c *carrier) replace(m *monitor) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		m.close()
		return net.ErrClosed
	}
	c.monitor.close()
	c.monitor = m
	return nil
}

// close ends ReadCarrier. It is called once.
func (c *carrier) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.monitor.close()
	close(c.done)
}
