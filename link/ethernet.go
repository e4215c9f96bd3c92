package link

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Sizes of an Ethernet frame's parts in bytes, without preamble and FCS.
const (
	EthernetHeaderLen = 14
	vlanTagLen        = 4
)

// EtherType says which protocol a frame carries.
type EtherType uint16

// The EtherTypes that the stack knows by name.
const (
	IPv4 EtherType = 0x0800
	ARP  EtherType = 0x0806
	VLAN EtherType = 0x8100
	IPv6 EtherType = 0x86dd
)

// String returns the name tcpdump uses, or the number.
func (t EtherType) String() string {
	switch t {
	case IPv4:
		return "IPv4"
	case ARP:
		return "ARP"
	case VLAN:
		return "802.1Q"
	case IPv6:
		return "IPv6"
	}
	return fmt.Sprintf("0x%04x", uint16(t))
}

// ErrShortFrame is returned for a frame that ends inside its link header.
var ErrShortFrame = errors.New("link: frame shorter than its Ethernet header")

// Ethernet is the header of an Ethernet II frame.
type Ethernet struct {
	Dst, Src Addr
	Type     EtherType
}

// ParseEthernet reads the header at the start of b and returns it with its
// length. A priority tag (802.1Q with VLAN ID 0) is skipped, as the frame
// belongs to no VLAN; any other tag is left in place with Type VLAN. The error
// is ErrShortFrame.
func ParseEthernet(b []byte) (h Ethernet, n int, err error) {
	if len(b) < EthernetHeaderLen {
		return Ethernet{}, 0, ErrShortFrame
	}
	h = Ethernet{Dst: Addr(b[0:6]), Src: Addr(b[6:12]), Type: EtherType(binary.BigEndian.Uint16(b[12:14]))}
	n = EthernetHeaderLen
	if h.Type != VLAN {
		return h, n, nil
	}
	if len(b) < EthernetHeaderLen+vlanTagLen {
		return Ethernet{}, 0, ErrShortFrame
	}
	if binary.BigEndian.Uint16(b[14:16])&0x0fff == 0 {
		h.Type = EtherType(binary.BigEndian.Uint16(b[16:18]))
		n += vlanTagLen
	}
	return h, n, nil
}

// Put writes the header into the first EthernetHeaderLen bytes of b, which must
// be that long.
func (h Ethernet) Put(b []byte) {
	_ = b[EthernetHeaderLen-1]
	copy(b[0:6], h.Dst[:])
	copy(b[6:12], h.Src[:])
	binary.BigEndian.PutUint16(b[12:14], uint16(h.Type))
}

// PacketType is how a frame was addressed, with the numbers of Linux's pkt_type.
type PacketType uint8

const (
	// Host: to this station's own address. The zero value, also of packets
	// that were made here.
	Host PacketType = iota
	// Broadcast: to every station.
	Broadcast
	// Multicast: to a group address other than broadcast.
	Multicast
	// OtherHost: to another station's unicast address; a TAP delivers these
	// too.
	OtherHost
	// Outgoing: sent by this station, as packet sockets see it.
	Outgoing
)

// String returns Linux's word for the type.
func (t PacketType) String() string {
	return [...]string{"host", "broadcast", "multicast", "otherhost", "outgoing", "5", "6", "7"}[t&7]
}

// Classify returns the class of a frame sent to dst, for a station whose
// address is own.
func Classify(dst, own Addr) PacketType {
	switch {
	case dst == own:
		return Host
	case dst.IsBroadcast():
		return Broadcast
	case dst.IsGroup():
		return Multicast
	}
	return OtherHost
}
