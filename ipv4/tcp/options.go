package tcp

import (
	"math"
	"net"
	"syscall"
	"time"
)

// set runs f on an open connection.
func (c *Conn) set(f func()) error {
	c.lock()
	defer c.unlock()
	if c.closed {
		return c.opError("set", "setsockopt", net.ErrClosed)
	}
	f()
	return nil
}

// SetNoDelay says whether short segments are sent at once, which is the
// default, or are delayed by Nagle's algorithm (RFC 9293 section 3.7.4).
func (c *Conn) SetNoDelay(noDelay bool) error {
	return c.set(func() {
		c.configureLocked(func(sc *SocketConfig) { sc.Nagle = !noDelay })
		if noDelay && c.state.synchronized() && c.state != TimeWait {
			c.outputLocked(c.now())
		}
	})
}

// configureLocked has f change the configuration, which others share.
func (c *Conn) configureLocked(f func(*SocketConfig)) {
	own := *c.config
	f(&own)
	c.config = &own
}

// SetKeepAlive says whether an idle peer is probed.
func (c *Conn) SetKeepAlive(on bool) error {
	return c.set(func() {
		c.configureLocked(func(sc *SocketConfig) { sc.KeepAlive.Enable = on })
		c.keepaliveLocked(c.now())
	})
}

// SetKeepAliveConfig sets all of keepalive; values that are not positive become
// Linux's defaults
// (tcp_keepalive_time 2 h, tcp_keepalive_intvl 75 s, tcp_keepalive_probes 9).
func (c *Conn) SetKeepAliveConfig(k net.KeepAliveConfig) error {
	return c.set(func() {
		c.configureLocked(func(sc *SocketConfig) { sc.KeepAlive = keepAlive(k) })
		c.keepaliveLocked(c.now())
	})
}

// SetKeepAlivePeriod sets after how long an idle peer is probed first, and how
// often then.
func (c *Conn) SetKeepAlivePeriod(d time.Duration) error {
	return c.set(func() {
		c.configureLocked(func(sc *SocketConfig) {
			sc.KeepAlive = keepAlive(net.KeepAliveConfig{Enable: sc.KeepAlive.Enable, Idle: d, Interval: d, Count: sc.KeepAlive.Count})
		})
		c.keepaliveLocked(c.now())
	})
}

// SetLinger says what Close does with data that is not acknowledged: sec < 0,
// the default, delivers it in the background; 0 discards it and resets the
// connection; sec > 0 delivers in the background but resets after so many
// seconds. Close never waits.
func (c *Conn) SetLinger(sec int) error {
	return c.set(func() { c.linger = int32(min(max(sec, -1), math.MaxInt32)) })
}

// SetReadBuffer sets how many bytes wait for Read at most; it is also the
// largest window. It may be raised to Config.MaxReceiveBuffer, and is not sized by
// itself from then on. What the peer may
// send already it may still send after a decrease.
func (c *Conn) SetReadBuffer(bytes int) error {
	return c.set(func() {
		c.rcv.limit = min(max(bytes, minBuffer), max(c.pr.params.Load().rmem[2], minBuffer))
		c.rcv.fixed, c.rcv.tune = true, nil
		if c.state.synchronized() {
			c.updateWindowLocked()
		}
	})
}

// SetWriteBuffer sets how many bytes may wait for acknowledgement. Without it
// that is twice the congestion window, at most Config.SendBuffer.
func (c *Conn) SetWriteBuffer(bytes int) error {
	return c.set(func() {
		c.snd.limit, c.snd.fixed = max(bytes, minBuffer), true
		c.writable.wakeLocked()
	})
}

// SetUserTimeout sets after how long without progress the connection fails with
// ETIMEDOUT (RFC 5482, Linux's TCP_USER_TIMEOUT); 0, the default, leaves it to
// the number of retransmissions.
func (c *Conn) SetUserTimeout(d time.Duration) error {
	return c.set(func() { c.userTimeout = max(d, 0) })
}

// SetCongestion chooses the congestion control (TCP_CONGESTION), one of
// CongestionControls. The window stays. The error is ENOENT for an unknown name.
func (c *Conn) SetCongestion(name string) error {
	if newCongestionControl(name) == nil {
		return c.opError("set", "setsockopt", syscall.ENOENT)
	}
	return c.set(func() {
		c.configureLocked(func(sc *SocketConfig) { sc.Congestion = name })
		if c.flow != nil && c.flow.cc.name() != name {
			c.flow.cc = newCongestionControl(name)
		}
	})
}

// SetPacing says whether segments are spread over the round trip, at 200 % of a window
// in one during slow start and 120 % after it; see SocketConfig.
func (c *Conn) SetPacing(on bool) error {
	return c.set(func() { c.configureLocked(func(sc *SocketConfig) { sc.Pacing = on }) })
}

// SetMaxPacingRate bounds the rate in bytes a second (SO_MAX_PACING_RATE); 0 is no
// bound.
func (c *Conn) SetMaxPacingRate(rate uint64) error {
	return c.set(func() { c.configureLocked(func(sc *SocketConfig) { sc.MaxPacingRate = rate }) })
}

// MultipathTCP reports whether the connection uses Multipath TCP: never.
func (c *Conn) MultipathTCP() (bool, error) { return false, nil }
