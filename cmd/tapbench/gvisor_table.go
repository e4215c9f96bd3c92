package main

import (
	"fmt"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/tapstack/tapstack/link"
)

func gvisorLookup(l load) (*trial, error) {
	h, err := newGvisorHost(l.n)
	if err != nil {
		return nil, err
	}
	var addrs []tcpip.Address
	for _, k := range visits(l) {
		addrs = append(addrs, addressOf(nth(k)))
	}
	mask := len(addrs) - 1
	return &trial{close: h.Destroy, run: func(worker, n int) error {
		resolved, asked := 0, n
		count := func(r stack.LinkResolutionResult) {
			if r.Err == nil {
				resolved++
			}
		}
		for k := worker * 31; n > 0; k, n = k+1, n-1 {
			if err := h.GetLinkAddress(2, addrs[k&mask], tcpip.Address{}, ipv4.ProtocolNumber, count); err != nil {
				return fmt.Errorf("gvisor: link address: %v", err)
			}
		}
		return expect("neighbours found", int64(resolved), int64(asked))
	}}, nil
}

// outputBatch is how many packets are made in advance: few enough to stay in the
// processor's cache.
const outputBatch = 256

// gvisorOutput writes packets to routes: the shortest way to netstack's neighbour
// cache that a packet can be sent on.
func gvisorOutput(l load) (*trial, error) {
	h, err := newGvisorHost(l.n)
	if err != nil {
		return nil, err
	}
	var routes []*stack.Route
	for _, k := range visits(l) {
		r, err := h.FindRoute(2, addressOf(portAddr[1].Addr()), addressOf(nth(k)), ipv4.ProtocolNumber, false)
		if err != nil {
			h.Destroy()
			return nil, fmt.Errorf("gvisor: route to %v: %v", nth(k), err)
		}
		routes = append(routes, r)
	}
	datagram := udpFrame(nth(0), 64)[link.EthernetHeaderLen:]
	mask := len(routes) - 1
	packets := make([][]*stack.PacketBuffer, workers())
	next := make([]int, workers())
	release := func(worker int) {
		for _, pkt := range packets[worker] {
			pkt.DecRef()
		}
		packets[worker] = packets[worker][:0]
	}
	return &trial{
		batch: outputBatch,
		prepare: func(worker, n int) error {
			release(worker)
			for range n {
				packets[worker] = append(packets[worker], stack.NewPacketBuffer(stack.PacketBufferOptions{
					ReserveHeaderBytes: link.EthernetHeaderLen + 60,
					Payload:            buffer.MakeWithData(datagram),
				}))
			}
			return nil
		},
		run: func(worker, n int) error {
			k := next[worker]
			for _, pkt := range packets[worker] {
				if err := routes[(worker*31+k)&mask].WriteHeaderIncludedPacket(pkt); err != nil {
					return fmt.Errorf("gvisor: write: %v", err)
				}
				k++
			}
			next[worker] = k
			return nil
		},
		close: func() {
			for w := range packets {
				release(w)
			}
			for _, r := range routes {
				r.Release()
			}
			h.Destroy()
		},
	}, nil
}
