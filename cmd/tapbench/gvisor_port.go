package main

import (
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/tapstack/tapstack/link"
)

// gvisorPort is what port is, for netstack: an Ethernet endpoint into which
// frames are played in the caller's goroutine. It does as little as it can.
type gvisorPort struct {
	addr tcpip.LinkAddress
	disp stack.NetworkDispatcher

	datagrams atomic.Int64
	arps      atomic.Int64
	wrote     chan struct{} // hears of each frame written, if not nil
}

var _ stack.LinkEndpoint = (*gvisorPort)(nil)

func macOf(a link.Addr) tcpip.LinkAddress { return tcpip.LinkAddress(a[:]) }

// play gives the stack n frames.
func (p *gvisorPort) play(n int, frame func(k int) []byte) {
	for k := range n {
		pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(frame(k))})
		if p.ParseHeader(pkt) {
			eth := header.Ethernet(pkt.LinkHeader().Slice())
			pkt.PktType = tcpip.PacketHost
			if eth.DestinationAddress() == header.EthernetBroadcastAddress {
				pkt.PktType = tcpip.PacketBroadcast
			}
			pkt.NetworkProtocolNumber = eth.Type()
			p.disp.DeliverNetworkPacket(eth.Type(), pkt)
		}
		pkt.DecRef()
	}
}

func (p *gvisorPort) WritePackets(list stack.PacketBufferList) (int, tcpip.Error) {
	for _, pkt := range list.AsSlice() {
		if pkt.NetworkProtocolNumber == header.ARPProtocolNumber {
			p.arps.Add(1)
		} else {
			p.datagrams.Add(1)
		}
		if p.wrote != nil {
			p.wrote <- struct{}{}
		}
	}
	return list.Len(), nil
}

func (p *gvisorPort) AddHeader(pkt *stack.PacketBuffer) {
	header.Ethernet(pkt.LinkHeader().Push(header.EthernetMinimumSize)).Encode(&header.EthernetFields{
		SrcAddr: pkt.EgressRoute.LocalLinkAddress,
		DstAddr: pkt.EgressRoute.RemoteLinkAddress,
		Type:    pkt.NetworkProtocolNumber,
	})
}

func (p *gvisorPort) ParseHeader(pkt *stack.PacketBuffer) bool {
	_, ok := pkt.LinkHeader().Consume(header.EthernetMinimumSize)
	return ok
}

func (p *gvisorPort) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityResolutionRequired
}

func (p *gvisorPort) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }
func (p *gvisorPort) MTU() uint32                             { return 1500 }
func (p *gvisorPort) SetMTU(uint32)                           {}
func (p *gvisorPort) MaxHeaderLength() uint16                 { return header.EthernetMinimumSize }
func (p *gvisorPort) LinkAddress() tcpip.LinkAddress          { return p.addr }
func (p *gvisorPort) SetLinkAddress(a tcpip.LinkAddress)      { p.addr = a }
func (p *gvisorPort) Attach(d stack.NetworkDispatcher)        { p.disp = d }
func (p *gvisorPort) IsAttached() bool                        { return p.disp != nil }
func (p *gvisorPort) Wait()                                   {}
func (p *gvisorPort) Close()                                  {}
func (p *gvisorPort) SetOnCloseAction(func())                 {}
