package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/tapstack/tapstack/link/tap"
)

// netns is a network namespace without a name, which the kernel removes with the
// last process in it and the last descriptor of it, however tapbench ends.
type netns struct{ fd int }

// newNetns returns a new namespace in which lo is up. It needs root.
func newNetns() (*netns, error) {
	n := &netns{fd: -1}
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("making a network namespace: %w", err)
		}
		if err := prepareNetns(); err != nil {
			return err
		}
		fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		n.fd = fd
		return err
	})
	return n, err
}

// prepareNetns makes the kernel's side of the caller's namespace quiet: without
// IPv6, which would solicit and announce, and with few of the TIME-WAIT sockets
// that use up the ports of a client that only connects and closes.
func prepareNetns() error {
	for _, f := range []string{"ipv6/conf/all/disable_ipv6", "ipv6/conf/default/disable_ipv6"} {
		if err := os.WriteFile("/proc/sys/net/"+f, []byte("1"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/tcp_max_tw_buckets", []byte("1000"), 0); err != nil {
		return err
	}
	return tap.SetUp("lo", true)
}

// do runs f in the namespace, on a thread of its own. Sockets that f opens and
// processes that it starts belong to the namespace.
func (n *netns) do(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(n.fd, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("entering a network namespace: %w", err)
		}
		return f()
	})
}

func (n *netns) close() {
	if n != nil && n.fd >= 0 {
		unix.Close(n.fd)
	}
}

// onThread runs f on a thread that runs nothing else, neither before nor after.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		done <- f()
	}()
	return <-done
}

// vethInfoPeer is VETH_INFO_PEER of linux/veth.h.
const vethInfoPeer = 1

// addVeth makes a pair of virtual Ethernet devices, one in the caller's namespace
// and one in another.
func addVeth(name, peerName string, peer *netns) error {
	other := attr(unix.IFLA_IFNAME, append([]byte(peerName), 0))
	other = append(other, attr(unix.IFLA_NET_NS_FD, binary.NativeEndian.AppendUint32(nil, uint32(peer.fd)))...)
	data := attr(vethInfoPeer, append(make([]byte, unix.SizeofIfInfomsg), other...))
	info := append(attr(unix.IFLA_INFO_KIND, []byte("veth")), attr(unix.IFLA_INFO_DATA, data)...)
	body := append(make([]byte, unix.SizeofIfInfomsg), attr(unix.IFLA_IFNAME, append([]byte(name), 0))...)
	body = append(body, attr(unix.IFLA_LINKINFO, info)...)

	msg := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	msg = binary.NativeEndian.AppendUint16(msg, unix.RTM_NEWLINK)
	msg = binary.NativeEndian.AppendUint16(msg, unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	msg = append(append(msg, make([]byte, 8)...), body...)
	if err := netlink(msg); err != nil {
		return fmt.Errorf("making a veth pair: %w", err)
	}
	return nil
}

// attr is a netlink attribute with its padding.
func attr(typ uint16, value []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofRtAttr+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, typ), value...)
	return append(b, make([]byte, -len(b)&(unix.NLMSG_ALIGNTO-1))...)
}

// netlink sends one request and returns the error in the kernel's answer.
func netlink(msg []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	b := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, b, 0)
	if err != nil {
		return err
	}
	// A struct nlmsghdr of type NLMSG_ERROR, then the errno, 0 for success.
	if n < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(b[4:]) != unix.NLMSG_ERROR {
		return unix.EPROTO
	}
	if errno := -int32(binary.NativeEndian.Uint32(b[unix.SizeofNlMsghdr:])); errno != 0 {
		return unix.Errno(errno)
	}
	return nil
}
