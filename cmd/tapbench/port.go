package main

import (
	"net"
	"sync"
	"sync/atomic"

	"github.com/tapstack/tapstack/link"
)

// port is a link.Device that a benchmark plays frames into. All is done in the
// host's receive loop: Read copies the next frame into a packet, and what the
// host makes of it happens before it calls Read again, as with a TAP that never
// runs dry. Frames that are written are counted and released.
type port struct {
	addr   link.Addr
	plays  chan play
	played chan struct{}
	closed chan struct{}
	close  func()

	current play // of the receive loop

	datagrams atomic.Int64  // IPv4 frames written
	arps      atomic.Int64  // ARP frames written
	wrote     chan struct{} // hears of each datagram written, if not nil
}

// play is n frames for Read.
type play struct {
	frame   func(k int) []byte
	next, n int
}

func newPort(addr link.Addr) *port {
	p := &port{addr: addr, plays: make(chan play), played: make(chan struct{}), closed: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.closed) })
	return p
}

// play gives the host n frames and returns when it has dealt with them.
func (p *port) play(n int, frame func(k int) []byte) {
	p.plays <- play{frame: frame, n: n}
	<-p.played
}

// Read implements link.Device.
func (p *port) Read() (*link.Packet, error) {
	c := &p.current
	for c.next == c.n {
		if c.frame != nil {
			c.frame = nil
			p.played <- struct{}{}
		}
		select {
		case *c = <-p.plays:
		case <-p.closed:
			return nil, net.ErrClosed
		}
	}
	c.next++
	return link.NewPacketFrom(c.frame(c.next - 1)), nil
}

// Write implements link.Writer.
func (p *port) Write(q *link.Packet) error {
	if q.EtherType == link.ARP {
		p.arps.Add(1)
	} else {
		p.datagrams.Add(1)
		if p.wrote != nil {
			p.wrote <- struct{}{}
		}
	}
	q.Release()
	return nil
}

// Addr implements link.Device.
func (p *port) Addr() link.Addr { return p.addr }

// MTU implements link.Device.
func (p *port) MTU() int { return 1500 }

// Close implements link.Device.
func (p *port) Close() error {
	p.close()
	return nil
}
