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

// AfterReadable calls f, once and in a goroutine of its own, as soon as Read would
// not wait: for data, the end of the stream or an error. So a connection need not
// keep a goroutine, whose stack is larger than the rest of it, to wait for a peer
// that says nothing. f replaces one that has not been called yet; nil is none.
// Deadlines don't count.
func (c *Conn) AfterReadable(f func()) {
	c.lock()
	c.onRead = f
	c.readable.shed()
	c.unlock()
}

// readableLocked reports whether Read would not wait.
func (c *Conn) readableLocked() bool {
	return c.closed || c.rcv.queue.bytes > 0 || c.rcv.eof || c.err != nil || c.readEnd || c.state == Closed
}

// updateWindowLocked tells the peer that the reader has made room, but only if
// that is much: the window must at least double (Linux's tcp_cleanup_rbuf), or a
// full segment must fit that did not.
func (c *Conn) updateWindowLocked() {
	if !c.state.receivesData() {
		return
	}
	c.adjustLocked()
	window, free, mss := c.rcv.window(), c.rcv.free(), max(int(c.rcv.mss), 1)
	if free-window < min(c.rcv.limit/2, mss) {
		return
	}
	if 2*window <= c.rcv.limit && free >= 2*window || window < mss {
		c.sendACKLocked(c.now())
	}
}

// Write queues b for sending, and waits while the send buffer is full. It
// returns before the peer has acknowledged, or even received, the data.
func (c *Conn) Write(b []byte) (int, error) { return c.write(b, nil) }

// WriteChunk is Write for b, a part of k, without a copy: the connection holds k
// until the peer has acknowledged b, which must not change before. It takes
// references of its own; the caller keeps the one it has.
func (c *Conn) WriteChunk(k *link.Chunk, b []byte) (int, error) { return c.write(b, k) }

// WritePacket is Write for the bytes of p, large parts without a copy. The
// caller keeps p.
func (c *Conn) WritePacket(p *link.Packet) (n int, err error) {
	c.lock()
	if err = c.beginWriteLocked(); err == nil {
		left := p.Len()
		for i := 0; left > 0 && err == nil; i++ {
			b, k := p.Piece(i), p.Chunk(i)
			if len(b) < keepAbove {
				k = nil
			}
			left -= len(b)
			var m int
			m, err = c.appendLocked(b, k, left > 0)
			n += m
		}
		c.endWriteLocked()
	}
	c.unlock()
	return n, c.writeError(err)
}

// keepAbove is the least part of a chunk in bytes for which the send buffer keeps
// all of it; less is cheaper copied.
const keepAbove = largeChunk / 4

func (c *Conn) write(b []byte, shared *link.Chunk) (n int, err error) {
	c.lock()
	if err = c.beginWriteLocked(); err == nil {
		n, err = c.appendLocked(b, shared, false)
		c.endWriteLocked()
	}
	c.unlock()
	return n, c.writeError(err)
}

func (c *Conn) writeError(err error) error {
	if err == nil {
		return nil
	}
	return c.opError("write", "write", err)
}

// beginWriteLocked waits for other writes to end, so that each is contiguous.
func (c *Conn) beginWriteLocked() error {
	for c.writing {
		if err := c.writeErrorLocked(); err != nil {
			return err
		}
		c.waitLocked(&c.writable, c.writeBy)
	}
	c.writing = true
	return nil
}

func (c *Conn) endWriteLocked() {
	c.writing = false
	c.uncorkLocked()
	c.writable.wakeLocked()
}

// appendLocked queues b as soon as there is room: a copy, or b itself if it is a
// part of shared. With more to come at once, what fills no segment waits.
func (c *Conn) appendLocked(b []byte, shared *link.Chunk, more bool) (n int, err error) {
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
		if shared != nil {
			c.snd.buf.writeShared(b[:k], shared)
		} else {
			c.snd.buf.write(b[:k])
		}
		b, n = b[k:], n+k
		// What does not fill a segment waits for the next slice.
		c.snd.corked = (more || len(b) > 0) && k < room
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

// ReadFrom writes everything that r has (io.ReaderFrom). It reads straight to the
// memory of the send buffer.
func (c *Conn) ReadFrom(r io.Reader) (n int64, err error) {
	k := link.NewChunk(largeChunk)
	defer func() { k.Release() }()
	for {
		m, rerr := r.Read(k.Bytes())
		if m > 0 {
			var w int
			if m >= keepAbove {
				w, err = c.WriteChunk(k, k.Bytes()[:m])
				k.Release()
				k = link.NewChunk(largeChunk)
			} else {
				w, err = c.Write(k.Bytes()[:m])
			}
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

// packetWriter is a writer that can keep memory instead of copying it; another
// Conn is one.
type packetWriter interface {
	WritePacket(p *link.Packet) (int, error)
}

// WriteTo writes everything that is received to w, straight from the packets it
// came in (io.WriterTo), and to another connection without a copy. What w refuses
// is lost, as with io.Copy.
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
			m, err := writePacket(w, p)
			p.Release()
			n += m
			if err != nil {
				batch.Release()
				return n, err
			}
		}
	}
}

// writePacket writes the bytes of p to w.
func writePacket(w io.Writer, p *link.Packet) (n int64, err error) {
	if pw, ok := w.(packetWriter); ok {
		n, err := pw.WritePacket(p)
		return int64(n), err
	}
	for i := 0; i < p.NumPieces() && err == nil; i++ {
		if b := p.Piece(i); len(b) > 0 {
			var m int
			m, err = w.Write(b)
			n += int64(m)
		}
	}
	return n, err
}
