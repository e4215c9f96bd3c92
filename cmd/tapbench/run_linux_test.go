package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link/tap/taptest"
)

// tiny is a run of no significance, but of everything.
func tiny(duts ...string) *run {
	return &run{
		duts: duts, ref: duts[0], rounds: 1, time: 100 * time.Millisecond,
		sizes: sizes{conns: 50, senders: 500, neighbours: 200, check: 1 << 20},
	}
}

func (r *run) executeIn(t *testing.T) *runReport {
	t.Helper()
	var out, progress bytes.Buffer
	r.json = filepath.Join(t.TempDir(), "run.json")
	require.NoError(t, r.execute(t.Context(), &out, &progress), "%s", &progress)
	b, err := os.ReadFile(r.json)
	require.NoError(t, err)
	var rr runReport
	require.NoError(t, json.Unmarshal(b, &rr))
	t.Logf("%s%s", &progress, &out)
	return &rr
}

func TestSuiteOnTapstack(t *testing.T) {
	taptest.Namespace(t)
	rr := tiny(tapstack).executeIn(t)
	require.Equal(t, []string{tapstack}, rr.DUTs)
	require.NotEmpty(t, rr.Kernel)
	have := map[string]float64{}
	for _, row := range rr.Rows {
		c := row.DUTs[tapstack]
		require.NotNil(t, c, "%s has no %s", row.Test, row.Key)
		require.Len(t, c.Rounds, 1)
		require.Equal(t, c.Rounds[0], c.Median)
		have[row.Test+" "+row.Key] = c.Median
	}
	for _, r := range []struct {
		row      string
		min, max float64
	}{
		// Wide enough for a machine that does ten things at once, and with -race.
		{"up1 gbps", 0.001, 1000}, {"down1 gbps", 0.001, 1000}, {"up8 gbps", 0.001, 1000}, {"down8 gbps", 0.001, 1000},
		{"forward64 rate", 100, 1e8}, {"forward1500 rate", 100, 1e8}, {"forward64 dut", 0, 10000},
		{"up1500 gbps", 0.001, 100}, {"down1500 gbps", 0.001, 100},
		{"up1 dut", 0, 1000}, {"up1 machine", 0, 1000},
		{"udpecho rate", 10, 1e7}, {"udpecho dut", 0.1, 1e5},
		{"tcprr p50", 1, 1e5}, {"tcprr p99", 1, 1e6}, {"udprr p50", 1, 1e5}, {"udprr p99", 1, 1e6},
		{"connect rate", 10, 1e6}, {"http1 rate", 10, 1e6}, {"http32 rate", 10, 1e6},
		{"arp rate", 10, 1e7}, {"resolve ms99", 0.1, 1e4}, {"idle kib", 0.5, 500},
	} {
		require.GreaterOrEqual(t, have[r.row], r.min, r.row)
		require.LessOrEqual(t, have[r.row], r.max, r.row)
	}
	require.LessOrEqual(t, have["tcprr p50"], have["tcprr p99"])
	require.Zero(t, have["resolve lost"])
	require.Equal(t, float64(1<<20)/1e6, have["check mb"])
}

// Each device is the host that it says it is, and its column is its own.
func TestEveryDevice(t *testing.T) {
	taptest.Namespace(t)
	all := []string{tapstack, tapstack + "-off", gvisor, gvisor + "-stock", linux}
	require.Len(t, devices, len(all))
	r := tiny(all...)
	r.only = []string{"udprr", "check", "arp"}
	for _, row := range r.executeIn(t).Rows {
		for _, name := range all {
			if name == linux && row.Test == "arp" {
				require.NotContains(t, row.DUTs, name)
				continue
			}
			require.Contains(t, row.DUTs, name, "%s of %s", row.Key, row.Test)
		}
	}
}

// What runs when a run is interrupted ends with it.
func TestInterrupted(t *testing.T) {
	taptest.Namespace(t)
	before := children(t)
	r := tiny(tapstack, linux)
	r.only, r.time = []string{"up1"}, time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	time.AfterFunc(300*time.Millisecond, cancel)
	start := time.Now()
	var out, progress bytes.Buffer
	err := r.execute(ctx, &out, &progress)
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, time.Since(start), 20*time.Second)
	require.Empty(t, out.String())
	require.Equal(t, before, children(t))
}

// children are the processes that this one has started.
func children(t *testing.T) (pids []string) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		var state string
		var parent int
		if n, _ := fmt.Sscan(rest, &state, &parent); n == 2 && parent == os.Getpid() {
			pids = append(pids, name)
		}
	}
	return pids
}

// A device that fails is said, and does not end the run.
func TestFailuresAreCounted(t *testing.T) {
	taptest.Namespace(t)
	r := tiny(tapstack)
	r.only = []string{"idle", "check"}
	r.conns = 0 // nothing can be said about none
	var out, progress bytes.Buffer
	err := r.execute(t.Context(), &out, &progress)
	require.EqualError(t, err, "1 measurements failed")
	require.Contains(t, progress.String(), "idle on tapstack: ")
	require.Contains(t, out.String(), "SHA-256")
}

func TestChoose(t *testing.T) {
	r := run{ref: gvisor, rounds: 1, time: 1}
	require.NoError(t, r.choose(nil, false))
	require.Equal(t, []string{tapstack, gvisor, linux}, r.duts)
	require.Equal(t, gvisor, r.ref)

	require.NoError(t, r.choose([]string{linux, tapstack}, false))
	require.Equal(t, linux, r.ref, "the first, where the default is not there")

	for name, bad := range map[string]struct {
		run  run
		duts []string
		want string
	}{
		"device": {run{ref: gvisor, rounds: 1, time: 1}, []string{"lwip"}, "lwip: no such device under test; there are gvisor, gvisor-stock, linux, tapstack, tapstack-off"},
		"twice":  {run{ref: gvisor, rounds: 1, time: 1}, []string{linux, linux}, "linux is given twice"},
		"ref":    {run{ref: gvisor, rounds: 1, time: 1}, []string{linux}, "--ref gvisor: not among linux"},
		"test":   {run{ref: gvisor, rounds: 1, time: 1, only: []string{"up2"}}, nil, "--only up2: no such test; there are " + strings.Join(testNames(), ", ")},
		"rounds": {run{ref: gvisor, time: 1}, nil, "--rounds 0 --time 1ns: want at least one round, and some time"},
		"time":   {run{ref: gvisor, rounds: 1}, nil, "--rounds 1 --time 0s: want at least one round, and some time"},
	} {
		require.EqualError(t, bad.run.choose(bad.duts, true), bad.want, name)
	}
}

func TestTestsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for _, tt := range suite() {
		require.False(t, seen[tt.name], tt.name)
		seen[tt.name] = true
		require.NotEmpty(t, tt.rows)
	}
}

func TestWhoIsMeasured(t *testing.T) {
	for _, c := range []struct{ test, column, want string }{
		{"up1", tapstack, "tapstack"}, {"up1", linux, "linux"}, {"up1", "tapstack-off", "tapstack-off"},
		{"up1500", tapstack, "tapstack-off"}, {"up1500", gvisor, "gvisor-stock"}, {"up1500", "tapstack-off", "tapstack-off"}, {"up1500", linux, ""},
		{"arp", gvisor, "gvisor"}, {"arp", linux, ""}, {"resolve", linux, ""},
	} {
		require.Equal(t, c.want, testNamed(c.test).device(c.column), "%s of %s", c.test, c.column)
	}
}
