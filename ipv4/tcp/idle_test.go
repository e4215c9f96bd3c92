package tcp

import (
	"io"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/stack/clock"
)

func TestAfterReadable(t *testing.T) {
	type result struct {
		n   int
		err error
	}
	// arm has what Read returns reported when it would not wait.
	arm := func(tc *testConn) <-chan result {
		got := make(chan result, 1)
		tc.conn.AfterReadable(func() {
			n, err := tc.conn.Read(make([]byte, 10))
			got <- result{n, err}
		})
		synctest.Wait()
		return got
	}
	bubble(t, "data, once", Config{}, func(tc *testConn) {
		tc.active(plain)
		got := arm(tc)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1})
		tc.advance(time.Hour)
		require.Empty(tc.t, got, "nothing to read")
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, data: "one"})
		require.Equal(tc.t, result{3, nil}, <-got)
		tc.deliver(seg{flags: ACK, seq: 4, ack: 1, data: "two"})
		synctest.Wait()
		require.Empty(tc.t, got, "only once")
		require.Equal(tc.t, result{3, nil}, <-arm(tc), "what is there already")
	})
	bubble(t, "end of the stream", Config{}, func(tc *testConn) {
		tc.active(plain)
		got := arm(tc)
		tc.deliver(seg{flags: FIN | ACK, seq: 1, ack: 1})
		require.Equal(tc.t, result{0, io.EOF}, <-got)
	})
	bubble(t, "reset", Config{}, func(tc *testConn) {
		tc.active(plain)
		got := arm(tc)
		tc.deliver(seg{flags: RST, seq: 1})
		require.ErrorIs(tc.t, (<-got).err, syscall.ECONNRESET)
	})
	bubble(t, "Close and CloseRead", Config{}, func(tc *testConn) {
		tc.active(plain)
		got := arm(tc)
		require.NoError(tc.t, tc.conn.CloseRead())
		require.Equal(tc.t, io.EOF, (<-got).err)
		require.NoError(tc.t, tc.conn.Close())
		require.ErrorIs(tc.t, (<-arm(tc)).err, net.ErrClosed)
	})
	bubble(t, "taken back, and not for a deadline", Config{}, func(tc *testConn) {
		tc.active(plain)
		require.NoError(tc.t, tc.conn.SetReadDeadline(time.Now().Add(time.Second)))
		got := arm(tc)
		tc.advance(time.Minute)
		require.Empty(tc.t, got)
		tc.conn.AfterReadable(nil)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, data: "x"})
		synctest.Wait()
		require.Empty(tc.t, got)
	})
}

func TestIdleConnectionSheds(t *testing.T) {
	bubble(t, "after each exchange", Config{}, func(tc *testConn) {
		tc.active(plain)
		for i := range 3 {
			go tc.conn.Read(make([]byte, 1))
			synctest.Wait()
			tc.deliver(seg{flags: ACK, seq: 1 + i, ack: 1 + i, data: "x"})
			tc.write("y")
			for s := (seg{}); s.data != "y"; {
				s, _ = tc.take()
			}
			require.NotNil(tc.t, tc.conn.timer)
			tc.deliver(seg{flags: ACK, seq: 2 + i, ack: 2 + i})
			tc.advance(time.Second)
			require.Nil(tc.t, tc.conn.timer)
			require.Nil(tc.t, tc.conn.snd.sent.ring)
			require.Nil(tc.t, tc.conn.snd.buf.chunks)
			require.Nil(tc.t, tc.conn.rcv.queue.ring)
			require.Nil(tc.t, tc.conn.readable.cond)
		}
	})
}

// liveBytes returns the bytes of live objects and of stacks.
func liveBytes() int {
	var m runtime.MemStats
	for range 3 { // pools give up what they hold at the second
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// TestIdleMemory opens connections, passes a byte each way through each, and
// looks at what they keep when time has passed.
func TestIdleMemory(t *testing.T) {
	if linktest.Race() {
		t.Skip("the race detector has its own memory")
	}
	const n = 1000
	v := clock.NewVirtual(time.Unix(1e9, 0))
	client, server := directPairConfig(t, Config{Clock: clock.New(v)}, SocketConfig{})
	l := server.pr.demux.listener(server.key.laddr, server.key.lport)
	ends := make([]*Conn, 0, 2*n)
	before := liveBytes()
	buf := make([]byte, 1)
	for range n {
		c, err := client.pr.Dial(t.Context(), netip.AddrPort{}, server.key.local(), SocketConfig{})
		require.NoError(t, err)
		s, err := l.AcceptTCP()
		require.NoError(t, err)
		for _, x := range [][2]*Conn{{c, s}, {s, c}} {
			_, err = x[0].Write(buf)
			require.NoError(t, err)
			_, err = x[1].Read(buf)
			require.NoError(t, err)
		}
		ends = append(ends, c, s)
	}
	v.Advance(time.Minute)
	each := (liveBytes() - before) / len(ends)
	t.Logf("%d bytes an end", each)
	require.Less(t, each, 1000, "bytes an end, of which the Conn is 768 and its place in the demux 62")
	runtime.KeepAlive(ends)
}
