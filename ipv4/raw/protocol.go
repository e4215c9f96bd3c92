package raw

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/clock"
	"github.com/tapstack/tapstack/stack/random"
)

// DefaultReadBuffer is the room of a socket's receive buffer in bytes (Linux's
// net.core.rmem_default).
const DefaultReadBuffer = 212992

// Config holds what a Protocol needs from its host.
type Config struct {
	Clock clock.Clock
	Rand  *rand.Rand  // safe for concurrent use, as package random's are; nil: random.Secure
	Drops *link.Drops // counts what goes nowhere
}

// Protocol is the raw sockets of one host. Its methods may be called concurrently.
type Protocol struct {
	ip     *ipv4.Protocol
	config Config
	conns  atomic.Pointer[[]*Conn] // immutable, never nil
	mu     sync.Mutex              // held by who changes conns
	closed bool
}

// New returns raw sockets over ip, none yet.
func New(ip *ipv4.Protocol, c Config) *Protocol {
	if c.Drops == nil {
		c.Drops = new(link.Drops)
	}
	if c.Rand == nil {
		c.Rand = random.Secure()
	}
	pr := &Protocol{ip: ip, config: c}
	pr.conns.Store(new([]*Conn))
	return pr
}

// Close closes all sockets. No more can be made.
func (pr *Protocol) Close() {
	pr.mu.Lock()
	pr.closed = true
	all := *pr.conns.Load()
	pr.mu.Unlock()
	for _, c := range all {
		c.close()
	}
}

// Listen returns a socket for packets of a protocol. laddr is one of ours, a
// broadcast or multicast address to receive only what is sent there, or 0.0.0.0 or
// not valid for all. The error is a *net.OpError with EADDRNOTAVAIL, EAFNOSUPPORT,
// EPROTONOSUPPORT for protocol 0, ENODEV, or net.ErrClosed.
func (pr *Protocol) Listen(laddr netip.Addr, protocol uint8, sc SocketConfig) (*Conn, error) {
	c, err := pr.open(laddr, netip.Addr{}, protocol, sc)
	if err != nil {
		return nil, opError(sc.network(protocol), "listen", "bind", netip.Addr{}, laddr, err)
	}
	return c, nil
}

// Dial returns a socket that sends to raddr, receives only from there, and hears
// of ICMP errors. The error is a *net.OpError with what Listen returns, the errors
// of ipv4's OutputPath, or EACCES for a broadcast address without
// SocketConfig.Broadcast.
func (pr *Protocol) Dial(laddr, raddr netip.Addr, protocol uint8, sc SocketConfig) (*Conn, error) {
	c, err := pr.dial(laddr, raddr, protocol, sc)
	if err != nil {
		return nil, opError(sc.network(protocol), "dial", "connect", laddr, raddr, err)
	}
	return c, nil
}

func (pr *Protocol) dial(laddr, raddr netip.Addr, protocol uint8, sc SocketConfig) (*Conn, error) {
	if raddr = raddr.Unmap(); !raddr.Is4() {
		return nil, syscall.EAFNOSUPPORT
	}
	return pr.open(laddr, raddr, protocol, sc)
}

func (pr *Protocol) open(laddr, raddr netip.Addr, protocol uint8, sc SocketConfig) (*Conn, error) {
	laddr = laddr.Unmap()
	if !laddr.IsValid() || laddr == netip.IPv6Unspecified() {
		laddr = netip.IPv4Unspecified()
	}
	switch {
	case protocol == 0:
		return nil, syscall.EPROTONOSUPPORT
	case !laddr.Is4():
		return nil, syscall.EAFNOSUPPORT
	case sc.Interface != 0 && pr.ip.Interface(sc.Interface) == nil:
		return nil, syscall.ENODEV
	}
	// Linux's raw_bind.
	var src netip.Addr
	if !laddr.IsUnspecified() {
		switch pr.ip.AddrType(laddr) {
		case ipv4.Local:
			src = laddr
		case ipv4.Broadcast, ipv4.Multicast:
		default:
			return nil, syscall.EADDRNOTAVAIL
		}
	}
	if raddr.IsValid() {
		path, err := pr.ip.OutputPath(raddr, src, sc.Interface)
		if err != nil {
			return nil, err
		}
		if path.Type == ipv4.Broadcast && !sc.Broadcast {
			return nil, syscall.EACCES
		}
		if raddr.IsUnspecified() {
			raddr = path.Src // 0.0.0.0 is this host
		}
		if laddr.IsUnspecified() {
			laddr, src = path.Src, path.Src
		}
	}
	c := newConn(pr, laddr, raddr, src, protocol, sc)
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if pr.closed {
		return nil, net.ErrClosed
	}
	all := append(slices.Clone(*pr.conns.Load()), c)
	pr.conns.Store(&all)
	pr.ip.HandleRaw(&ipv4.RawHandler{Input: pr.input, Error: pr.inputError})
	return c, nil
}

// remove takes c out; without sockets packets pass as if there never were any.
func (pr *Protocol) remove(c *Conn) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	all := slices.DeleteFunc(slices.Clone(*pr.conns.Load()), func(o *Conn) bool { return o == c })
	pr.conns.Store(&all)
	if len(all) == 0 {
		pr.ip.HandleRaw(nil)
	}
}

// input shows a packet to all sockets that it is for (Linux's raw_v4_input).
func (pr *Protocol) input(h ipv4.Header, p *link.Packet) (taken bool) {
	iif := p.In
	multicast := h.Dst.IsMulticast()
	if multicast || pr.ip.AddrType(h.Dst) == ipv4.Broadcast {
		if i := pr.ip.Interface(iif); i != nil && i.Loopback() {
			iif = 0 // our own, come back: it left by an interface that is not known here
		}
	}
	whole := p
	for _, c := range *pr.conns.Load() {
		if !c.matches(h.Protocol, h.Dst, h.Src, iif) || multicast && !c.members.Allow(h.Dst, h.Src, iif, c.all.Load()) {
			continue
		}
		taken = true
		if whole == p && (p.HasBody() || p.Checksum == link.ChecksumPartial) {
			whole = p.Copy()
			whole.CompleteChecksum()
			whole.Linearize()
		}
		b := whole.Bytes()
		if h.Protocol == ipv4.ProtocolICMP && c.filtered(b[h.Len():]) {
			continue
		}
		q := link.NewPacketFrom(b)
		q.SetNetworkHeader()
		q.EtherType, q.Type, q.In = link.IPv4, p.Type, p.In
		c.deliver(q)
	}
	if whole != p {
		whole.Release()
	}
	return taken
}

// inputError tells sockets that an ICMP error may be about what they sent (Linux's
// raw_icmp_error).
func (pr *Protocol) inputError(e ipv4.TransportError) {
	for _, c := range *pr.conns.Load() {
		if c.matches(e.Inner.Protocol, e.Inner.Src, e.Inner.Dst, 0) {
			c.inputError(e)
		}
	}
}
