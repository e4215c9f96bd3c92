package main

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The same commands make ip's monitor of addresses and routes and ours print the
// same lines in the same order.
func TestKernelMonitorOfAddressesAndRoutes(t *testing.T) {
	p := routeProgram(t)
	both := func(words string) {
		t.Helper()
		// Some are to fail, on both sides.
		ran(t, p, exec.Command("ip", strings.Fields(words)...))
		cmd := p.command(strings.Fields(words)...)
		cmd.Args[0] = "ip"
		ran(t, p, cmd)
	}
	both("addr add 10.99.0.1/24 dev t1")
	theirs := watch(t, p, exec.Command("ip", "-4", "monitor", "addr", "route"))
	own := watch(t, p, p.command("monitor", "addr", "route"))
	for n := 0; len(theirs.lines) == 0 || len(own.lines) == 0; n++ { // until both watch
		both(fmt.Sprintf("route add 203.0.%d.0/24 dev t1", n))
		time.Sleep(10 * time.Millisecond)
		require.Less(t, n, 200)
	}
	end := "203.255.0.0/16 dev t1 scope link "
	upTo := func(w *watcher) (list []string) {
		for {
			select {
			case l := <-w.lines:
				if l == "Deleted "+end {
					return list
				}
				if l != end {
					list = append(list, l)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("no end after %q", list)
			}
		}
	}
	lines := func() (kernels, hosts []string) {
		both("route add 203.255.0.0/16 dev t1")
		both("route del 203.255.0.0/16 dev t1")
		return upTo(theirs), upTo(own)
	}
	lines()
	for _, script := range []string{
		"addr add 10.0.0.1/24 dev t0", "addr add 10.0.0.2/24 dev t0; addr add 10.0.0.3/24 brd + dev t0", "addr add 10.0.0.1/24 dev t0",
		"addr change 10.0.0.1/24 dev t0 metric 5", "route add default via 10.0.0.9", "route replace default via 10.0.0.8; route append default via 10.0.0.7",
		"route add 10.7.0.0/16 nexthop via 10.0.0.9 nexthop via 10.99.0.9 weight 2", "route add unreachable 10.8.0.0/16 metric 3",
		"route del default", "route flush 10.7.0.0/16", "addr del 10.0.0.2/24 dev t0", "addr add 10.0.0.2/24 dev t0", "addr del 10.0.0.1/24 dev t0",
		"addr add 10.1.0.1/24 dev t0; addr add 10.1.0.2/24 dev t0; addr add 10.1.0.3/24 dev t0; addr del 10.1.0.1/24 dev t0",
	} {
		t.Run(script, func(t *testing.T) {
			for words := range strings.SplitSeq(script, "; ") {
				both(words)
			}
			kernels, hosts := lines()
			require.Equal(t, kernels, hosts)
		})
	}
}
