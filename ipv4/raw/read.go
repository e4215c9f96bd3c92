package raw

import (
	"net"
	"net/netip"

	"github.com/tapstack/tapstack/link"
)

// MsgTrunc is the flag of a packet that did not fit (MSG_TRUNC).
const MsgTrunc = 0x20

// deliver takes a packet, front at its IPv4 header, for the socket to read.
func (c *Conn) deliver(p *link.Packet) {
	c.mu.Lock()
	reason := link.NotSpecified
	switch cost := c.costLocked(); {
	case c.closed:
		reason = link.SocketClosed
	case cost > 0 && cost+p.Cost() > c.limit:
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
	}
	c.pr.config.Drops.Drop(p, reason)
}

func (c *Conn) costLocked() int { return c.queue.Cost() + len(c.errors)*queuedErrorCost }

// take waits for a packet.
func (c *Conn) take() (*link.Packet, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if err := c.takeErrorLocked(c.reads.PassedLocked()); err != nil {
			return nil, err
		}
		if p := c.queue.Pop(); p != nil {
			return p, nil
		}
		c.reads.WaitLocked()
	}
}

// Info tells about a packet that was read.
type Info struct {
	From      netip.Addr
	Interface int // index of the one that received it
	Len       int // bytes of the packet, header included
}

// ReadPacket copies the next packet into b, its IPv4 header first; what does not
// fit is lost. The error is a *net.OpError with net.ErrClosed,
// os.ErrDeadlineExceeded, or the errno of an ICMP error.
func (c *Conn) ReadPacket(b []byte) (int, Info, error) { return c.read("recvmsg", b, false) }

func (c *Conn) read(call string, b []byte, strip bool) (int, Info, error) {
	p, err := c.take()
	if err != nil {
		return 0, Info{}, c.fail("read", call, c.raddr, err)
	}
	defer p.Release()
	h := p.Bytes()
	info := Info{From: netip.AddrFrom4([4]byte(h[12:16])), Interface: p.In, Len: len(h)}
	if strip {
		h = h[int(h[0]&15)*4:]
	}
	return copy(b, h), info, nil
}

// Read is ReadPacket without the rest: as of *net.IPConn, there is an IPv4 header.
func (c *Conn) Read(b []byte) (int, error) {
	n, _, err := c.read("read", b, false)
	return n, err
}

// ReadFromIP copies what is in the next packet, without its IPv4 header.
func (c *Conn) ReadFromIP(b []byte) (int, *net.IPAddr, error) {
	n, info, err := c.read("recvfrom", b, true)
	if err != nil {
		return 0, nil, err
	}
	return n, &net.IPAddr{IP: info.From.AsSlice()}, nil
}

// ReadFrom is ReadFromIP in net.PacketConn's types: the address is a *net.IPAddr.
func (c *Conn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.ReadFromIP(b)
	if err != nil {
		return 0, nil, err
	}
	return n, from, nil
}

// ReadMsgIP is ReadPacket in the types of *net.IPConn. There are no control
// messages; flags tells of MsgTrunc.
func (c *Conn) ReadMsgIP(b, _ []byte) (n, oobn, flags int, from *net.IPAddr, err error) {
	n, info, err := c.read("recvmsg", b, false)
	if err != nil {
		return 0, 0, 0, nil, err
	}
	if n < info.Len {
		flags = MsgTrunc
	}
	return n, 0, flags, &net.IPAddr{IP: info.From.AsSlice()}, nil
}
