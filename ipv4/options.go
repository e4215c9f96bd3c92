package ipv4

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/devconf"
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
	maxOptionsLen      = MaxHeaderLen - HeaderLen
)

// options says where the options that matter start in a header, 0 for absent,
// and what is left to do about them: Linux's struct ip_options.
type options struct {
	recordRoute, timestamp, sourceRoute int

	strict    bool       // sourceRoute allows no router in between
	routeAddr bool       // record route has a new entry
	stampAddr bool       // timestamp has a new entry with an address
	stampTime bool       // timestamp has a new entry with a time
	hop       netip.Addr // where a source route goes from here; not valid for none
	hopAt     int        // and the pointer of that entry
}

// optionHost is what options have to know of the host that compiles them.
type optionHost struct {
	// received: entries are written as soon as there is room for them. Else the
	// options are those of a packet of ours, and fill will write them.
	received bool
	// lenient lets options pass that are to be answered with, though a socket
	// could not have them.
	lenient bool
	addr    func() netip.Addr       // the host, as the packet sees it; asked for if it is received
	now     func() uint32           // midnight, asked for if it is received
	others  func(a netip.Addr) bool // reports whether a is some other host's
}

// compile checks the options of the header b, as Linux's ip_options_compile, and
// makes an entry in those that collect some. When ok is false, pointer is the
// offset of the byte that is wrong, as ICMP parameter problem wants it; what is in
// front of that has been acted on. The checksum is the caller's.
func (o *options) compile(b []byte, host *optionHost) (pointer int, ok bool) {
	for at := HeaderLen; at < len(b); {
		switch b[at] {
		case optionEnd:
			clear(b[at:])
			return 0, true
		case optionNop:
			at++
			continue
		}
		if at+2 > len(b) || b[at+1] < 2 || at+int(b[at+1]) > len(b) {
			return at, false
		}
		n := int(b[at+1])
		opt := b[at : at+n]
		wrong, fine := 0, true
		switch opt[0] {
		case optionLooseRoute, optionStrictRoute:
			wrong, fine = o.compileSourceRoute(at, opt, host)
		case optionRecordRoute:
			wrong, fine = o.compileRecordRoute(at, opt, host)
		case optionTimestamp:
			wrong, fine = o.compileTimestamp(at, opt, host)
		case optionRouterAlert:
			wrong, fine = 1, n >= 4
		}
		if !fine {
			return at + wrong, false
		}
		at += n
	}
	return 0, true
}

func (o *options) compileSourceRoute(at int, opt []byte, host *optionHost) (wrong int, ok bool) {
	switch {
	case len(opt) < 3:
		return 1, false
	case opt[2] < 4:
		return 2, false
	case o.sourceRoute != 0: // RFC 1812 section 5.2.4.1
		return 0, false
	}
	if !host.received {
		if opt[2] != 4 || len(opt) < 7 || (len(opt)-3)%4 != 0 {
			return 1, false
		}
		// The first hop goes into the header; fill puts the destination last.
		o.hop = netip.AddrFrom4([4]byte(opt[3:7]))
		copy(opt[3:], opt[7:])
	}
	o.sourceRoute, o.strict = at, opt[0] == optionStrictRoute
	return 0, true
}

func (o *options) compileRecordRoute(at int, opt []byte, host *optionHost) (wrong int, ok bool) {
	switch {
	case o.recordRoute != 0:
		return 0, false
	case len(opt) < 3:
		return 1, false
	case opt[2] < 4:
		return 2, false
	}
	// A pointer past the end means full; one before it has room for a whole
	// entry.
	if next := int(opt[2]); next <= len(opt) {
		if next+3 > len(opt) {
			return 2, false
		}
		if host.received {
			putAddr(opt[next-1:], host.addr())
		}
		opt[2] += 4
		o.routeAddr = true
	}
	o.recordRoute = at
	return 0, true
}

func (o *options) compileTimestamp(at int, opt []byte, host *optionHost) (wrong int, ok bool) {
	switch {
	case o.timestamp != 0:
		return 0, false
	case len(opt) < 4:
		return 1, false
	case opt[2] < 5:
		return 2, false
	}
	next, flags := int(opt[2]), opt[3]&15
	if next > len(opt) {
		if flags != timestampSpecified {
			switch {
			case opt[3]>>4 == 15 && !host.lenient:
				return 3, false // the overflow counter overflows
			case host.received:
				opt[3] += 1 << 4
			}
		}
		o.timestamp = at
		return 0, true
	}
	if next+3 > len(opt) {
		return 2, false
	}
	switch flags {
	case timestampOnly:
		o.stamp(opt, next, host)
	case timestampAddress:
		if next+7 > len(opt) {
			return 2, false
		}
		if host.received {
			putAddr(opt[next-1:], host.addr())
		}
		o.stampAddr = true
		o.stamp(opt, next+4, host)
	case timestampSpecified:
		switch {
		case next+7 > len(opt):
			if !host.lenient {
				return 2, false
			}
		case !host.others(netip.AddrFrom4([4]byte(opt[next-1 : next+3]))):
			o.stamp(opt, next+4, host)
		}
	}
	o.timestamp = at
	return 0, true
}

// stamp makes an entry with the time at next, which counts from 1.
func (o *options) stamp(opt []byte, next int, host *optionHost) {
	if host.received {
		binary.BigEndian.PutUint32(opt[next-1:], host.now())
	}
	opt[2] = uint8(next + 4)
	o.stampTime = true
}

// fill completes the compiled options of a packet of ours from src to dst
// (Linux's ip_options_build).
func (o *options) fill(b []byte, src, dst netip.Addr, now uint32) {
	if o.sourceRoute != 0 {
		putAddr(b[o.sourceRoute+int(b[o.sourceRoute+1])-4:], dst)
	}
	if o.routeAddr {
		o.putRouteAddr(b, src)
	}
	if o.stampAddr {
		o.putStampAddr(b, src)
	}
	if o.stampTime {
		binary.BigEndian.PutUint32(b[o.timestamp+int(b[o.timestamp+2])-5:], now)
	}
}

// putRouteAddr changes the address in the new entry of record route.
func (o *options) putRouteAddr(b []byte, a netip.Addr) {
	putAddr(b[o.recordRoute+int(b[o.recordRoute+2])-5:], a)
}

// putStampAddr changes the address in the new entry of timestamp.
func (o *options) putStampAddr(b []byte, a netip.Addr) {
	putAddr(b[o.timestamp+int(b[o.timestamp+2])-9:], a)
}

func putAddr(b []byte, a netip.Addr) {
	ip := a.As4()
	copy(b, ip[:])
}

// midnight returns the milliseconds since midnight UT, the form of time in
// options and in ICMP (RFC 791, section 3.1).
func midnight(t time.Time) uint32 { return uint32(t.UnixMilli() % (24 * 60 * 60 * 1000)) }

// inputOptions acts on the options of a packet that i received. It may change h
// and path, as a source route says, and returns what forward is to finish; nil
// when it has dropped the packet.
func (pr *Protocol) inputOptions(i *Interface, h *Header, p *link.Packet, path *Path) *options {
	b := p.Bytes()[:h.Len()]
	o := new(options)
	pointer, ok := o.compile(b, &optionHost{
		received: true,
		addr:     func() netip.Addr { return pr.specificAddr(h, path) },
		now:      func() uint32 { return midnight(pr.config.Clock.Now()) },
		others:   pr.isOthers,
	})
	switch {
	case !ok:
		pr.stats.InHdrErrors.Add(1)
		pr.ReportError(p, ErrorMessage{Type: TypeParameterProblem, Info: uint32(pointer) << 24, Reason: link.IPOptions})
		return nil
	case o.sourceRoute == 0:
	case !i.conf.And(devconf.AcceptSourceRoute):
		// Source routes let a stranger choose the way through us: RFC 7126
		// section 4.3 wants them dropped.
		pr.drop(p, link.IPOptions)
		return nil
	case !pr.inputSourceRoute(i, h, p, path, o):
		return nil
	}
	updateHeader(b)
	return o
}

// specificAddr returns the address that a received packet was sent to, or for one
// that is not to us alone that by which its sender knows us (Linux's
// fib_compute_spec_dst).
func (pr *Protocol) specificAddr(h *Header, path *Path) netip.Addr {
	if path.Type == Local {
		return h.Dst
	}
	if back, err := pr.OutputPath(h.Src, netip.Addr{}, 0); err == nil {
		return back.Src
	}
	return netip.IPv4Unspecified()
}

// isOthers reports whether a is an address of some other host.
func (pr *Protocol) isOthers(a netip.Addr) bool { return pr.AddrType(a) == Unicast }

// updateHeader computes the checksum of a header anew.
func updateHeader(b []byte) {
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:12], Checksum(b, 0))
}

// forwardOptions finishes the options of a packet that leaves by path (Linux's
// ip_options_forward).
func (pr *Protocol) forwardOptions(path *Path, h *Header, p *link.Packet, o *options) {
	b := p.Bytes()[:h.Len()]
	source := netip.IPv4Unspecified()
	if o.routeAddr || o.hop.IsValid() {
		// A router goes by the address on the link that the packet leaves by.
		if out, err := pr.OutputPath(h.Dst, netip.Addr{}, path.Interface.Index()); err == nil {
			source = out.Src
		}
	}
	if o.routeAddr {
		o.putRouteAddr(b, source)
	}
	if o.hop.IsValid() {
		opt := b[o.sourceRoute:]
		putAddr(b[16:], o.hop)
		putAddr(opt[o.hopAt-1:], source)
		opt[2] = uint8(o.hopAt + 4)
		if o.stampAddr {
			o.putStampAddr(b, source)
		}
	}
	updateHeader(b)
}

// outputOptions compiles the options in the header b of a packet of ours.
func (pr *Protocol) outputOptions(b []byte, path *Path, h *Header) error {
	var o options
	pointer, ok := o.compile(b, &optionHost{lenient: true, others: pr.isOthers})
	switch {
	case !ok:
		return fmt.Errorf("ipv4: options % x to %v, wrong at byte %d: %w", b[HeaderLen:], h.Dst, pointer-HeaderLen, syscall.EINVAL)
	case o.strict && path.Gateway.IsValid():
		return fmt.Errorf("ipv4: strict source route to %v, but there is a gateway: %w", h.Dst, syscall.EHOSTUNREACH)
	}
	o.fill(b, h.Src, h.Dst, midnight(pr.config.Clock.Now()))
	if o.hop.IsValid() {
		h.Dst = o.hop
		putAddr(b[16:], h.Dst)
	}
	updateHeader(b)
	return nil
}

// CheckOptions checks options that a socket is to send, in the form of
// setsockopt(IP_OPTIONS): at most 40 bytes, a source route without the
// destination. The result is a copy, padded to words. The error is EINVAL.
func CheckOptions(opts []byte) ([]byte, error) {
	if len(opts) > maxOptionsLen {
		return nil, fmt.Errorf("ipv4: %d bytes of options, at most %d: %w", len(opts), maxOptionsLen, syscall.EINVAL)
	}
	b := make([]byte, HeaderLen+(len(opts)+3)&^3)
	copy(b[HeaderLen:], opts)
	padded := slices.Clone(b[HeaderLen:])
	var o options
	pointer, ok := o.compile(b, &optionHost{others: func(netip.Addr) bool { return true }})
	if !ok {
		return nil, fmt.Errorf("ipv4: options % x, wrong at byte %d: %w", opts, pointer-HeaderLen, syscall.EINVAL)
	}
	return padded, nil
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
	updateHeader(b)
}
