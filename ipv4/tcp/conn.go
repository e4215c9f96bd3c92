package tcp

import (
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/clock"
)

// Conn is a TCP connection. It is a net.Conn; all methods may be called
// concurrently.
//
// There may be many, and most do nothing most of the time: the fields are in an
// order that leaves no gaps, and TestConnSize watches over the sum.
type Conn struct {
	pr     *Protocol
	key    tuple
	linger int32         // SO_LINGER in seconds, negative: off
	config *SocketConfig // shared, see configureLocked
	parent *Listener     // until the connection is accepted; guarded by mu

	mu       sync.Mutex
	readable waiters // data, end of stream, an error, a deadline; also the end of connecting
	writable waiters
	onRead   func() // see AfterReadable
	onEvent  func() // see Notify

	err     error         // why the connection ended early
	softErr syscall.Errno // of an ICMP error that may be temporary
	state   State
	told    bool // the user has seen err
	closed  bool // by the user: nobody will read or write again
	readEnd bool // CloseRead
	writing bool // a Write is under way
	scaling bool // window scaling was negotiated
	force   bool // the next retransmission ignores the congestion window
	confirm bool // mark the next packet as evidence that the next hop works
	noDF    bool // the path's MTU is below what TCP adapts to
	shaken  bool // in SYN-RECEIVED: the SYN-ACK was acknowledged, but data is wanted

	wakeReader, wakeWriter bool // when mu is released
	deferred               bool // in a batch, which will flush the connection

	// Segments leave after mu is released: whoever unlocks with out not empty
	// and sending not set transmits, in order, until it is.
	sending bool
	more    bool // output stopped at a full batch
	ecn     ecnFlags
	// synRetrans is how often the SYN was sent again.
	synRetrans uint8
	out        link.Queue

	snd  sender
	rcv  receiver
	rtt  rtt
	rto  rto
	loss loss
	win  window
	flow *flow // while the connection sends
	ts   timestamps
	ack  acker

	timers  timers
	timer   clock.Timer
	armedAt moment // what timer is set to; 0 when it is not running

	userTimeout time.Duration // TCP_USER_TIMEOUT, 0: off
	stalledAt   moment        // since when nothing has got through, while retries > 0
	retries     int16         // timeouts since the last progress
	probes      int16         // zero-window or keepalive probes without an answer
	resent      int32         // segments sent again, ever
	lastSent    moment        // of data
	lastHeard   moment        // of anything acceptable
	lastOOW     moment        // of an answer to an unacceptable segment

	readBy, writeBy moment // deadlines, 0: none
}

// minPMTU is the smallest path MTU that is believed (Linux's
// net.ipv4.route.min_pmtu); smaller ones are left to fragmentation.
const minPMTU = 552

// maxMSS keeps a segment with all headers in an IPv4 packet.
const maxMSS = ipv4.MaxPacketLen - 40

// newConn returns a closed connection for k over a path that carries mtu bytes.
func (pr *Protocol) newConn(k tuple, sc *SocketConfig, mtu int, now time.Time) *Conn {
	c := &Conn{pr: pr, key: k, config: sc, linger: -1}
	c.timers.epoch = &pr.epoch
	c.snd.pmtu = mtu
	send, receive := sc.SendBuffer, sc.ReceiveBuffer
	if c.snd.fixed = send > 0; !c.snd.fixed {
		send = pr.params.Load().wmem[2]
	}
	p := pr.params.Load()
	if c.rcv.fixed = receive > 0; !c.rcv.fixed {
		receive = p.rmem[1]
	}
	c.snd.limit = max(send, minBuffer)
	c.rcv.limit = min(max(receive, minBuffer), max(p.rmem[2], minBuffer))
	if !sc.NoScaling {
		c.rcv.scale = scaleFor(max(c.rcv.limit, p.rmem[2]))
	}
	c.ts.epoch, c.ts.offset = &pr.epoch, pr.secret.timestampOffset(k.laddr, k.raddr)
	c.lastHeard = c.moment(now)
	return c
}

// lock takes mu; unlock is its counterpart.
func (c *Conn) lock() { c.mu.Lock() }

// unlock re-arms the timer, releases mu and then transmits what is in out. It
// is the only way out of a locked section that may have produced segments. No
// lower layer is called with mu held, since it may call back: a packet that
// cannot be resolved comes back as an ICMP error in the same call.
func (c *Conn) unlock() {
	c.armLocked()
	if c.sending || c.out.Len() == 0 {
		c.releaseLocked()
		return
	}
	c.sending = true
	for c.out.Len() > 0 {
		q, s := c.out.Take(), c.sendParamsLocked()
		var ecn *ecnSender
		if c.flow != nil && c.ecn&ecnOK != 0 {
			ecn = &c.flow.ecn
		}
		c.releaseLocked()
		var failed error
		tos := s.TOS
		for p := q.Pop(); p != nil; p = q.Pop() {
			if ecn != nil {
				if s.TOS = tos; ecn.mark(p) {
					s.TOS |= ecnECT0
				}
			}
			if err := c.pr.ip.Output(p, s); err != nil {
				failed = err
			}
		}
		c.mu.Lock()
		if failed != nil {
			c.outputFailedLocked(failed)
		}
		if c.more {
			c.more = false
			c.outputLocked(c.now())
		}
	}
	c.sending = false
	c.armLocked()
	c.releaseLocked()
}

// releaseLocked releases mu and wakes the users that data or room has come for.
// That is once for everything that happened under the lock, and after it, so
// that nobody wakes up only to wait for the lock.
func (c *Conn) releaseLocked() {
	var read, write *sync.Cond
	if c.wakeReader && c.readable.n > 0 {
		read = c.readable.cond
	}
	if c.wakeWriter && c.writable.n > 0 {
		write = c.writable.cond
	}
	onEvent := c.onEvent
	if !c.wakeReader && !c.wakeWriter {
		onEvent = nil
	}
	c.wakeReader, c.wakeWriter = false, false
	onRead := c.onRead
	if onRead != nil {
		if c.readableLocked() {
			c.onRead = nil
		} else {
			onRead = nil
		}
	}
	c.mu.Unlock()
	if onRead != nil {
		go onRead()
	}
	if read != nil {
		read.Broadcast()
	}
	if write != nil {
		write.Broadcast()
	}
	if onEvent != nil {
		onEvent()
	}
}

func (c *Conn) now() time.Time { return c.pr.config.Clock.Now() }

func (c *Conn) moment(now time.Time) moment { return momentOf(now, c.pr.epoch) }

// src and dst are the addresses as lower layers want them.
func (c *Conn) src() netip.Addr { return netip.AddrFrom4(c.key.laddr) }
func (c *Conn) dst() netip.Addr { return netip.AddrFrom4(c.key.raddr) }

func (c *Conn) sendParamsLocked() ipv4.Send {
	return ipv4.Send{Src: c.src(), Dst: c.dst(), Protocol: ipv4.ProtocolTCP, TTL: c.config.TTL, TOS: c.config.TOS,
		DF: !c.noDF, Interface: c.config.Interface}
}

// armLocked lets the clock timer follow the earliest deadline. It is moved to
// earlier times only; when it fires too soon, it is set again.
func (c *Conn) armLocked() {
	e := c.timers.earliest()
	if e == 0 || c.armedAt != 0 && e >= c.armedAt {
		return
	}
	c.armedAt = e
	d := e.sub(c.moment(c.now()))
	if c.timer == nil {
		c.timer = c.pr.config.Clock.AfterFunc(d, c.expire)
	} else {
		c.timer.Reset(d)
	}
}

// setStateLocked moves to state s and wakes those who wait for it.
func (c *Conn) setStateLocked(s State) {
	if was, is := c.state == Established || c.state == CloseWait, s == Established || s == CloseWait; was != is {
		if is {
			c.pr.established.Add(1)
		} else {
			c.pr.established.Add(-1)
		}
	}
	c.state = s
	c.wakeReader, c.wakeWriter = true, true
	c.readable.wakeLocked()
	c.writable.wakeLocked()
}

// endLocked brings the connection to CLOSED for the reason err, nil when it
// ended as it should. What has been received can still be read.
func (c *Conn) endLocked(err error) {
	if c.state == Closed {
		return
	}
	if c.err == nil {
		c.err = err
	}
	c.detachLocked()
	c.pr.demux.remove(c.key, endpoint{conn: c})
	c.setStateLocked(Closed)
}

// detachLocked gives up everything but what the user may still read.
func (c *Conn) detachLocked() {
	c.timers.clearAll()
	if c.timer != nil {
		c.timer.Stop()
		c.timer, c.armedAt = nil, 0
	}
	c.rcv.ofo.release()
	if c.closed {
		c.rcv.release()
	}
	c.snd.buf.discard(c.snd.buf.end)
	c.snd.sent = sentQueue{}
	c.loss = loss{}
	c.more = false
	if c.flow != nil {
		c.pr.pacer.remove(&c.flow.pace)
	}
	if c.parent != nil {
		c.parent.forget(c)
	}
}

// timeWaitLocked enters TIME-WAIT: a small object takes the connection's place.
func (c *Conn) timeWaitLocked(now time.Time) {
	w := &timeWait{key: c.key, sndNxt: c.snd.nxt, rcvNxt: c.rcv.nxt, tos: c.config.TOS, reuse: c.config.ReuseAddr, ts: c.ts,
		window: uint16(min(c.rcv.window()>>c.rcv.scale, 0xffff))}
	c.detachLocked()
	c.setStateLocked(TimeWait)
	c.pr.waits.enter(c, w, now)
}

// abortLocked resets the connection from our side (RFC 9293 section 3.10.5):
// the user gets err.
func (c *Conn) abortLocked(now time.Time, err error) {
	switch c.state {
	case SynReceived, Established, FinWait1, FinWait2, CloseWait, Closing, LastAck:
		c.sendResetLocked(now)
	}
	c.endLocked(err)
}

// establishedLocked completes the handshake: s is the segment that did it.
func (c *Conn) establishedLocked(now time.Time) {
	if c.rtt.srtt == 0 {
		// The handshake lost something and measured nothing.
		c.rto.base = fallbackRTO
	}
	c.rto.backoff = 0
	c.win.start(c.snd.mss, c.synRetrans > 1)
	c.loss.recover = c.snd.iss
	c.lastSent = c.moment(now)
	c.confirm = true
	c.setStateLocked(Established)
	c.keepaliveLocked(now)
}

// negotiateLocked takes in the options of the peer's SYN.
func (c *Conn) negotiateLocked(o *Options, now time.Time) {
	c.snd.peerMSS = o.MSS
	if m := uint16(min(max(c.config.MSS, 0), maxMSS)); m > 0 && (o.MSS == 0 || o.MSS > m) {
		c.snd.peerMSS = m
	}
	if o.HasWindowScale && !c.config.NoScaling {
		c.scaling, c.snd.scale = true, o.WindowScale
	} else {
		c.rcv.scale = 0 // both or neither (RFC 7323 section 2.2)
	}
	if o.HasTimestamps && !c.config.NoTimestamps {
		c.ts.start(o, now)
	}
	c.loss.sack = o.SACKPermitted && !c.noSACK()
	c.snd.setMSS(c.ts.ok)
	c.win.mss = c.snd.mss
	c.rcv.mss = int32(min(c.snd.mss, defaultMSS))
}
