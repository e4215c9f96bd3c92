package tcp

import (
	"net"
	"syscall"
	"time"
)

// Close ends both directions. What was written is still sent, in the background;
// but if something was received that nobody has read, the peer gets a reset, as
// it must not believe that it was (RFC 2525 section 2.17, as Linux). The error
// of a second Close is net.ErrClosed.
func (c *Conn) Close() error {
	now := c.now()
	c.lock()
	if c.closed {
		c.unlock()
		return c.opError("close", "close", net.ErrClosed)
	}
	c.closeLocked(now)
	c.unlock()
	return nil
}

func (c *Conn) closeLocked(now time.Time) {
	unread := c.rcv.queue.bytes > 0
	c.closed = true
	c.readable.wakeLocked()
	c.writable.wakeLocked()
	switch {
	case c.state == Closed || c.state == TimeWait:
	case c.state == SynSent:
		c.endLocked(net.ErrClosed)
	case unread:
		c.pr.stats.add(abortOnClose)
		c.abortLocked(now, net.ErrClosed)
	case c.linger == 0:
		c.abortLocked(now, net.ErrClosed)
	default:
		c.finishLocked(now)
		if c.state == FinWait2 {
			c.timers.set(timerOrphan, now.Add(c.finTimeout()))
		} else if c.linger > 0 {
			c.timers.set(timerOrphan, now.Add(time.Duration(c.linger)*time.Second))
		}
		c.timers.clear(timerKeepalive)
	}
	c.rcv.queue.release()
}

// finishLocked ends the stream to the peer: FIN follows what has been written
// (RFC 9293 section 3.10.4).
func (c *Conn) finishLocked(now time.Time) {
	switch c.state {
	case Established:
		c.snd.fin = true
		c.setStateLocked(FinWait1)
	case CloseWait:
		c.snd.fin = true
		c.setStateLocked(LastAck)
	default:
		return
	}
	c.outputLocked(now)
}

// CloseWrite ends the stream to the peer; reading goes on. The error is ENOTCONN
// for a connection that has ended.
func (c *Conn) CloseWrite() error {
	now := c.now()
	c.lock()
	defer c.unlock()
	switch {
	case c.closed:
		return c.opError("close", "shutdown", net.ErrClosed)
	case c.state == Closed:
		return c.opError("close", "shutdown", syscall.ENOTCONN)
	}
	c.finishLocked(now)
	return nil
}

// CloseRead ends reading: Read returns what has been received, then io.EOF. The
// peer is not told, as in Linux.
func (c *Conn) CloseRead() error {
	c.lock()
	defer c.unlock()
	switch {
	case c.closed:
		return c.opError("close", "shutdown", net.ErrClosed)
	case c.state == Closed:
		return c.opError("close", "shutdown", syscall.ENOTCONN)
	}
	c.readEnd = true
	c.readable.wakeLocked()
	return nil
}

// Abort resets the connection; calls that wait end with net.ErrClosed.
func (c *Conn) Abort() error {
	now := c.now()
	c.lock()
	defer c.unlock()
	if c.closed {
		return c.opError("close", "close", net.ErrClosed)
	}
	c.linger = 0
	c.closeLocked(now)
	return nil
}

// shutdown ends the connection because its host does: nothing stays in the
// background.
func (c *Conn) shutdown() {
	now := c.now()
	c.lock()
	c.abortLocked(now, net.ErrClosed)
	c.rcv.release()
	c.unlock()
}
