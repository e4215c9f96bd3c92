package control

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// upgrade is the protocol that a session's connection is switched to.
const upgrade = "tapstack-nc"

// NCRequest asks for a socket of the host's: connected to Remote, or listening on
// Local.
type NCRequest struct {
	UDP     bool           `json:"udp,omitempty"`
	Listen  bool           `json:"listen,omitempty"`
	Keep    bool           `json:"keep,omitempty"` // listen on after a connection
	Local   netip.AddrPort `json:"local,omitzero"`
	Remote  netip.AddrPort `json:"remote,omitzero"`
	Name    string         `json:"name,omitempty"`    // whose address replaces that of Remote
	Dev     string         `json:"dev,omitempty"`     // SO_BINDTODEVICE
	Confirm bool           `json:"confirm,omitempty"` // UDP: MSG_CONFIRM on every datagram
	RecvErr bool           `json:"recverr,omitempty"` // UDP: IP_RECVERR
	Timeout time.Duration  `json:"timeout,omitempty"` // of connecting, ns; 0: the host's own
}

// Endpoints are the addresses of a session's socket.
type Endpoints struct {
	Local  string `json:"local"`
	Remote string `json:"remote,omitempty"`
}

// SessionError is the payload of a FrameError.
type SessionError struct {
	Error
	// Send tells that it was an attempt to send that failed, as opposed to an
	// error that arrived later.
	Send bool `json:"send,omitempty"`
}

// Session is one socket of the host's, seen from the other end of the control
// socket. One goroutine may call Receive, any number Send.
type Session struct {
	rwc io.ReadWriteCloser
	r   *bufio.Reader
	in  []byte

	mu  sync.Mutex
	out []byte
}

func newSession(rwc io.ReadWriteCloser, r io.Reader) *Session {
	return &Session{rwc: rwc, r: bufio.NewReaderSize(r, MaxFrame+frameHeader)}
}

// Send sends a frame.
func (s *Session) Send(t FrameType, payload []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	s.out, err = writeFrame(s.rwc, s.out, t, payload)
	return err
}

// sendJSON sends a frame with v for payload.
func (s *Session) sendJSON(t FrameType, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("control: frame: %w", err)
	}
	return s.Send(t, b)
}

// Receive returns the next frame, whose payload is valid until the next call.
// The error is io.EOF when the other end has closed the session.
func (s *Session) Receive() (Frame, error) {
	f, in, err := readFrame(s.r, s.in)
	s.in = in
	return f, err
}

// Close ends the session, and with it the socket.
func (s *Session) Close() error { return s.rwc.Close() }

// NC opens a socket on the host. A connection that fails is an *Error whose errno
// says why.
func (c *Client) NC(ctx context.Context, r NCRequest) (*Session, error) {
	req, err := c.request(ctx, http.MethodPost, "nc", nil, r)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", upgrade)
	resp, err := c.do(req)
	if err != nil {
		return nil, err
	}
	rwc, ok := resp.Body.(io.ReadWriteCloser)
	if resp.StatusCode != http.StatusSwitchingProtocols || !ok {
		resp.Body.Close()
		return nil, fmt.Errorf("control: the host answered %s where a socket was asked for", resp.Status)
	}
	return newSession(rwc, rwc), nil
}
