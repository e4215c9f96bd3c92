package tcp

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/random"
)

// ip is what TCP needs of the layer below; *ipv4.Protocol is one.
type ip interface {
	Output(p *link.Packet, s ipv4.Send) error
	OutputPath(dst, src netip.Addr, oif int) (ipv4.Path, error)
	AddrType(a netip.Addr) ipv4.RouteType
	UpdatePathMTU(dst netip.Addr, mtu int)
	Handle(protocol uint8, h ipv4.Handler)
}

// Protocol is the Transmission Control Protocol of one host. Its methods may be
// called concurrently.
type Protocol struct {
	ip     ip
	config Config
	secret secret
	epoch  time.Time // of moments, and start of the timestamp and ISS clocks: just before the first event

	demux    demux
	waits    timeWaits
	stats    stats
	nextPort atomic.Uint32
	ports    portRange
	params   atomic.Pointer[params]
	pacer    pacer

	established atomic.Int64 // TcpCurrEstab
	closed      atomic.Bool
	plain       *SocketConfig // the default
}

// New returns the TCP of the host whose IPv4 is ip, and registers it there.
func New(ip *ipv4.Protocol, c Config) *Protocol { return newProtocol(ip, c) }

func newProtocol(ip ip, c Config) *Protocol {
	if c.Rand == nil {
		c.Rand = random.Secure()
	}
	pr := &Protocol{ip: ip, config: c.withDefaults(), secret: newSecret(c.Rand), epoch: c.Clock.Now().Add(-1)}
	pr.waits.pr, pr.pacer.pr = pr, pr
	pr.params.Store(pr.config.params())
	pr.plain = pr.socketConfig(SocketConfig{})
	ip.Handle(ipv4.ProtocolTCP, ipv4.Handler{Input: pr.input, Error: pr.icmpError})
	return pr
}

// Close resets every connection, closes every listener and forgets what is in
// TIME-WAIT. New sockets are refused with net.ErrClosed.
func (pr *Protocol) Close() {
	pr.closed.Store(true)
	if m := pr.demux.listeners.Load(); m != nil {
		for _, l := range *m {
			l.Close()
		}
	}
	for _, e := range pr.demux.all() {
		if e.conn != nil {
			e.conn.shutdown()
		}
	}
	pr.waits.close()
	pr.pacer.close()
}

// segment is a received segment: its header and where it belongs.
type segment struct {
	Header
	key tuple
	n   int   // octets of payload
	mss int   // of each of the segments that came as this one, 0 for a single one
	ecn uint8 // of the IPv4 header
}

// len returns SEG.LEN: payload, SYN and FIN (RFC 9293 section 3.4).
func (s *segment) len() int {
	n := s.n
	if s.Flags&SYN != 0 {
		n++
	}
	if s.Flags&FIN != 0 {
		n++
	}
	return n
}

// input takes a TCP segment from IPv4.
func (pr *Protocol) input(h ipv4.Header, p *link.Packet) {
	pr.stats.add(inSegs)
	if p.Type != link.Host {
		// A connection has two ends (RFC 9293 section 3.9.2.3, MUST-57).
		pr.config.Drops.Drop(p, link.OtherHostFrame)
		return
	}
	var s segment
	var n int
	var err error
	if s.Header, n, err = Parse(p.Bytes()); err != nil {
		pr.stats.add(inErrs)
		pr.config.Drops.Drop(p, link.TCPInHdr)
		return
	}
	if p.Checksum == link.ChecksumUnknown && p.Sum(ipv4.PseudoHeaderSum(h.Src, h.Dst, ipv4.ProtocolTCP, p.Len())) != 0xffff {
		pr.stats.add(inErrs)
		pr.stats.add(inCsumErrors)
		pr.config.Drops.Drop(p, link.TCPCsum)
		return
	}
	s.key = tuple{laddr: h.Dst.As4(), raddr: h.Src.As4(), lport: s.DstPort, rport: s.SrcPort}
	p.SetTransportHeader()
	p.Pull(n)
	s.n, s.ecn = p.Len(), h.TOS&ecnMask
	if s.ecn == ecnCE {
		pr.stats.add(inCEPkts)
	}
	if p.GSO == link.GSOTCP {
		s.mss = p.GSOSize
	}
	pr.deliver(&s, p)
}

// deliver takes p, the payload of s, to its endpoint.
func (pr *Protocol) deliver(s *segment, p *link.Packet) {
	var iss Seq
	e := pr.demux.lookup(s.key)
	if e.conn != nil {
		if e.conn.input(s, p) {
			return
		}
		// It ended between the lookup and its lock: perhaps TIME-WAIT is in
		// its place.
		e = pr.demux.lookup(s.key)
	}
	if e.tw != nil {
		var done bool
		if iss, done = pr.waits.input(e.tw, s, p); done {
			return
		}
	}
	l := pr.demux.listener(s.key.laddr, s.key.lport)
	if l != nil && (l.config.Interface == 0 || l.config.Interface == p.In) {
		l.input(s, p, iss)
		return
	}
	pr.refuse(s, p, link.NoSocket)
}

// refuse drops p and answers a segment that no connection wants with a reset
// (RFC 9293 section 3.10.7.1).
func (pr *Protocol) refuse(s *segment, p *link.Packet, r link.DropReason) {
	pr.config.Drops.Drop(p, r)
	if s.Flags&RST != 0 || pr.ip.AddrType(netip.AddrFrom4(s.key.laddr)) != ipv4.Local {
		return
	}
	reply := resetFor(s)
	pr.stats.add(outRsts)
	pr.reply(s.key, &reply, 0)
}

// resetFor returns the reset that RFC 9293 section 3.5.2, group 1, asks for.
func resetFor(s *segment) Header {
	if s.Flags&ACK != 0 {
		return Header{Seq: s.Ack, Flags: RST}
	}
	return Header{Ack: s.Seq.Add(s.len()), Flags: RST | ACK}
}

// reply sends a segment without payload for an endpoint that has no
// connection. It is called with no lock held.
func (pr *Protocol) reply(k tuple, h *Header, tos uint8) {
	p := link.NewPacket(0)
	h.SrcPort, h.DstPort = k.lport, k.rport
	src, dst := netip.AddrFrom4(k.laddr), netip.AddrFrom4(k.raddr)
	seal(h, p, src, dst)
	pr.stats.add(outSegs)
	// Nobody is there to be told of an error.
	_ = pr.ip.Output(p, ipv4.Send{Src: src, Dst: dst, Protocol: ipv4.ProtocolTCP, TOS: tos, DF: true})
}

// checksumOffset is where the checksum is in a header.
const checksumOffset = 16

// seal pushes the header in front of p's payload. The checksum is left to the
// device, or to what makes up for one that computes none.
func seal(h *Header, p *link.Packet, src, dst netip.Addr) {
	n := h.Len()
	h.Checksum = ipv4.PseudoHeaderSum(src, dst, ipv4.ProtocolTCP, n+p.Len())
	h.Put(p.Push(n))
	p.SetPartialChecksum(checksumOffset)
}

// uptime is what the ISS clock shows.
func (pr *Protocol) uptime(now time.Time) time.Duration { return now.Sub(pr.epoch) }
