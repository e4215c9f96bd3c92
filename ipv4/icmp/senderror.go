package icmp

import (
	"net/netip"
	"time"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
)

// maxErrorLen is the longest error in bytes, IPv4 header included: what every
// host takes in one piece (RFC 1812, section 4.3.2.3).
const maxErrorLen = 576

// sendError sends m about p, which it borrows, unless the rules forbid it.
func (pr *Protocol) sendError(p *link.Packet, m ipv4.ErrorMessage) {
	quote := p.NetworkHeader()
	h, err := ipv4.Parse(quote)
	if err != nil || !pr.mayReport(p, h, quote) {
		return
	}
	if m.Reason == link.IPInNoRoutes && !pr.allowRoute(h.Src) {
		return
	}
	limited := pr.limited(m.Type, m.Code)
	in := pr.ip.Interface(p.In)
	if limited && (in == nil || !in.Loopback()) && !pr.allowGlobal() {
		return
	}
	if at := int(m.Info>>24) - ipv4.HeaderLen; m.Type == TypeParameterProblem && at >= 0 && at < len(h.Options) {
		h.Options = h.Options[:at] // what is wrong is not sent back
	}
	options := ipv4.EchoOptions(nil, &h)
	path, err := pr.ip.OutputPath(ipv4.FirstHop(options, h.Src), pr.errorSource(p, h), 0)
	if err != nil {
		pr.stats.OutErrors.Add(1)
		return
	}
	if limited && !path.Interface.Loopback() && !pr.allowHost(h.Src) {
		return
	}
	room := min(path.MTU, maxErrorLen) - ipv4.HeaderLen - (len(options)+3)&^3 - HeaderLen
	quote = quote[:min(len(quote), h.TotalLen, room)]
	q := link.NewPacket(HeaderLen + len(quote))
	b := q.Bytes()
	Header{Type: m.Type, Code: m.Code, Info: m.Info}.Put(b)
	copy(b[HeaderLen:], quote)
	SetChecksum(b)
	// RFC 1812 section 4.3.2.5: precedence internetwork control, and the type
	// of service of the packet.
	s := ipv4.Send{Dst: h.Src, Protocol: ipv4.ProtocolICMP, TOS: h.TOS&0x1e | 0xc0, Options: options}
	pr.count(m.Type, pr.ip.OutputBy(path, q, s))
}

// mayReport applies RFC 1122 section 3.2.2 and RFC 1812 section 4.3.2.7: never
// about an error, a packet to more than one host, a link broadcast, a fragment
// other than the first, nor one from nobody in particular.
func (pr *Protocol) mayReport(p *link.Packet, h ipv4.Header, quote []byte) bool {
	if p.Type != link.Host || h.FragmentOffset != 0 {
		return false
	}
	if t := pr.ip.AddrType(h.Dst); t == ipv4.Broadcast || t == ipv4.Multicast {
		return false
	}
	if t := pr.ip.AddrType(h.Src); t == ipv4.Broadcast || t == ipv4.Multicast {
		return false
	}
	if h.Protocol == ipv4.ProtocolICMP {
		// A message that ends before its type might be an error.
		n := h.Len()
		return n < len(quote) && quote[n] < numTypes && !isError(quote[n])
	}
	return true
}

// errorSource returns the source of an error about p: the address that it was
// sent to if that is ours, or else what the route back prefers, which is not
// valid here (Linux's default; RFC 1812 section 4.3.2.4 leaves it open).
func (pr *Protocol) errorSource(p *link.Packet, h ipv4.Header) netip.Addr {
	if pr.ip.AddrType(h.Dst) == ipv4.Local {
		return h.Dst
	}
	if p.In != 0 && pr.sysctls.useInbound.Load() != 0 {
		return pr.ip.SelectSource(p.In, h.Src, ipv4.ScopeLink)
	}
	return netip.Addr{}
}

// limited reports whether messages of the type are subject to rate limits.
// Fragmentation needed never is: path MTU discovery would stall.
func (pr *Protocol) limited(t, code uint8) bool {
	if t == TypeUnreachable && code == ipv4.CodeFragNeeded {
		return false
	}
	return pr.sysctls.ratemask.Load()>>t&1 != 0
}

func (pr *Protocol) allowGlobal() bool {
	perSecond, burst := int(pr.sysctls.msgsPerSec.Load()), int(pr.sysctls.msgsBurst.Load())
	now := pr.config.Clock.Now()
	pr.limitMu.Lock()
	ok := pr.limiter.global(now, perSecond, burst, pr.config.Rand)
	pr.limitMu.Unlock()
	if !ok {
		pr.stats.OutRateLimitGlobal.Add(1)
	}
	return ok
}

func (pr *Protocol) allowHost(dst netip.Addr) bool {
	interval := time.Duration(pr.sysctls.ratelimit.Load()) * time.Millisecond
	if interval == 0 {
		return true
	}
	now := pr.config.Clock.Now()
	pr.limitMu.Lock()
	ok := pr.limiter.host(now, dst, interval)
	pr.limitMu.Unlock()
	if !ok {
		pr.stats.OutRateLimitHost.Add(1)
	}
	return ok
}

func (pr *Protocol) allowRoute(dst netip.Addr) bool {
	now := pr.config.Clock.Now()
	pr.limitMu.Lock()
	defer pr.limitMu.Unlock()
	return pr.limiter.route(now, dst)
}

// allowReply applies the limits to an answer, whose types are not in ratemask
// by default.
func (pr *Protocol) allowReply(dst netip.Addr, t uint8) bool {
	if !pr.limited(t, 0) {
		return true
	}
	return pr.allowGlobal() && (pr.ip.AddrType(dst) == ipv4.Local || pr.allowHost(dst))
}
