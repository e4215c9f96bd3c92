package tcp

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/tapstack/tapstack/link"
)

// SYN cookies (RFC 4987 section 3.6) take over when the SYN queue is full
// (tcp_syncookies=1): the SYN-ACK is sent and forgotten, and what must be remembered
// of the SYN is in its sequence number and timestamp, which the peer's ACK brings
// back. The layout is Linux's: a count of minutes in the upper eight bits of the
// number, an index into cookieMSS in the lower 24, both hidden by hashes.

// cookieMSS are the segment sizes that a cookie can name: what peers most often say.
var cookieMSS = [...]uint16{536, 1300, 1440, 1460}

const (
	cookiePeriod = time.Minute
	cookieAge    = 2 // periods for which a cookie is good
	cookieBits   = 24
	cookieMask   = 1<<cookieBits - 1

	// The lowest bits of the SYN-ACK's timestamp hold the options: the peer's
	// window scale, SACK and, as in Linux, a place for ECN.
	stampBits    = 6
	stampMask    = 1<<stampBits - 1
	stampScale   = 0xf // in these bits; all set: no scaling
	stampSACK    = 1 << 4
	cookieSYNACK = cookieAge * cookiePeriod
)

// cookieHash hides a part of a cookie.
func (s *secret) cookieHash(purpose byte, k tuple, count uint32) uint32 {
	var b [len(secret{}) + 17]byte
	copy(b[:], s[:])
	n := len(s)
	b[n] = purpose
	copy(b[n+1:], k.laddr[:])
	copy(b[n+5:], k.raddr[:])
	binary.BigEndian.PutUint16(b[n+9:], k.lport)
	binary.BigEndian.PutUint16(b[n+11:], k.rport)
	binary.BigEndian.PutUint32(b[n+13:], count)
	sum := sha256.Sum256(b[:])
	return binary.LittleEndian.Uint32(sum[:])
}

// cookie returns the initial sequence number that remembers the SYN numbered irs of a
// peer that takes segments of mss octets.
func (s *secret) cookie(k tuple, irs Seq, mss uint16, uptime time.Duration) Seq {
	i := 0
	for i+1 < len(cookieMSS) && cookieMSS[i+1] <= mss {
		i++
	}
	count := uint32(uptime / cookiePeriod)
	return Seq(s.cookieHash(purposeCookie, k, 0) + uint32(irs) + count<<cookieBits +
		(s.cookieHash(purposeCookieData, k, count)+uint32(i))&cookieMask)
}

// checkCookie returns the segment size in a cookie; ok is false for one that is not
// ours, or too old.
func (s *secret) checkCookie(k tuple, cookie, irs Seq, uptime time.Duration) (mss uint16, ok bool) {
	x := uint32(cookie) - s.cookieHash(purposeCookie, k, 0) - uint32(irs)
	now := uint32(uptime / cookiePeriod)
	age := (now - x>>cookieBits) & 0xff
	if age >= cookieAge {
		return 0, false
	}
	i := (x - s.cookieHash(purposeCookieData, k, now-age)) & cookieMask
	if i >= uint32(len(cookieMSS)) {
		return 0, false
	}
	return cookieMSS[i], true
}

// cookieStamp returns the timestamp at or before now that remembers the peer's window
// scale, and its offer of SACK if that is taken.
func cookieStamp(now uint32, o *Options, scaling, sack bool) uint32 {
	bits := uint32(stampScale)
	if scaling && o.HasWindowScale {
		bits = uint32(o.WindowScale)
	}
	if sack && o.SACKPermitted {
		bits |= stampSACK
	}
	t := now&^stampMask | bits
	if int32(t-now) > 0 {
		t -= 1 << stampBits
	}
	return t
}

// stampOptions adds to o what cookieStamp has put into the timestamp ecr.
func stampOptions(ecr uint32, o *Options) {
	if scale := ecr & stampScale; scale <= maxWindowScale {
		o.HasWindowScale, o.WindowScale = true, uint8(scale)
	}
	o.SACKPermitted = ecr&stampSACK != 0
}

// sendCookie answers the SYN s with a SYN-ACK that nobody remembers.
func (l *Listener) sendCookie(now time.Time, s *segment) {
	pr := l.pr
	path, err := pr.ip.OutputPath(netip.AddrFrom4(s.key.raddr), netip.AddrFrom4(s.key.laddr), l.config.Interface)
	if err != nil {
		return
	}
	p := pr.params.Load()
	limit := l.config.ReceiveBuffer
	if limit <= 0 {
		limit = p.rmem[1]
	}
	h := Header{Flags: SYN | ACK, Ack: s.Seq + 1, Window: uint16(min(limit, 0xffff)),
		Seq: pr.secret.cookie(s.key, s.Seq, s.Options.MSS, pr.uptime(now))}
	o := &h.Options
	o.MSS = uint16(min(max(path.MTU-40, minMSS), maxMSS))
	if l.config.MSS > 0 {
		o.MSS = uint16(min(int(o.MSS), l.config.MSS))
	}
	// Without timestamps there is no place to remember anything else.
	if s.Options.HasTimestamps && !l.config.NoTimestamps {
		ts := timestamps{epoch: &pr.epoch, offset: pr.secret.timestampOffset(s.key.laddr, s.key.raddr)}
		o.HasTimestamps, o.TSEcr = true, s.Options.TSVal
		sack := !l.config.NoSACK && !pr.config.NoSACK
		o.TSVal = cookieStamp(ts.value(now), &s.Options, !l.config.NoScaling, sack)
		o.SACKPermitted = sack && s.Options.SACKPermitted
		if s.Options.HasWindowScale && !l.config.NoScaling {
			o.HasWindowScale, o.WindowScale = true, scaleFor(max(limit, p.rmem[2]))
		}
	}
	pr.stats.add(syncookiesSent)
	pr.reply(s.key, &h, l.config.TOS)
}

// cookieInput makes a connection of the ACK s if it brings back a cookie; the
// connection then takes s as one in SYN-RECEIVED does. It reports whether p is taken.
func (l *Listener) cookieInput(s *segment, p *link.Packet) bool {
	pr := l.pr
	now := pr.config.Clock.Now()
	if !pr.params.Load().syncookies || s.Flags&SYN != 0 {
		return false
	}
	l.mu.Lock()
	recent := l.cookieAt != 0 && momentOf(now, pr.epoch).sub(l.cookieAt) < cookieSYNACK
	full := l.closed || len(l.queue) > l.backlog
	l.mu.Unlock()
	if !recent {
		return false // no cookie can be out
	}
	mss, ok := pr.secret.checkCookie(s.key, s.Ack-1, s.Seq-1, pr.uptime(now))
	if !ok {
		pr.stats.add(syncookiesFailed)
		return false
	}
	if full {
		pr.stats.add(listenOverflows)
		pr.stats.add(listenDrops)
		pr.config.Drops.Drop(p, link.TCPListenOverflow)
		return true
	}
	path, err := pr.ip.OutputPath(netip.AddrFrom4(s.key.raddr), netip.AddrFrom4(s.key.laddr), l.config.Interface)
	if err != nil {
		return false
	}
	pr.stats.add(syncookiesRecv)
	o := Options{MSS: mss, HasTimestamps: s.Options.HasTimestamps, TSVal: s.Options.TSVal}
	if o.HasTimestamps {
		stampOptions(s.Options.TSEcr, &o)
		s.Options.TSEcr = 0 // it is up to 64 ms older than the SYN-ACK: no sample
	}
	c := pr.newConn(s.key, l.config, path.MTU, now)
	c.lock()
	if !pr.demux.insert(s.key, endpoint{conn: c}, nil) {
		c.unlock()
		return false
	}
	c.parent = l
	c.snd.start(s.Ack - 1)
	c.snd.nxt = s.Ack
	c.rcv.start(s.Seq - 1)
	c.negotiateLocked(&o, now)
	c.ack.acked = c.rcv.nxt
	c.setStateLocked(SynReceived)
	c.unlock()
	return c.input(s, p)
}
