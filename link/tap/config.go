package tap

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"syscall"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/random"
)

// The range of a TAP's MTU in bytes: an IPv4 host must take 68 (RFC 791), and
// Linux carries at most 65535 with the Ethernet header.
const (
	MinMTU = 68
	MaxMTU = 65535 - link.EthernetHeaderLen
)

// MaxQueues is Linux's MAX_TAP_QUEUES.
const MaxQueues = 256

// DefaultTxQueueLen is ten times Linux's: among 1000 frames there is no room for
// the ARP replies of a few thousand neighbours at once, nor for the windows of more
// than one TCP sender.
const DefaultTxQueueLen = 10_000

// maxNameLen is Linux's IFNAMSIZ without the terminating zero.
const maxNameLen = 15

// Config says which device to open, and how both its sides are set up.
type Config struct {
	// Name of the device; "" lets the kernel choose one that is free (tap0,
	// tap1 and so on).
	Name string
	// Addr is the station's own address, which the device announces as Addr. It
	// must differ from that of the kernel's side. The zero address stands for a
	// random, locally administered one.
	Addr link.Addr
	// MTU of both sides in bytes, from MinMTU to MaxMTU; 0 keeps that of the
	// device, which is 1500 when it is created.
	MTU int
	// Peer is the IPv4 address and prefix of the kernel's side. It is added to
	// what the device has; the zero Prefix adds nothing.
	Peer netip.Prefix
	// Offload says whether checksums and segmentation may be left to the
	// kernel, and large segments cross in one piece.
	Offload Offload
	// Queues is how many queues the device has, each for a receiver of its own
	// (see Device.MoreQueues), up to MaxQueues; 0 is 1. A device that exists must
	// have been made for several.
	Queues int
	// TxQueueLen is how many frames wait for us in a queue of a device that Open
	// creates, before the kernel drops further ones; 0 is DefaultTxQueueLen. One
	// that exists keeps its own.
	TxQueueLen int
	// Rand makes up the random address; nil for a secure source.
	Rand *rand.Rand
}

// Offload is whether a device is opened with a virtio-net header, which lets
// both sides exchange unfinished checksums and segments of 64 KiB.
type Offload uint8

const (
	// OffloadAuto: with what the kernel has; Device.Missing tells what not.
	OffloadAuto Offload = iota
	// OffloadOn: Open fails, with errors.ErrUnsupported, where something is
	// missing.
	OffloadOn
	// OffloadOff: plain frames, complete down to the last checksum.
	OffloadOff
)

func (c Config) check() error {
	switch {
	case c.Name != "" && !validName(c.Name):
		return fmt.Errorf("tap: %q is no interface name: want 1 to %d characters without '/', ':', '%%' and blanks: %w", c.Name, maxNameLen, syscall.EINVAL)
	case c.Addr.IsGroup():
		return fmt.Errorf("tap: %s is a group address, which no station can have: %w", c.Addr, syscall.EINVAL)
	case c.MTU != 0 && (c.MTU < MinMTU || c.MTU > MaxMTU):
		return fmt.Errorf("tap: mtu %d is outside %d to %d: %w", c.MTU, MinMTU, MaxMTU, syscall.EINVAL)
	case c.Queues < 0 || c.Queues > MaxQueues:
		return fmt.Errorf("tap: %d queues: want 1 to %d: %w", c.Queues, MaxQueues, syscall.EINVAL)
	case c.TxQueueLen < 0:
		return fmt.Errorf("tap: a queue of %d frames: want 1 at least: %w", c.TxQueueLen, syscall.EINVAL)
	case c.Peer != netip.Prefix{} && (!c.Peer.IsValid() || !c.Peer.Addr().Is4() || c.Peer.Addr().IsUnspecified() || c.Peer.Addr().IsMulticast()):
		return fmt.Errorf("tap: %s is no address for the kernel's side: want one such as 10.0.0.1/24: %w", c.Peer, syscall.EINVAL)
	}
	return nil
}

func (c Config) txQueueLen() int {
	if c.TxQueueLen == 0 {
		return DefaultTxQueueLen
	}
	return c.TxQueueLen
}

// validName is Linux's dev_valid_name, without '%', which would make the kernel
// choose a number.
func validName(s string) bool {
	return len(s) > 0 && len(s) <= maxNameLen && s != "." && s != ".." && !strings.ContainsAny(s, "/:% \t\n\v\f\r\x00")
}

// stationAddr returns the station's address next to a kernel's side with the
// address peer.
func (c Config) stationAddr(peer link.Addr) (link.Addr, error) {
	if !c.Addr.IsZero() {
		if c.Addr == peer {
			return link.Addr{}, fmt.Errorf("tap: %s is the address of the kernel's side; choose another: %w", c.Addr, syscall.EADDRINUSE)
		}
		return c.Addr, nil
	}
	r := c.Rand
	if r == nil {
		r = random.Secure()
	}
	for {
		x := r.Uint64()
		a := link.Addr{byte(x), byte(x >> 8), byte(x >> 16), byte(x >> 24), byte(x >> 32), byte(x >> 40)}
		a[0] = a[0]&^1 | 2 // unicast, locally administered (IEEE 802, section 8.4)
		if a != peer {
			return a, nil
		}
	}
}
