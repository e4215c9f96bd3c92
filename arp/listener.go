package arp

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/link"
)

// Received is an ARP packet that came in, with what its frame tells about it.
type Received struct {
	Packet
	Time      time.Time
	Interface int
	From      link.Addr       // source address of the Ethernet frame, which need not be SenderAddr
	Class     link.PacketType // how the frame was addressed
	Missed    uint64          // packets that this listener lost just before this one
}

// Listener hears the well-formed ARP packets that the host receives, before the
// filter and whatever becomes of them: what a packet socket is to arping.
// Interfaces without ARP have nothing to tell.
type Listener struct {
	// C delivers the packets. It is closed by Close and when the Protocol
	// closes.
	C <-chan Received

	pr     *Protocol
	index  int
	missed atomic.Uint64

	mu     sync.Mutex // guards what follows; a leaf
	c      chan Received
	gap    uint64 // lost since the last delivery
	closed bool
}

// Listen returns a listener on interface index, or on all if it is 0, with room
// for buffer packets. It never holds up what it listens to: packets that find no
// room are counted and lost. It must be closed.
func (pr *Protocol) Listen(index, buffer int) *Listener {
	c := make(chan Received, max(buffer, 1))
	l := &Listener{C: c, c: c, pr: pr, index: index}
	closed := false
	pr.editHooks(func(h *hooks) {
		if closed = pr.closed; !closed {
			h.listeners = append(slices.Clip(h.listeners), l)
		}
	})
	if closed {
		l.end()
	}
	return l
}

// Missed returns how many packets the listener has lost in all, because it read
// too slowly. May be called concurrently.
func (l *Listener) Missed() uint64 { return l.missed.Load() }

// Close ends the listener. It may be called more than once, from any goroutine.
func (l *Listener) Close() {
	l.pr.editHooks(func(h *hooks) {
		h.listeners = slices.DeleteFunc(slices.Clone(h.listeners), func(o *Listener) bool { return o == l })
	})
	l.end()
}

func (l *Listener) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.c)
	}
}

func (l *Listener) deliver(r Received) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	r.Missed = l.gap
	select {
	case l.c <- r:
		l.gap = 0
	default:
		l.gap++
		l.missed.Add(1)
	}
}

// hear tells the listeners of a received packet.
func (h *hooks) hear(pr *Protocol, i *iface, a Packet, from link.Addr, class link.PacketType) {
	r := Received{Packet: a, Interface: i.index, From: from, Class: class}
	for _, l := range h.listeners {
		if l.index != 0 && l.index != i.index {
			continue
		}
		if r.Time.IsZero() {
			r.Time = pr.cfg.Clock.Now()
		}
		l.deliver(r)
	}
}

// Send sends the packet a as it is, to dst, from interface index; the frame's
// source is the interface's address. It is for tools: the neighbour table does
// not hear of it. The errors are ENODEV, EOPNOTSUPP for an interface without
// ARP, EINVAL for an operation or an address that the packet cannot carry,
// EPERM when the filter refuses, and the device's: ENETDOWN, link.ErrQueueFull.
func (pr *Protocol) Send(index int, dst link.Addr, a Packet) error {
	i := (*pr.ifaces.Load())[index]
	err := error(nil)
	switch {
	case i == nil:
		err = syscall.ENODEV
	case i.noARP:
		err = syscall.EOPNOTSUPP
	case a.Op != Request && a.Op != Reply || !four(a.SenderIP) || !four(a.TargetIP):
		err = syscall.EINVAL
	default:
		err = pr.send(i, dst, a)
	}
	if err != nil {
		return fmt.Errorf("arp: send %s on interface %d: %w", a.Op, index, err)
	}
	return nil
}

// four reports whether ip can be written: no address at all is 0.0.0.0.
func four(ip netip.Addr) bool { return ip.Is4() || !ip.IsValid() }
