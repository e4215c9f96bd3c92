package tap

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tapstack/tapstack/link"
)

// rtnl is a socket to the kernel's interface configuration, in the network
// namespace of the goroutine that made it. Its methods may be called from
// anywhere, one at a time.
type rtnl struct {
	mu  sync.Mutex
	fd  int
	seq uint32
	buf []byte
}

func openRTNL() (*rtnl, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("tap: no netlink socket: %w", err)
	}
	return &rtnl{fd: fd, buf: make([]byte, 64<<10)}, nil
}

func (r *rtnl) close() { unix.Close(r.fd) }

// device is an interface of the kernel.
type device struct {
	index  int
	name   string
	addr   link.Addr
	mtu    int
	up     bool
	tap    bool
	queues int // that are attached; only known of a multi-queue TAP
}

// device returns the interface with the given name. The error is ENODEV when
// there is none.
func (r *rtnl) device(name string) (device, error) {
	var d device
	msg := message(unix.RTM_GETLINK, 0, ifInfo(0, 0, 0))
	msg = appendAttr(msg, unix.IFLA_IFNAME, append([]byte(name), 0))
	err := r.request(msg, func(typ uint16, body []byte) {
		if typ != unix.RTM_NEWLINK || len(body) < unix.SizeofIfInfomsg {
			return
		}
		d.index = int(int32(binary.NativeEndian.Uint32(body[4:])))
		d.up = binary.NativeEndian.Uint32(body[8:])&unix.IFF_UP != 0
		for typ, v := range attrs(body[unix.SizeofIfInfomsg:]) {
			switch {
			case typ == unix.IFLA_IFNAME:
				d.name = unix.ByteSliceToString(v)
			case typ == unix.IFLA_MTU && len(v) == 4:
				d.mtu = int(binary.NativeEndian.Uint32(v))
			case typ == unix.IFLA_ADDRESS && len(v) == link.AddrLen:
				d.addr = link.Addr(v)
			case typ == unix.IFLA_LINKINFO:
				d.tap, d.queues = tunInfo(v)
			}
		}
	})
	return d, err
}

// tunInfo reads what IFLA_LINKINFO says about a TUN or TAP device.
func tunInfo(b []byte) (isTAP bool, queues int) {
	var kind string
	for typ, v := range attrs(b) {
		switch typ {
		case unix.IFLA_INFO_KIND:
			kind = unix.ByteSliceToString(v)
		case unix.IFLA_INFO_DATA:
			for typ, v := range attrs(v) {
				switch {
				case typ == unix.IFLA_TUN_TYPE && len(v) == 1:
					isTAP = v[0] == unix.IFF_TAP
				case typ == unix.IFLA_TUN_NUM_QUEUES && len(v) == 4:
					queues = int(binary.NativeEndian.Uint32(v))
				}
			}
		}
	}
	return isTAP && kind == "tun", queues
}

// setUp brings an interface up or down.
func (r *rtnl) setUp(index int, up bool) error {
	var flags uint32
	if up {
		flags = unix.IFF_UP
	}
	return r.request(message(unix.RTM_NEWLINK, 0, ifInfo(index, flags, unix.IFF_UP)), nil)
}

// setMTU sets an interface's MTU in bytes.
func (r *rtnl) setMTU(index, mtu int) error {
	msg := message(unix.RTM_NEWLINK, 0, ifInfo(index, 0, 0))
	return r.request(appendAttr(msg, unix.IFLA_MTU, binary.NativeEndian.AppendUint32(nil, uint32(mtu))), nil)
}

// setTxQueueLen sets how many frames an interface queues.
func (r *rtnl) setTxQueueLen(index, n int) error {
	msg := message(unix.RTM_NEWLINK, 0, ifInfo(index, 0, 0))
	return r.request(appendAttr(msg, unix.IFLA_TXQLEN, binary.NativeEndian.AppendUint32(nil, uint32(n))), nil)
}

// addAddress gives an interface an IPv4 address. The error is EEXIST when it
// has it.
func (r *rtnl) addAddress(index int, p netip.Prefix) error {
	return r.request(addrMessage(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, index, p), nil)
}

// deleteAddress takes an IPv4 address away.
func (r *rtnl) deleteAddress(index int, p netip.Prefix) error {
	return r.request(addrMessage(unix.RTM_DELADDR, 0, index, p), nil)
}

func addrMessage(typ, flags uint16, index int, p netip.Prefix) []byte {
	body := make([]byte, unix.SizeofIfAddrmsg)
	body[0], body[1] = unix.AF_INET, byte(p.Bits())
	binary.NativeEndian.PutUint32(body[4:], uint32(index))
	a := p.Addr().As4()
	msg := message(typ, flags, body)
	msg = appendAttr(msg, unix.IFA_LOCAL, a[:])
	return appendAttr(msg, unix.IFA_ADDRESS, a[:])
}

// message starts a request of the given type, whose length request fills in.
func message(typ, flags uint16, body []byte) []byte {
	b := make([]byte, unix.SizeofNlMsghdr, 128)
	binary.NativeEndian.PutUint16(b[4:], typ)
	binary.NativeEndian.PutUint16(b[6:], flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	return append(b, body...)
}

// ifInfo returns a struct ifinfomsg.
func ifInfo(index int, flags, change uint32) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], flags)
	binary.NativeEndian.PutUint32(b[12:], change)
	return b
}

// align rounds up to netlink's alignment.
func align(n int) int { return (n + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1) }

func appendAttr(b []byte, typ uint16, v []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofRtAttr+len(v)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, v...)
	return append(b, make([]byte, align(len(b))-len(b))...)
}

// attrs iterates over the attributes in b, up to the first that is malformed.
func attrs(b []byte) func(yield func(uint16, []byte) bool) {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			n, typ := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
			if n < unix.SizeofRtAttr || n > len(b) {
				return
			}
			if !yield(typ&^unix.NLA_F_NESTED, b[unix.SizeofRtAttr:n]) {
				return
			}
			b = b[min(align(n), len(b)):]
		}
	}
}

// request sends msg and waits for the kernel's acknowledgement, calling each,
// unless nil, for the messages before it. The error is an errno.
func (r *rtnl) request(msg []byte, each func(typ uint16, body []byte)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	binary.NativeEndian.PutUint32(msg, uint32(len(msg)))
	binary.NativeEndian.PutUint32(msg[8:], r.seq)
	if err := ignoringEINTR(func() error { return unix.Sendto(r.fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}) }); err != nil {
		return os.NewSyscallError("sendto", err)
	}
	for {
		var n int
		if err := ignoringEINTR(func() (err error) { n, _, err = unix.Recvfrom(r.fd, r.buf, 0); return err }); err != nil {
			return os.NewSyscallError("recvfrom", err)
		}
		msgs, err := syscall.ParseNetlinkMessage(r.buf[:n])
		if err != nil {
			return fmt.Errorf("tap: malformed netlink answer: %w", err)
		}
		for _, m := range msgs {
			switch {
			case m.Header.Seq != r.seq: // the rest of an earlier answer
			case m.Header.Type != unix.NLMSG_ERROR:
				if each != nil {
					each(m.Header.Type, m.Data)
				}
			case len(m.Data) < 4:
				return unix.EPROTO
			default:
				if code := -int32(binary.NativeEndian.Uint32(m.Data)); code != 0 {
					return unix.Errno(code)
				}
				return nil
			}
		}
	}
}

func ignoringEINTR(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}
