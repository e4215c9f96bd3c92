package icmp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
)

// echoTable finds the ping socket of an identifier.
type echoTable struct {
	mu     sync.Mutex
	conns  map[uint16]*EchoConn
	closed bool
}

func (t *echoTable) lookup(id uint16) *EchoConn {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.conns[id]
}

func (t *echoTable) remove(id uint16) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, id)
}

func (t *echoTable) close() {
	t.mu.Lock()
	t.closed = true
	var all []*EchoConn
	for _, c := range t.conns {
		all = append(all, c)
	}
	t.mu.Unlock()
	for _, c := range all {
		c.Close()
	}
}

// ListenEcho opens a ping socket, bound to the address laddr unless it is not
// valid, and to the interface oif unless it is 0. The error is EADDRNOTAVAIL for
// an address that is not ours, ENODEV, or EADDRINUSE when all 65536 identifiers
// are taken.
func (pr *Protocol) ListenEcho(laddr netip.Addr, oif int) (*EchoConn, error) {
	return pr.listenEcho(laddr, oif, 0)
}

// listenEcho is ListenEcho with the identifier want, 0 for any.
func (pr *Protocol) listenEcho(laddr netip.Addr, oif int, want uint16) (*EchoConn, error) {
	if laddr.IsValid() && laddr.IsUnspecified() {
		laddr = netip.Addr{}
	}
	if laddr.IsValid() && pr.ip.AddrType(laddr) != ipv4.Local {
		return nil, fmt.Errorf("icmp: %v is no address of ours: %w", laddr, syscall.EADDRNOTAVAIL)
	}
	if oif != 0 && pr.ip.Interface(oif) == nil {
		return nil, fmt.Errorf("icmp: no interface %d: %w", oif, syscall.ENODEV)
	}
	t := &pr.echo
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, fmt.Errorf("icmp: closed: %w", syscall.ENETDOWN)
	}
	if len(t.conns) > 1<<16-1 {
		return nil, fmt.Errorf("icmp: all echo identifiers are in use: %w", syscall.EADDRINUSE)
	}
	id := uint16(pr.config.Rand.Uint32())
	if want != 0 {
		if id = want; t.conns[id] != nil {
			return nil, fmt.Errorf("icmp: echo identifier %d is taken: %w", id, syscall.EADDRINUSE)
		}
	}
	for t.conns[id] != nil {
		id++
	}
	c := newEchoConn(pr, id, laddr, oif)
	t.conns[id] = c
	return c, nil
}

// deliverReply takes an echo reply to the socket that asked.
func (pr *Protocol) deliverReply(ih ipv4.Header, h Header, p *link.Packet) {
	c := pr.echo.lookup(h.ID())
	if c == nil || !c.matches(ih.Dst, p.In) {
		pr.config.Drops.Drop(p, link.NoSocket)
		return
	}
	r := EchoReply{From: ih.Src, Seq: h.Seq(), TTL: ih.TTL, TOS: ih.TOS, Payload: slices.Clone(p.Bytes()[HeaderLen:]), Options: slices.Clone(ih.Options)}
	if !c.deliver(r) {
		pr.config.Drops.Drop(p, link.SocketRcvBuff)
		return
	}
	p.Release()
}

// echoError takes an error about an echo request to the socket that sent it.
func (pr *Protocol) echoError(e ipv4.TransportError) {
	h, err := Parse(e.Payload)
	if err != nil || h.Type != TypeEcho {
		return
	}
	c := pr.echo.lookup(h.ID())
	if c == nil || !c.matches(e.Inner.Src, 0) {
		return
	}
	if e.Type == TypeUnreachable && e.Code == ipv4.CodeFragNeeded {
		pr.ip.UpdatePathMTU(e.Inner.Dst, int(e.Info))
	}
	c.deliver(EchoReply{From: e.From, Seq: h.Seq(), Type: e.Type, Code: e.Code, Info: e.Info, Err: e.Errno})
}

// EchoRequest is an echo request to send. Only Dst must be given.
type EchoRequest struct {
	Dst      netip.Addr
	Seq      uint16
	Payload  []byte
	TTL, TOS uint8  // TTL 0: the default
	DF       bool   // don't fragment: Send returns EMSGSIZE for more than the path carries (IP_PMTUDISC_DO)
	Probe    bool   // DF, but with regard to the interface alone (IP_PMTUDISC_PROBE)
	Fragment bool   // never set DF, routers may fragment (IP_PMTUDISC_DONT)
	Confirm  bool   // the neighbour is known to work (MSG_CONFIRM)
	Options  []byte // IP options
}

// EchoReply is an answer to an echo request, or an error about it.
type EchoReply struct {
	From       netip.Addr // who answered, or reported the error
	Seq        uint16
	TTL, TOS   uint8
	RTT        time.Duration // since the newest request with Seq, 0 if that is forgotten
	Payload    []byte        // of the reply; the caller's
	Options    []byte        // IP options of the reply; the caller's
	Err        error         // nil for a reply, the errno of an ICMP error
	Type, Code uint8         // of the ICMP message
	Info       uint32        // of the error: next-hop MTU, pointer
}

func putEcho(p *link.Packet, id, seq uint16, payload []byte) {
	b := p.Bytes()
	b[0], b[1] = TypeEcho, 0
	binary.BigEndian.PutUint16(b[4:6], id)
	binary.BigEndian.PutUint16(b[6:8], seq)
	copy(b[HeaderLen:], payload)
	SetChecksum(b)
}
