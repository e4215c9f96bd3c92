package main

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/link"
)

const arpFrameLen = link.EthernetHeaderLen + arp.Len

// The stations that are played are named by their place in the subnet: those that
// ask are 10.8.0.1 and up, those that are asked for 10.9.16.0 and up. Their
// link-layer addresses have the IPv4 address in them, and are not the kernel's,
// so that it ignores what is for them.
const (
	firstSender    = 10<<24 | 8<<16 | 1
	firstNeighbour = 10<<24 | 9<<16 | 16<<8
)

func station(n uint32) (netip.Addr, link.Addr) {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], n)
	return netip.AddrFrom4(a), link.Addr{2, 9, a[0], a[1], a[2], a[3]}
}

// requestReplies sends ARP requests for the host from many stations in turn, so
// many at a time, and counts the replies.
func requestReplies(inFlight int) func(*client) (values, error) {
	return func(c *client) (values, error) {
		dev, err := net.InterfaceByName(deviceName)
		if err != nil {
			return nil, err
		}
		fd, err := packetSocket(dev.Index, unix.ETH_P_ARP)
		if err != nil {
			return nil, err
		}
		defer unix.Close(fd)
		before, err := residentBytes(c.pid)
		if err != nil {
			return nil, err
		}
		const batch = 64
		out, in := newMessages(batch, arpFrameLen), newMessages(inFlight, 2*arpFrameLen)
		start := time.Now()
		end := start.Add(c.time)
		next, under, replies := 0, 0, 0
		for time.Now().Before(end) {
			for ; under+batch <= inFlight; under += batch {
				for k := range batch {
					putRequest(out.buffer(k), firstSender+uint32(next))
					next = (next + 1) % c.senders
				}
				if err := out.send(fd, batch); err != nil {
					return nil, err
				}
			}
			n, err := in.receive(fd)
			if err != nil {
				return nil, err
			}
			if n == 0 {
				under = 0 // lost
			}
			for k := range n {
				if isReply(in.message(k)) {
					replies++
					under = max(0, under-1)
				}
			}
		}
		rate := float64(replies) / time.Since(start).Seconds()
		after, err := residentBytes(c.pid)
		if replies == 0 {
			err = errors.Join(err, errors.New("no reply came"))
		}
		return values{"rate": rate, "mib": float64(after-before) / (1 << 20)}, err
	}
}

// putRequest writes a frame in which station n asks for the host.
func putRequest(b []byte, n uint32) {
	ip, mac := station(n)
	link.Ethernet{Dst: link.BroadcastAddr, Src: mac, Type: link.ARP}.Put(b)
	arp.Packet{Op: arp.Request, SenderAddr: mac, SenderIP: ip, TargetIP: hostPrefix.Addr()}.Put(b[link.EthernetHeaderLen:])
}

// isReply tells whether a frame is an ARP reply of the host.
func isReply(b []byte) bool {
	if len(b) < arpFrameLen {
		return false
	}
	p, err := arp.Parse(b[link.EthernetHeaderLen:])
	return err == nil && p.Op == arp.Reply && p.SenderIP == hostPrefix.Addr() && p.TargetAddr[1] == 9
}

// resolveQuiet ends a resolution in which nothing more comes: it is longer than a
// second, after which a request that was lost is sent again.
const resolveQuiet = 1500 * time.Millisecond

// resolve has the host send a datagram to each of many neighbours that it does not
// know, answers its ARP requests, and counts the datagrams that arrive.
func resolve(c *client) (values, error) {
	dev, err := net.InterfaceByName(deviceName)
	if err != nil {
		return nil, err
	}
	fd, err := packetSocket(dev.Index, unix.ETH_P_ALL)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	conn, err := dial("tcp4", blastPort)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var order []byte
	order = binary.BigEndian.AppendUint32(order, firstNeighbour)
	order = binary.BigEndian.AppendUint32(order, uint32(c.neighbours))
	start := time.Now()
	if _, err := conn.Write(order); err != nil {
		return nil, err
	}

	const batch = 64
	in, out := newMessages(batch, 2*arpFrameLen), newMessages(batch, arpFrameLen)
	arrived := make([]bool, c.neighbours)
	count, most, last := 0, time.Time{}, time.Now()
	for count < c.neighbours && time.Since(last) < resolveQuiet {
		n, err := in.receive(fd)
		if err != nil {
			return nil, err
		}
		replies := 0
		for k := range n {
			b := in.message(k)
			if answer(out.buffer(replies), b, firstNeighbour, c.neighbours) {
				replies++
				continue
			}
			if to, ok := datagramFor(b, c.neighbours); ok && !arrived[to] {
				arrived[to] = true
				count++
				last = time.Now()
				if count*100 >= c.neighbours*99 && most.IsZero() {
					most = last
				}
			}
		}
		if err := out.send(fd, replies); err != nil {
			return nil, err
		}
	}
	v := values{"lost": float64(c.neighbours - count)}
	if !most.IsZero() {
		v["ms99"] = float64(most.Sub(start).Microseconds()) / 1e3
	}
	return v, nil
}

// answer writes the reply to a frame that is an ARP request for one of n stations.
func answer(reply, request []byte, first uint32, n int) bool {
	h, l, err := link.ParseEthernet(request)
	if err != nil || h.Type != link.ARP {
		return false
	}
	p, err := arp.Parse(request[l:])
	if err != nil || p.Op != arp.Request {
		return false
	}
	a := p.TargetIP.As4()
	target := binary.BigEndian.Uint32(a[:])
	if target-first >= uint32(n) {
		return false
	}
	ip, mac := station(target)
	link.Ethernet{Dst: h.Src, Src: mac, Type: link.ARP}.Put(reply)
	arp.Packet{Op: arp.Reply, SenderAddr: mac, SenderIP: ip, TargetAddr: p.SenderAddr, TargetIP: p.SenderIP}.Put(reply[link.EthernetHeaderLen:])
	return true
}

// datagramFor tells for which of n neighbours a frame is an IPv4 packet, if for any
// and at its link-layer address.
func datagramFor(b []byte, n int) (int, bool) {
	h, l, err := link.ParseEthernet(b)
	const dst = 16 // of the IPv4 header
	if err != nil || h.Type != link.IPv4 || len(b) < l+dst+4 {
		return 0, false
	}
	to := binary.BigEndian.Uint32(b[l+dst:])
	if _, mac := station(to); to-firstNeighbour >= uint32(n) || mac != h.Dst {
		return 0, false
	}
	return int(to - firstNeighbour), true
}
