package tcp

import (
	"time"

	"github.com/tapstack/tapstack/link"
)

// ECN is the use of explicit congestion notification (RFC 3168), Linux's
// net.ipv4.tcp_ecn.
type ECN uint8

// The values of ECN; in Linux they are 2, 0 and 1.
const (
	ECNPassive ECN = iota // if the peer asks for it; the default
	ECNOff
	ECNOn // ask for it, too
)

// ecnFlags are what a connection knows of ECN.
type ecnFlags uint8

const (
	ecnOK   ecnFlags = 1 << iota // negotiated
	ecnEcho                      // the peer's data was marked: ECE until it says CWR
	ecnCWR                       // the window was reduced: the next data says so
	ecnCut                       // ... for the marks in the window up to ecnSender.recover
)

// Codepoints of the ECN field in the IPv4 header (RFC 3168 section 5).
const (
	ecnMask = 3
	ecnECT0 = 2
	ecnCE   = 3
)

// ecnSender is the state of ECN that only a sender of data has.
type ecnSender struct {
	recover Seq // SND.NXT when the window was reduced for a mark
	top     Seq // end of the data that was transmitted with ECT
}

// ecnSYN returns the flags that a SYN asks with (RFC 3168 section 6.1.1). One that
// is sent again does not: the first may have been lost for asking (section 6.1.1.1,
// tcp_ecn_fallback).
func (c *Conn) ecnSYN() Flags {
	if c.pr.params.Load().ecn == ECNOn && c.synRetrans == 0 {
		return ECE | CWR
	}
	return 0
}

// negotiateECNLocked takes in the flags of the peer's SYN, or SYN-ACK. A SYN that is
// marked itself is not to be trusted (RFC 3168 section 6.1.1).
func (c *Conn) negotiateECNLocked(s *segment) {
	c.ecn = 0
	asked := c.state == SynSent && c.pr.params.Load().ecn == ECNOn
	switch s.Flags & (ACK | ECE | CWR) {
	case ECE | CWR:
		if c.pr.params.Load().ecn != ECNOff && s.ecn == 0 {
			c.ecn = ecnOK
		}
	case ACK | ECE:
		if asked {
			c.ecn = ecnOK
		}
	}
}

// markedLocked takes note of the marks on data that arrived (section 6.1.3). A
// sender hears of the first mark without delay.
func (c *Conn) markedLocked(s *segment) {
	if c.ecn&ecnOK == 0 {
		return
	}
	if s.Flags&CWR != 0 {
		c.ecn &^= ecnEcho
	}
	if s.ecn == ecnCE {
		if c.ecn&ecnEcho == 0 {
			c.ack.force()
		}
		c.ecn |= ecnEcho
	}
}

// echoedLocked reduces the window for an ACK with ECE, as a loss would, but once for
// each window of data, and not while a loss is repaired (section 6.1.2).
func (c *Conn) echoedLocked(now time.Time) {
	if c.ecn&ecnOK == 0 || c.flow == nil || c.snd.inFlight() == 0 {
		return
	}
	e := &c.flow.ecn
	if c.ecn&ecnCut != 0 && c.snd.una.LessEq(e.recover) || c.loss.phase == phaseRecovery || c.loss.phase == phaseLoss {
		return
	}
	c.flow.cc.congested(&c.win, c.snd.inFlight(), now)
	c.win.set(c.win.ssthresh)
	e.recover = c.snd.nxt
	c.ecn |= ecnCut | ecnCWR
	c.pr.stats.add(ecnReductions)
}

// mark reports whether p, which is about to be transmitted, is to carry ECT: only new
// data is, no ACK and no retransmission (sections 6.1.4 to 6.1.6).
func (e *ecnSender) mark(p *link.Packet) bool {
	h, n, err := Parse(p.Bytes())
	if err != nil || h.Flags&(SYN|RST) != 0 || p.Len() == n || h.Seq.Less(e.top) {
		return false
	}
	e.top = h.Seq.Add(p.Len() - n)
	return true
}
