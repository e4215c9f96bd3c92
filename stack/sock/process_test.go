package sock

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4/tcp"
	"github.com/tapstack/tapstack/stack"
	"github.com/tapstack/tapstack/stack/stacktest"
)

// bubble runs f with our process on alice, 10.0.0.1, beside bob, 10.0.0.2, on
// fake time.
func bubble(t *testing.T, f func(t *testing.T, c *client, bob *stack.Host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		lan := stacktest.NewLAN(t)
		alice := lan.Host(stacktest.HostConfig{Name: "alice", Addr: "10.0.0.1/24"})
		bob := lan.Host(stacktest.HostConfig{Name: "bob", Addr: "10.0.0.2/24"})
		f(t, newClient(t, alice), bob)
	})
}

// connected returns a connection from bob to descriptor 4 of c, whose 3 listens.
func (c *client) connected(bob *stack.Host) net.Conn {
	c.ok(`{"op":"socket","type":"stream"}`)
	c.ok(`{"op":"bind","fd":3,"port":80}`)
	c.ok(`{"op":"listen","fd":3,"backlog":5}`)
	conn, err := bob.Dial("tcp", "10.0.0.1:80")
	require.NoError(c.t, err)
	require.Equal(c.t, 4, *c.ok(`{"op":"accept","fd":3}`).FD)
	return conn
}

func TestExit(t *testing.T) {
	bubble(t, func(t *testing.T, c *client, bob *stack.Host) {
		conn := c.connected(bob)
		c.ok(`{"op":"send","fd":4,"data":"aGVsbG8="}`)
		c.begin(`{"op":"recv","fd":4,"len":1}`)
		c.begin(`{"op":"poll","fds":[],"timeout_ms":100000}`)
		c.begin(`{"op":"accept","fd":3}`)
		c.ok(`{"op":"setsockopt","fd":4,"name":"SO_LINGER","value":{"onoff":1,"linger":100}}`)
		start := time.Now()
		c.close()
		require.Equal(t, start, time.Now(), "nobody lingers")
		b, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Equal(t, "hello", string(b), "what was sent arrives")
		_, err = bob.Dial("tcp", "10.0.0.1:80")
		require.ErrorContains(t, err, "refused")
		conn.Close()
	})
	bubble(t, func(t *testing.T, c *client, bob *stack.Host) {
		conn := c.connected(bob)
		_, err := conn.Write([]byte("nobody reads this"))
		require.NoError(t, err)
		synctest.Wait()
		c.close()
		_, err = conn.Read(make([]byte, 1))
		require.ErrorContains(t, err, "reset")
		conn.Close()
	})
}

// A descriptor that is closed while a call waits on it keeps its socket until the
// call is done.
func TestCloseWhileWaiting(t *testing.T) {
	bubble(t, func(t *testing.T, c *client, bob *stack.Host) {
		conn := c.connected(bob)
		waiting := c.begin(`{"op":"recv","fd":4,"len":9}`)
		c.ok(`{"op":"close","fd":4}`)
		c.fails("EBADF", `{"op":"send","fd":4,"len":1}`)
		require.Equal(t, 4, *c.ok(`{"op":"socket","type":"dgram"}`).FD)
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		_, err := conn.Read(make([]byte, 1))
		require.ErrorContains(t, err, "timeout", "no FIN")
		conn.SetReadDeadline(time.Time{})
		_, err = conn.Write([]byte("hello"))
		require.NoError(t, err)
		require.Equal(t, "hello", string(*(<-waiting).Data))
		_, err = conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		conn.Close()
	})
}

func TestOrderOfReplies(t *testing.T) {
	bubble(t, func(t *testing.T, c *client, bob *stack.Host) {
		conn := c.connected(bob)
		first := c.begin(`{"op":"recv","fd":4,"len":2}`)
		second := c.begin(`{"op":"recv","fd":4,"len":2}`)
		c.ok(`{"op":"hello"}`)
		time.Sleep(time.Second)
		before := time.Now()
		_, err := conn.Write([]byte("abcd"))
		require.NoError(t, err)
		a, b := <-first, <-second
		require.Equal(t, "ab", string(*a.Data))
		require.Equal(t, "cd", string(*b.Data))
		require.Less(t, a.T0, before.UnixNano())
		require.GreaterOrEqual(t, a.T1, before.UnixNano())
		conn.Close()
	})
}

func TestTimeouts(t *testing.T) {
	bubble(t, func(t *testing.T, c *client, bob *stack.Host) {
		conn := c.connected(bob)
		took := func(want time.Duration, f func()) {
			t.Helper()
			start := time.Now()
			f()
			require.Equal(t, want, time.Since(start))
		}
		c.ok(`{"op":"setsockopt","fd":4,"name":"SO_RCVTIMEO","value":{"sec":2,"usec":500000}}`)
		c.ok(`{"op":"setsockopt","fd":4,"name":"SO_SNDTIMEO","value":{"sec":1,"usec":0}}`)
		took(2500*time.Millisecond, func() { c.fails("EAGAIN", `{"op":"recv","fd":4,"len":1}`) })
		took(0, func() { c.fails("EAGAIN", `{"op":"recv","fd":4,"len":1,"flags":["MSG_DONTWAIT"]}`) })
		took(70*time.Millisecond, func() {
			require.Zero(t, *c.ok(`{"op":"poll","fds":[{"fd":4,"events":["POLLIN"]}],"timeout_ms":70}`).N)
		})
		// The peer's window and our buffer take some, and then no more.
		start := time.Now()
		n := *c.ok(`{"op":"send","fd":4,"len":100000000}`).N
		require.Positive(t, n)
		require.Less(t, n, 100000000)
		require.GreaterOrEqual(t, time.Since(start), time.Second)
		c.fails("EAGAIN", `{"op":"send","fd":4,"len":1}`)
		require.Zero(t, *c.ok(`{"op":"poll","fds":[{"fd":4,"events":["POLLOUT"]}],"timeout_ms":0}`).N)
		woken := c.begin(`{"op":"poll","fds":[{"fd":4,"events":["POLLOUT"]}],"timeout_ms":-1}`)
		_, err := io.CopyN(io.Discard, conn, int64(n))
		require.NoError(t, err)
		require.Equal(t, []string{"POLLOUT"}, (*(<-woken).FDs)[0].Revents)
		// A peer that is gone.
		c.ok(`{"op":"setsockopt","fd":4,"name":"TCP_USER_TIMEOUT","value":3000}`)
		c.ok(`{"op":"setsockopt","fd":4,"name":"SO_RCVTIMEO","value":{"sec":0,"usec":0}}`)
		require.NoError(t, bob.SetUp("eth0", false))
		c.ok(`{"op":"send","fd":4,"len":1}`)
		took(3*time.Second, func() { c.fails("ETIMEDOUT", `{"op":"recv","fd":4,"len":1}`) })
		conn.Close()
	})
}

func TestLinger(t *testing.T) {
	bubble(t, func(t *testing.T, c *client, bob *stack.Host) {
		conn := c.connected(bob)
		c.ok(`{"op":"setsockopt","fd":4,"name":"SO_LINGER","value":{"onoff":1,"linger":5}}`)
		c.ok(`{"op":"fcntl","fd":4,"nonblock":true}`)
		n := 0
		for { // until the peer's buffer is full, and ours
			y := c.do(`{"op":"send","fd":4,"len":100000000}`)
			if !y.OK {
				break
			}
			n += *y.N
			time.Sleep(time.Second)
		}
		start := time.Now()
		c.ok(`{"op":"close","fd":4}`)
		require.Equal(t, 5*time.Second, time.Since(start), "nobody reads")
		m, err := io.Copy(io.Discard, conn)
		require.NoError(t, err)
		require.EqualValues(t, n, m, "in the background")
		conn.Close()
	})
}

// What a client may use is bounded.
func TestLimits(t *testing.T) {
	bubble(t, func(t *testing.T, c *client, bob *stack.Host) {
		conn := c.connected(bob)
		for range maxWaiting {
			c.begin(`{"op":"recv","fd":4,"len":1000000000000}`)
		}
		c.fails("ENOBUFS", `{"op":"recv","fd":4,"len":1}`)
		c.fails("ENOBUFS", `{"op":"recv","fd":4,"len":1000000000,"flags":["MSG_WAITALL"]}`)
		c.fails("EAGAIN", `{"op":"recv","fd":4,"len":1000000000,"flags":["MSG_DONTWAIT"]}`)
		c.fails("EINVAL", `{"op":"recv","fd":4}`)
		c.fails("EINVAL", `{"op":"recv","fd":4,"len":-1}`)
		c.fails("EINVAL", `{"op":"send","fd":4,"iov":[4000000000]}`)
		c.ok(`{"op":"socket","type":"dgram"}`)
		c.fails("EMSGSIZE", `{"op":"send","fd":5,"len":1000000000000,"addr":"10.0.0.2","port":7}`)
		for i := 6; i < firstFD+maxFDs; i++ {
			require.Equal(t, i, *c.ok(`{"op":"socket","type":"dgram"}`).FD)
		}
		c.fails("EMFILE", `{"op":"socket","type":"dgram"}`)
		c.fails("EINVAL", `{"op":"poll","fds":[%s{}]}`, strings.Repeat("{},", maxPoll))
		require.Equal(t, maxPoll, *c.ok(`{"op":"poll","fds":[%s{"fd":99999}],"timeout_ms":-1}`, strings.Repeat(`{"fd":99999},`, maxPoll-1)).N)
		conn.Close()
	})
}

func TestHello(t *testing.T) {
	bubble(t, func(t *testing.T, c *client, bob *stack.Host) {
		r := c.ok(`{"op":"hello"}`)
		require.Equal(t, 1, r.Version)
		require.Contains(t, r.Ops, "getpeername")
		require.Contains(t, r.Sockopts, "TCP_INFO")
		c.fails("ENOSYS", `{"op":"fork"}`)
		c.fails("EINVAL", `nonsense`)
		c.fails("EPROTONOSUPPORT", `{"op":"socket","type":"raw","proto":"icmp"}`)
		c.fails("EINVAL", `{"op":"socket","type":"seqpacket"}`)
		c.fails("EINVAL", `{"op":"close"}`)
		c.ok(`{"op":"socket","type":"dgram","proto":null}`)
		c.fails("EINVAL", `{"op":"connect","fd":3}`)
		c.fails("EINVAL", `{"op":"shutdown","fd":3,"how":"sideways"}`)
		c.fails("EINVAL", `{"op":"ioctl","fd":3,"name":"SIOCSPGRP"}`)
		for _, o := range r.Sockopts { // each has a value, or a reason
			y := c.do(`{"op":"getsockopt","fd":3,"name":%q}`, o)
			if strings.HasPrefix(o, "TCP_") {
				require.Equal(t, "EOPNOTSUPP", y.Errno, o)
			} else if o != "IP_MTU" {
				require.NotNil(t, y.Value, o)
			}
		}
		c.ok(`{"op":"setsockopt","fd":3,"name":"SO_BINDTODEVICE","value":"eth0"}`)
		require.Equal(t, "eth0", c.ok(`{"op":"getsockopt","fd":3,"name":"SO_BINDTODEVICE"}`).Value)
		c.fails("ENODEV", `{"op":"setsockopt","fd":3,"name":"SO_BINDTODEVICE","value":"eth9"}`)
	})
}

// Deferred connections are accepted without data in the end (TCP_DEFER_ACCEPT).
func TestDeferAcceptEnds(t *testing.T) {
	bubble(t, func(t *testing.T, c *client, bob *stack.Host) {
		c.ok(`{"op":"socket","type":"stream"}`)
		c.ok(`{"op":"bind","fd":3,"port":80}`)
		c.ok(`{"op":"listen","fd":3,"backlog":5}`)
		c.ok(`{"op":"setsockopt","fd":3,"name":"TCP_DEFER_ACCEPT","value":7}`)
		start := time.Now()
		conn, err := bob.Dial("tcp", "10.0.0.1:80")
		require.NoError(t, err)
		c.ok(`{"op":"accept","fd":3}`)
		require.InDelta(t, 7*time.Second, time.Since(start), float64(time.Second), "after 1, 3, 7 s")
		conn.Close()
	})
}

func TestTCPInfo(t *testing.T) {
	bubble(t, func(t *testing.T, c *client, bob *stack.Host) {
		conn := c.connected(bob)
		info := func(fd int) map[string]any {
			return c.ok(`{"op":"getsockopt","fd":%d,"name":"TCP_INFO"}`, fd).Value.(map[string]any)
		}
		require.Equal(t, 10, info(3)["tcpi_state"])
		i := info(4)
		require.Equal(t, 1, i["tcpi_state"])
		require.Equal(t, 1448, i["tcpi_snd_mss"])
		require.Equal(t, 10, i["tcpi_snd_cwnd"])
		require.Equal(t, tcpStates[tcp.Closed], 7)
		conn.Close()
		time.Sleep(time.Second)
		require.Equal(t, 8, info(4)["tcpi_state"], fmt.Sprint(info(4)))
	})
}
