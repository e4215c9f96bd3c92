package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/clock"
)

// TestVirtualClock runs a connection on a clock that only the test moves: no
// goroutine, no bubble.
func TestVirtualClock(t *testing.T) {
	v := clock.NewVirtual(time.Unix(1e9, 0))
	tc := newTestConn(t, Config{Clock: clock.New(v)})
	c, err := tc.pr.open(tuple{laddr: addr{10, 0, 0, 1}, raddr: addr{10, 0, 0, 2}, rport: 80}, &plain, 1500)
	require.NoError(t, err)
	c.lock()
	c.sendSYNLocked(c.now())
	c.unlock()
	sent := func() int {
		n := len(tc.sent)
		tc.sent = nil
		return n
	}
	require.Equal(t, 1, sent())
	v.Advance(time.Second - 1)
	require.Zero(t, sent())
	v.Advance(1)
	require.Equal(t, 1, sent())
	v.Advance(30 * time.Second)
	require.Equal(t, 4, sent(), "at 3, 7, 15, 31 s")
	v.Advance(2 * time.Minute)
	require.Equal(t, Closed, c.Info().State)
	_, armed := v.Next()
	require.False(t, armed, "nothing is left behind")
	tc.pr.Close()
	require.Zero(t, link.LivePackets())
}
