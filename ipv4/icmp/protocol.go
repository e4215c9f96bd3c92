package icmp

import (
	"math/rand/v2"
	"net/netip"
	"sync"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/clock"
	"github.com/tapstack/tapstack/stack/random"
)

// Config holds what a Protocol needs from its host.
type Config struct {
	Clock clock.Clock
	Rand  *rand.Rand  // safe for concurrent use, as package random's are; nil: random.Secure
	Drops *link.Drops // counts what goes nowhere
}

// Protocol is the ICMP of one host. Its methods may be called concurrently.
type Protocol struct {
	ip      *ipv4.Protocol
	config  Config
	sysctls sysctls
	stats   Stats

	limitMu sync.Mutex
	limiter limiter

	echo echoTable
}

// New registers ICMP with ip.
func New(ip *ipv4.Protocol, c Config) *Protocol {
	if c.Drops == nil {
		c.Drops = new(link.Drops)
	}
	if c.Rand == nil {
		c.Rand = random.Secure()
	}
	pr := &Protocol{ip: ip, config: c}
	pr.sysctls.reset()
	pr.echo.conns = make(map[uint16]*EchoConn)
	ip.Handle(ipv4.ProtocolICMP, ipv4.Handler{Input: pr.input, Error: pr.echoError})
	ip.HandleErrors(pr.sendError)
	return pr
}

// Close closes the ping sockets.
func (pr *Protocol) Close() { pr.echo.close() }

// input takes a message.
func (pr *Protocol) input(ih ipv4.Header, p *link.Packet) {
	pr.stats.InMsgs.Add(1)
	b := p.Bytes()
	h, err := Parse(b)
	if err != nil {
		pr.refuse(p, link.ICMPInHdr)
		return
	}
	if ipv4.Sum(b, 0) != 0xffff {
		pr.stats.InCsumErrors.Add(1)
		pr.refuse(p, link.ICMPCsum)
		return
	}
	if h.Type >= numTypes {
		// RFC 1122 section 3.2.2: unknown types are ignored.
		pr.refuse(p, link.ICMPIgnored)
		return
	}
	pr.stats.InType[h.Type].Add(1)
	if t := pr.ip.AddrType(ih.Dst); t == ipv4.Broadcast || t == ipv4.Multicast {
		// RFC 1122 sections 3.2.2.6 and 3.2.2.8 let a host answer such a
		// question or not; nothing else makes sense to a group.
		if h.Type != TypeEcho && h.Type != TypeTimestamp || pr.sysctls.echoIgnoreBroadcasts.Load() != 0 {
			pr.refuse(p, link.ICMPIgnored)
			return
		}
		ih.Dst = netip.Addr{} // the route back chooses
	}
	switch h.Type {
	case TypeEcho:
		pr.replyEcho(ih, p)
	case TypeTimestamp:
		pr.replyTimestamp(ih, p)
	case TypeEchoReply:
		pr.deliverReply(ih, h, p)
	case TypeUnreachable, TypeTimeExceeded, TypeParameterProblem:
		pr.receiveError(ih, h, p)
	case TypeRedirect:
		pr.receiveRedirect(ih, h, p)
	default: // source quench among them (RFC 6633)
		pr.config.Drops.Drop(p, link.ICMPIgnored)
	}
}

// refuse drops a message that is wrong.
func (pr *Protocol) refuse(p *link.Packet, r link.DropReason) {
	pr.stats.InErrors.Add(1)
	pr.config.Drops.Drop(p, r)
}
