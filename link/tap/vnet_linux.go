package tap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/tapstack/tapstack/link"
)

// The virtio-net header in front of each frame (virtio 1.2 section 5.1.6), with
// num_buffers, in the host's byte order.
const (
	vnetLen = 12

	vnetFlags      = 0
	vnetGSOType    = 1
	vnetHdrLen     = 2
	vnetGSOSize    = 4
	vnetCsumStart  = 6
	vnetCsumOffset = 8

	vnetNeedsCsum = 1
	vnetDataValid = 2

	vnetGSOTCPv4 = 1
	vnetGSOUDPL4 = 5
	vnetGSOECN   = 0x80

	tcpFlags = 13 // where in a TCP header
	tcpCWR   = 0x80
)

// offloadSets are what is asked of the kernel, most first. Linux takes USO for
// both versions of IP or for none (6.2).
var offloadSets = []struct {
	flags    int
	features link.Features
	name     string
}{
	{unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO_ECN | unix.TUN_F_USO4 | unix.TUN_F_USO6,
		link.ScatterGather | link.ChecksumOffload | link.TCPSegmentation | link.UDPSegmentation, ""},
	{unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO_ECN,
		link.ScatterGather | link.ChecksumOffload | link.TCPSegmentation, "UDP segmentation"},
	{unix.TUN_F_CSUM, link.ScatterGather | link.ChecksumOffload, "TCP and UDP segmentation"},
	{0, link.ScatterGather, "checksum, TCP and UDP segmentation"},
}

// errNoHeader says that the kernel's driver has no virtio-net header.
var errNoHeader = errors.New("the kernel's TAP driver has no virtio-net header (IFF_VNET_HDR)")

// openVnet opens the device with a virtio-net header in front of frames. The
// file is non-blocking and known to the runtime's poller. missing says which
// offloads the kernel does not have. Unlike water it leaves the persist flag
// alone.
func openVnet(name string, f found) (file *os.File, actual string, features link.Features, missing string, err error) {
	fd, err := unix.Open(driver, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, "", 0, "", openError(name, err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	if has, err := unix.IoctlGetInt(fd, unix.TUNGETFEATURES); err != nil || has&unix.IFF_VNET_HDR == 0 {
		return nil, "", 0, "", errNoHeader
	}
	flags := uint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if f.multiQueue {
		flags |= unix.IFF_MULTI_QUEUE
	}
	ifr, err := unix.NewIfreq(name)
	if err == nil {
		ifr.SetUint16(flags)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err != nil {
		return nil, "", 0, "", openError(name, err)
	}
	// The size belongs to the device: somebody before may have chosen another.
	if err = unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, vnetLen); err != nil {
		return nil, "", 0, "", fmt.Errorf("tap: setting the header size of %s: %w", ifr.Name(), err)
	}
	for _, s := range offloadSets {
		if err = unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, s.flags); err == nil {
			features, missing = s.features, s.name
			break
		}
	}
	if err != nil {
		return nil, "", 0, "", fmt.Errorf("tap: setting the offloads of %s: %w", ifr.Name(), err)
	}
	return os.NewFile(uintptr(fd), driver), ifr.Name(), features, missing, nil
}

// putVnet pushes the virtio-net header for p.
func putVnet(p *link.Packet) {
	start, offset, partial := p.PartialChecksum()
	gso, headers := byte(0), 0
	if p.GSO != link.GSONone && partial {
		t := p.Bytes()[start:]
		switch p.GSO {
		case link.GSOTCP:
			gso, headers = vnetGSOTCPv4, start+int(t[12]>>4)*4
			if t[tcpFlags]&tcpCWR != 0 {
				gso |= vnetGSOECN
			}
		case link.GSOUDP:
			gso, headers = vnetGSOUDPL4, start+8
		}
	}
	b := p.Push(vnetLen)
	clear(b)
	if partial {
		b[vnetFlags] = vnetNeedsCsum
		binary.NativeEndian.PutUint16(b[vnetCsumStart:], uint16(start))
		binary.NativeEndian.PutUint16(b[vnetCsumOffset:], uint16(offset))
	}
	if gso != 0 {
		b[vnetGSOType] = gso
		binary.NativeEndian.PutUint16(b[vnetHdrLen:], uint16(headers))
		binary.NativeEndian.PutUint16(b[vnetGSOSize:], uint16(p.GSOSize))
	}
}

// parseVnet takes the meaning of a virtio-net header over to p, the frame behind
// it. What makes no sense is left out: the frame is then verified as any other.
func parseVnet(b []byte, p *link.Packet) {
	switch {
	case b[vnetFlags]&vnetNeedsCsum != 0:
		start := int(binary.NativeEndian.Uint16(b[vnetCsumStart:]))
		offset := int(binary.NativeEndian.Uint16(b[vnetCsumOffset:]))
		if start+offset+2 > len(p.Bytes()) {
			return
		}
		p.Pull(start)
		p.SetPartialChecksum(offset)
		p.Push(start)
	case b[vnetFlags]&vnetDataValid != 0:
		p.Checksum = link.ChecksumValid
	}
	if size := int(binary.NativeEndian.Uint16(b[vnetGSOSize:])); size > 0 {
		switch b[vnetGSOType] &^ vnetGSOECN {
		case vnetGSOTCPv4:
			p.GSO, p.GSOSize = link.GSOTCP, size
		case vnetGSOUDPL4:
			p.GSO, p.GSOSize = link.GSOUDP, size
		}
	}
}
