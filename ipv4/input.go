package ipv4

import (
	"syscall"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/devconf"
)

// Input takes a packet that i received, its front at the IPv4 header, its back
// at the end of the frame. It is delivered here, forwarded, or dropped.
func (pr *Protocol) Input(i *Interface, p *link.Packet) {
	if p.Type == link.OtherHost {
		pr.drop(p, link.OtherHostFrame)
		return
	}
	pr.stats.InReceives.Add(1)
	if !i.Up() {
		pr.drop(p, link.DevReady)
		return
	}
	p.In = i.Index()
	p.SetNetworkHeader()
	var h Header
	reason := pr.validate(&h, p)
	if reason != link.NotSpecified {
		pr.drop(p, reason)
		return
	}
	var path Path
	k := key{dst: h.Dst, tos: h.TOS, protocol: h.Protocol, packet: p, header: &h}
	reason, errno := pr.inputPath(&path, i, &k, h.Src)
	if reason != link.NotSpecified {
		pr.refuse(p, reason, errno)
		return
	}
	var o *options
	if len(h.Options) > 0 {
		if o = pr.inputOptions(i, &h, p, &path); o == nil {
			return
		}
	}
	switch path.Type {
	case Unicast:
		pr.forward(i, &path, &h, p, o)
		return
	case Multicast:
		pr.stats.InMcastPkts.Add(1)
		pr.stats.InMcastOctets.Add(uint64(h.TotalLen))
	case Broadcast:
		pr.stats.InBcastPkts.Add(1)
		pr.stats.InBcastOctets.Add(uint64(h.TotalLen))
	default:
		// RFC 1122 section 3.3.6 wants such a packet dropped; Linux leaves it
		// to a switch that is off.
		if (p.Type == link.Broadcast || p.Type == link.Multicast) && i.conf.Or(devconf.DropUnicastInL2Multicast) {
			pr.drop(p, link.UnicastInL2Multicast)
			return
		}
	}
	pr.deliver(&h, p)
}

// validate reads the header into h and checks it (RFC 1122, section 3.2.1; RFC 1812, section 5.2.2)
// and cuts off what the link added behind the packet.
func (pr *Protocol) validate(h *Header, p *link.Packet) link.DropReason {
	b := p.Bytes()
	err := h.parse(b)
	if err != nil && err != ErrTotalLen {
		pr.stats.InHdrErrors.Add(1)
		return link.IPInHdr
	}
	if Sum(b[:int(b[0]&15)*4], 0) != 0xffff {
		pr.stats.InCsumErrors.Add(1)
		pr.stats.InHdrErrors.Add(1)
		return link.IPCsum
	}
	if err != nil {
		pr.stats.InHdrErrors.Add(1)
		return link.IPInHdr
	}
	if h.TotalLen > p.Len() {
		pr.stats.InTruncatedPkts.Add(1)
		return link.PktTooSmall
	}
	p.Trim(h.TotalLen)
	return link.NotSpecified
}

// refuse drops a packet that could not be routed, and tells its sender if the
// routes say so.
func (pr *Protocol) refuse(p *link.Packet, reason link.DropReason, errno syscall.Errno) {
	switch {
	case reason == link.IPRPFilter:
		pr.stats.IPReversePathFilter.Add(1)
	case reason != link.IPInNoRoutes:
	case errno == 0: // nothing is forwarded here
		pr.stats.InAddrErrors.Add(1)
		reason = link.IPInAddrErrors
	case errno == syscall.ENETUNREACH:
		pr.stats.InNoRoutes.Add(1)
	}
	m := ErrorMessage{Type: TypeUnreachable, Reason: reason}
	switch errno {
	case syscall.ENETUNREACH:
		m.Code = CodeNetUnreachable
	case syscall.EHOSTUNREACH:
		m.Code = CodeHostUnreachable
	case syscall.EACCES:
		m.Code = CodeFiltered
	default: // EINVAL, of a blackhole, included
		pr.drop(p, reason)
		return
	}
	pr.ReportError(p, m)
}
