package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/rawfile"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/fdbased"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/tapstack/tapstack/link"
)

// gvisorSockets are those of a netstack with one NIC.
type gvisorSockets struct {
	*stack.Stack
	addr tcpip.Address
}

// newGvisorSockets returns a netstack behind the TAPs of links in the caller's
// namespace: through gvisorTAP, or through netstack's own endpoint, which knows
// no offloads on a TAP.
func newGvisorSockets(stock bool) (sockets, error) {
	s, err := newNetstack()
	if err != nil {
		return nil, err
	}
	for k, l := range links {
		ep, err := newGvisorLink(l, stock)
		if err != nil {
			return nil, err
		}
		if err := attach(s, tcpip.NICID(k+1), ep, l.host); err != nil {
			return nil, err
		}
	}
	if err := s.SetForwardingDefaultAndAllNICs(ipv4.ProtocolNumber, true); err != nil {
		return nil, fmt.Errorf("gvisor: forwarding: %v", err)
	}
	return gvisorSockets{s, addressOf(hostPrefix.Addr())}, setUpKernelSide()
}

func newGvisorLink(l benchLink, stock bool) (stack.LinkEndpoint, error) {
	fd, err := openTAP(l.name, !stock)
	if err != nil {
		return nil, err
	}
	if !stock {
		return newGvisorTAP(fd, l.mac)
	}
	return fdbased.New(&fdbased.Options{
		FDs:                  []int{fd},
		MTU:                  1500,
		EthernetHeader:       true,
		Address:              macOf(l.mac),
		PacketDispatchMode:   fdbased.Readv,
		GRO:                  true,
		RXChecksumOffload:    true,
		ProcessorsPerChannel: 1,
	})
}

func (g gvisorSockets) at(port int) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: 1, Addr: g.addr, Port: uint16(port)}
}

func (g gvisorSockets) listen(port int) (net.Listener, error) {
	return gonet.ListenTCP(g.Stack, g.at(port), ipv4.ProtocolNumber)
}

func (g gvisorSockets) listenPacket(port int) (net.PacketConn, error) {
	at := g.at(port)
	return gonet.DialUDP(g.Stack, &at, nil, ipv4.ProtocolNumber)
}

// gvisorTAP is a link endpoint on a TAP with a virtio-net header, through which
// TCP segments of up to 64 KiB cross in one piece and checksums are left to the
// kernel, both ways. Netstack's own endpoint does so on sockets only. Frames are
// delivered by the goroutine that reads them, into buffers sized to what came.
type gvisorTAP struct {
	gvisorPort
	fd, stop int // stop is an eventfd that ends reading
	reading  sync.WaitGroup
}

var _ stack.GSOEndpoint = (*gvisorTAP)(nil)

// The virtio-net header's fields that are used, in the host's byte order.
const (
	vnetLen        = 10
	vnetFlags      = 0
	vnetGSOType    = 1
	vnetHdrLen     = 2
	vnetGSOSize    = 4
	vnetCsumStart  = 6
	vnetCsumOffset = 8
)

func newGvisorTAP(fd int, mac link.Addr) (*gvisorTAP, error) {
	stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	return &gvisorTAP{gvisorPort: gvisorPort{addr: macOf(mac)}, fd: fd, stop: stop}, nil
}

func (t *gvisorTAP) GSOMaxSize() uint32               { return 65535 }
func (t *gvisorTAP) SupportedGSO() stack.SupportedGSO { return stack.HostGSOSupported }
func (t *gvisorTAP) Wait()                            { t.reading.Wait() }

func (t *gvisorTAP) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityResolutionRequired | stack.CapabilityRXChecksumOffload
}

func (t *gvisorTAP) Attach(d stack.NetworkDispatcher) {
	t.gvisorPort.Attach(d)
	if d == nil {
		return
	}
	t.reading.Go(func() { t.read(d) })
}

// Most frames fit into the first view; what does not goes on in a second, which
// is kept when it was not needed.
const (
	firstView  = 2 << 10
	secondView = 64 << 10
)

func (t *gvisorTAP) read(d stack.NetworkDispatcher) {
	var vnet [vnetLen]byte
	iov := [3]unix.Iovec{rawfile.IovecFromBytes(vnet[:])}
	var first, second *buffer.View
	for {
		if first == nil {
			first = buffer.NewViewSize(firstView)
			iov[1] = rawfile.IovecFromBytes(first.AsSlice())
		}
		if second == nil {
			second = buffer.NewViewSize(secondView)
			iov[2] = rawfile.IovecFromBytes(second.AsSlice())
		}
		n, errno := rawfile.BlockingReadvUntilStopped(t.stop, t.fd, iov[:])
		if errno != 0 || n < 0 {
			return
		}
		n -= vnetLen
		if n < header.EthernetMinimumSize {
			continue
		}
		var data buffer.Buffer
		first.CapLength(min(n, firstView))
		_ = data.Append(first)
		first = nil
		if n > firstView {
			second.CapLength(n - firstView)
			_ = data.Append(second)
			second = nil
		}
		t.deliver(d, data, vnet[vnetFlags]&(unix.VIRTIO_NET_HDR_F_NEEDS_CSUM|unix.VIRTIO_NET_HDR_F_DATA_VALID) != 0)
	}
}

// deliver hands a frame to netstack if it is for this host or for all.
func (t *gvisorTAP) deliver(d stack.NetworkDispatcher, data buffer.Buffer, checked bool) {
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: data})
	defer pkt.DecRef()
	if !t.ParseHeader(pkt) {
		return
	}
	eth := header.Ethernet(pkt.LinkHeader().Slice())
	switch dst := eth.DestinationAddress(); {
	case dst == t.addr:
		pkt.PktType = tcpip.PacketHost
	case dst == header.EthernetBroadcastAddress:
		pkt.PktType = tcpip.PacketBroadcast
	default:
		return
	}
	pkt.NetworkProtocolNumber = eth.Type()
	pkt.RXChecksumValidated = checked
	d.DeliverNetworkPacket(eth.Type(), pkt)
}

func (t *gvisorTAP) WritePackets(list stack.PacketBufferList) (int, tcpip.Error) {
	for k, pkt := range list.AsSlice() {
		vnet := vnetHeader(pkt)
		slices := pkt.AsSlices()
		var room [16]unix.Iovec
		iov := rawfile.AppendIovecFromBytes(room[:0], vnet[:], len(slices)+1)
		for _, b := range slices {
			iov = rawfile.AppendIovecFromBytes(iov, b, len(slices)+1)
		}
		if errno := rawfile.NonBlockingWriteIovec(t.fd, iov); errno != 0 {
			return k, tcpip.TranslateErrno(errno)
		}
	}
	return list.Len(), nil
}

// vnetHeader asks the kernel for what netstack has left to it.
func vnetHeader(pkt *stack.PacketBuffer) (b [vnetLen]byte) {
	o := pkt.GSOOptions
	if o.Type == stack.GSONone {
		return b
	}
	ne := binary.NativeEndian
	if o.NeedsCsum {
		b[vnetFlags] = unix.VIRTIO_NET_HDR_F_NEEDS_CSUM
		ne.PutUint16(b[vnetCsumStart:], header.EthernetMinimumSize+o.L3HdrLen)
		ne.PutUint16(b[vnetCsumOffset:], o.CsumOffset)
	}
	if pkt.Data().Size() > int(o.MSS) {
		b[vnetGSOType] = unix.VIRTIO_NET_HDR_GSO_TCPV4
		ne.PutUint16(b[vnetHdrLen:], uint16(pkt.HeaderSize()))
		ne.PutUint16(b[vnetGSOSize:], o.MSS)
	}
	return b
}

// openTAP makes a TAP in the caller's namespace, with a virtio-net header and
// offloads or without.
func openTAP(name string, offload bool) (int, error) {
	fd, err := unix.Open(tunPath, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("%s: %w", tunPath, err)
	}
	flags := uint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if offload {
		flags |= unix.IFF_VNET_HDR
	}
	ifr, err := unix.NewIfreq(name)
	if err == nil {
		ifr.SetUint16(flags)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err == nil && offload {
		err = unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, unix.TUN_F_CSUM|unix.TUN_F_TSO4)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("tap %s: %w", name, err)
	}
	return fd, nil
}
