package service

import (
	"io"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/stack/stacktest"
)

// TestIdleConnections opens connections to echo, passes a byte through each, and
// looks at what they keep, both ends together, when time has passed: no goroutine,
// and little memory.
func TestIdleConnections(t *testing.T) {
	n, most := 10_000, 8<<10
	if testing.Short() || linktest.Race() {
		n, most = 100, 1<<30
	}
	synctest.Test(t, func(t *testing.T) {
		lan := stacktest.NewLAN(t)
		alice := lan.Host(stacktest.HostConfig{Name: "alice", Addr: "10.0.0.1/24"})
		bob := lan.Host(stacktest.HostConfig{Name: "bob", Addr: "10.0.0.2/24"})
		g, err := Start(Config{Network: bob, Names: []string{"echo", "discard"}})
		require.NoError(t, err)
		goroutines, before := runtime.NumGoroutine(), memory()
		conns := make([]net.Conn, 0, n)
		exchange := func(c net.Conn) {
			_, err = c.Write([]byte("x"))
			require.NoError(t, err)
			_, err = io.ReadFull(c, make([]byte, 1))
			require.NoError(t, err)
		}
		for range n {
			c, err := alice.Dial("tcp", "10.0.0.2:7")
			require.NoError(t, err)
			exchange(c)
			conns = append(conns, c)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		// The runtime's own come and go.
		require.InDelta(t, goroutines, runtime.NumGoroutine(), 3, "goroutines that wait for nothing")
		each := (memory() - before) / n
		t.Logf("%d connections, %d bytes each, both ends", n, each)
		require.Less(t, each, most)
		for range 3 { // they serve as before
			for i := 0; i < n; i += n / 10 {
				exchange(conns[i])
			}
			time.Sleep(time.Second)
		}
		require.InDelta(t, goroutines, runtime.NumGoroutine(), 3)
		for _, c := range conns[:n/2] {
			c.Close()
		}
		time.Sleep(2 * time.Minute)
		require.NoError(t, g.Close(), "with half of them open")
		for _, c := range conns[n/2:] {
			c.Close()
		}
	})
}

// memory returns the bytes of live objects and of stacks.
func memory() int {
	var m runtime.MemStats
	for range 3 { // pools give up what they hold at the second
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}
