package stack

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/packet"
	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack/devconf"
)

// InterfaceConfig describes an interface to AddInterface.
type InterfaceConfig struct {
	// Name is at most 15 bytes long, unique within the host, and has neither
	// blanks nor '/'.
	Name string
	// Device carries the frames. The host owns it from here on, also when
	// AddInterface fails, and closes it.
	Device link.Device
	// Addrs are given to the interface, the first of a subnet as its primary.
	Addrs []netip.Prefix
	// Loopback marks the host's own lo.
	Loopback bool
	// NoGRO leaves received TCP segments as they are (ethtool's gro off). By
	// default consecutive ones are handled as one, if the device says when it
	// has no more for now (link.Batcher).
	NoGRO bool
}

// Interface is a device with the host's addresses on it.
type Interface struct {
	host     *Host
	index    int
	name     string
	dev      link.Device
	features link.Features
	queues   int
	broken   atomic.Bool // Read has failed
	mtu      atomic.Int64
	loopback bool
	ip       *ipv4.Interface
	conf     *devconf.Device
	addr     atomic.Pointer[link.Addr]
	up       atomic.Bool
	carrier  atomic.Bool
	cut      atomic.Bool // no carrier, whatever the device says: by command, or it is gone
	stats    InterfaceStats
}

// InterfaceStats counts an interface's traffic, as `ip -s link` shows it. The
// fields only grow and may be read at any time.
type InterfaceStats struct {
	RxPackets, RxBytes, RxDropped atomic.Uint64
	TxPackets, TxBytes, TxDropped atomic.Uint64
	Multicast                     atomic.Uint64
}

// Index returns the interface's number, from 1.
func (i *Interface) Index() int { return i.index }

// Name returns the interface's name.
func (i *Interface) Name() string { return i.name }

// Addr returns the interface's hardware address.
func (i *Interface) Addr() link.Addr { return *i.addr.Load() }

// MTU returns the longest network-layer packet in bytes.
func (i *Interface) MTU() int { return int(i.mtu.Load()) }

// Up reports whether the interface is administratively up.
func (i *Interface) Up() bool { return i.up.Load() }

// Carrier reports whether the interface has a link.
func (i *Interface) Carrier() bool { return i.carrier.Load() }

// Loopback reports whether the interface is the host's lo.
func (i *Interface) Loopback() bool { return i.loopback }

// Stats returns the interface's counters.
func (i *Interface) Stats() *InterfaceStats { return &i.stats }

// Features returns what the device does for the stack, and what the interface
// does to what is received.
func (i *Interface) Features() link.Features { return i.features }

// Queues returns how many queues of the device are read, each by itself.
func (i *Interface) Queues() int { return i.queues }

// Device returns the device under the interface.
func (i *Interface) Device() link.Device { return i.dev }

// AddInterface makes an interface over a device, brings it up and starts to read
// it. Errors are EEXIST for a name that is taken, EINVAL for one that cannot be,
// and those of AddAddress.
func (h *Host) AddInterface(c InterfaceConfig) (*Interface, error) {
	i, err := h.addInterface(c)
	if err != nil {
		return nil, errors.Join(err, c.Device.Close())
	}
	for _, a := range c.Addrs {
		if err := h.AddAddress(i.name, ipv4.Address{Prefix: a}); err != nil {
			return nil, errors.Join(err, h.RemoveInterface(i.name))
		}
	}
	h.log.Debug("interface added", "name", i.name, "index", i.index, "lladdr", i.Addr(), "mtu", i.MTU())
	return i, nil
}

func (h *Host) addInterface(c InterfaceConfig) (*Interface, error) {
	if err := validName(c.Name); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, fmt.Errorf("stack: interface %s: %w", c.Name, net.ErrClosed)
	}
	if h.Interface(c.Name) != nil {
		return nil, fmt.Errorf("stack: interface %s: %w", c.Name, syscall.EEXIST)
	}
	i := &Interface{host: h, index: h.next, name: c.Name, dev: c.Device, features: link.FeaturesOf(c.Device), loopback: c.Loopback}
	addr := c.Device.Addr()
	i.addr.Store(&addr)
	i.mtu.Store(int64(c.Device.MTU()))
	i.up.Store(true)
	i.carrier.Store(true)

	receivers, err := i.newReceivers(!c.NoGRO && !c.Loopback)
	if err != nil {
		return nil, err
	}

	i.conf = h.conf.AddInterface(i.index)
	hops, err := h.neighbours.AddInterface(neighbour.InterfaceConfig{Index: i.index, Name: i.name, Addr: addr, Link: i, Loopback: c.Loopback})
	if err != nil {
		return nil, err
	}
	if err := h.arp.AddInterface(arp.InterfaceConfig{Index: i.index, Addr: addr, Link: i, NoARP: c.Loopback, Conf: i.conf}); err != nil {
		return nil, err
	}
	if i.ip, err = h.ip.AddInterface(ipv4.InterfaceConfig{Index: i.index, Name: i.name, MTU: i.MTU(), Loopback: c.Loopback, Neighbours: hops}); err != nil {
		return nil, err
	}
	h.ip.SetUp(i.index, true)
	h.next++
	nics := append(slices.Clone(*h.nics.Load()), i)
	h.nics.Store(&nics)
	for _, r := range receivers {
		h.loops.Go(r.loop)
	}
	if c := carrierOf(i.dev); c != nil {
		h.loops.Go(func() { i.carrierLoop(c) })
	}
	return i, nil
}

func validName(name string) error {
	if len(name) == 0 || len(name) > 15 || name == "." || name == ".." || name == "all" || name == "default" {
		return fmt.Errorf("stack: interface name %q: want 1 to 15 bytes, and not a reserved word: %w", name, syscall.EINVAL)
	}
	for _, r := range name {
		if r <= ' ' || r == '/' || r == 0x7f {
			return fmt.Errorf("stack: interface name %q: blanks, control characters and '/' are not allowed: %w", name, syscall.EINVAL)
		}
	}
	return nil
}

// RemoveInterface takes the interface called name away, with its addresses,
// routes and neighbours, and closes its device. The error is ENODEV when there
// is none, or the device's.
func (h *Host) RemoveInterface(name string) error {
	h.mu.Lock()
	i := h.Interface(name)
	if i == nil || i.loopback {
		h.mu.Unlock()
		return fmt.Errorf("stack: interface %s: %w", name, syscall.ENODEV)
	}
	nics := slices.DeleteFunc(h.Interfaces(), func(j *Interface) bool { return j == i })
	h.nics.Store(&nics)
	i.up.Store(false)
	h.endClaimsLocked(i, true)
	h.ip.RemoveInterface(i.index)
	h.arp.RemoveInterface(i.index)
	h.neighbours.RemoveInterface(i.index)
	h.conf.RemoveInterface(i.index)
	h.packets.Down(i.index)
	h.mu.Unlock()
	return i.dev.Close()
}

// A batch has so many frames at most, Linux's NAPI_POLL_WEIGHT, or so many bytes:
// a device that is never idle must not keep anybody waiting, and what has been
// received is to be read while it is in the cache.
const (
	maxBatch      = 64
	maxBatchBytes = 256 << 10
)

// receiver takes frames from a queue of a device up to the socket.
type receiver struct {
	i       *Interface
	queue   link.Receiver
	gro     link.GRO
	merges  bool
	batch   link.Batch
	batches bool // the device says when one ends
}

// newReceivers prepares to read the device, each of its queues by itself: with GRO
// if that is wanted and the device says when to flush.
func (i *Interface) newReceivers(gro bool) ([]*receiver, error) {
	queues := []link.Receiver{i.dev}
	if d, ok := i.dev.(link.MultiQueue); ok {
		more, err := d.MoreQueues()
		if err != nil {
			return nil, err
		}
		queues = append(queues, more...)
	}
	i.queues = len(queues)
	var list []*receiver
	for _, q := range queues {
		r := &receiver{i: i, queue: q}
		if d, ok := q.(link.Batcher); ok {
			r.batches = d.WhenIdle(r.flush)
		}
		if r.merges = gro && r.batches; r.merges {
			r.gro.Deliver = r.deliver
			i.features |= link.ReceiveOffload
		}
		list = append(list, r)
	}
	return list, nil
}

// loop takes every frame from the queue up to the socket, until the device is
// closed.
func (r *receiver) loop() {
	i := r.i
	frames, bytes := 0, 0
	for {
		p, err := r.queue.Read()
		if err != nil {
			r.flush()
			if !errors.Is(err, net.ErrClosed) && !i.broken.Swap(true) {
				i.host.log.Error("interface cannot be read any more", "name", i.name, "err", err)
				i.cut.Store(true)
				i.carrierChanged(false)
			}
			return
		}
		if i.up.Load() {
			i.stats.RxPackets.Add(1)
			i.stats.RxBytes.Add(uint64(p.Len()))
		}
		p.Orphan() // a sender in this process, behind lo or a pipe, is done with it
		frames, bytes = frames+1, bytes+p.Len()
		if r.merges {
			r.gro.Input(p)
		} else {
			r.deliver(p)
		}
		if frames >= maxBatch || bytes >= maxBatchBytes {
			frames, bytes = 0, 0
			if r.flush() {
				// Who has been woken gives memory back that the next frames come to.
				runtime.Gosched()
			}
		}
	}
}

func (r *receiver) deliver(p *link.Packet) {
	if r.batches {
		p.Batch = &r.batch
	}
	r.i.input(p)
}

// flush ends a batch, and reports whether there was anything in it.
func (r *receiver) flush() bool {
	held := r.gro.Flush()
	return r.batch.Flush() || held
}

// input takes a received frame.
func (i *Interface) input(p *link.Packet) {
	h := i.host
	if !i.up.Load() {
		i.drop(p, link.DevReady)
		return
	}
	eth, n, err := link.ParseEthernet(p.Bytes())
	if err != nil {
		i.drop(p, link.HdrTrunc)
		return
	}
	// A TAP hands over every frame that the kernel sends; a card filters by
	// address, so the host does.
	p.In, p.EtherType, p.Type = i.index, eth.Type, link.Classify(eth.Dst, i.Addr())
	if h.packets.Any() {
		h.packets.Received(p, n)
	}
	switch p.Type {
	case link.OtherHost:
		i.drop(p, link.OtherHostFrame)
		return
	case link.Multicast:
		i.stats.Multicast.Add(1)
	}
	p.Pull(n)
	switch eth.Type {
	case link.IPv4:
		h.ip.Input(i.ip, p)
	case link.ARP:
		h.arp.Input(p, eth.Src)
	default:
		i.drop(p, link.UnhandledProto)
	}
}

func (i *Interface) drop(p *link.Packet, r link.DropReason) {
	i.stats.RxDropped.Add(1)
	i.host.drops.Drop(p, r)
}

// Write takes a frame that is complete down to its Ethernet header. What the
// device does not take as it is, a large segment or an unfinished checksum, is
// finished here. The errors are ENETDOWN while the interface is down, EIO without
// carrier, and the device's: link.ErrQueueFull when it is full. The frame is
// counted as dropped either way.
//
// A device that reported the loss of its carrier is still offered every frame:
// it knows first when the carrier is back.
func (i *Interface) Write(p *link.Packet) error { return i.writeFrom(p, nil) }

// writeFrom is Write for a packet socket, which does not see the frame itself.
func (i *Interface) writeFrom(p *link.Packet, from *packet.Conn) error {
	if !i.up.Load() || i.cut.Load() {
		return i.refuse(p)
	}
	if i.features.Take(p) {
		return i.write(p, from)
	}
	segments, ok := link.Segment(p, link.EthernetHeaderLen)
	if !ok {
		i.stats.TxDropped.Add(1)
		i.host.drops.Drop(p, link.PktTooBig)
		return syscall.EMSGSIZE
	}
	var err error
	for q := segments.Pop(); q != nil; q = segments.Pop() {
		if e := i.write(q, from); e != nil {
			err = e
		}
	}
	return err
}

func (i *Interface) write(p *link.Packet, from *packet.Conn) error {
	if i.host.packets.Any() {
		i.host.packets.Sent(i.index, p, from)
	}
	n := uint64(p.Len())
	if err := i.dev.Write(p); err != nil {
		i.stats.TxDropped.Add(1)
		reason := link.DevReady
		if errors.Is(err, link.ErrQueueFull) {
			reason = link.FullRing
		}
		i.host.drops.Add(reason)
		return err
	}
	i.stats.TxPackets.Add(1)
	i.stats.TxBytes.Add(n)
	return nil
}

// refuse drops a frame that cannot leave. Without carrier that is what the
// kernel's noop_qdisc does, too.
func (i *Interface) refuse(p *link.Packet) error {
	i.stats.TxDropped.Add(1)
	i.host.drops.Drop(p, link.DevReady)
	if !i.up.Load() {
		return syscall.ENETDOWN
	}
	return syscall.EIO
}
