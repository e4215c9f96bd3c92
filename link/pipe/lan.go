package pipe

import (
	"maps"
	"slices"
	"sync"

	"github.com/tapstack/tapstack/link"
)

// LANConfig describes a LAN.
type LANConfig struct {
	// Hub sends every frame to all other ports. Otherwise the LAN is a switch:
	// it learns where stations are from the frames that they send, and floods
	// only what is broadcast, multicast or for a station not heard yet.
	Hub bool
	// MTU in bytes of the ports, 0 for DefaultMTU.
	MTU int
	// Queue is how many unread frames each port holds, 0 for DefaultQueue.
	Queue int
}

// LAN is an Ethernet segment in memory. Its methods may be called
// concurrently.
type LAN struct {
	cfg LANConfig

	mu sync.Mutex
	// ports is replaced, never changed in place: a frame on its way to all
	// ports ranges over it without the lock.
	ports []*Device
	where map[link.Addr]*Device
}

// NewLAN returns a LAN without ports.
func NewLAN(c LANConfig) *LAN {
	return &LAN{cfg: c, where: make(map[link.Addr]*Device)}
}

// Attach adds a port with a station of the given address. Closing the device
// takes the port away.
func (l *LAN) Attach(addr link.Addr) *Device {
	d := newDevice(addr, l.cfg.MTU, l.cfg.Queue)
	d.send = func(p *link.Packet) error { return l.forward(d, p) }
	d.detach = func() { l.remove(d) }
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ports = append(slices.Clip(l.ports), d)
	return d
}

// Close closes all ports.
func (l *LAN) Close() {
	l.mu.Lock()
	ports := l.ports
	l.mu.Unlock()
	for _, d := range ports {
		d.Close()
	}
}

func (l *LAN) remove(d *Device) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ports = slices.DeleteFunc(slices.Clone(l.ports), func(x *Device) bool { return x == d })
	maps.DeleteFunc(l.where, func(_ link.Addr, x *Device) bool { return x == d })
}

// forward takes the frame that from sent. A port whose queue is full loses it
// and counts it; the sender does not learn of that.
func (l *LAN) forward(from *Device, p *link.Packet) error {
	to, ports := l.route(from, p.Bytes())
	switch {
	case to == from: // both stations are behind the same port
	case to != nil:
		to.deliver(p)
		return nil
	default:
		for _, d := range ports {
			if d != from {
				d.deliver(p.Copy())
			}
		}
	}
	p.Release()
	return nil
}

// route learns the sender's place and returns the port of the frame's
// destination, nil to flood it to ports.
func (l *LAN) route(from *Device, frame []byte) (to *Device, ports []*Device) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, _, err := link.ParseEthernet(frame)
	if l.cfg.Hub || err != nil {
		return nil, l.ports
	}
	if !h.Src.IsGroup() && !from.closed.Load() {
		l.where[h.Src] = from
	}
	if h.Dst.IsGroup() {
		return nil, l.ports
	}
	return l.where[h.Dst], l.ports
}
