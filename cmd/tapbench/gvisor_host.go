package main

import (
	"fmt"
	"math"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// gvisorHost is what tapstackHost is, on netstack. Its ports are NICs 1 and 2.
type gvisorHost struct {
	*stack.Stack
	ports [2]*gvisorPort
}

// newNetstack returns a stack as tuned as it can be for throughput: SACK, CUBIC
// and buffers like those of Linux, which are not its defaults.
func newNetstack() (*stack.Stack, error) {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4},
	})
	s.SetICMPLimit(math.MaxFloat64)
	sack, cubic, moderate := tcpip.TCPSACKEnabled(true), tcpip.CongestionControlOption("cubic"), tcpip.TCPModerateReceiveBufferOption(true)
	in := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4 << 10, Default: 1 << 20, Max: 4 << 20}
	out := tcpip.TCPSendBufferSizeRangeOption{Min: 4 << 10, Default: 1 << 20, Max: 4 << 20}
	for _, o := range []tcpip.SettableTransportProtocolOption{&sack, &cubic, &moderate, &in, &out} {
		if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, o); err != nil {
			s.Destroy()
			return nil, fmt.Errorf("gvisor: option %T: %v", o, err)
		}
	}
	return s, nil
}

// attach makes a NIC with an address and the route to its subnet.
func attach(s *stack.Stack, nic tcpip.NICID, ep stack.LinkEndpoint, addr netip.Prefix) error {
	if err := s.CreateNIC(nic, ep); err != nil {
		return fmt.Errorf("gvisor: NIC %d: %v", nic, err)
	}
	a := tcpip.AddressWithPrefix{Address: addressOf(addr.Addr()), PrefixLen: addr.Bits()}
	pa := tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: a}
	if err := s.AddProtocolAddress(nic, pa, stack.AddressProperties{}); err != nil {
		return fmt.Errorf("gvisor: address %v: %v", addr, err)
	}
	s.AddRoute(tcpip.Route{Destination: a.Subnet(), NIC: nic})
	return nil
}

func addressOf(a netip.Addr) tcpip.Address { return tcpip.AddrFrom4(a.As4()) }

// newGvisorHost returns a host with n static neighbours on its second port, and
// peer on its first.
func newGvisorHost(n int) (*gvisorHost, error) {
	s, err := newNetstack()
	if err != nil {
		return nil, err
	}
	h := &gvisorHost{Stack: s}
	for k := range h.ports {
		h.ports[k] = &gvisorPort{addr: macOf(portMAC[k])}
		if err := attach(s, tcpip.NICID(k+1), h.ports[k], portAddr[k]); err != nil {
			s.Destroy()
			return nil, err
		}
	}
	fail := s.SetForwardingDefaultAndAllNICs(ipv4.ProtocolNumber, true)
	if fail == nil {
		fail = s.AddStaticNeighbor(1, ipv4.ProtocolNumber, addressOf(peer), macOf(peerMAC))
	}
	for k := 0; k < n && fail == nil; k++ {
		fail = s.AddStaticNeighbor(2, ipv4.ProtocolNumber, addressOf(nth(k)), macOf(nthMAC(k)))
	}
	if fail != nil {
		s.Destroy()
		return nil, fmt.Errorf("gvisor: host with %d neighbours: %v", n, fail)
	}
	return h, nil
}
