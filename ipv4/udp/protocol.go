package udp

import (
	"math/rand/v2"
	"net/netip"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/clock"
	"github.com/tapstack/tapstack/stack/random"
)

// DefaultReadBuffer is the room of a socket's receive buffer in bytes (Linux's
// net.core.rmem_default).
const DefaultReadBuffer = 212992

// Config holds what a Protocol needs from its host. The zero value is complete.
type Config struct {
	Clock clock.Clock
	Rand  *rand.Rand  // safe for concurrent use, as package random's are; nil: random.Secure
	Drops *link.Drops // counts what goes nowhere; nil: nobody sees it
	// ReadBuffer is the room in bytes of the receive buffers of sockets that
	// ask for none; 0: DefaultReadBuffer.
	ReadBuffer int
	// Memory is how much unread data all sockets together hold, in bytes of what
	// it costs; 0: DefaultMemory.
	Memory int
	// Confirm tells of fresh evidence that a next hop works, without a packet
	// (MSG_CONFIRM with MSG_PROBE); nil: nobody is told.
	Confirm func(iface int, nextHop netip.Addr)
}

// Protocol is UDP on one host. Its methods may be called concurrently.
type Protocol struct {
	ip     *ipv4.Protocol
	config Config
	stats  Stats
	demux  demux
	memory memory
	hash   flowHash
}

// New returns UDP over ip, and registers it there.
func New(ip *ipv4.Protocol, c Config) *Protocol {
	if c.Rand == nil {
		c.Rand = random.Secure()
	}
	if c.Drops == nil {
		c.Drops = new(link.Drops)
	}
	if c.ReadBuffer == 0 {
		c.ReadBuffer = DefaultReadBuffer
	}
	if c.Memory == 0 {
		c.Memory = DefaultMemory
	}
	if c.Confirm == nil {
		c.Confirm = func(int, netip.Addr) {}
	}
	pr := &Protocol{ip: ip, config: c, hash: flowHash{c.Rand.Uint64(), c.Rand.Uint64()}}
	pr.memory.limit = int64(c.Memory)
	ip.Handle(ipv4.ProtocolUDP, ipv4.Handler{Input: pr.input, Error: pr.inputError})
	return pr
}

// Close closes all sockets. No more can be made.
func (pr *Protocol) Close() {
	for _, c := range pr.demux.close() {
		c.close()
	}
}

// input takes a datagram from ip, front at the UDP header (Linux's udp_rcv).
func (pr *Protocol) input(ih ipv4.Header, p *link.Packet) {
	h, err := Parse(p.Bytes())
	if err != nil || h.Length > p.Len() || p.GSO != link.GSONone && (p.GSO != link.GSOUDP || p.GSOSize <= 0) {
		pr.stats.InErrors.Add(1)
		pr.config.Drops.Drop(p, link.UDPInHdr)
		return
	}
	p.Trim(h.Length)
	// The datagrams of a super-segment have no checksum to look at: it was
	// verified when they became one, or never was on a wire.
	if p.Checksum == link.ChecksumUnknown && p.GSO == link.GSONone && h.Checksum != 0 &&
		p.Sum(ipv4.PseudoHeaderSum(ih.Src, ih.Dst, ipv4.ProtocolUDP, h.Length)) != 0xffff {
		pr.stats.InCsumErrors.Add(1)
		pr.stats.InErrors.Add(1)
		pr.config.Drops.Drop(p, link.UDPCsum)
		return
	}
	f := flow{
		local:  netip.AddrPortFrom(ih.Dst, h.DstPort),
		remote: netip.AddrPortFrom(ih.Src, h.SrcPort),
		iif:    p.In,
	}
	if t := pr.ip.AddrType(ih.Dst); t == ipv4.Broadcast || t == ipv4.Multicast {
		pr.inputMany(f, p)
		return
	}
	c := pr.demux.lookup(f, pr.hash)
	if c == nil {
		pr.stats.NoPorts.Add(1)
		// RFC 1122 section 4.1.3.1. What is quoted must be in one piece.
		p.Linearize()
		pr.ip.ReportError(p, ipv4.ErrorMessage{Type: ipv4.TypeUnreachable, Code: ipv4.CodePortUnreachable, Reason: link.NoSocket})
		return
	}
	p.Pull(HeaderLen)
	c.deliver(p)
}

// inputMany takes a datagram to a broadcast or multicast address: every socket
// that matches gets one, and nobody hears of it when none does (RFC 1122,
// section 3.2.2).
func (pr *Protocol) inputMany(f flow, p *link.Packet) {
	p.Pull(HeaderLen)
	if i := pr.ip.Interface(f.iif); i != nil && i.Loopback() {
		f.iif = 0 // our own, come back: it left by an interface that is not known here
	}
	multicast := f.local.Addr().IsMulticast()
	var last *Conn
	for _, c := range pr.demux.port(f.local.Port()) {
		if !c.wants(f) || multicast && !c.members.Allow(f.local.Addr(), f.remote.Addr(), f.iif, !c.joined.Load()) {
			continue
		}
		if last != nil {
			last.deliver(duplicate(p))
		}
		last = c
	}
	if last == nil {
		pr.stats.IgnoredMulti.Add(1)
		pr.config.Drops.Drop(p, link.NoSocket)
		return
	}
	last.deliver(p)
}

// inputError passes an ICMP error on to the socket whose datagram it is about
// (Linux's __udp4_lib_err).
func (pr *Protocol) inputError(e ipv4.TransportError) {
	h, err := Parse(e.Payload)
	if err != nil {
		return
	}
	c := pr.demux.lookup(flow{
		local:  netip.AddrPortFrom(e.Inner.Src, h.SrcPort),
		remote: netip.AddrPortFrom(e.Inner.Dst, h.DstPort),
	}, pr.hash)
	if c != nil {
		c.inputError(e, h)
	}
}
