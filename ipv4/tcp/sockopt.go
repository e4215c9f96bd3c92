package tcp

import "time"

// Configure changes what a connection, or one that a listener accepts, began
// with: Nagle, KeepAlive, Interface, TTL, TOS, ReuseAddr, SynRetries, FinTimeout
// and NotSentLowat from now on, the rest in vain.
func (c *Conn) Configure(f func(*SocketConfig)) error {
	return c.set(func() {
		nagle := c.config.Nagle
		c.configureLocked(func(sc *SocketConfig) {
			f(sc)
			sc.KeepAlive = keepAlive(sc.KeepAlive)
		})
		c.keepaliveLocked(c.now())
		if nagle && !c.config.Nagle {
			c.pushLocked()
		}
	})
}

// SetCork holds back what fills no segment until it is turned off, or for 200 ms
// at least (TCP_CORK).
func (c *Conn) SetCork(on bool) error {
	return c.set(func() {
		c.snd.cork, c.snd.held = on, on
		if !on {
			c.pushLocked()
		}
	})
}

func (c *Conn) pushLocked() {
	if c.state.synchronized() && c.state != TimeWait {
		c.outputLocked(c.now())
	}
}

// SetDontFragment says whether packets leave with DF, which they do unless the path
// is narrower than TCP adapts to (IP_MTU_DISCOVER).
func (c *Conn) SetDontFragment(on bool) error { return c.set(func() { c.noDF = !on }) }

// SetQuickAck says whether data is acknowledged at once, until the connection
// finds that it is a conversation (TCP_QUICKACK).
func (c *Conn) SetQuickAck(on bool) error {
	return c.set(func() {
		c.ack.pingpong = !on
		if on {
			c.ack.quick = max(c.ack.quick, quickAcks)
			if c.ack.wanted {
				c.ack.force()
				c.pushLocked()
			}
		}
	})
}

// QuickAck reports whether data is acknowledged at once.
func (c *Conn) QuickAck() bool {
	c.lock()
	defer c.unlock()
	return !c.ack.pingpong
}

// finTimeout returns how long FIN-WAIT-2 lasts without an owner.
func (c *Conn) finTimeout() time.Duration {
	switch d := c.config.FinTimeout; {
	case d > 0:
		return d
	case d < 0:
		return 0
	}
	return c.pr.config.FinTimeout
}

// WriteBuffer returns how many bytes may wait for acknowledgement now.
func (c *Conn) WriteBuffer() int {
	c.lock()
	defer c.unlock()
	return c.snd.capacity(c.win.cwnd)
}

// retransmittedLocked counts the segments in flight that were sent again
// (tcpi_retrans).
func (c *Conn) retransmittedLocked() int {
	n := 0
	for i := range c.snd.sent.len() {
		if x := c.snd.sent.at(i); x.sent > 1 && !x.lost {
			n++
		}
	}
	return n
}

// Defaults returns the protocol's configuration with the defaults filled in.
func (pr *Protocol) Defaults() Config { return pr.config }

// CongestionControl returns the name of the algorithm that connections begin with
// (net.ipv4.tcp_congestion_control).
func (c Config) CongestionControl() string { return new(reno).name() }
