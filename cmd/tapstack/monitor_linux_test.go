package main

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link/tap/taptest"
)

// watcher collects the lines of a monitor.
type watcher struct {
	cmd   *exec.Cmd
	lines chan string
}

func watch(t *testing.T, p *program, cmd *exec.Cmd) *watcher {
	t.Helper()
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	p.ns.Do(func() { err = cmd.Start() })
	require.NoError(t, err)
	w := &watcher{cmd, make(chan string, 1000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(w.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			w.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGINT)
		<-done
		cmd.Wait()
	})
	return w
}

const marker = "10.0.0.200"

// upTo returns what was printed until the marker's entry is deleted, without it.
func (w *watcher) upTo(t *testing.T) (list []string) {
	t.Helper()
	for {
		select {
		case l := <-w.lines:
			switch {
			case strings.HasPrefix(l, "Deleted "+marker):
				return list
			case !strings.HasPrefix(l, marker):
				list = append(list, l)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no end after %q", list)
		}
	}
}

// The same commands and the same frames, at either end of a cable, make ip's
// monitor and the program's print the same lines.
func TestKernelMonitorPrintsTheSame(t *testing.T) {
	t.Parallel() // it mostly waits
	p := newProgram(t)
	for _, tool := range []string{"ip", "ping", "arping"} {
		taptest.Tool(t, tool)
	}
	host := p.start("--link", "name=t0,mac=02:00:00:00:00:02,addr=10.0.0.2/24,peer=10.0.0.1/24", "--service", "none")
	dev, err := net.InterfaceByName("t0")
	require.NoError(t, err)
	kernelMAC := dev.HardwareAddr.String()
	kernel := strings.NewReplacer("PEER", "10.0.0.2", "ME", "10.0.0.1")
	ours := strings.NewReplacer("PEER", "10.0.0.1", "ME", "10.0.0.2")
	both := func(words string) {
		t.Helper()
		// Some are to fail, on both sides.
		p.ns.Do(func() { exec.Command("ip", strings.Fields(kernel.Replace(words))...).Run() })
		p.run(strings.Fields(ours.Replace(words))...)
	}
	for _, v := range []string{"delay_first_probe_time=1", "retrans_time_ms=100"} {
		p.system("sysctl -qw net.ipv4.neigh.t0." + v)
		p.ok("sysctl -w net.ipv4.neigh.t0." + v)
	}
	theirs, own := watch(t, p, exec.Command("ip", "-4", "monitor", "neigh")), watch(t, p, p.command("neigh", "monitor"))
	for n := 0; len(theirs.lines) == 0 || len(own.lines) == 0; n++ { // until both watch
		both(fmt.Sprintf("neigh replace %s lladdr 02:00:00:00:01:%02x dev t0", marker, n%100))
		time.Sleep(10 * time.Millisecond)
		require.Less(t, n, 500)
	}
	plainKernel := strings.NewReplacer("10.0.0.2 ", "PEER ", "02:00:00:00:00:02", "MAC")
	plainOurs := strings.NewReplacer("10.0.0.1 ", "PEER ", kernelMAC, "MAC")
	// lines returns what the monitors have printed since last time.
	lines := func() (kernels, hosts []string) {
		t.Helper()
		both("neigh replace " + marker + " lladdr 02:00:00:00:00:aa dev t0")
		both("neigh del " + marker + " dev t0")
		for _, l := range theirs.upTo(t) {
			kernels = append(kernels, plainKernel.Replace(l))
		}
		for _, l := range own.upTo(t) {
			hosts = append(hosts, plainOurs.Replace(l))
		}
		return kernels, hosts
	}
	lines()

	t.Run("commands", func(t *testing.T) {
		for _, words := range []string{
			"neigh add 10.0.0.20 lladdr 02:00:00:00:00:20 dev t0", "neigh add 10.0.0.20 lladdr 02:00:00:00:00:20 dev t0",
			"neigh replace 10.0.0.20 lladdr 02:00:00:00:00:21 dev t0 nud stale", "neigh change 10.0.0.20 dev t0 nud reachable",
			"neigh replace 10.0.0.20 lladdr 02:00:00:00:00:22 dev t0 nud noarp", "neigh replace 10.0.0.20 lladdr 02:00:00:00:00:22 dev t0 router extern_learn",
			"neigh del 10.0.0.20 dev t0", "neigh add 10.0.0.21 dev t0 nud none", "neigh del 10.0.0.21 dev t0",
			"neigh add 10.0.0.22 dev t0 nud failed", "neigh flush nud failed dev t0", "neigh add 10.0.0.23 lladdr 02:00:00:00:00:23 dev t0 nud stale proto static",
			"neigh flush dev t0", "neigh add proxy 10.0.0.77 dev t0", "neigh del proxy 10.0.0.77 dev t0",
		} {
			both(words)
		}
		kernels, hosts := lines()
		require.NotEmpty(t, kernels)
		require.Equal(t, kernels, hosts)
	})
	// In turn each end does something, and each end's monitor has to print for
	// its part what the other's does when the parts are changed.
	for _, tc := range []struct {
		name, before, words string
		wait                time.Duration
	}{
		{"nobody answers", "", "ping -c 1 -W 1 10.0.0.99", 0},
		{"resolution, and the other end's probe", "", "ping -c 1 PEER", 1500 * time.Millisecond},
		{"a gratuitous request to a stale entry", "neigh replace PEER lladdr 02:00:00:00:00:99 dev t0 nud stale", "arping -U -c 1 -I t0 ME", 0},
		{"a gratuitous reply to a stale entry", "neigh replace PEER lladdr 02:00:00:00:00:99 dev t0 nud stale", "arping -A -c 1 -I t0 ME", 0},
		{"a request to a permanent entry", "neigh replace PEER lladdr 02:00:00:00:00:99 dev t0", "arping -f -I t0 PEER", 0},
		{"a probe of an address in use", "", "arping -D -c 1 -I t0 PEER", 0},
		{"a request", "", "arping -f -I t0 PEER", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			turn := func(act func()) (kernels, hosts []string) {
				both("neigh del PEER dev t0")
				both("neigh flush all")
				if tc.before != "" {
					both(tc.before)
					time.Sleep(1100 * time.Millisecond) // past locktime
				}
				lines()
				act()
				time.Sleep(tc.wait)
				return lines()
			}
			theirDoing, ourPart := turn(func() {
				p.ns.Do(func() {
					exec.Command(strings.Fields(tc.words)[0], strings.Fields(kernel.Replace(tc.words))[1:]...).Run()
				})
			})
			theirPart, ourDoing := turn(func() { p.run(strings.Fields(ours.Replace(tc.words))...) })
			t.Logf("who does it: %q; the other: %q", theirDoing, theirPart)
			require.Equal(t, theirDoing, ourDoing, "who does it")
			require.Equal(t, theirPart, ourPart, "the other")
		})
	}
	p.stop(host, "t0")
}
