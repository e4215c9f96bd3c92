package ipv4

import (
	"fmt"
	"net/netip"
	"syscall"

	"github.com/tapstack/tapstack/link"
)

// Send says how a packet of ours is to be sent. Only Dst and Protocol must be
// given.
type Send struct {
	Src, Dst  netip.Addr // Src not valid: chosen by the route
	Protocol  uint8
	TTL       uint8 // 0: net.ipv4.ip_default_ttl, but 1 to multicast groups
	TOS       uint8
	DF        bool   // don't fragment: EMSGSIZE for a packet longer than the path's MTU...
	Want      bool   // ...unless Want: such a packet goes out without DF, in fragments (IP_PMTUDISC_WANT)
	ID        uint16 // identification of a packet that leaves with DF; others get one that is not in use
	Interface int    // index of the interface to leave by, 0 for the route's
	NoLoop    bool   // this host gets no copy of what is sent to a multicast group that it is a member of
	HostOnly  bool   // with TTL 0: of what is sent to a group, that copy is all there is (RFC 1112, section 6.1)
	// Options are IP options, at most 40 bytes, in the form of IP_OPTIONS: record
	// route and timestamp get our entry, a source route names the first hop and
	// those after it, but not Dst. CheckOptions tells whether they are good.
	Options []byte
}

// Output takes p, a transport's segment complete with its checksum, to s.Dst; the
// checksum may be partial, and the segment a super-segment. It returns an error when it knows that p does not get there: those of OutputPath,
// EMSGSIZE for a packet too long, and what the neighbour layer returns. A packet
// that waits for its neighbour counts as sent.
func (pr *Protocol) Output(p *link.Packet, s Send) error {
	var path Path
	k := key{dst: FirstHop(s.Options, s.Dst), oif: s.Interface, tos: s.TOS, protocol: s.Protocol, packet: p}
	if errno := pr.outputPath(&path, &k, s.Src); errno != 0 {
		pr.stats.OutNoRoutes.Add(1)
		pr.drop(p, link.IPOutNoRoutes)
		return fmt.Errorf("ipv4: no path to %v: %w", s.Dst, errno)
	}
	return pr.outputBy(&path, p, &s)
}

// OutputBy is Output by a path that OutputPath has just returned for s.Dst, or for
// FirstHop with options: for
// transports, which need the source before they can compute a checksum.
func (pr *Protocol) OutputBy(path Path, p *link.Packet, s Send) error {
	return pr.outputBy(&path, p, &s)
}

func (pr *Protocol) outputBy(path *Path, p *link.Packet, s *Send) error {
	h := Header{TOS: s.TOS, ID: s.ID, DF: s.DF, TTL: s.TTL, Protocol: s.Protocol, Src: path.Src, Dst: s.Dst, Options: s.Options}
	if isZeronet(h.Dst) {
		h.Dst = path.Src // 0.0.0.0 is this host
	}
	n := h.Len()
	h.TotalLen = n + p.Len()
	if n > MaxHeaderLen || h.TotalLen > MaxPacketLen {
		pr.drop(p, link.PktTooBig)
		return fmt.Errorf("ipv4: packet of %d bytes to %v, at most %d with options of 40: %w", h.TotalLen, s.Dst, MaxPacketLen, syscall.EMSGSIZE)
	}
	h.DF = h.DF && !(s.Want && path.locked)
	longest, segments := h.TotalLen, 1
	if p.GSO != link.GSONone {
		transport := transportLen(p)
		segments = max((p.Len()-transport+p.GSOSize-1)/p.GSOSize, 1)
		longest = min(longest, n+transport+p.GSOSize)
	}
	if h.DF && longest > path.MTU {
		if !s.Want {
			pr.drop(p, link.IPFragNeeded)
			return fmt.Errorf("ipv4: packet of %d bytes to %v, the path carries %d: %w", longest, s.Dst, path.MTU, syscall.EMSGSIZE)
		}
		h.DF = false
	}
	if !h.DF {
		h.ID = pr.idents.choose(h.Src, h.Dst, h.Protocol, segments)
	}
	if h.TTL == 0 && !s.HostOnly {
		if h.TTL = uint8(path.Metric(MetricHopLimit)); h.TTL == 0 {
			h.TTL = uint8(pr.sysctls.defaultTTL.Load())
		}
		if path.Type == Multicast {
			h.TTL = 1 // RFC 1112, section 6.1
		}
	}
	h.Put(p.Push(n))
	if len(h.Options) > 0 {
		if err := pr.outputOptions(p.Bytes()[:n], path, &h); err != nil {
			pr.drop(p, link.IPOptions)
			return err
		}
	}
	p.SetNetworkHeader()
	p.EtherType, p.Type, p.In = link.IPv4, link.Host, 0
	pr.stats.OutRequests.Add(1)
	switch path.Type {
	case Broadcast:
		pr.loop(path, p)
	case Multicast:
		if path.member && !s.NoLoop {
			pr.loop(path, p)
		}
		if s.HostOnly && h.TTL == 0 {
			p.Release()
			return nil
		}
	}
	return pr.transmit(path, h.Dst, p)
}

// transportLen returns the length of the transport header at the front of a
// super-segment.
func transportLen(p *link.Packet) int {
	if b := p.Bytes(); p.GSO == link.GSOTCP && len(b) > 12 {
		return int(b[12]>>4) * 4
	}
	return 8
}

// loop gives this host its own copy of a packet to everybody (RFC 1112, section
// 6.1; RFC 919, section 5). It borrows p.
func (pr *Protocol) loop(path *Path, p *link.Packet) {
	lo := pr.interfaces.Load().loopback
	if lo == nil || !lo.Up() || path.Interface == lo {
		return
	}
	// On the loopback interface our neighbour is ourselves. A copy that is lost
	// is counted where that happens.
	_ = lo.config.Neighbours.Output(path.Src, p.Copy())
}

// transmit takes a packet, complete and routed, to its next hop.
func (pr *Protocol) transmit(path *Path, dst netip.Addr, p *link.Packet) error {
	if p.Len() > path.MTU && p.SegmentLen() > path.MTU {
		return pr.transmitFragments(path, dst, p)
	}
	return pr.toNextHop(path, dst, p)
}

// toNextHop takes a packet that the path's interface carries to its next hop
// (Linux's ip_finish_output2).
func (pr *Protocol) toNextHop(path *Path, dst netip.Addr, p *link.Packet) error {
	switch path.Type {
	case Broadcast:
		pr.stats.OutBcastPkts.Add(1)
		pr.stats.OutBcastOctets.Add(uint64(p.Len()))
	case Multicast:
		pr.stats.OutMcastPkts.Add(1)
		pr.stats.OutMcastOctets.Add(uint64(p.Len()))
	}
	return path.Interface.config.Neighbours.Output(path.NextHop(dst), p)
}
