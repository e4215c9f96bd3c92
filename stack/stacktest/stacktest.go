// Package stacktest runs hosts on Ethernet segments in memory, as
// net/http/httptest runs servers. Inside a testing/synctest bubble a whole
// network lives on virtual time, and nothing is left of it when the test ends:
// goroutines, timers and packets are the host's to clean up, and a packet that
// nobody released fails the test.
package stacktest

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/link/pipe"
	"github.com/tapstack/tapstack/stack"
)

// LAN is an Ethernet segment in memory: a switch with a port for each station.
type LAN struct {
	tb   testing.TB
	lan  *pipe.LAN
	next byte
}

// NewLAN returns a LAN that lasts as long as the test. What is attached to it is
// closed when the test ends; packets that are then still live fail the test, so
// tests that use a LAN do not run in parallel with others of their package.
func NewLAN(tb testing.TB) *LAN {
	tb.Helper()
	linktest.WantNoPackets(tb)
	l := &LAN{tb: tb, lan: pipe.NewLAN(pipe.LANConfig{})}
	tb.Cleanup(l.lan.Close)
	return l
}

// HostConfig describes a host to LAN.Host.
type HostConfig struct {
	// Name of the host, default "host-N".
	Name string
	// Addr is its address on the LAN with the prefix length, for instance
	// 10.0.0.2/24; empty for none.
	Addr string
	// MAC is its hardware address, default 02:00:00:00:00:NN.
	MAC link.Addr
	// Wrap puts a device of the test's between host and LAN, for instance one
	// of link/fault; nil for none.
	Wrap func(link.Device) link.Device
	// Stack configures the host itself.
	Stack stack.Config
}

// Host starts a host with one interface, eth0, on the LAN.
func (l *LAN) Host(c HostConfig) *stack.Host {
	l.tb.Helper()
	mac := c.MAC
	if mac.IsZero() {
		mac = l.mac()
	}
	if c.Stack.Name = c.Name; c.Name == "" {
		c.Stack.Name = fmt.Sprintf("host-%d", mac[5])
	}
	h, err := stack.New(c.Stack)
	if err != nil {
		l.tb.Fatalf("stacktest: %s: %v", c.Stack.Name, err)
	}
	l.tb.Cleanup(func() {
		if err := h.Close(); err != nil {
			l.tb.Errorf("stacktest: close %s: %v", h.Name(), err)
		}
	})
	l.Attach(h, "eth0", mac, c.Addr, c.Wrap)
	return h
}

// Attach gives h another interface, on this LAN. A zero mac chooses one.
func (l *LAN) Attach(h *stack.Host, name string, mac link.Addr, addr string, wrap func(link.Device) link.Device) *stack.Interface {
	l.tb.Helper()
	if mac.IsZero() {
		mac = l.mac()
	}
	var dev link.Device = l.lan.Attach(mac)
	if wrap != nil {
		dev = wrap(dev)
	}
	c := stack.InterfaceConfig{Name: name, Device: dev}
	if addr != "" {
		p, err := netip.ParsePrefix(addr)
		if err != nil {
			l.tb.Fatalf("stacktest: %v", err)
		}
		c.Addrs = []netip.Prefix{p}
	}
	i, err := h.AddInterface(c)
	if err != nil {
		l.tb.Fatalf("stacktest: %v", err)
	}
	return i
}

func (l *LAN) mac() link.Addr {
	l.next++
	return link.Addr{0x02, 0, 0, 0, 0, l.next}
}

// Station is a port of a LAN that a test drives by hand, frame by frame.
type Station struct {
	dev  *pipe.Device
	done sync.WaitGroup

	mu     sync.Mutex
	frames [][]byte
}

// Station attaches a station with the hardware address mac, which hears
// everything that a switch would send it.
func (l *LAN) Station(mac link.Addr) *Station {
	s := &Station{dev: l.lan.Attach(mac)}
	s.done.Go(s.receive)
	l.tb.Cleanup(func() {
		s.dev.Close()
		s.done.Wait()
	})
	return s
}

func (s *Station) receive() {
	for {
		p, err := s.dev.Read()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.frames = append(s.frames, append([]byte(nil), p.Bytes()...))
		s.mu.Unlock()
		p.Release()
	}
}

// Send puts a frame on the LAN. It borrows b.
func (s *Station) Send(b []byte) error { return s.dev.Write(link.NewPacketFrom(b)) }

// Take returns the frames heard since the last call, oldest first. In a bubble,
// synctest.Wait before it makes sure that all have come.
func (s *Station) Take() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.frames
	s.frames = nil
	return f
}
