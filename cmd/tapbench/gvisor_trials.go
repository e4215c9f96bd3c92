package main

import (
	"errors"
	"fmt"
	"net"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/link/pipe"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/tapstack/tapstack/arp"
)

// gvisorBatch is netstack's resolveBatch: it gives up the oldest resolution when
// there are more than 64.
const gvisorBatch = 64

// take is tapstackHost.take.
func (h *gvisorHost) take(before int) error {
	for k := range before {
		if err := h.RemoveNeighbor(2, ipv4.ProtocolNumber, addressOf(nth(freshOffset+k))); err != nil {
			return fmt.Errorf("gvisor: remove neighbour: %v", err)
		}
	}
	return nil
}

// await returns when n more frames have left by the second port, which netstack
// sends from goroutines of its own when a neighbour is asked for or answers.
func (h *gvisorHost) await(n int) {
	for range n {
		<-h.ports[1].wrote
	}
}

func gvisorReply(n int) (*trial, error) {
	h, err := newGvisorHost(n)
	if err != nil {
		return nil, err
	}
	h.ports[1].wrote = make(chan struct{}, gvisorBatch)
	var datagrams, replies [gvisorBatch][]byte
	for k := range datagrams {
		datagrams[k], replies[k] = udpFrame(nth(freshOffset+k), 64), replyFrame(freshOffset+k)
	}
	last := 0
	return &trial{
		batch: gvisorBatch,
		close: h.Destroy,
		prepare: func(_, n int) error {
			if err := h.take(last); err != nil {
				return err
			}
			last = n
			before := h.ports[1].arps.Load()
			h.ports[0].play(n, func(k int) []byte { return datagrams[k] })
			h.await(n)
			return expect("requests", h.ports[1].arps.Load()-before, int64(n))
		},
		run: func(_, n int) error {
			before := h.ports[1].datagrams.Load()
			h.ports[1].play(n, func(k int) []byte { return replies[k] })
			h.await(n)
			return expect("datagrams forwarded", h.ports[1].datagrams.Load()-before, int64(n))
		},
	}, nil
}

func gvisorExchange() (*trial, error) {
	h, err := newGvisorHost(1)
	if err != nil {
		return nil, err
	}
	h.ports[1].wrote = make(chan struct{}, gvisorBatch)
	var datagrams, replies [gvisorBatch][]byte
	for k := range datagrams {
		datagrams[k], replies[k] = onOwnLink(udpFrame(nth(freshOffset+k), 64)), replyFrame(freshOffset+k)
	}
	last := 0
	return &trial{
		batch: gvisorBatch,
		close: h.Destroy,
		prepare: func(_, n int) error {
			err := h.take(last)
			last = n
			return err
		},
		run: func(_, n int) error {
			arps, sent := h.ports[1].arps.Load(), h.ports[1].datagrams.Load()
			for k := range n {
				h.ports[1].play(1, repeat(datagrams[k]))
				h.await(1)
				h.ports[1].play(1, repeat(replies[k]))
				h.await(1)
			}
			return errors.Join(
				expect("requests", h.ports[1].arps.Load()-arps, int64(n)),
				expect("datagrams forwarded", h.ports[1].datagrams.Load()-sent, int64(n)))
		},
	}, nil
}

func gvisorRequest() (*trial, error) {
	h, err := newGvisorHost(1)
	if err != nil {
		return nil, err
	}
	request := arpFrame(1, arp.Request, nth(freshOffset), nthMAC(freshOffset))
	return &trial{close: h.Destroy, run: func(_, n int) error {
		before := h.ports[1].arps.Load()
		h.ports[1].play(n, repeat(request))
		return expect("replies", h.ports[1].arps.Load()-before, int64(n))
	}}, nil
}

func gvisorThrough(neighbours, out int, frame func(int) []byte) (*trial, error) {
	h, err := newGvisorHost(neighbours)
	if err != nil {
		return nil, err
	}
	return &trial{close: h.Destroy, run: func(_, n int) error {
		before := h.ports[out].datagrams.Load()
		h.ports[0].play(n, frame)
		return expect("datagrams", h.ports[out].datagrams.Load()-before, int64(n))
	}}, nil
}

func gvisorForward(size int) (*trial, error) { return gvisorThrough(256, 1, forwarded(size)) }

func gvisorEcho(size int) (*trial, error) { return gvisorThrough(0, 0, repeat(echoFrame(size))) }

func gvisorUDPEcho(size int) (*trial, error) {
	h, err := newGvisorHost(0)
	if err != nil {
		return nil, err
	}
	h.ports[0].wrote = make(chan struct{}, 1)
	own := addressOf(portAddr[0].Addr())
	pc, err := gonet.DialUDP(h.Stack, &tcpip.FullAddress{NIC: 1, Addr: own, Port: echoPort}, nil, ipv4.ProtocolNumber)
	if err != nil {
		return nil, fmt.Errorf("gvisor: udp: %w", err)
	}
	go echoDatagrams(pc)
	frame := repeat(udpFrame(portAddr[0].Addr(), size))
	return &trial{
		close: func() {
			_ = pc.Close()
			h.Destroy()
		},
		run: func(_, n int) error {
			for range n {
				h.ports[0].play(1, frame)
				<-h.ports[0].wrote
			}
			return nil
		},
	}, nil
}

func gvisorStream() (*trial, error) {
	a, b := pipe.New(macOf(portMAC[0]), macOf(portMAC[1]), 1500)
	var hosts [2]*stack.Stack
	for k, ep := range []*pipe.Endpoint{a, b} {
		s, err := newNetstack()
		if err != nil {
			return nil, err
		}
		hosts[k] = s
		if err := attach(s, 1, ep, streamPrefixes(k)[0]); err != nil {
			return nil, err
		}
	}
	to := tcpip.FullAddress{NIC: 1, Addr: addressOf(streamPrefixes(1)[0].Addr()), Port: streamPort}
	l, err := gonet.ListenTCP(hosts[1], to, ipv4.ProtocolNumber)
	if err != nil {
		return nil, fmt.Errorf("gvisor: listen: %w", err)
	}
	return stream(func() (net.Conn, error) { return gonet.DialTCP(hosts[0], to, ipv4.ProtocolNumber) }, l, func() {
		hosts[0].Destroy()
		hosts[1].Destroy()
	})
}
