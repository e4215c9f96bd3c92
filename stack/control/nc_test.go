package control

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4/tcp"
)

// serve makes alice answer at a socket, and returns a client.
func (n *network) serve() *Client {
	n.t.Helper()
	path := filepath.Join(n.t.TempDir(), "c.sock")
	l, err := Listen(path)
	require.NoError(n.t, err)
	served := make(chan error, 1)
	go func() { served <- n.srv.Serve(l) }()
	c := NewClient(path)
	n.t.Cleanup(func() {
		c.Close()
		n.srv.Close()
		require.ErrorIs(n.t, <-served, http.ErrServerClosed)
	})
	return c
}

// next returns the next frame, which must have that type.
func next(t *testing.T, s *Session, want FrameType) []byte {
	t.Helper()
	f, err := s.Receive()
	require.NoError(t, err)
	require.Equal(t, want, f.Type, "%s", f.Payload)
	return f.Payload
}

// stream returns what the peer sends up to its end.
func stream(t *testing.T, s *Session) (all []byte) {
	t.Helper()
	for {
		f, err := s.Receive()
		require.NoError(t, err)
		if f.Type == FrameEnd {
			return all
		}
		require.Equal(t, FrameData, f.Type, "%s", f.Payload)
		all = append(all, f.Payload...)
	}
}

func TestTCPSession(t *testing.T) {
	n := newNetwork(t)
	c := n.serve()
	l, err := n.bob.Listen("tcp", ":7")
	require.NoError(t, err)
	go func() { // sends back a hash of what it gets, once it has all
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		sum := sha256.New()
		k, _ := io.Copy(sum, conn)
		fmt.Fprintf(conn, "%d %x", k, sum.Sum(nil))
	}()
	s, err := c.NC(t.Context(), NCRequest{Remote: netip.MustParseAddrPort("10.0.0.2:7"), Timeout: 10 * time.Second})
	require.NoError(t, err)
	defer s.Close()
	next(t, s, FrameReady)
	var ends Endpoints
	require.NoError(t, json.Unmarshal(next(t, s, FramePeer), &ends))
	require.Equal(t, "10.0.0.2:7", ends.Remote)
	sum := sha256.New()
	piece := make([]byte, MaxFrame)
	for i := range 50 {
		piece[i] = byte(i)
		sum.Write(piece)
		require.NoError(t, s.Send(FrameData, piece))
	}
	require.NoError(t, s.Send(FrameEnd, nil))
	require.Equal(t, fmt.Sprintf("%d %x", 50*MaxFrame, sum.Sum(nil)), string(stream(t, s)))
	next(t, s, FrameClosed)
	_, err = s.Receive()
	require.ErrorIs(t, err, io.EOF)
}

// The peer may end first; the client can go on.
func TestTCPSessionOutlivesThePeersEnd(t *testing.T) {
	n := newNetwork(t)
	c := n.serve()
	l, err := n.bob.Listen("tcp", ":7")
	require.NoError(t, err)
	got := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.(*tcp.Conn).CloseWrite()
		b, _ := io.ReadAll(conn)
		got <- string(b)
	}()
	s, err := c.NC(t.Context(), NCRequest{Remote: netip.MustParseAddrPort("10.0.0.2:7")})
	require.NoError(t, err)
	defer s.Close()
	next(t, s, FrameReady)
	next(t, s, FramePeer)
	next(t, s, FrameEnd)
	require.NoError(t, s.Send(FrameData, []byte("still here")))
	require.NoError(t, s.Send(FrameEnd, nil))
	next(t, s, FrameClosed)
	require.Equal(t, "still here", <-got)
}

func TestSessionsThatFail(t *testing.T) {
	n := newNetwork(t)
	c := n.serve()
	n.post("sysctl/set", Sysctl{"net.ipv4.neigh.eth0.retrans_time_ms", "10"})
	for _, tc := range []struct {
		r     NCRequest
		errno syscall.Errno
	}{
		{NCRequest{Remote: netip.MustParseAddrPort("10.0.0.2:7")}, syscall.ECONNREFUSED},
		{NCRequest{Remote: netip.MustParseAddrPort("10.0.0.9:7")}, syscall.EHOSTUNREACH},
		{NCRequest{Remote: netip.MustParseAddrPort("99.9.9.9:7")}, syscall.ENETUNREACH},
		{NCRequest{Remote: netip.MustParseAddrPort("99.9.9.9:7"), UDP: true}, syscall.ENETUNREACH},
		{NCRequest{Remote: netip.MustParseAddrPort("10.0.0.2:7"), Local: netip.MustParseAddrPort("10.0.0.77:0"), UDP: true}, syscall.EADDRNOTAVAIL},
		{NCRequest{Remote: netip.MustParseAddrPort("10.0.0.2:7"), Dev: "eth7"}, syscall.ENODEV},
		{NCRequest{Listen: true, Local: netip.MustParseAddrPort("10.0.0.77:7")}, syscall.EADDRNOTAVAIL},
		{NCRequest{Remote: netip.MustParseAddrPort("[::1]:7")}, syscall.EINVAL},
	} {
		_, err := c.NC(t.Context(), tc.r)
		require.ErrorIs(t, err, tc.errno, "%+v", tc.r)
	}
	// -w ends connecting to somebody who says nothing.
	n.post("neigh/replace", NeighRequest{Dst: ip("10.0.0.9"), Dev: "eth0", LLAddr: &mac9})
	_, err := c.NC(t.Context(), NCRequest{Remote: netip.MustParseAddrPort("10.0.0.9:7"), Timeout: 30 * time.Millisecond})
	require.ErrorIs(t, err, syscall.ETIMEDOUT)
	// So does a client that leaves.
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err = c.NC(ctx, NCRequest{Remote: netip.MustParseAddrPort("10.0.0.9:7")})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestTCPListenerSession(t *testing.T) {
	n := newNetwork(t)
	c := n.serve()
	s, err := c.NC(t.Context(), NCRequest{Listen: true, Keep: true, Local: netip.MustParseAddrPort("0.0.0.0:5000")})
	require.NoError(t, err)
	defer s.Close()
	next(t, s, FrameReady)
	for i := range 3 {
		conn, err := n.bob.Dial("tcp", "10.0.0.1:5000")
		require.NoError(t, err)
		next(t, s, FramePeer)
		require.NoError(t, s.Send(FrameData, fmt.Appendf(nil, "welcome %d", i)))
		buf := make([]byte, 100)
		k, err := conn.Read(buf)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("welcome %d", i), string(buf[:k]))
		fmt.Fprintf(conn, "bye %d", i)
		require.NoError(t, conn.Close())
		require.Equal(t, fmt.Sprintf("bye %d", i), string(stream(t, s)))
		next(t, s, FrameClosed)
	}
	// A client that leaves takes the listener along.
	require.NoError(t, s.Close())
	require.Eventually(t, func() bool {
		conn, err := n.bob.Dial("tcp", "10.0.0.1:5000")
		if err == nil {
			conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	}, 5*time.Second, time.Millisecond)
}

func TestUDPSession(t *testing.T) {
	n := newNetwork(t)
	c := n.serve()
	peer, err := n.bob.ListenPacket("udp", ":7")
	require.NoError(t, err)
	s, err := c.NC(t.Context(), NCRequest{UDP: true, Remote: netip.MustParseAddrPort("10.0.0.2:7"), Dev: "eth0", Confirm: true})
	require.NoError(t, err)
	defer s.Close()
	next(t, s, FrameReady)
	buf := make([]byte, MaxFrame)
	// Boundaries travel both ways, those of empty and of large datagrams too.
	for _, size := range []int{1, 0, 65507, 3} {
		require.NoError(t, s.Send(FrameData, make([]byte, size)))
		k, from, err := peer.ReadFrom(buf)
		require.NoError(t, err)
		require.Equal(t, size, k)
		_, err = peer.WriteTo(buf[:k], from)
		require.NoError(t, err)
		require.Len(t, next(t, s, FrameData), size)
	}
	// The end of a client's input does not end a datagram socket.
	require.NoError(t, s.Send(FrameEnd, nil))
	require.NoError(t, s.Send(FrameData, []byte("more")))
	k, _, err := peer.ReadFrom(buf)
	require.NoError(t, err)
	require.Equal(t, "more", string(buf[:k]))
}

func TestUDPSessionErrors(t *testing.T) {
	n := newNetwork(t)
	c := n.serve()
	n.post("sysctl/set", Sysctl{"net.ipv4.neigh.eth0.retrans_time_ms", "10"})
	open := func(r NCRequest) *Session {
		r.UDP = true
		s, err := c.NC(t.Context(), r)
		require.NoError(t, err)
		next(t, s, FrameReady)
		require.NoError(t, s.Send(FrameData, []byte("anyone?")))
		return s
	}
	failure := func(s *Session) (e SessionError) {
		require.NoError(t, json.Unmarshal(next(t, s, FrameError), &e))
		require.False(t, e.Send)
		return e
	}
	// A port without a socket is told to a connected socket, which goes on.
	s := open(NCRequest{Remote: netip.MustParseAddrPort("10.0.0.2:7")})
	require.Equal(t, syscall.ECONNREFUSED, failure(s).Errno)
	require.NoError(t, s.Send(FrameData, []byte("still no one?")))
	require.Equal(t, "connection refused", failure(s).Text)
	require.NoError(t, s.Close())
	// A host that is not there is told only on request.
	s = open(NCRequest{Remote: netip.MustParseAddrPort("10.0.0.9:7"), RecvErr: true})
	require.Equal(t, syscall.EHOSTUNREACH, failure(s).Errno)
	require.NoError(t, s.Close())
}

func TestUDPListenerSession(t *testing.T) {
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprintf("keep %v", keep), func(t *testing.T) {
			n := newNetwork(t)
			c := n.serve()
			s, err := c.NC(t.Context(), NCRequest{UDP: true, Listen: true, Keep: keep, Local: netip.MustParseAddrPort("0.0.0.0:5000")})
			require.NoError(t, err)
			defer s.Close()
			next(t, s, FrameReady)
			dial := func() net.Conn {
				conn, err := n.bob.Dial("udp", "10.0.0.1:5000")
				require.NoError(t, err)
				return conn
			}
			first, second := dial(), dial()
			fmt.Fprint(first, "one")
			next(t, s, FramePeer)
			require.Equal(t, "one", string(next(t, s, FrameData)))
			fmt.Fprint(second, "two")
			answerer := first
			if keep {
				next(t, s, FramePeer)
				require.Equal(t, "two", string(next(t, s, FrameData)))
				answerer = second
			} else {
				fmt.Fprint(first, "three")
				require.Equal(t, "three", string(next(t, s, FrameData)), "it stays with the first peer")
			}
			require.NoError(t, s.Send(FrameData, []byte("hello")))
			buf := make([]byte, 100)
			k, err := answerer.Read(buf)
			require.NoError(t, err)
			require.Equal(t, "hello", string(buf[:k]))
		})
	}
}

// The end of the server ends sessions and streams.
func TestCloseEndsSessions(t *testing.T) {
	n := newNetwork(t)
	path := filepath.Join(t.TempDir(), "c.sock")
	l, err := Listen(path)
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- n.srv.Serve(l) }()
	c := NewClient(path)
	defer c.Close()
	s, err := c.NC(t.Context(), NCRequest{UDP: true, Listen: true, Local: netip.MustParseAddrPort("0.0.0.0:5000")})
	require.NoError(t, err)
	next(t, s, FrameReady)
	streamed := make(chan error, 1)
	go func() {
		streamed <- c.Stream(t.Context(), http.MethodPost, "ping", nil, PingRequest{Dst: ip("10.0.0.2"), Interval: time.Hour}, func(b json.RawMessage) error {
			var ev PingEvent
			if err := json.Unmarshal(b, &ev); err != nil {
				return err
			}
			if ev.Kind == PingReply {
				n.srv.Close()
			}
			return nil
		})
	}()
	require.NoError(t, <-streamed)
	_, err = s.Receive()
	require.Error(t, err)
	require.NoError(t, s.Close())
	require.ErrorIs(t, <-served, http.ErrServerClosed)
}
