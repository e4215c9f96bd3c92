package main

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/ipv4/icmp"
	"github.com/tapstack/tapstack/ipv4/udp"
	"github.com/tapstack/tapstack/link"
)

// The host that is measured has two ports. Neighbours on the first are
// 10.1.0.2 and up, on the second 11.0.0.2 and up.
var (
	portMAC  = [2]link.Addr{{2, 0, 0, 0, 1, 1}, {2, 0, 0, 0, 1, 2}}
	portAddr = [2]netip.Prefix{netip.MustParsePrefix("10.1.0.1/16"), netip.MustParsePrefix("11.0.0.1/8")}
	peer     = netip.MustParseAddr("10.1.0.2")
	peerMAC  = link.Addr{2, 0, 0, 0, 2, 1}
)

const (
	echoPort = 7
	peerPort = 40000
	// freshOffset separates neighbours that are resolved by the benchmark from
	// those that are there at its start.
	freshOffset = 1 << 20
)

// nth is the n-th neighbour on the second port, with its address.
func nth(n int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 11<<24+uint32(n)+2)
	return netip.AddrFrom4(b)
}

func nthMAC(n int) link.Addr { return link.Addr{2, 1, 0, byte(n >> 16), byte(n >> 8), byte(n)} }

// visits are the neighbours that a benchmark turns to, in its order; a power of
// two of them.
func visits(l load) []int {
	n := 1
	for n*2 <= l.visited {
		n *= 2
	}
	ks := make([]int, n)
	for k := range ks {
		ks[k] = k * (l.n / n)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { ks[i], ks[j] = ks[j], ks[i] })
	return ks
}

// ipFrame returns a frame from peer to port 0 with an IPv4 packet of size bytes.
func ipFrame(dst netip.Addr, protocol uint8, size int) (frame, payload []byte) {
	frame = make([]byte, link.EthernetHeaderLen+size)
	link.Ethernet{Dst: portMAC[0], Src: peerMAC, Type: link.IPv4}.Put(frame)
	b := frame[link.EthernetHeaderLen:]
	ipv4.Header{TotalLen: size, ID: 1, TTL: 64, Protocol: protocol, Src: peer, Dst: dst}.Put(b)
	return frame, b[ipv4.HeaderLen:]
}

func udpFrame(dst netip.Addr, size int) []byte {
	frame, b := ipFrame(dst, ipv4.ProtocolUDP, size)
	binary.BigEndian.PutUint16(b, peerPort)
	binary.BigEndian.PutUint16(b[2:], echoPort)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
	udp.SetChecksum(b, peer, dst)
	return frame
}

func echoFrame(size int) []byte {
	frame, b := ipFrame(portAddr[0].Addr(), ipv4.ProtocolICMP, size)
	for k := range b {
		b[k] = byte(k) // as ping does
	}
	icmp.Header{Type: icmp.TypeEcho, Info: 1<<16 | 1}.Put(b)
	icmp.SetChecksum(b)
	return frame
}

// arpFrame returns a frame to a port with an ARP packet from the given station.
func arpFrame(port int, op arp.Op, ip netip.Addr, mac link.Addr) []byte {
	frame := make([]byte, link.EthernetHeaderLen+arp.Len)
	dst, target := portMAC[port], portMAC[port]
	if op == arp.Request {
		dst, target = link.BroadcastAddr, link.Addr{}
	}
	link.Ethernet{Dst: dst, Src: mac, Type: link.ARP}.Put(frame)
	arp.Packet{Op: op, SenderAddr: mac, SenderIP: ip, TargetAddr: target, TargetIP: portAddr[port].Addr()}.Put(frame[link.EthernetHeaderLen:])
	return frame
}

// replyFrame is the n-th neighbour's answer to the second port.
func replyFrame(n int) []byte { return arpFrame(1, arp.Reply, nth(n), nthMAC(n)) }

// onOwnLink makes a frame to port 0 one that came by port 1, from a station
// there: a datagram that leaves by the port it came from.
func onOwnLink(frame []byte) []byte {
	link.Ethernet{Dst: portMAC[1], Src: nthMAC(0), Type: link.IPv4}.Put(frame)
	b := frame[link.EthernetHeaderLen:]
	h, err := ipv4.Parse(b)
	if err != nil {
		panic(err) // made above
	}
	h.Src = nth(0)
	h.Put(b)
	return frame
}

// repeat returns frames that are the same again and again.
func repeat(frame []byte) func(int) []byte { return func(int) []byte { return frame } }

// forwarded returns datagrams to 256 neighbours in turn. The bytes are good until
// the next call.
func forwarded(size int) func(int) []byte {
	frame := udpFrame(nth(0), size)
	var headers [256][link.EthernetHeaderLen + ipv4.HeaderLen]byte
	for k := range headers {
		f, _ := ipFrame(nth(k), ipv4.ProtocolUDP, size)
		copy(headers[k][:], f)
	}
	return func(k int) []byte {
		h := &headers[k&255]
		copy(frame, h[:])
		return frame
	}
}
