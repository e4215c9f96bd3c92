package igmp

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/clock"
	"github.com/tapstack/tapstack/stack/random"
)

// Groups that routers are in (RFC 3376, section 4.2.14; RFC 2236, section 9).
var (
	reportsV3  = netip.AddrFrom4([4]byte{224, 0, 0, 22})
	allRouters = netip.AddrFrom4([4]byte{224, 0, 0, 2})
)

// routerAlert is the option of all messages (RFC 2113; RFC 3376, section 4).
var routerAlert = []byte{148, 4, 0, 0}

// Config holds what a Protocol needs from its host.
type Config struct {
	Clock clock.Clock
	Rand  *rand.Rand  // safe for concurrent use, as package random's are; nil: random.Secure
	Drops *link.Drops // counts what goes nowhere
}

// Protocol is the IGMP of one host. Its methods may be called concurrently.
type Protocol struct {
	ip      *ipv4.Protocol
	config  Config
	sysctls sysctls
	stats   Stats

	mu     sync.Mutex
	links  map[int]*multicastLink // by interface
	closed bool
}

// multicastLink is an interface that IGMP is spoken on.
type multicastLink struct {
	i     *ipv4.Interface
	host  host
	timer clock.Timer
	at    time.Time // what timer is set to, zero when it is not running
}

// New registers IGMP with ip.
func New(ip *ipv4.Protocol, c Config) *Protocol {
	if c.Drops == nil {
		c.Drops = new(link.Drops)
	}
	if c.Rand == nil {
		c.Rand = random.Secure()
	}
	pr := &Protocol{ip: ip, config: c, links: make(map[int]*multicastLink)}
	pr.sysctls.reset()
	ip.Handle(ipv4.ProtocolIGMP, ipv4.Handler{Input: pr.input})
	ip.HandleGroups(pr.changed)
	return pr
}

// Close says what is still to be said at once, and stops all timers.
func (pr *Protocol) Close() {
	pr.mu.Lock()
	pr.closed = true
	links := pr.links
	pr.links = nil
	late := make(map[*multicastLink][]message)
	for _, l := range links {
		l.timer.Stop()
		if l.host.change.IsZero() && len(l.host.leaves) == 0 {
			continue
		}
		l.host.general = time.Time{}
		for _, m := range l.host.groups {
			m.report = time.Time{}
		}
		if !l.host.change.IsZero() {
			l.host.change = pr.config.Clock.Now()
		}
		late[l] = l.host.expire(pr.config.Clock.Now(), pr.settings(l.i), pr.config.Rand)
	}
	pr.mu.Unlock()
	for l, messages := range late {
		pr.sendAll(l.i, messages)
	}
}

// changed is told that the groups of an interface have changed, or its state.
func (pr *Protocol) changed(i *ipv4.Interface) {
	if i.Loopback() {
		return // nobody is there to be told
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if pr.closed {
		return
	}
	l := pr.linkLocked(i)
	switch {
	case i.Up():
		// Only here, under the lock, is it certain that this is the newest state.
		l.host.update(i.Groups(), pr.config.Clock.Now(), pr.settings(i))
	case pr.ip.Interface(i.Index()) != i:
		l.timer.Stop()
		delete(pr.links, i.Index())
		return
	default:
		l.host.down()
	}
	pr.armLocked(l)
}

func (pr *Protocol) linkLocked(i *ipv4.Interface) *multicastLink {
	l := pr.links[i.Index()]
	if l != nil && l.i == i {
		return l
	}
	if l != nil {
		l.timer.Stop() // another interface had the index
	}
	l = &multicastLink{i: i}
	l.timer = pr.config.Clock.AfterFunc(time.Hour, func() { pr.expire(l) })
	l.timer.Stop()
	pr.links[i.Index()] = l
	return l
}

// armLocked sets the timer to what comes next.
func (pr *Protocol) armLocked(l *multicastLink) {
	next := l.host.next()
	if next.Equal(l.at) {
		return
	}
	if l.at = next; next.IsZero() {
		l.timer.Stop()
		return
	}
	l.timer.Reset(max(next.Sub(pr.config.Clock.Now()), 0))
}

func (pr *Protocol) expire(l *multicastLink) {
	pr.mu.Lock()
	if pr.closed || pr.links[l.i.Index()] != l {
		pr.mu.Unlock()
		return
	}
	l.at = time.Time{}
	messages := l.host.expire(pr.config.Clock.Now(), pr.settings(l.i), pr.config.Rand)
	pr.armLocked(l)
	pr.mu.Unlock()
	pr.sendAll(l.i, messages)
}

// input takes a message from ip (Linux's igmp_rcv).
func (pr *Protocol) input(ih ipv4.Header, p *link.Packet) {
	pr.stats.InMsgs.Add(1)
	b := p.Bytes()
	h, err := ParseHeader(b)
	if err != nil {
		pr.refuse(p, link.IGMPInHdr)
		return
	}
	if ipv4.Sum(b, 0) != 0xffff {
		pr.stats.InCsumErrors.Add(1)
		pr.refuse(p, link.IGMPCsum)
		return
	}
	switch h.Type {
	case TypeQuery:
		pr.stats.InQueries.Add(1)
		q, err := ParseQuery(b)
		if err != nil {
			pr.refuse(p, link.IGMPInHdr)
			return
		}
		pr.onLink(p.In, func(l *multicastLink) {
			l.host.query(q, pr.config.Clock.Now(), pr.settings(l.i), pr.config.Rand)
		})
	case TypeReportV1, TypeReportV2:
		pr.stats.InReports.Add(1)
		// A router does not count on members hearing what was sent to it alone.
		if p.Type != link.Host {
			pr.onLink(p.In, func(l *multicastLink) { l.host.heard(h.Group) })
		}
	case TypeReportV3:
		pr.stats.InReports.Add(1)
	}
	p.Release()
}

func (pr *Protocol) refuse(p *link.Packet, r link.DropReason) {
	pr.stats.InErrors.Add(1)
	pr.config.Drops.Drop(p, r)
}

// onLink calls f for the interface that received a message, if there is anything
// to be said on it; what we send ourselves comes back by the loopback interface.
func (pr *Protocol) onLink(index int, f func(l *multicastLink)) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if l := pr.links[index]; l != nil && l.i.Up() {
		f(l)
		pr.armLocked(l)
	}
}

func (pr *Protocol) sendAll(i *ipv4.Interface, messages []message) {
	for _, m := range messages {
		if m.kind != TypeReportV3 {
			p := link.NewPacket(HeaderLen)
			Header{Type: m.kind, Group: m.group}.Put(p.Bytes())
			SetChecksum(p.Bytes())
			dst := m.group
			if m.kind == TypeLeave {
				dst = allRouters
			}
			pr.send(i, dst, m.kind, p)
			continue
		}
		for _, records := range split(m.records, i.MTU()-ipv4.HeaderLen-len(routerAlert)) {
			p := link.NewPacket(reportLen(records))
			putReport(p.Bytes(), records)
			pr.send(i, reportsV3, m.kind, p)
		}
	}
}

// send takes a message, complete (RFC 3376, section 4: TTL 1, internetwork
// control).
func (pr *Protocol) send(i *ipv4.Interface, dst netip.Addr, kind uint8, p *link.Packet) {
	path, err := pr.ip.OutputPath(dst, netip.Addr{}, i.Index())
	if err == nil {
		// RFC 3376 section 4.2.13: without an address of this link, none.
		if kind == TypeReportV3 && !slices.ContainsFunc(i.Addresses(), func(a ipv4.Address) bool { return a.Prefix.Addr() == path.Src }) {
			path.Src = netip.IPv4Unspecified()
		}
		err = pr.ip.OutputBy(path, p, ipv4.Send{Dst: dst, Protocol: ipv4.ProtocolIGMP, TTL: 1, TOS: 0xc0, DF: true, Options: routerAlert})
	} else {
		pr.config.Drops.Drop(p, link.IPOutNoRoutes)
	}
	switch {
	case err != nil:
		pr.stats.OutErrors.Add(1)
		return
	case kind == TypeLeave:
		pr.stats.OutLeaves.Add(1)
	default:
		pr.stats.OutReports.Add(1)
	}
	pr.stats.OutMsgs.Add(1)
}
