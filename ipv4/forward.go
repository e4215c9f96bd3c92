package ipv4

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"time"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/devconf"
)

// forward takes a packet for somebody else on its way (RFC 1812, section 5.2.1).
// o is what its options want done, nil for none.
func (pr *Protocol) forward(i *Interface, path *Path, h *Header, p *link.Packet, o *options) {
	// RFC 1812 section 5.3.4: what came as link broadcast is not forwarded.
	if p.Type != link.Host {
		pr.drop(p, link.UnicastInL2Multicast)
		return
	}
	if h.TTL <= 1 {
		pr.stats.InHdrErrors.Add(1)
		pr.ReportError(p, ErrorMessage{Type: TypeTimeExceeded, Code: CodeTTLExceeded, Reason: link.IPTTLExpired})
		return
	}
	if o != nil && o.hop.IsValid() && o.strict && path.Gateway.IsValid() {
		pr.ReportError(p, ErrorMessage{Type: TypeUnreachable, Code: CodeSourceRouteFailed, Reason: link.IPOptions})
		return
	}
	pr.stats.ForwDatagrams.Add(1)
	if e := pr.exceptions.find(h.Dst, path.route); e != nil {
		e.apply(pr.config.Clock.Now(), path, pr.sysctls.forwardUsePMTU.Load() != 0)
	}
	if h.DF && p.SegmentLen() > path.MTU {
		pr.stats.FragFails.Add(1)
		pr.ReportError(p, ErrorMessage{Type: TypeUnreachable, Code: CodeFragNeeded, Info: uint32(path.MTU), Reason: link.IPFragNeeded})
		return
	}
	decrementTTL(p.Bytes())
	if path.redirect && (o == nil || o.sourceRoute == 0) && i.conf.Or(devconf.SendRedirects) {
		// RFC 1812 section 5.2.7.2: the packet goes on all the same. As with
		// Linux, the error quotes it as it goes on.
		gateway := path.NextHop(h.Dst)
		if pr.redirects.allow(h.Src, pr.config.Clock.Now()) {
			g := gateway.As4()
			pr.report(p, ErrorMessage{Type: TypeRedirect, Code: CodeRedirectHost, Info: binary.BigEndian.Uint32(g[:])})
		}
	}
	if o != nil {
		pr.forwardOptions(path, h, p, o)
	}
	p.Confirm = false
	pr.transmit(path, h.Dst, p)
}

// decrementTTL changes the header in place, with its checksum (RFC 1624).
func decrementTTL(b []byte) {
	old := binary.BigEndian.Uint16(b[8:10])
	b[8]--
	binary.BigEndian.PutUint16(b[10:12], UpdateChecksum(binary.BigEndian.Uint16(b[10:12]), old, old-0x100))
}

// Limits on redirects, Linux's net.ipv4.route.redirect_{load,number,silence}.
const (
	redirectLoad    = 20 * time.Millisecond
	redirectNumber  = 9
	redirectSilence = redirectLoad << (redirectNumber + 1)
	redirectSenders = 1024 // that are remembered
)

// redirects remembers who does not listen to redirects: each one to the same
// sender waits twice as long, and after redirectNumber there are no more until
// it has been silent for redirectSilence.
type redirects struct {
	mu      sync.Mutex
	senders map[netip.Addr]redirected
}

type redirected struct {
	n    int
	last time.Time
}

// allow reports whether sender gets a redirect now.
func (r *redirects) allow(sender netip.Addr, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, known := r.senders[sender]
	if now.Sub(s.last) > redirectSilence {
		s = redirected{}
	}
	if s.n >= redirectNumber {
		s.last = now
		r.senders[sender] = s
		return false
	}
	if s.n > 0 && now.Sub(s.last) <= redirectLoad<<s.n {
		return false
	}
	if !known && len(r.senders) >= redirectSenders || r.senders == nil {
		r.senders = make(map[netip.Addr]redirected)
	}
	s.n, s.last = s.n+1, now
	r.senders[sender] = s
	return true
}
