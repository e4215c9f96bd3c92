package ipv4

import (
	"net/netip"

	"github.com/tapstack/tapstack/link"
)

// inputSourceRoute follows the source route of a received packet (RFC 791,
// section 3.1; Linux's ip_options_rcv_srr). It returns false when it has dropped
// the packet. Hops that are ourselves are taken at once.
func (pr *Protocol) inputSourceRoute(i *Interface, h *Header, p *link.Packet, path *Path, o *options) bool {
	b := p.Bytes()[:h.Len()]
	refuse := func(m ErrorMessage) bool {
		m.Reason = link.IPOptions
		updateHeader(b)
		pr.ReportError(p, m)
		return false
	}
	switch {
	case p.Type != link.Host:
		pr.drop(p, link.IPOptions)
		return false
	case path.Type == Unicast:
		// Somebody else is the next hop of the route: it may take any way to
		// there, unless it is strict. The pointer names the destination.
		if o.strict {
			return refuse(ErrorMessage{Type: TypeParameterProblem, Info: 16 << 24})
		}
		return true
	case path.Type != Local:
		pr.drop(p, link.IPOptions)
		return false
	}
	opt := b[o.sourceRoute:]
	for next := int(opt[2]); next <= int(opt[1]); next += 4 {
		if next+3 > int(opt[1]) {
			return refuse(ErrorMessage{Type: TypeParameterProblem, Info: uint32(o.sourceRoute+2) << 24})
		}
		hop := netip.AddrFrom4([4]byte(opt[next-1 : next+3]))
		var ok bool
		if *path, _, ok = pr.InputPath(hop, h.Src, i.Index()); !ok || path.Type != Unicast && path.Type != Local {
			pr.drop(p, link.IPOptions)
			return false
		}
		h.Dst = hop
		if path.Type == Unicast {
			o.hop, o.hopAt = hop, next
			break
		}
		putAddr(b[16:], hop)
	}
	return true
}

// FirstHop returns where a packet to dst with these options goes first: the first
// hop of a source route, if there is one. A transport that asks for the path by
// itself needs it; OutputBy sends there.
func FirstHop(opts []byte, dst netip.Addr) netip.Addr {
	if opt := findOption(opts, optionLooseRoute, optionStrictRoute); len(opt) >= 7 {
		return netip.AddrFrom4([4]byte(opt[3:7]))
	}
	return dst
}

// EchoOptions appends to dst the options of the answer to a packet with header h,
// in the form that Send takes (RFC 1122, section 3.2.2.6; Linux's
// ip_options_echo): record route and timestamp with what they have gathered, and
// the source route that leads back.
func EchoOptions(dst []byte, h *Header) []byte {
	dst = append(dst, findOption(h.Options, optionRecordRoute, optionRecordRoute)...)
	dst = append(dst, findOption(h.Options, optionTimestamp, optionTimestamp)...)
	opt := findOption(h.Options, optionLooseRoute, optionStrictRoute)
	if len(opt) < 3 {
		return dst
	}
	start := len(dst)
	dst = append(dst, opt[0], 3, 4)
	for at := min(int(opt[2]), len(opt)+1) - 5; at >= 3; at -= 4 {
		hop := opt[at : at+4]
		// RFC 1812 section 5.2.4.1: a route that names its sender is mended.
		if at < 7 && netip.AddrFrom4([4]byte(hop)) == h.Src {
			break
		}
		dst = append(dst, hop...)
		dst[start+1] += 4
	}
	if dst[start+1] == 3 {
		return dst[:start]
	}
	return dst
}

// findOption returns the first option of either type, nil for none.
func findOption(opts []byte, a, b byte) []byte {
	for len(opts) > 0 && opts[0] != optionEnd {
		if opts[0] == optionNop {
			opts = opts[1:]
			continue
		}
		if len(opts) < 2 || opts[1] < 2 || int(opts[1]) > len(opts) {
			return nil
		}
		n := int(opts[1])
		if opts[0] == a || opts[0] == b {
			return opts[:n]
		}
		opts = opts[n:]
	}
	return nil
}
