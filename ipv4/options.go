package ipv4

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/tapstack/tapstack/link"
)

// Option types (RFC 791, section 3.1; RFC 2113). The high bit says that each
// fragment carries the option.
const (
	optionEnd          = 0
	optionNop          = 1
	optionRecordRoute  = 7
	optionTimestamp    = 68
	optionLooseRoute   = 131
	optionStrictRoute  = 137
	optionRouterAlert  = 148
	optionCopied       = 0x80
	timestampOnly      = 0 // flags of optionTimestamp: times
	timestampAddress   = 1 // addresses and times
	timestampSpecified = 3 // times of those addresses that are given
)

// options says where the options that matter start in a header, 0 for absent.
type options struct {
	recordRoute, timestamp, sourceRoute int
}

// parseOptions checks the options of a header, which b is, as Linux's
// ip_options_compile. When ok is false, pointer is the offset of the byte that is
// wrong, as ICMP parameter problem wants it.
func parseOptions(b []byte) (o options, pointer int, ok bool) {
	for at := HeaderLen; at < len(b); {
		switch b[at] {
		case optionEnd:
			return o, 0, true
		case optionNop:
			at++
			continue
		}
		if at+2 > len(b) {
			return o, at, false
		}
		n := int(b[at+1])
		if n < 2 || at+n > len(b) {
			return o, at, false
		}
		var seen *int
		minLen, firstPointer, entry := 3, 4, 4
		switch b[at] {
		case optionRecordRoute:
			seen = &o.recordRoute
		case optionLooseRoute, optionStrictRoute:
			seen = &o.sourceRoute
		case optionTimestamp:
			seen, minLen, firstPointer = &o.timestamp, 4, 5
		case optionRouterAlert:
			if n < 4 {
				return o, at + 1, false
			}
		}
		if seen != nil {
			switch {
			case *seen != 0:
				return o, at, false
			case n < minLen:
				return o, at + 1, false
			case int(b[at+2]) < firstPointer:
				return o, at + 2, false
			}
			if b[at] == optionTimestamp {
				switch b[at+3] & 15 {
				case timestampOnly:
				case timestampAddress, timestampSpecified:
					entry = 8
				default:
					return o, at + 3, false
				}
			}
			// A pointer past the end means full; one before it has room for
			// a whole entry.
			if next := int(b[at+2]); next <= n && next+entry-1 > n {
				return o, at + 2, false
			}
			if b[at] == optionTimestamp && int(b[at+2]) > n && b[at+3]&15 != timestampSpecified && b[at+3]>>4 == 15 {
				return o, at + 3, false // the overflow counter overflows
			}
			*seen = at
		}
		at += n
	}
	return o, 0, true
}

// record writes our entry into record route and timestamp options that have
// room: addr, which is us as the packet sees us, and the time. ours tells our
// addresses. It reports whether it changed b, whose checksum is the caller's.
func (o options) record(b []byte, addr netip.Addr, now time.Time, ours func(netip.Addr) bool) bool {
	a, changed := addr.As4(), false
	if o.recordRoute != 0 {
		opt := b[o.recordRoute:]
		if next := int(opt[2]); next <= int(opt[1]) {
			copy(opt[next-1:], a[:])
			opt[2] += 4
			changed = true
		}
	}
	if o.timestamp == 0 {
		return changed
	}
	opt := b[o.timestamp:]
	next := int(opt[2])
	flags := opt[3] & 15
	if next > int(opt[1]) {
		if flags == timestampSpecified {
			return changed
		}
		opt[3] += 1 << 4
		return true
	}
	switch flags {
	case timestampAddress:
		copy(opt[next-1:], a[:])
		next += 4
	case timestampSpecified:
		if !ours(netip.AddrFrom4([4]byte(opt[next-1 : next+3]))) {
			return changed
		}
		next += 4
	}
	binary.BigEndian.PutUint32(opt[next-1:], midnight(now))
	opt[2] = uint8(next + 4)
	return true
}

// midnight returns the milliseconds since midnight UT, the form of time in
// options and in ICMP (RFC 791, section 3.1).
func midnight(t time.Time) uint32 { return uint32(t.UnixMilli() % (24 * 60 * 60 * 1000)) }

// inputOptions acts on the options of a received packet. It returns false when
// it has dropped it.
func (pr *Protocol) inputOptions(h *Header, p *link.Packet, path *Path) bool {
	b := p.Bytes()[:h.Len()]
	o, pointer, ok := parseOptions(b)
	if !ok {
		pr.stats.InHdrErrors.Add(1)
		pr.ReportError(p, ErrorMessage{Type: TypeParameterProblem, Info: uint32(pointer) << 24, Reason: link.IPOptions})
		return false
	}
	if o.sourceRoute != 0 {
		// Source routes let a stranger choose the way through us; Linux's
		// accept_source_route is off, and RFC 7126 section 4.3 agrees.
		pr.drop(p, link.IPOptions)
		return false
	}
	if path.Type == Unicast {
		return true // forward records, once it knows by which address
	}
	addr := h.Dst
	if path.Type != Local {
		addr = pr.selectSource(path.Interface, h.Src, ScopeUniverse)
	}
	if addr.IsValid() {
		pr.recordRoute(b, addr)
	}
	return true
}

// recordRoute records addr in the options of a header that has been checked.
func (pr *Protocol) recordRoute(b []byte, addr netip.Addr) {
	o, _, ok := parseOptions(b)
	ours := func(a netip.Addr) bool { return pr.AddrType(a) == Local }
	if ok && addr.IsValid() && o.record(b, addr, pr.config.Clock.Now(), ours) {
		b[10], b[11] = 0, 0
		binary.BigEndian.PutUint16(b[10:12], Checksum(b, 0))
	}
}

// EchoOptions appends to dst those of a received packet's options that belong
// into the answer (RFC 1122, section 3.2.2.6): record route and timestamp, with
// what they have gathered.
func EchoOptions(dst, received []byte) []byte {
	for len(received) > 0 && received[0] != optionEnd {
		if received[0] == optionNop {
			received = received[1:]
			continue
		}
		if len(received) < 2 || received[1] < 2 || int(received[1]) > len(received) {
			break
		}
		n := int(received[1])
		if received[0] == optionRecordRoute || received[0] == optionTimestamp {
			dst = append(dst, received[:n]...)
		}
		received = received[n:]
	}
	return dst
}

// blankOptions turns the options that only the first fragment carries into no
// operation (RFC 791, section 3.1), and corrects the checksum.
func blankOptions(b []byte) {
	for at := HeaderLen; at < len(b) && b[at] != optionEnd; {
		n := 1
		if b[at] != optionNop {
			if at+1 == len(b) || b[at+1] < 2 || at+int(b[at+1]) > len(b) {
				break
			}
			n = int(b[at+1])
			if b[at]&optionCopied == 0 {
				for k := range n {
					b[at+k] = optionNop
				}
			}
		}
		at += n
	}
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:12], Checksum(b, 0))
}
