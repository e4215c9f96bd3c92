package stack_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/stack"
	"github.com/tapstack/tapstack/stack/stacktest"
)

// GC-9: a full table is logged, ten times in five seconds at most.
func TestOverflowIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, nil))
		h := stacktest.NewLAN(t).Host(stacktest.HostConfig{Addr: "10.0.0.1/8", Stack: stack.Config{Logger: logger}})
		require.NoError(t, h.SetSysctl("net.ipv4.neigh.default.gc_thresh3", "1"))
		send := func(first, last int) {
			for n := first; n <= last; n++ {
				c, err := h.Dial("udp", fmt.Sprintf("10.1.0.%d:7", n))
				require.NoError(t, err)
				_, err = c.Write([]byte("hello"))
				require.NoError(t, err)
				require.NoError(t, c.Close())
			}
		}
		send(1, 101) // 100 of them find no room
		const line = `msg="neighbour: arp_cache: neighbor table overflow!"`
		require.Equal(t, 10, strings.Count(log.String(), line))
		require.NotContains(t, log.String(), "suppressed=90")
		h.Neighbours().SetSysctl("eth0", "mcast_solicit", "100") // so that the entry stays
		time.Sleep(5*time.Second + 1)
		send(102, 103)
		require.Equal(t, 12, strings.Count(log.String(), line))
		require.Contains(t, log.String(), line+" suppressed=90\n")
		require.True(t, strings.HasSuffix(log.String(), line+" suppressed=0\n"))
		require.EqualValues(t, 102, h.Neighbours().Stats().TableFulls)
	})
}
