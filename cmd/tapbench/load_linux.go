package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// client is what a test's load, in a process of its own on the kernel's side of
// the link, knows.
type client struct {
	time time.Duration // to measure
	pid  int           // of the device under test
	sizes
}

// sizes are those of the tests that have one.
type sizes struct {
	conns      int // that are open and idle
	senders    int // of ARP requests
	neighbours int // to resolve
	check      int // bytes to compare each way
}

func fullSizes() sizes {
	return sizes{conns: 5000, senders: 100_000, neighbours: 20_000, check: 32 << 20}
}

// args are the flags of loadCommand that say the same.
func (c *client) args() []string {
	var args []string
	for name, n := range map[string]*int{"pid": &c.pid, "conns": &c.conns, "senders": &c.senders, "neighbours": &c.neighbours, "check": &c.check} {
		args = append(args, "--"+name+"="+strconv.Itoa(*n))
	}
	slices.Sort(args)
	return append(args, "--time="+c.time.String())
}

// values are what a load has measured, by the names that rows have.
type values map[string]float64

// loadCommand is what a client's process runs.
func loadCommand() *cobra.Command {
	var cl client
	c := &cobra.Command{
		Use:    "load TEST",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			go func() { // tapbench has ended, however it did
				_, _ = io.Copy(io.Discard, os.Stdin)
				os.Exit(1)
			}()
			t := testNamed(args[0])
			if t == nil {
				return fmt.Errorf("no test %s", args[0])
			}
			if err := raiseFileLimit(); err != nil {
				return err
			}
			v, err := t.load(&cl)
			if err != nil {
				return err
			}
			return json.NewEncoder(c.OutOrStdout()).Encode(v)
		},
	}
	f := c.Flags()
	f.DurationVar(&cl.time, "time", time.Second, "")
	f.IntVar(&cl.pid, "pid", 0, "")
	f.IntVar(&cl.conns, "conns", 0, "")
	f.IntVar(&cl.senders, "senders", 0, "")
	f.IntVar(&cl.neighbours, "neighbours", 0, "")
	f.IntVar(&cl.check, "check", 0, "")
	return c
}

// patience is how long an answer may take that should come at once.
const patience = 3 * time.Second

// dial connects a socket of the kernel to the device under test.
func dial(network string, port int) (net.Conn, error) {
	d := net.Dialer{Timeout: patience}
	if network == "tcp4" {
		d.Control = useCubic
	}
	return d.DialContext(context.Background(), network, net.JoinHostPort(hostPrefix.Addr().String(), strconv.Itoa(port)))
}

// warm is how long a load runs before it is measured.
func (c *client) warm() time.Duration { return min(150*time.Millisecond, c.time) }

// quantile returns the time in microseconds that a part q of the sorted times does
// not exceed.
func quantile(sorted []time.Duration, q float64) float64 {
	k := int(q * float64(len(sorted)-1))
	return float64(sorted[k].Nanoseconds()) / 1e3
}
