package tap_test

import (
	"encoding/binary"
	"net"
	"os"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/tapstack/tapstack/link"
)

// The kernel's side of things, for the tests of this package. Everything here
// acts in the namespace of the calling goroutine.

// makeTAP makes a persistent TUN or TAP device with further flags.
func makeTAP(t *testing.T, name string, flags uint16) {
	t.Helper()
	fd := attach(t, name, flags)
	require.NoError(t, unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1))
	require.NoError(t, unix.Close(fd))
}

// attach opens a device by the kernel's own interface.
func attach(t *testing.T, name string, flags uint16) (fd int) {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	ifr, err := unix.NewIfreq(name)
	require.NoError(t, err)
	ifr.SetUint16(flags | unix.IFF_NO_PI)
	require.NoError(t, unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr))
	return fd
}

// persistent reports a device's flag, which nobody may have open.
func persistent(t *testing.T, name string, flags uint16) bool {
	t.Helper()
	fd := attach(t, name, flags)
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq(name)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlIfreq(fd, unix.TUNGETIFF, ifr))
	return ifr.Uint16()&unix.IFF_PERSIST != 0
}

func exists(name string) bool {
	_, err := net.InterfaceByName(name)
	return err == nil
}

func addresses(t *testing.T, name string) (list []string) {
	t.Helper()
	i, err := net.InterfaceByName(name)
	require.NoError(t, err)
	addrs, err := i.Addrs()
	require.NoError(t, err)
	for _, a := range addrs {
		if n := a.(*net.IPNet); n.IP.To4() != nil {
			list = append(list, n.String())
		}
	}
	return list
}

// ifr calls an ioctl on an interface by name.
func ifr(t *testing.T, req uint, name string, set func(*unix.Ifreq)) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	r, err := unix.NewIfreq(name)
	require.NoError(t, err)
	set(r)
	require.NoError(t, unix.IoctlIfreq(fd, req, r))
}

func setMTU(t *testing.T, name string, mtu int) {
	t.Helper()
	ifr(t, unix.SIOCSIFMTU, name, func(r *unix.Ifreq) { r.SetUint32(uint32(mtu)) })
}

// removeLink deletes an interface, as `ip link del` does.
func removeLink(t *testing.T, name string) {
	t.Helper()
	i, err := net.InterfaceByName(name)
	require.NoError(t, err)
	linkRequest(t, unix.RTM_DELLINK, i.Index, nil)
	require.False(t, exists(name))
}

// linkRequest asks something of an interface, and returns when it is done.
func linkRequest(t *testing.T, typ uint16, index int, attrs []byte) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	require.NoError(t, err)
	defer unix.Close(fd)
	msg := make([]byte, unix.SizeofNlMsghdr+unix.SizeofIfInfomsg, 100)
	msg = append(msg, attrs...)
	binary.NativeEndian.PutUint32(msg, uint32(len(msg)))
	binary.NativeEndian.PutUint16(msg[4:], typ)
	binary.NativeEndian.PutUint16(msg[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	binary.NativeEndian.PutUint32(msg[unix.SizeofNlMsghdr+4:], uint32(index))
	require.NoError(t, unix.Sendto(fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))
	answer := make([]byte, 4096)
	_, err = unix.Read(fd, answer) // the kernel answers when it is done
	require.NoError(t, err)
	require.Zero(t, binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:]), "the errno")
}

// attr is a netlink attribute, whose length is a multiple of 4.
func attr(typ uint16, v []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofRtAttr+len(v)))
	return append(binary.NativeEndian.AppendUint16(b, typ), v...)
}

// bridge makes one.
func bridge(fd int, req uint, name string) error {
	b := append([]byte(name), 0)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(req), uintptr(unsafe.Pointer(&b[0]))); errno != 0 {
		return errno
	}
	return nil
}

// etherType is one that no kernel protocol answers to (IEEE 802, local
// experimental).
const etherType = 0x88b5

// raw is a packet socket on the kernel's side of a device, for frames of
// etherType.
type raw struct {
	t  *testing.T
	fd int
}

func listenRaw(t *testing.T, name string) raw {
	t.Helper()
	i, err := net.InterfaceByName(name)
	require.NoError(t, err)
	proto := int(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, etherType)))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, proto)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	require.NoError(t, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: uint16(proto), Ifindex: i.Index}))
	timeout := unix.NsecToTimeval(int64(5 * time.Second))
	require.NoError(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout))
	return raw{t, fd}
}

func (r raw) send(b []byte) {
	r.t.Helper()
	_, err := unix.Write(r.fd, b)
	require.NoError(r.t, err)
}

func (r raw) receive() []byte {
	r.t.Helper()
	b := make([]byte, 1<<17)
	n, err := unix.Read(r.fd, b)
	require.NoError(r.t, err)
	return b[:n]
}

// frame returns a frame of etherType with n bytes of payload.
func frame(dst, src link.Addr, n int) []byte {
	b := make([]byte, link.EthernetHeaderLen+n)
	link.Ethernet{Dst: dst, Src: src, Type: etherType}.Put(b)
	for i := range n {
		b[link.EthernetHeaderLen+i] = byte(i)
	}
	return b
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(list)
}
