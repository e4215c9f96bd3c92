package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/tapstack/tapstack/stack/sock"
)

// upgradeSock is the protocol that a connection is switched to which drives the
// host's sockets: a sock.Request a line one way, a sock.Reply the other.
const upgradeSock = "tapstack-sock"

// maxReplies is how many bytes of replies wait for a client that does not read
// them; requests wait then.
const maxReplies = 4 << 20

// sock carries out requests until the client closes its direction.
func (s *Server) sock(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		writeError(w, err)
		return
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+upgradeSock+"\r\n\r\n")
	ctx, cancel := s.untilClosed(context.Background())
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	out := newReplies(conn, cancel)
	requests := make(chan *sock.Request)
	go readRequests(ctx, rw.Reader, requests)
	h := s.host
	p := sock.New(sock.Config{IPv4: h.IPv4(), ICMP: h.ICMP(), UDP: h.UDP(), TCP: h.TCP(), Interface: func(name string) int {
		index, _ := s.index(name)
		return index
	}}, out.send)
	p.Run(ctx, requests)
	out.close()
}

// readRequests reads lines until the end of r or ctx, and closes requests then.
func readRequests(ctx context.Context, r *bufio.Reader, requests chan<- *sock.Request) {
	defer close(requests)
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line) <= sock.MaxLine { // of one that is too long the rest is passed over
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if len(line) > sock.MaxLine {
			line = append(line[:0], '!') // no JSON
		}
		if len(trim(line)) > 0 {
			select {
			case requests <- sock.ParseRequest(line):
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
		if cap(line) > 64<<10 {
			line = nil
		}
		line = line[:0]
	}
}

func trim(line []byte) []byte {
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r' || line[len(line)-1] == ' ') {
		line = line[:len(line)-1]
	}
	return line
}

// replies are on their way to a client.
type replies struct {
	mu      sync.Mutex
	changed sync.Cond
	buf     []byte
	over    bool // nothing is taken any more
	done    chan struct{}
}

// newReplies returns replies that are written to w; broken is called when that
// fails.
func newReplies(w io.Writer, broken func()) *replies {
	r := &replies{done: make(chan struct{})}
	r.changed.L = &r.mu
	go func() {
		defer close(r.done)
		var out []byte
		for {
			r.mu.Lock()
			for len(r.buf) == 0 && !r.over {
				r.changed.Wait()
			}
			out, r.buf = r.buf, out[:0]
			over := r.over && len(out) == 0
			r.changed.Broadcast()
			r.mu.Unlock()
			if over {
				return
			}
			if _, err := w.Write(out); err != nil {
				r.mu.Lock()
				r.over, r.buf = true, nil
				r.changed.Broadcast()
				r.mu.Unlock()
				broken()
				return
			}
			if cap(out) > 1<<20 {
				out = nil
			}
		}
	}()
	return r
}

// send queues a reply, and waits while there are too many.
func (r *replies) send(reply *sock.Reply) {
	b, err := json.Marshal(reply)
	if err != nil {
		b = []byte(fmt.Sprintf(`{"id":null,"ok":false,"errno":"EIO","error":%q}`, err))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.buf) > maxReplies && !r.over {
		r.changed.Wait()
	}
	if !r.over {
		r.buf = append(append(r.buf, b...), '\n')
		r.changed.Broadcast()
	}
}

// close returns when everything has been written, or cannot be.
func (r *replies) close() {
	r.mu.Lock()
	r.over = true
	r.changed.Broadcast()
	r.mu.Unlock()
	<-r.done
}

// Sock is a connection that drives the host's sockets: what is written are
// sock.Requests, a line each, what is read are sock.Replies.
type Sock struct {
	*net.UnixConn
	r *bufio.Reader
}

// Read reads replies.
func (s *Sock) Read(b []byte) (int, error) { return s.r.Read(b) }

// Sock opens a connection that drives the host's sockets. CloseWrite closes them
// all.
func (c *Client) Sock(ctx context.Context) (*Sock, error) {
	req, err := c.request(ctx, http.MethodPost, "sock", nil, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", upgradeSock)
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.path)
	if err != nil {
		return nil, c.unreachable(err)
	}
	s := &Sock{conn.(*net.UnixConn), bufio.NewReader(conn)}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err = req.Write(conn); err == nil {
		var resp *http.Response
		if resp, err = http.ReadResponse(s.r, req); err == nil && resp.StatusCode != http.StatusSwitchingProtocols {
			err = fmt.Errorf("control: the host answered %s where sockets were asked for", resp.Status)
		}
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}
