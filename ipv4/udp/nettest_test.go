package udp

import (
	"io"
	"net"
	"net/netip"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"
)

// stream gives a connected socket what the tests of a net.Conn want: an end, an
// empty datagram, and writes that wait for room. Otherwise nothing is lost or
// reordered between two sockets of one host.
type stream struct {
	*Conn
	peer *Conn
}

func (s stream) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if n == 0 && err == nil && len(b) > 0 {
		return 0, io.EOF
	}
	return n, err
}

func (s stream) Write(b []byte) (int, error) {
	for s.full() {
		if _, err := s.Conn.Send(nil, netip.AddrPort{}, SendOptions{Probe: true}); err != nil {
			return 0, err
		}
		runtime.Gosched()
	}
	return s.Conn.Write(b)
}

// full reports whether the peer has little room.
func (s stream) full() bool {
	s.peer.mu.Lock()
	defer s.peer.mu.Unlock()
	return s.peer.costLocked() > s.peer.limit/2
}

func (s stream) Close() error {
	_, _ = s.Conn.Write(nil)
	return s.Conn.Close()
}

// TestConn runs the standard tests of a net.Conn.
func TestConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		h := makeTestHost(t, "2")
		a, err := h.Dial(ap("127.0.0.1:1000"), ap("127.0.0.1:2000"), SocketConfig{})
		require.NoError(t, err)
		b, err := h.Dial(ap("127.0.0.1:2000"), ap("127.0.0.1:1000"), SocketConfig{})
		require.NoError(t, err)
		return stream{a, b}, stream{b, a}, func() {
			a.Close()
			b.Close()
			h.Close()
			h.ip.Close()
		}, nil
	})
}
