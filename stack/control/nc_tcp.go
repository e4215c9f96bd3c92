package control

import (
	"errors"
	"io"
	"net"
	"sync"

	"github.com/tapstack/tapstack/ipv4/tcp"
)

// tcpSocket is a connection, or a listener's connections one after the other.
type tcpSocket struct {
	next  func() (*tcp.Conn, error) // the next connection; net.ErrClosed at the end
	end   func() error              // makes next return, and closes what it listens on
	local net.Addr

	mu      sync.Mutex
	changed sync.Cond // of conn and over
	conn    *tcp.Conn // the one that the client's frames are for
	over    bool

	// saidAll is closed when the client will send no more: it said so, or left.
	saidAll chan struct{}
}

// once returns a function that returns c the first time.
func once(c *tcp.Conn) func() (*tcp.Conn, error) {
	return func() (*tcp.Conn, error) {
		if c == nil {
			return nil, net.ErrClosed
		}
		out := c
		c = nil
		return out, nil
	}
}

func (t *tcpSocket) close() {
	t.end()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.changed.Broadcast()
	if t.conn != nil {
		t.conn.Close()
	}
}

func (t *tcpSocket) serve(n *ncServer) {
	t.changed.L = &t.mu
	t.saidAll = make(chan struct{})
	n.sess.sendJSON(FrameReady, Endpoints{Local: t.local.String()})
	go t.transmit(n)
	for {
		c, err := t.next()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				n.fail(err, false)
			}
			return
		}
		n.sess.sendJSON(FramePeer, Endpoints{c.LocalAddr().String(), c.RemoteAddr().String()})
		if !t.attach(c) {
			c.Close()
			return
		}
		if err := n.receiveStream(c); err == nil && !n.q.Keep {
			<-t.saidAll // the peer has said all; the client may go on
		}
		t.attach(nil)
		c.Close()
		n.sess.Send(FrameClosed, nil)
		if !n.q.Keep {
			return
		}
	}
}

// attach makes c the connection for the client's frames. It reports false when
// the client has left.
func (t *tcpSocket) attach(c *tcp.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conn = c
	t.changed.Broadcast()
	return !t.over
}

// attached waits for a connection; nil means that there will be none.
func (t *tcpSocket) attached() *tcp.Conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.conn == nil && !t.over {
		t.changed.Wait()
	}
	return t.conn
}

// transmit passes on what the client sends. The client's FrameEnd closes that
// direction of the connection, the end of its session everything.
func (t *tcpSocket) transmit(n *ncServer) {
	var said sync.Once
	end := func() { said.Do(func() { close(t.saidAll) }) }
	defer t.close()
	defer end()
	for {
		f, err := n.sess.Receive()
		if err != nil {
			return
		}
		c := t.attached()
		if c == nil {
			return
		}
		switch f.Type {
		case FrameData:
			if _, err := c.Write(f.Payload); err != nil && !n.q.Keep {
				if !errors.Is(err, net.ErrClosed) {
					n.fail(err, true)
				}
				return
			}
		case FrameEnd:
			c.CloseWrite()
			end()
		default:
			return
		}
	}
}

// receiveStream passes on what the peer sends. It returns nil at the end of the
// stream.
func (n *ncServer) receiveStream(c *tcp.Conn) error {
	buf := make([]byte, MaxFrame)
	for {
		k, err := c.Read(buf)
		if k > 0 {
			if err := n.sess.Send(FrameData, buf[:k]); err != nil {
				return err
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return n.sess.Send(FrameEnd, nil)
		default:
			if !errors.Is(err, net.ErrClosed) {
				n.fail(err, false)
			}
			return err
		}
	}
}
