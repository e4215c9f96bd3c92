package main

import (
	"encoding/binary"
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/ipv4/udp"
	"github.com/tapstack/tapstack/link"
)

// farStation is who packets are forwarded to: 10.16.0.9, played on the far link.
const farStation = 10<<24 | 16<<16 | 9

// forwardWindow is how many packets are on their way at a time.
const forwardWindow = 256

// forward sends packets of so many bytes, without the Ethernet header, from a
// station on the first link to one on the far link, and counts those that arrive.
func forward(size int) func(*client) (values, error) {
	return func(c *client) (values, error) {
		near, err := linkSocket(deviceName, unix.ETH_P_ARP)
		if err != nil {
			return nil, err
		}
		defer unix.Close(near)
		far, err := linkSocket(farName, unix.ETH_P_ALL)
		if err != nil {
			return nil, err
		}
		defer unix.Close(far)
		router, err := askForHost(near)
		if err != nil {
			return nil, err
		}
		frame := forwardedFrame(router, size)
		out, in := newMessages(forwardWindow, len(frame)), newMessages(forwardWindow, len(frame))
		for k := range forwardWindow {
			copy(out.buffer(k), frame)
		}
		if err := resolveFar(near, far, out); err != nil {
			return nil, err
		}
		start := time.Now()
		measured, end := start.Add(c.warm()), start.Add(c.warm()+c.time)
		var before mark
		under, arrived, lost := 0, 0, 0
		for now := start; now.Before(end); now = time.Now() {
			if before.at.IsZero() && now.After(measured) {
				before, arrived, lost = c.now(), 0, 0
			}
			if err := out.send(near, forwardWindow-under); err != nil {
				return nil, err
			}
			under = forwardWindow
			n, err := in.receive(far)
			if err != nil {
				return nil, err
			}
			if n == 0 {
				lost += under
				under = 0
			}
			for k := range n {
				if isForFarStation(in.message(k)) {
					arrived++
					under = max(0, under-1)
				}
			}
		}
		if before.at.IsZero() || arrived == 0 {
			return nil, errors.New("nothing was forwarded")
		}
		spent := c.now().since(before)
		return values{
			"rate": float64(arrived) / spent.time.Seconds(),
			"dut":  spent.dut.Seconds() * 1e6 / float64(arrived),
			"lost": float64(lost),
		}, nil
	}
}

func linkSocket(name string, protocol uint16) (int, error) {
	dev, err := net.InterfaceByName(name)
	if err != nil {
		return -1, err
	}
	return packetSocket(dev.Index, protocol)
}

// askForHost returns the host's link-layer address, by ARP.
func askForHost(fd int) (link.Addr, error) {
	out, in := newMessages(1, arpFrameLen), newMessages(16, 2*arpFrameLen)
	putRequest(out.buffer(0), firstSender)
	for range 50 {
		if err := out.send(fd, 1); err != nil {
			return link.Addr{}, err
		}
		n, err := in.receive(fd)
		if err != nil {
			return link.Addr{}, err
		}
		for k := range n {
			if b := in.message(k); isReply(b) {
				h, _, err := link.ParseEthernet(b)
				return h.Src, err
			}
		}
	}
	return link.Addr{}, errors.New("the host does not answer ARP")
}

// resolveFar has the host learn the far station's address, and returns when the
// first packet has arrived.
func resolveFar(near, far int, out *messages) error {
	in, reply := newMessages(16, out.size), newMessages(1, arpFrameLen)
	for range 100 {
		if err := out.send(near, 1); err != nil {
			return err
		}
		n, err := in.receive(far)
		if err != nil {
			return err
		}
		for k := range n {
			b := in.message(k)
			if isForFarStation(b) {
				return nil
			}
			if answer(reply.buffer(0), b, farStation, 1) {
				if err := reply.send(far, 1); err != nil {
					return err
				}
			}
		}
	}
	return errors.New("nothing is forwarded")
}

// forwardedFrame is a datagram for the far station, sent by the near one.
func forwardedFrame(router link.Addr, size int) []byte {
	src, mac := station(firstSender)
	dst, _ := station(farStation)
	b := make([]byte, link.EthernetHeaderLen+size)
	link.Ethernet{Dst: router, Src: mac, Type: link.IPv4}.Put(b)
	packet := b[link.EthernetHeaderLen:]
	udp.Header{SrcPort: 9, DstPort: 9, Length: size - ipv4.HeaderLen}.Put(packet[ipv4.HeaderLen:])
	ipv4.Header{TotalLen: size, TTL: 64, Protocol: ipv4.ProtocolUDP, Src: src, Dst: dst}.Put(packet)
	return b
}

// isForFarStation tells whether a frame is a forwarded one: at the station's
// link-layer address, with a hop less to live.
func isForFarStation(b []byte) bool {
	const ttl, dst = link.EthernetHeaderLen + 8, link.EthernetHeaderLen + 16
	_, mac := station(farStation)
	return len(b) >= dst+4 && link.Addr(b[:6]) == mac && binary.BigEndian.Uint32(b[dst:]) == farStation && b[ttl] == 63
}
