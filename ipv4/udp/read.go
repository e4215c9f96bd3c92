package udp

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/tapstack/tapstack/link"
)

// deliver takes a datagram, front at its data, for the socket to read.
func (c *Conn) deliver(p *link.Packet) {
	c.mu.Lock()
	reason := link.NotSpecified
	switch cost := p.Cost(); {
	case c.closed:
		reason = link.SocketClosed
	case c.costLocked() > 0 && c.costLocked()+cost > c.limit:
		reason = link.SocketRcvBuff
	default:
		c.queue.Queue(p)
		c.readable.Signal()
	}
	c.mu.Unlock()
	if reason == link.NotSpecified {
		return
	}
	if reason == link.SocketRcvBuff {
		c.drops.Add(1)
		c.pr.stats.RcvbufErrors.Add(1)
		c.pr.stats.InErrors.Add(1)
	}
	c.pr.config.Drops.Drop(p, reason)
}

func (c *Conn) costLocked() int { return c.queue.Cost() + len(c.errors)*queuedErrorCost }

// receive waits for a datagram.
func (c *Conn) receive() (*link.Packet, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if err := c.takeErrorLocked(c.reads.expired); err != nil {
			return nil, err
		}
		if p := c.queue.Pop(); p != nil {
			return p, nil
		}
		c.readable.Wait()
	}
}

// read copies a datagram's data into b and returns the sender.
func (c *Conn) read(call string, b []byte) (int, netip.AddrPort, error) {
	p, err := c.receive()
	if err != nil {
		return 0, netip.AddrPort{}, c.fail("read", call, c.raddr, err)
	}
	c.pr.stats.InDatagrams.Add(1)
	n := copy(b, p.Bytes())
	src := netip.AddrFrom4([4]byte(p.NetworkHeader()[12:16]))
	port := binary.BigEndian.Uint16(p.TransportHeader())
	p.Release()
	return n, netip.AddrPortFrom(src, port), nil
}

// Read copies the data of the next datagram into b; what does not fit is lost.
// The error is a *net.OpError with net.ErrClosed, os.ErrDeadlineExceeded, or the
// errno of an ICMP error.
func (c *Conn) Read(b []byte) (int, error) {
	n, _, err := c.read("read", b)
	return n, err
}

// ReadFromUDPAddrPort is Read that also tells the sender. It does not allocate.
func (c *Conn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	return c.read("recvfrom", b)
}

// ReadFromUDP is ReadFromUDPAddrPort in older types.
func (c *Conn) ReadFromUDP(b []byte) (int, *net.UDPAddr, error) {
	n, from, err := c.read("recvfrom", b)
	if err != nil {
		return n, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// ReadFrom is ReadFromUDPAddrPort in net.PacketConn's types: the address is a
// *net.UDPAddr.
func (c *Conn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.ReadFromUDP(b)
	if err != nil {
		return n, nil, err
	}
	return n, from, nil
}
