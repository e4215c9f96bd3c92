package udp

import (
	"encoding/binary"
	"net/netip"
	"syscall"
)

// Levels and types of control messages, with Linux's numbers on every platform:
// what is in them is in Linux's layout too, so that its parsers can be used.
const (
	solIP     = 0
	solSocket = 1
	solUDP    = 17

	ipTOS         = 1
	ipTTL         = 2
	ipPktInfo     = 8
	ipRecvErr     = 11
	ipOrigDstAddr = 20
	soRxqOvfl     = 40
	udpSegment    = 103
	udpGRO        = 104

	afInet = 2
)

// Sizes in bytes of struct cmsghdr, whose first field is a word, and of data.
const (
	wordLen         = 4 << (^uint(0) >> 63)
	controlLen      = wordLen + 8
	pktInfoLen      = 12 // struct in_pktinfo
	sockaddrLen     = 16 // struct sockaddr_in
	extendedErrLen  = 16 // struct sock_extended_err
	groControlSpace = controlLen + (4+wordLen-1)&^(wordLen-1)
)

// controlWriter fills a buffer with control messages, as Linux's put_cmsg: what
// does not fit is cut short or left out, and truncated says so.
type controlWriter struct {
	b         []byte
	n         int
	truncated bool
}

func (w *controlWriter) put(level, kind int32, data []byte) {
	b := w.b[w.n:]
	if len(b) < controlLen {
		w.truncated = true
		return
	}
	n := controlLen + len(data)
	if n > len(b) {
		w.truncated = true
		n = len(b)
	}
	if wordLen == 8 {
		binary.NativeEndian.PutUint64(b, uint64(n))
	} else {
		binary.NativeEndian.PutUint32(b, uint32(n))
	}
	binary.NativeEndian.PutUint32(b[wordLen:], uint32(level))
	binary.NativeEndian.PutUint32(b[wordLen+4:], uint32(kind))
	copy(b[controlLen:], data)
	end := min((n+wordLen-1)&^(wordLen-1), len(b))
	clear(b[n:end])
	w.n += end
}

func (w *controlWriter) putInt(level, kind int32, v uint32) {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], v)
	w.put(level, kind, b[:])
}

// putSockaddr writes a into b as a struct sockaddr_in, which is zero if a is not
// valid.
func putSockaddr(b []byte, a netip.AddrPort) {
	clear(b[:sockaddrLen])
	if !a.IsValid() {
		return
	}
	binary.NativeEndian.PutUint16(b, afInet)
	binary.BigEndian.PutUint16(b[2:], a.Port())
	ip := a.Addr().As4()
	copy(b[4:], ip[:])
}

// nextControl returns the control message at the start of b, and what follows
// it. more is false at the end; the error is EINVAL for a length that makes no
// sense (Linux's CMSG_OK).
func nextControl(b []byte) (level, kind int32, data, rest []byte, more bool, err error) {
	if len(b) < controlLen {
		return 0, 0, nil, nil, false, nil
	}
	var n uint64
	if wordLen == 8 {
		n = binary.NativeEndian.Uint64(b)
	} else {
		n = uint64(binary.NativeEndian.Uint32(b))
	}
	if n < controlLen || n > uint64(len(b)) {
		return 0, 0, nil, nil, false, syscall.EINVAL
	}
	level = int32(binary.NativeEndian.Uint32(b[wordLen:]))
	kind = int32(binary.NativeEndian.Uint32(b[wordLen+4:]))
	data = b[controlLen:n]
	return level, kind, data, b[min((int(n)+wordLen-1)&^(wordLen-1), len(b)):], true, nil
}

// parseControl takes what control messages ask for over to o (Linux's
// udp_cmsg_send and ip_cmsg_send). The error is EINVAL for a message that is
// malformed, or of a type that is not known at its level; levels that are not
// known are passed over.
func (o *SendOptions) parseControl(b []byte) error {
	for {
		level, kind, data, rest, more, err := nextControl(b)
		if !more {
			return err
		}
		b = rest
		switch level {
		case solUDP:
			if kind != udpSegment || len(data) != 2 {
				return syscall.EINVAL
			}
			o.SegmentSize, o.segmentGiven = int(binary.NativeEndian.Uint16(data)), true
		case solIP:
			if !o.parseIPControl(kind, data) {
				return syscall.EINVAL
			}
		case solSocket:
			return syscall.EINVAL // nothing that this stack could do
		}
	}
}

func (o *SendOptions) parseIPControl(kind int32, data []byte) bool {
	value := uint32(1 << 16)
	switch len(data) {
	case 1:
		value = uint32(data[0])
	case 4:
		value = binary.NativeEndian.Uint32(data)
	}
	switch kind {
	case ipPktInfo:
		if len(data) != pktInfoLen {
			return false
		}
		if i := int32(binary.NativeEndian.Uint32(data)); i != 0 {
			o.Interface = int(i)
		}
		o.Source = netip.AddrFrom4([4]byte(data[4:8]))
	case ipTTL:
		if len(data) != 4 || value < 1 || value > 255 {
			return false
		}
		o.TTL = uint8(value)
	case ipTOS:
		if value > 255 {
			return false
		}
		o.tos, o.tosGiven = uint8(value), true
	default:
		return false
	}
	return true
}
