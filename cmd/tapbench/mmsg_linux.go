package main

import (
	"errors"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// messages are buffers for sendmmsg(2) and recvmmsg(2), all of one size.
type messages struct {
	size  int
	bytes []byte
	iov   []unix.Iovec
	hdrs  []mmsghdr
}

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	unix.Msghdr
	n uint32 // bytes received
}

func newMessages(count, size int) *messages {
	m := &messages{size: size, bytes: make([]byte, count*size), iov: make([]unix.Iovec, count), hdrs: make([]mmsghdr, count)}
	for k := range m.hdrs {
		m.iov[k].Base = &m.bytes[k*size]
		m.iov[k].SetLen(size)
		m.hdrs[k].Iov = &m.iov[k]
		m.hdrs[k].SetIovlen(1)
	}
	return m
}

// buffer is the whole of the k-th.
func (m *messages) buffer(k int) []byte { return m.bytes[k*m.size:][:m.size] }

// message is what was received into the k-th.
func (m *messages) message(k int) []byte { return m.buffer(k)[:min(int(m.hdrs[k].n), m.size)] }

// send sends the first n, again and again while there is no room for them.
func (m *messages) send(fd, n int) error {
	for k := 0; k < n; {
		sent, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.hdrs[k])), uintptr(n-k), 0, 0, 0)
		switch errno {
		case 0:
			k += int(sent)
		case unix.EINTR, unix.EAGAIN, unix.ENOBUFS:
		default:
			return os.NewSyscallError("sendmmsg", errno)
		}
	}
	return nil
}

// receive waits for at least one, and returns how many came: 0 after the socket's
// timeout.
func (m *messages) receive(fd int) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.hdrs[0])), uintptr(len(m.hdrs)), unix.MSG_WAITFORONE, 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR, unix.EAGAIN:
		return 0, nil
	}
	return 0, os.NewSyscallError("recvmmsg", errno)
}

// setReceiveTimeout is the socket's timeout for receive.
func setReceiveTimeout(fd int, d time.Duration) error {
	tv := unix.NsecToTimeval(d.Nanoseconds())
	return os.NewSyscallError("setsockopt SO_RCVTIMEO", unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv))
}

// packetSocket is a socket for whole frames of a protocol on a device. It does
// not see what it sends.
func packetSocket(index int, protocol uint16) (int, error) {
	be := protocol<<8 | protocol>>8
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(be))
	if err != nil {
		return -1, os.NewSyscallError("socket AF_PACKET", err)
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 8<<20),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: be, Ifindex: index}),
		setReceiveTimeout(fd, 20*time.Millisecond),
	)
	return fd, err
}
