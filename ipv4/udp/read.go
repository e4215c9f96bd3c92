package udp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"syscall"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
)

// received is what a read returns beside data and control messages.
type received struct {
	n, oobn, flags int
	from           netip.AddrPort
}

// take waits for a datagram. With room for them, those that can be read together
// with it are taken too; run is about all of them.
func (c *Conn) take(flags, room int) (taken link.Queue, run coalesced, want controls, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if err := c.takeErrorLocked(c.reads.PassedLocked()); err != nil {
			return taken, run, 0, err
		}
		if c.queue.Len() > 0 {
			break
		}
		if flags&MsgDontWait != 0 {
			return taken, run, 0, syscall.EAGAIN
		}
		c.reads.WaitLocked()
	}
	first := c.queue.Oldest()
	run = runOf(first)
	if flags&MsgPeek != 0 {
		taken.Queue(duplicate(first))
		return taken, run, c.opts.control, nil
	}
	taken.Queue(c.queue.Pop())
	for room > 0 {
		next := c.queue.Oldest()
		if next == nil || !run.add(first, next, room) {
			break
		}
		taken.Queue(c.queue.Pop())
	}
	c.releaseLocked()
	return taken, run, c.opts.control, nil
}

// receive reads a message into buffers and control messages into oob (Linux's
// udp_recvmsg).
func (c *Conn) receive(buffers [][]byte, oob []byte, flags int) (received, error) {
	if flags&MsgErrQueue != 0 {
		return c.receiveError(buffers, oob)
	}
	room := 0
	if c.coalesces.Load() && len(oob) >= groControlSpace {
		for _, b := range buffers {
			room += len(b)
		}
	}
	taken, run, want, err := c.take(flags, room)
	if err != nil {
		return received{}, err
	}
	first := taken.Oldest()
	header, transport := first.NetworkHeader(), first.TransportHeader()
	r := received{from: netip.AddrPortFrom(netip.AddrFrom4([4]byte(header[12:16])), binary.BigEndian.Uint16(transport))}
	if want != 0 || first.GSO != link.GSONone || taken.Len() > 1 {
		w := controlWriter{b: oob}
		if want&controlOverflow != 0 && c.drops.Load() > 0 {
			w.putInt(solSocket, soRxqOvfl, uint32(c.drops.Load()))
		}
		if first.GSO != link.GSONone || taken.Len() > 1 {
			w.putInt(solUDP, udpGRO, uint32(run.size))
		}
		c.putPacketInfo(&w, first, want)
		if r.oobn = w.n; w.truncated {
			r.flags |= MsgCTrunc
		}
	}
	if flags&MsgPeek == 0 {
		c.pr.stats.InDatagrams.Add(uint64(taken.Len()))
	}
	var b []byte
	for p := taken.Pop(); p != nil; p = taken.Pop() {
		for p.Len() > 0 {
			if len(b) == 0 {
				if len(buffers) == 0 {
					break
				}
				b, buffers = buffers[0], buffers[1:]
			}
			k := p.Read(b)
			b = b[k:]
			r.n += k
		}
		p.Release()
	}
	if r.n < run.length {
		r.flags |= MsgTrunc
		if flags&MsgTrunc != 0 {
			r.n = run.length
		}
	}
	return r, nil
}

// putPacketInfo writes the control messages of IPv4, in the order of Linux's
// ip_cmsg_recv.
func (c *Conn) putPacketInfo(w *controlWriter, p *link.Packet, want controls) {
	header := p.NetworkHeader()
	dst := [4]byte(header[16:20])
	if want&controlPktInfo != 0 {
		var b [pktInfoLen]byte
		binary.NativeEndian.PutUint32(b[0:], uint32(p.In))
		own := dst
		if a := netip.AddrFrom4(dst); c.pr.ip.AddrType(a) != ipv4.Local {
			own = c.ownAddress(p.In, netip.AddrFrom4([4]byte(header[12:16])))
		}
		copy(b[4:], own[:])
		copy(b[8:], dst[:])
		w.put(solIP, ipPktInfo, b[:])
	}
	if want&controlTTL != 0 {
		w.putInt(solIP, ipTTL, uint32(header[8]))
	}
	if want&controlTOS != 0 {
		w.put(solIP, ipTOS, header[1:2])
	}
	if want&controlOrigDst != 0 {
		var b [sockaddrLen]byte
		putSockaddr(b[:], netip.AddrPortFrom(netip.AddrFrom4(dst), binary.BigEndian.Uint16(p.TransportHeader()[2:])))
		w.put(solIP, ipOrigDstAddr, b[:])
	}
}

// ownAddress returns the address of an interface that answers to a sender, who
// asked all of us, come from (Linux's fib_compute_spec_dst).
func (c *Conn) ownAddress(index int, sender netip.Addr) [4]byte {
	if a := c.pr.ip.SelectSource(index, sender, ipv4.ScopeLink); a.IsValid() {
		return a.As4()
	}
	return [4]byte{}
}

func (c *Conn) read(call string, b []byte) (int, netip.AddrPort, error) {
	r, err := c.receive([][]byte{b}, nil, 0)
	if err != nil {
		return 0, netip.AddrPort{}, c.fail("read", call, c.raddr(), err)
	}
	return r.n, r.from, nil
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
