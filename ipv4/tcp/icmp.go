package tcp

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/ipv4"
)

// icmpError takes an ICMP error about a segment of ours.
func (pr *Protocol) icmpError(e ipv4.TransportError) {
	if len(e.Payload) < 8 {
		return
	}
	k := tuple{laddr: e.Inner.Src.As4(), raddr: e.Inner.Dst.As4(),
		lport: binary.BigEndian.Uint16(e.Payload[0:]), rport: binary.BigEndian.Uint16(e.Payload[2:])}
	if c := pr.demux.lookup(k).conn; c != nil {
		c.icmpError(&e, Seq(binary.BigEndian.Uint32(e.Payload[4:])))
	}
}

// icmpError acts on an error about the segment that began at seq (RFC 9293
// section 3.9.2.2, RFC 5927).
func (c *Conn) icmpError(e *ipv4.TransportError, seq Seq) {
	now := c.now()
	c.lock()
	defer c.unlock()
	switch c.state {
	case Closed, TimeWait:
		return
	}
	// RFC 5927 section 4.1: it must be about something in flight. Segments
	// without data begin at SND.NXT.
	if seq.Less(c.snd.una) || c.snd.nxt.Less(seq) {
		c.pr.stats.add(outOfWindowICMPs)
		return
	}
	if e.Type == ipv4.TypeUnreachable && e.Code == ipv4.CodeFragNeeded {
		c.pr.ip.UpdatePathMTU(e.Inner.Dst, int(e.Info&0xffff)) // later connections want to know as well
		c.setPMTULocked(now, int(e.Info&0xffff))
		return
	}
	if e.Errno == 0 {
		return // source quench, redirect
	}
	switch c.state {
	case SynSent:
		// Linux ends the attempt on any of them.
		c.pr.stats.add(attemptFails)
		c.endLocked(e.Errno)
	case SynReceived:
		// For a request that nobody has accepted yet Linux believes the
		// network and the hosts in it, but not a port or protocol error.
		if seq == c.snd.iss && (!e.Hard || c.parent == nil) {
			c.pr.stats.add(attemptFails)
			c.endLocked(e.Errno)
		}
	default:
		// "Soft" all: a connection that works is not ended by what anybody
		// can forge (RFC 5927 section 5.2).
		c.softErr = e.Errno
		if e.Type == ipv4.TypeUnreachable && (e.Code == ipv4.CodeNetUnreachable || e.Code == ipv4.CodeHostUnreachable) {
			c.revertBackoffLocked(now, seq)
		}
	}
}

// revertBackoffLocked undoes one doubling of the timeout for each unreachable
// message about a retransmission: it was lost for lack of a path, not to
// congestion, and the path may be back any time (RFC 6069, Linux's
// tcp_ld_RTO_revert).
func (c *Conn) revertBackoffLocked(now time.Time, seq Seq) {
	if seq != c.snd.una || c.retries == 0 || c.rto.backoff == 0 || c.snd.sent.len() == 0 {
		return
	}
	c.rto.backoff--
	at := c.pr.epoch.Add(c.snd.sent.at(0).at + c.rto.current())
	if now.Before(at) {
		c.setRTOLocked(at)
		return
	}
	c.retransmissionTimeoutLocked(now)
	c.outputLocked(now)
}

// setPMTULocked follows a path MTU of mtu bytes. A router before RFC 1191 says 0.
func (c *Conn) setPMTULocked(now time.Time, mtu int) {
	if mtu < minPMTU {
		mtu, c.noDF = minPMTU, true
	}
	if mtu >= c.snd.pmtu {
		return
	}
	c.pr.stats.add(mtuReduced)
	c.snd.pmtu = mtu
	if !c.state.synchronized() {
		return
	}
	c.snd.setMSS(c.ts.ok)
	c.win.setMSS(c.snd.mss)
	// Everything longer is lost, by no congestion (Linux's
	// tcp_simple_retransmit).
	for i := range c.snd.sent.len() {
		if x := c.snd.sent.at(i); c.dataLen(x) > c.snd.mss {
			c.loss.mark(&c.snd.sent, i)
		}
	}
	c.force = c.loss.lost > 0
	if c.loss.sack && c.loss.lost > 0 {
		c.loss.begin(&c.pr.stats, &c.rtt)
		c.loss.simpleRetransmit(c.snd.nxt)
	}
	c.outputLocked(now)
}

// localAddr checks that a socket may have the address: it must be one of the
// host's.
func (pr *Protocol) localAddr(a netip.Addr) error {
	if !a.Is4() {
		return syscall.EAFNOSUPPORT
	}
	if pr.ip.AddrType(a) != ipv4.Local {
		return syscall.EADDRNOTAVAIL
	}
	return nil
}
