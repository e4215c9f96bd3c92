package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// run is what `tapbench run` was asked for.
type run struct {
	duts   []string
	only   []string
	ref    string
	rounds int
	time   time.Duration
	json   string
	table  bool
	sizes
}

// runCommands returns the command that measures end to end, and those that its
// processes run.
func runCommands() []*cobra.Command {
	r := run{sizes: fullSizes()}
	c := &cobra.Command{
		Use:   "run [DUT...]",
		Short: "Run the end-to-end benchmark against gVisor's netstack and the kernel",
		Long: `run measures programs over sockets, end to end, on several stacks in turns, and
prints the medians of all rounds with their ratio to one of the stacks. It needs
root and nothing else: stacks and clients are processes of its own in network
namespaces of its own, which go away with them.

  tapstack      this stack on a TAP, with offloads
  tapstack-off  the same without: frames of 1500 bytes, complete checksums
  gvisor        gVisor's netstack at its best: on a TAP, with 64 KiB at once and
                checksums left to the kernel, through an endpoint written for this
  gvisor-stock  the same through its own endpoint, fdbased: frames of 1500 bytes
  linux         the kernel's stack, behind a veth pair

All run the same program with the same calls, on buffers as large as Linux's; the
client is the kernel's stack. The kernel's sockets, on both sides, and netstack use
CUBIC whatever the machine's default is; tapstack uses its own default.
Rows for frames of 1500 bytes show tapstack-off and gvisor-stock in the columns of
tapstack and gvisor. The kernel's limits to its neighbour table are the machine's,
so linux has no part in tests with thousands of neighbours; tapstack's are raised.
tapstack leaves one processor to the client, as the command tapstack run does;
netstack, which is faster with all of them, has all, and so has linux. GOMAXPROCS
is obeyed by everybody.
What the kernel does for a stack in its system calls counts as the stack's time,
but little of linux's own does: compare the machine's.

Compare ratios, and only those of one run.

Tests: ` + strings.Join(testNames(), ", ") + ".",
		Example: `  tapbench run
  tapbench run --only up1,down1 --rounds 9 --json run.json tapstack gvisor
  tapbench run --table                  the block for README.md`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := r.choose(args, c.Flags().Changed("ref")); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, unix.SIGTERM)
			defer stop()
			return r.execute(ctx, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.IntVar(&r.rounds, "rounds", 5, "rounds of each test")
	f.DurationVarP(&r.time, "time", "d", 400*time.Millisecond, "time of each stack in each test of a round")
	f.StringSliceVar(&r.only, "only", nil, "only these tests, `NAME,...`")
	f.StringVar(&r.ref, "ref", gvisor, "ratios refer to this `DUT`")
	f.StringVar(&r.json, "json", "", "write all rounds to this `file`, - for the output")
	f.BoolVar(&r.table, "table", false, "print the table for README.md")
	return []*cobra.Command{c, serveCommand(), loadCommand()}
}

func testNames() []string {
	var names []string
	for _, t := range suite() {
		names = append(names, t.name)
	}
	return names
}

// choose checks what was asked for and completes it.
func (r *run) choose(duts []string, refGiven bool) error {
	if r.duts = duts; len(duts) == 0 {
		r.duts = []string{tapstack, gvisor, linux}
	}
	for k, d := range r.duts {
		if devices[d] == nil {
			return fmt.Errorf("%s: no such device under test; there are %s", d, strings.Join(slices.Sorted(maps.Keys(devices)), ", "))
		}
		if slices.Contains(r.duts[:k], d) {
			return fmt.Errorf("%s is given twice", d)
		}
	}
	if !slices.Contains(r.duts, r.ref) {
		if refGiven {
			return fmt.Errorf("--ref %s: not among %s", r.ref, strings.Join(r.duts, ", "))
		}
		r.ref = r.duts[0]
	}
	for _, name := range r.only {
		if testNamed(name) == nil {
			return fmt.Errorf("--only %s: no such test; there are %s", name, strings.Join(testNames(), ", "))
		}
	}
	if r.rounds < 1 || r.time <= 0 {
		return fmt.Errorf("--rounds %d --time %v: want at least one round, and some time", r.rounds, r.time)
	}
	return nil
}

// possible says, before anything starts, what is missing.
func possible() error {
	fd, err := unix.Open(tunPath, unix.O_RDWR|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("run needs root, for TAP devices and network namespaces: %s: %w", tunPath, err)
	case err != nil:
		return fmt.Errorf("run needs TAP devices; run `modprobe tun`, or give the container that device: %s: %w", tunPath, err)
	}
	unix.Close(fd)
	n, err := newNetns()
	n.close()
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("run needs root: %w", err)
	}
	return err
}

func (r *run) tests() []test {
	var some []test
	for _, t := range suite() {
		if len(r.only) == 0 || slices.Contains(r.only, t.name) {
			some = append(some, t)
		}
	}
	return some
}

// execute runs all rounds. What fails is said and counted; the others go on.
func (r *run) execute(ctx context.Context, out, progress io.Writer) error {
	if err := possible(); err != nil {
		return err
	}
	b := bench{run: r, running: map[string]*dut{}, progress: progress, report: newRunReport(r)}
	defer b.stopAll()
	began := time.Now()
	for k := range r.rounds {
		for _, t := range r.tests() {
			if err := b.round(ctx, &t, k%2 == 1); err != nil {
				return err
			}
		}
		fmt.Fprintf(progress, "round %d of %d done after %.0f s\n", k+1, r.rounds, time.Since(began).Seconds())
	}
	b.stopAll()
	write := b.report.print
	if r.table {
		write = b.report.markdown
	}
	err := write(out)
	if r.json != "" {
		err = errors.Join(err, save(r.json, b.report))
	}
	if b.failed > 0 {
		err = errors.Join(err, fmt.Errorf("%d measurements failed", b.failed))
	}
	return err
}

// bench is a run under way.
type bench struct {
	*run
	running  map[string]*dut
	progress io.Writer
	report   *runReport
	failed   int
}

// round runs a test once on each device, in the order that they were given or the
// other way round. The error is that of ctx.
func (b *bench) round(ctx context.Context, t *test, reversed bool) error {
	columns := slices.Clone(b.duts)
	if reversed {
		slices.Reverse(columns)
	}
	for _, column := range columns {
		name := t.device(column)
		if name == "" {
			continue
		}
		v, err := b.sample(ctx, t, name)
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted: %w", ctx.Err())
		}
		if err != nil {
			b.failed++
			fmt.Fprintf(b.progress, "%s on %s: %v\n", t.name, name, err)
			continue
		}
		b.report.add(t, column, v)
	}
	return nil
}

// sample measures once, on a device that runs already unless the test wants a new
// one. A device on which something failed is not used again.
func (b *bench) sample(ctx context.Context, t *test, name string) (values, error) {
	d := b.running[name]
	if d == nil || t.fresh {
		var err error
		if d, err = startDUT(ctx, name); err != nil {
			return nil, err
		}
	}
	v, err := d.measure(ctx, t, client{time: b.time, sizes: b.sizes})
	switch {
	case err != nil:
		d.stop()
		err = d.explain(err)
		if !t.fresh {
			delete(b.running, name)
		}
	case t.fresh:
		d.stop()
	default:
		b.running[name] = d
	}
	return v, err
}

func (b *bench) stopAll() {
	for _, d := range b.running {
		d.stop()
	}
	clear(b.running)
}
