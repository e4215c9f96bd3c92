package udp

import (
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"
)

// stream gives a connected socket an end: an empty datagram. What is sent between
// two sockets of one host is neither lost nor reordered while there is room.
type stream struct{ *Conn }

func (s stream) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if n == 0 && err == nil && len(b) > 0 {
		return 0, io.EOF
	}
	return n, err
}

func (s stream) Close() error {
	_, _ = s.Conn.Write(nil)
	return s.Conn.Close()
}

// TestConn runs the standard tests of a net.Conn.
func TestConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		h := makeTestHost(t, "2")
		sc := SocketConfig{ReadBuffer: 64 << 20}
		a, err := h.Dial(ap("127.0.0.1:1000"), ap("127.0.0.1:2000"), sc)
		require.NoError(t, err)
		b, err := h.Dial(ap("127.0.0.1:2000"), ap("127.0.0.1:1000"), sc)
		require.NoError(t, err)
		return stream{a}, stream{b}, func() {
			a.Close()
			b.Close()
			h.Close()
			h.ip.Close()
		}, nil
	})
}
