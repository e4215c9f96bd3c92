package arp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/tapstack/tapstack/link"
)

// Op is the operation of an ARP packet, ar_op.
type Op uint16

// The two operations that IPv4 over Ethernet uses (RFC 826).
const (
	Request Op = 1
	Reply   Op = 2
)

// String returns tcpdump's word for the operation.
func (o Op) String() string {
	switch o {
	case Request:
		return "request"
	case Reply:
		return "reply"
	}
	return fmt.Sprintf("op %d", uint16(o))
}

// Len is the length in bytes of an ARP packet for IPv4 over Ethernet.
const Len = 28

// Offsets in the packet (RFC 826, "Packet format").
const (
	offHardware = 0
	offProtocol = 2
	offHLen     = 4
	offPLen     = 5
	offOp       = 6
	offSHA      = 8
	offSPA      = 14
	offTHA      = 18
	offTPA      = 24
)

// Hardware types (ar_hrd) that Linux takes on an Ethernet interface.
const (
	hardwareEthernet = 1
	hardwareIEEE802  = 6
)

// Errors of Parse.
var (
	ErrShort     = errors.New("arp: packet shorter than 28 bytes")
	ErrHardware  = errors.New("arp: hardware type or address length is not Ethernet's")
	ErrProtocol  = errors.New("arp: protocol type or address length is not IPv4's")
	ErrOperation = errors.New("arp: operation is neither request nor reply")
)

// Packet is an ARP packet for IPv4 over Ethernet. RFC 826 calls the addresses
// ar$sha, ar$spa, ar$tha and ar$tpa, in the order of the fields.
type Packet struct {
	Op         Op
	SenderAddr link.Addr
	SenderIP   netip.Addr
	TargetAddr link.Addr
	TargetIP   netip.Addr
}

// Parse reads the packet at the start of b; what follows it is padding. It does
// not judge the addresses. The errors are ErrShort, ErrHardware, ErrProtocol and
// ErrOperation.
func Parse(b []byte) (Packet, error) {
	if len(b) < Len {
		return Packet{}, ErrShort
	}
	if b[offHLen] != link.AddrLen {
		return Packet{}, ErrHardware
	}
	if b[offPLen] != 4 {
		return Packet{}, ErrProtocol
	}
	// RFC 1042 uses 6 for IEEE 802 networks; Linux takes it on Ethernet too.
	if hrd := binary.BigEndian.Uint16(b[offHardware:]); hrd != hardwareEthernet && hrd != hardwareIEEE802 {
		return Packet{}, ErrHardware
	}
	if binary.BigEndian.Uint16(b[offProtocol:]) != uint16(link.IPv4) {
		return Packet{}, ErrProtocol
	}
	op := Op(binary.BigEndian.Uint16(b[offOp:]))
	if op != Request && op != Reply {
		return Packet{}, ErrOperation
	}
	return Packet{
		Op:         op,
		SenderAddr: link.Addr(b[offSHA:]),
		SenderIP:   netip.AddrFrom4([4]byte(b[offSPA:])),
		TargetAddr: link.Addr(b[offTHA:]),
		TargetIP:   netip.AddrFrom4([4]byte(b[offTPA:])),
	}, nil
}

// Put writes the packet into the first Len bytes of b, with hardware type 1.
// Addresses that are not IPv4 are written as 0.0.0.0.
func (p Packet) Put(b []byte) {
	_ = b[Len-1]
	binary.BigEndian.PutUint16(b[offHardware:], hardwareEthernet)
	binary.BigEndian.PutUint16(b[offProtocol:], uint16(link.IPv4))
	b[offHLen], b[offPLen] = link.AddrLen, 4
	binary.BigEndian.PutUint16(b[offOp:], uint16(p.Op))
	copy(b[offSHA:], p.SenderAddr[:])
	putIP(b[offSPA:], p.SenderIP)
	copy(b[offTHA:], p.TargetAddr[:])
	putIP(b[offTPA:], p.TargetIP)
}

func putIP(b []byte, ip netip.Addr) {
	if !ip.Is4() {
		ip = netip.IPv4Unspecified()
	}
	a := ip.As4()
	copy(b, a[:])
}

// gratuitous reports whether the packet announces its sender's own address. For
// a reply Linux also wants both hardware addresses equal (arp_is_garp), which
// leaves out broadcast and all-zero targets.
func (p Packet) gratuitous() bool {
	return p.SenderIP == p.TargetIP && (p.Op == Request || p.TargetAddr == p.SenderAddr)
}
