package udp

import (
	"net"
	"net/netip"
	"syscall"

	xipv4 "golang.org/x/net/ipv4"
)

// Flags of messages, with Linux's numbers on every platform.
const (
	MsgOOB      = 0x1    // EOPNOTSUPP
	MsgPeek     = 0x2    // reading: leave the datagram in the queue
	MsgCTrunc   = 0x8    // read: control messages did not fit
	MsgProbe    = 0x10   // writing: as far as the route, and send nothing
	MsgTrunc    = 0x20   // read: the data did not fit; reading: N is its whole length
	MsgDontWait = 0x40   // EAGAIN instead of waiting
	MsgConfirm  = 0x800  // writing: the peer is known to work
	MsgErrQueue = 0x2000 // reading: an error instead of a datagram, see NextError; it never waits
)

// Message is what ReadBatch and WriteBatch take, the type of
// golang.org/x/net/ipv4.
type Message = xipv4.Message

// ReadMsgUDPAddrPort is Read that also copies control messages into oob, in
// Linux's layout, as socket options ask for them: SetPacketInfo, SetReceiveTTL,
// SetReceiveTOS, SetReceiveOrigDst, SetReceiveOverflow, SetCoalescing. flags tells
// of MsgTrunc and MsgCTrunc. It does not allocate.
func (c *Conn) ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, from netip.AddrPort, err error) {
	r, err := c.receive([][]byte{b}, oob, 0)
	if err != nil {
		return 0, 0, 0, netip.AddrPort{}, c.fail("read", "recvmsg", c.raddr(), err)
	}
	return r.n, r.oobn, r.flags, r.from, nil
}

// ReadMsgUDP is ReadMsgUDPAddrPort in older types.
func (c *Conn) ReadMsgUDP(b, oob []byte) (n, oobn, flags int, from *net.UDPAddr, err error) {
	n, oobn, flags, a, err := c.ReadMsgUDPAddrPort(b, oob)
	if err != nil {
		return 0, 0, 0, nil, err
	}
	return n, oobn, flags, net.UDPAddrFromAddrPort(a), nil
}

// WriteMsgUDPAddrPort is WriteToUDPAddrPort, or with an address that is not valid
// Write, with control messages in Linux's layout: UDP_SEGMENT, IP_PKTINFO (source
// address and interface), IP_TTL and IP_TOS. EINVAL answers others.
func (c *Conn) WriteMsgUDPAddrPort(b, oob []byte, to netip.AddrPort) (n, oobn int, err error) {
	if c.raddr().IsValid() && to.IsValid() {
		return 0, 0, c.fail("write", "sendmsg", to, net.ErrWriteToConnected)
	}
	if err := c.sendMessage([][]byte{b}, oob, to, 0); err != nil {
		return 0, 0, c.fail("write", "sendmsg", to, err)
	}
	return len(b), len(oob), nil
}

// WriteMsgUDP is WriteMsgUDPAddrPort in older types.
func (c *Conn) WriteMsgUDP(b, oob []byte, to *net.UDPAddr) (n, oobn int, err error) {
	var a netip.AddrPort
	if to != nil {
		a = to.AddrPort()
	}
	return c.WriteMsgUDPAddrPort(b, oob, a)
}

// sendMessage sends data to an address, or to the peer if it is not valid, as the
// control messages in oob ask.
func (c *Conn) sendMessage(data [][]byte, oob []byte, to netip.AddrPort, flags int) error {
	if !to.IsValid() {
		if to = c.raddr(); !to.IsValid() {
			return syscall.EDESTADDRREQ
		}
	}
	if flags&MsgOOB != 0 {
		return syscall.EOPNOTSUPP
	}
	o := SendOptions{Confirm: flags&MsgConfirm != 0, Probe: flags&MsgProbe != 0, dontWait: flags&MsgDontWait != 0}
	if err := o.parseControl(oob); err != nil {
		return err
	}
	return c.send(data, unmap(to), o)
}

// ReadBatch reads up to len(ms) messages and returns how many: it waits for one,
// and takes what else is there. Buffers, OOB, Addr, N, NN and Flags are those of
// golang.org/x/net/ipv4; flags are Msg constants.
func (c *Conn) ReadBatch(ms []Message, flags int) (int, error) {
	for i := range ms {
		m := &ms[i]
		r, err := c.receive(m.Buffers, m.OOB, flags)
		if err != nil {
			if i > 0 {
				return i, nil
			}
			return 0, c.fail("read", "recvmmsg", c.raddr(), err)
		}
		m.N, m.NN, m.Flags, m.Addr = r.n, r.oobn, r.flags, udpAddr(r.from)
		flags |= MsgDontWait
	}
	return len(ms), nil
}

// WriteBatch sends messages and returns how many it sent. It stops at one that
// cannot be sent; the error is that of the first message only, as with
// golang.org/x/net/ipv4: the next call tells of others.
func (c *Conn) WriteBatch(ms []Message, flags int) (int, error) {
	for i := range ms {
		m := &ms[i]
		to, err := addrPort(m.Addr)
		if err == nil {
			err = c.sendMessage(m.Buffers, m.OOB, to, flags)
		}
		if err != nil {
			if i > 0 {
				return i, nil
			}
			return 0, c.fail("write", "sendmmsg", to, err)
		}
		m.N, m.NN = 0, len(m.OOB)
		for _, b := range m.Buffers {
			m.N += len(b)
		}
	}
	return len(ms), nil
}

// addrPort returns what a *net.UDPAddr says, not valid for nil. The error is
// EINVAL for another type.
func addrPort(a net.Addr) (netip.AddrPort, error) {
	switch a := a.(type) {
	case nil:
		return netip.AddrPort{}, nil
	case *net.UDPAddr:
		if a == nil {
			return netip.AddrPort{}, nil
		}
		return a.AddrPort(), nil
	}
	return netip.AddrPort{}, syscall.EINVAL
}
