package tcp

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/link"
)

// writeSlice is how much Write copies before it lets the lock go.
const writeSlice = 64 << 10

func (c *Conn) opError(op, call string, err error) error {
	return opError(op, call, c.key.local(), c.key.remote(), err)
}

// LocalAddr returns our end's address, a *net.TCPAddr.
func (c *Conn) LocalAddr() net.Addr { return tcpAddr(c.key.local()) }

// RemoteAddr returns the peer's address, a *net.TCPAddr.
func (c *Conn) RemoteAddr() net.Addr { return tcpAddr(c.key.remote()) }

// Read reads what has been received, and waits when that is nothing. The error
// is io.EOF after the peer's FIN; os.ErrDeadlineExceeded, net.ErrClosed,
// ECONNRESET and ETIMEDOUT are wrapped in a *net.OpError.
func (c *Conn) Read(b []byte) (int, error) {
	c.lock()
	err := c.waitReadableLocked(len(b) == 0)
	if err != nil {
		c.unlock()
		if err == io.EOF {
			return 0, err
		}
		return 0, c.opError("read", "read", err)
	}
	n := c.rcv.queue.read(b)
	c.updateWindowLocked()
	c.unlock()
	return n, nil
}

// waitReadableLocked waits until there is something to read; with poll it only
// looks for errors.
func (c *Conn) waitReadableLocked(poll bool) error {
	for {
		switch {
		case c.closed:
			return net.ErrClosed
		case c.passed(c.readBy):
			return os.ErrDeadlineExceeded
		case poll || c.rcv.queue.bytes > 0:
			return nil
		case c.rcv.eof: // as in Linux, also when the connection broke after it
			return io.EOF
		case c.err != nil:
			c.told = true
			return c.err
		case c.readEnd || c.state == Closed:
			return io.EOF
		}
		c.waitLocked(&c.readable, c.readBy)
	}
}

// updateWindowLocked tells the peer that the reader has made room, but only if
// that is much: the window must at least double (Linux's tcp_cleanup_rbuf), or a
// full segment must fit that did not.
func (c *Conn) updateWindowLocked() {
	if !c.state.receivesData() {
		return
	}
	window, free, mss := c.rcv.window(), c.rcv.free(), max(c.rcv.mss, 1)
	if free-window < min(c.rcv.limit/2, mss) {
		return
	}
	if 2*window <= c.rcv.limit && free >= 2*window || window < mss {
		c.sendACKLocked(c.now())
	}
}

// Write queues b for sending, and waits while the send buffer is full. It
// returns before the peer has acknowledged, or even received, the data.
func (c *Conn) Write(b []byte) (int, error) {
	c.lock()
	n, err := c.writeLocked(b)
	c.unlock()
	if err != nil {
		return n, c.opError("write", "write", err)
	}
	return n, nil
}

func (c *Conn) writeLocked(b []byte) (n int, err error) {
	// One Write at a time, so that each is contiguous.
	for c.writing {
		if err := c.writeErrorLocked(); err != nil {
			return 0, err
		}
		c.waitLocked(&c.writable, c.writeBy)
	}
	c.writing = true
	defer func() {
		c.writing = false
		c.uncorkLocked()
		c.writable.wakeLocked()
	}()
	for {
		if err := c.writeErrorLocked(); err != nil {
			return n, err
		}
		if len(b) == 0 {
			return n, nil
		}
		room := c.snd.capacity(c.win.cwnd) - c.snd.buf.len()
		if room <= 0 {
			if c.snd.corked {
				c.uncorkLocked()
				c.unlock() // transmit
				c.lock()
				continue
			}
			c.waitLocked(&c.writable, c.writeBy)
			continue
		}
		k := min(room, len(b), writeSlice)
		c.snd.buf.write(b[:k])
		b, n = b[k:], n+k
		// What does not fill a segment waits for the next slice.
		c.snd.corked = len(b) > 0 && k < room
		c.outputLocked(c.now())
		if len(b) > 0 {
			c.unlock() // transmit
			c.lock()
		}
	}
}

// uncorkLocked sends what was held back while Write had more to come.
func (c *Conn) uncorkLocked() {
	if c.snd.corked {
		c.snd.corked = false
		if c.state != Closed && c.state != TimeWait {
			c.outputLocked(c.now())
		}
	}
}

func (c *Conn) writeErrorLocked() error {
	switch {
	case c.closed:
		return net.ErrClosed
	case c.passed(c.writeBy):
		return os.ErrDeadlineExceeded
	case c.err != nil && !c.told:
		c.told = true
		return c.err
	case !c.state.sendsData():
		return syscall.EPIPE
	}
	return nil
}

// SetDeadline sets both deadlines; the zero time means none. Calls that wait
// past their deadline end with os.ErrDeadlineExceeded.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadline(t, true, true) }

// SetReadDeadline sets the deadline of Read.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadline(t, true, false) }

// SetWriteDeadline sets the deadline of Write.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(t, false, true) }

// ReadFrom writes everything that r has (io.ReaderFrom).
func (c *Conn) ReadFrom(r io.Reader) (n int64, err error) {
	k := link.NewChunk(largeChunk)
	defer k.Release()
	buf := k.Bytes()
	for {
		m, rerr := r.Read(buf)
		if m > 0 {
			w, err := c.Write(buf[:m])
			n += int64(w)
			if err != nil {
				return n, err
			}
		}
		if rerr == io.EOF {
			return n, nil
		}
		if rerr != nil {
			return n, rerr
		}
	}
}

// writeToBatch is how many packets WriteTo takes at once.
const writeToBatch = 16

// WriteTo writes everything that is received to w, straight from the packets
// it came in (io.WriterTo). What w refuses is lost, as with io.Copy.
func (c *Conn) WriteTo(w io.Writer) (n int64, err error) {
	for {
		c.lock()
		err := c.waitReadableLocked(false)
		if err != nil {
			c.unlock()
			if err == io.EOF {
				return n, nil
			}
			return n, c.opError("read", "read", err)
		}
		var batch link.Queue // less for the lock to do than packet by packet
		for p := c.rcv.queue.pop(); p != nil; p = c.rcv.queue.pop() {
			if batch.Queue(p); batch.Len() == writeToBatch {
				break
			}
		}
		c.updateWindowLocked()
		c.unlock()
		for p := batch.Pop(); p != nil; p = batch.Pop() {
			var werr error
			for i := 0; i < p.NumPieces() && werr == nil; i++ {
				if b := p.Piece(i); len(b) > 0 {
					var m int
					m, werr = w.Write(b)
					n += int64(m)
				}
			}
			p.Release()
			if werr != nil {
				batch.Release()
				return n, werr
			}
		}
	}
}
