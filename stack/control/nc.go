package control

import (
	"context"
	"errors"
	"io"

	"net/http"
	"net/netip"
	"syscall"

	"github.com/tapstack/tapstack/ipv4/tcp"
)

// nc opens a socket and then speaks frames. What fails before the socket is open
// is answered in HTTP.
func (s *Server) nc(w http.ResponseWriter, r *http.Request) {
	var q NCRequest
	if err := decode(r, &q); err != nil {
		writeError(w, err)
		return
	}
	io.Copy(io.Discard, r.Body)
	sock, err := s.socket(r.Context(), q)
	if err != nil {
		writeError(w, err)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		sock.close()
		writeError(w, err)
		return
	}
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+upgrade+"\r\n\r\n")
	n := &ncServer{q: q, sess: newSession(conn, rw)}
	// The end of the server, or of the client, ends what blocks in the socket.
	over := make(chan struct{})
	go func() {
		select {
		case <-s.done:
			conn.Close()
			sock.close()
		case <-over:
		}
	}()
	sock.serve(n)
	close(over)
	sock.close()
	conn.Close()
}

// socket is what a session is about.
type socket interface {
	serve(n *ncServer)
	close()
}

// ncServer is the host's side of a session.
type ncServer struct {
	q    NCRequest
	sess *Session
}

func (n *ncServer) fail(err error, send bool) {
	n.sess.sendJSON(FrameError, SessionError{Error: Error{Text: words(err), Errno: errno(err)}, Send: send})
}

// socket opens what q asks for.
func (s *Server) socket(ctx context.Context, q NCRequest) (socket, error) {
	dev, err := s.index(q.Dev)
	if err != nil {
		return nil, err
	}
	if q.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, q.Timeout)
		defer cancel()
	}
	if q.Name != "" && !q.Listen {
		ip, err := s.lookup(ctx, q.Name)
		if err != nil {
			return nil, err
		}
		q.Remote = netip.AddrPortFrom(ip, q.Remote.Port())
	}
	if !q.Listen && !q.Remote.Addr().Is4() {
		return nil, invalid("control: %s is not an IPv4 address and a port", q.Remote)
	}
	switch {
	case q.UDP && q.Listen:
		c, err := s.host.UDP().Listen(q.Local, udpConfig(q, dev))
		if err != nil {
			return nil, fail(err, "listen %s", q.Local)
		}
		return &udpSocket{conn: c, listen: true}, nil
	case q.UDP:
		c, err := s.host.UDP().Dial(q.Local, q.Remote, udpConfig(q, dev))
		if err != nil {
			return nil, fail(err, "connect to %s", q.Remote)
		}
		return &udpSocket{conn: c}, nil
	case q.Listen:
		l, err := s.host.TCP().Listen(q.Local, tcp.SocketConfig{Interface: dev})
		if err != nil {
			return nil, fail(err, "listen %s", q.Local)
		}
		return &tcpSocket{next: l.AcceptTCP, end: l.Close, local: l.Addr()}, nil
	}
	c, err := s.host.TCP().Dial(ctx, q.Local, q.Remote, tcp.SocketConfig{Interface: dev})
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = syscall.ETIMEDOUT
		}
		return nil, fail(err, "connect to %s", q.Remote)
	}
	return &tcpSocket{next: once(c), end: c.Close, local: c.LocalAddr()}, nil
}
