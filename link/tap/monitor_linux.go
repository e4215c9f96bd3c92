package tap

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// monitor is a socket on which the kernel says what becomes of an interface. It
// is in the network namespace of the goroutine that made it, and waits through
// the runtime's poller. One goroutine reads; close may be called from any.
type monitor struct {
	index int
	file  *os.File
	raw   syscall.RawConn
	buf   []byte
	ask   bool // the kernel has said less than there is: ask, once it is read
}

func openMonitor(index int) (*monitor, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("tap: no netlink socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (unix.RTNLGRP_LINK - 1)}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("tap: no netlink events: %w", err)
	}
	m := &monitor{index: index, file: os.NewFile(uintptr(fd), "rtnetlink"), ask: true}
	if m.raw, err = m.file.SyscallConn(); err != nil {
		m.file.Close()
		return nil, err
	}
	// Only the front of a message is of interest, and each comes by itself, so
	// that a longer one may be cut off.
	m.buf = make([]byte, 512)
	return m, nil
}

// openMonitorIn is openMonitor for the interface called name in the network
// namespace that ns is a descriptor of.
func openMonitorIn(ns int, name string) (m *monitor, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The goroutine stays locked: its thread, which changes the namespace,
		// must never run anything else, and ends with it.
		runtime.LockOSThread()
		if err = unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
			err = fmt.Errorf("tap: following %s to another network namespace: %w", name, err)
			return
		}
		err = withDevice(name, func(_ *rtnl, d device) (err error) { m, err = openMonitor(d.index); return err })
	}()
	<-done
	return m, err
}

func (m *monitor) close() { m.file.Close() }

// next waits for the kernel to say something of the interface. What it says
// first is the state as it is. The error is net.ErrClosed after close.
func (m *monitor) next() (linkState, error) {
	for {
		n, err := m.read()
		if err != nil {
			return linkUnknown, err
		}
		s, err := parseLink(m.buf[:n], m.index)
		if s != linkUnknown || err != nil {
			return s, err
		}
	}
}

func (m *monitor) read() (n int, err error) {
	closed := m.raw.Read(func(fd uintptr) bool {
		for {
			n, _, err = unix.Recvfrom(int(fd), m.buf, 0)
			switch {
			case err == unix.EINTR:
			case err == unix.ENOBUFS:
				// Messages were lost. The state that counts is the one after
				// those that were not.
				m.ask = true
			case err == unix.EAGAIN && m.ask:
				m.ask = false
				if err = m.request(int(fd)); err != nil {
					return true
				}
			default:
				return err != unix.EAGAIN
			}
		}
	})
	switch {
	case closed != nil:
		return 0, net.ErrClosed
	case err != nil:
		return 0, fmt.Errorf("tap: waiting for netlink events: %w", err)
	}
	return n, nil
}

// request makes the kernel say how the interface is, in the order of its other
// messages.
func (m *monitor) request(fd int) error {
	msg := message(unix.RTM_GETLINK, 0, ifInfo(m.index, 0, 0))
	binary.NativeEndian.PutUint32(msg, uint32(len(msg)))
	binary.NativeEndian.PutUint16(msg[6:], unix.NLM_F_REQUEST) // the answer is acknowledgement enough
	return ignoringEINTR(func() error { return unix.Sendto(fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}) })
}

// linkState is what a message says of an interface.
type linkState uint8

const (
	linkUnknown linkState = iota // nothing
	linkDown
	linkUp
	linkGone // removed, or moved to another network namespace
)

// parseLink reads what a message, whose end may be missing, says of the
// interface with the given index. The error is an errno in answer to a request.
func parseLink(b []byte, index int) (linkState, error) {
	if len(b) < unix.SizeofNlMsghdr {
		return linkUnknown, nil
	}
	typ, body := binary.NativeEndian.Uint16(b[4:]), b[unix.SizeofNlMsghdr:]
	if typ == unix.NLMSG_ERROR && len(body) >= 4 {
		switch errno := unix.Errno(-int32(binary.NativeEndian.Uint32(body))); errno {
		case 0:
			return linkUnknown, nil
		case unix.ENODEV:
			return linkGone, nil
		default:
			return linkUnknown, fmt.Errorf("tap: asking for interface %d: %w", index, errno)
		}
	}
	// A bridge reports its ports in the same group, in a family of its own, and
	// the port that leaves as deleted.
	if len(body) < unix.SizeofIfInfomsg || body[0] != unix.AF_UNSPEC || int32(binary.NativeEndian.Uint32(body[4:])) != int32(index) {
		return linkUnknown, nil
	}
	switch up := binary.NativeEndian.Uint32(body[8:])&unix.IFF_UP != 0; {
	case typ == unix.RTM_DELLINK:
		return linkGone, nil
	case typ == unix.RTM_NEWLINK && up:
		return linkUp, nil
	case typ == unix.RTM_NEWLINK:
		return linkDown, nil
	}
	return linkUnknown, nil
}
