package main

import (
	"flag"
	"fmt"
	"io"
	"regexp"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// micro is what `tapbench micro` was asked for.
type micro struct {
	run    string // a regular expression for names
	rounds int
	time   time.Duration // that each trial runs in each round
	json   string        // a file, - for the output
}

func microCommand() *cobra.Command {
	var m micro
	c := &cobra.Command{
		Use:   "micro",
		Short: "Run the micro-benchmarks in this process, against gVisor's netstack",
		Long: `micro runs each scenario with both stacks in turns and prints the medians of all
rounds. The ratio is how many times longer gVisor takes. Nothing is needed: frames
stay in memory.`,
		Example: `  tapbench micro
  tapbench micro --run '^Forward|^Echo' --rounds 9 --json forward.json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return m.execute(c.OutOrStdout(), c.ErrOrStderr()) },
	}
	c.Flags().StringVar(&m.run, "run", "", "only the scenarios whose name matches this regular expression")
	c.Flags().IntVar(&m.rounds, "rounds", 5, "rounds of each scenario")
	c.Flags().DurationVar(&m.time, "time", 100*time.Millisecond, "time of each stack in each round")
	c.Flags().StringVar(&m.json, "json", "", "write all rounds to this `file`")
	return c
}

func (m *micro) execute(out, progress io.Writer) error {
	re, err := regexp.Compile(m.run)
	if err != nil {
		return fmt.Errorf("--run: %w", err)
	}
	if m.rounds < 1 || m.time <= 0 {
		return fmt.Errorf("--rounds %d --time %v: want at least one round, and some time", m.rounds, m.time)
	}
	some := matching(re)
	if len(some) == 0 {
		return fmt.Errorf("--run %s: no scenario has such a name", m.run)
	}
	restore, err := setBenchTime(m.time)
	if err != nil {
		return err
	}
	defer restore()
	r := newReport(m)
	for _, s := range some {
		fmt.Fprintf(progress, "%s\n", s.name)
		results, err := m.measure(&s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		r.Scenarios = append(r.Scenarios, results)
	}
	if err := r.print(out); err != nil || m.json == "" {
		return err
	}
	return save(m.json, r)
}

// setBenchTime tells testing.Benchmark, in the only way there is, how long to run.
func setBenchTime(d time.Duration) (restore func(), err error) {
	if flag.Lookup("test.benchtime") == nil {
		testing.Init()
	}
	f := flag.Lookup("test.benchtime")
	old := f.Value.String()
	return func() { _ = f.Value.Set(old) }, f.Value.Set(d.String())
}

// measure runs a scenario's sides in turns.
func (m *micro) measure(s *scenario) (scenarioReport, error) {
	sr := scenarioReport{Name: s.name}
	trials := make([]*trial, len(s.sides))
	defer func() {
		for _, t := range trials {
			if t != nil {
				t.close()
			}
		}
	}()
	for k, side := range s.sides {
		t, err := side.open()
		if err != nil {
			return sr, fmt.Errorf("%s: %w", side.name, err)
		}
		trials[k] = t
		sr.Stacks = append(sr.Stacks, stackReport{Name: side.name})
	}
	for range m.rounds {
		for k, t := range trials {
			var err error
			b := testing.Benchmark(t.bench(s, &err))
			if err != nil {
				return sr, fmt.Errorf("%s: %w", s.sides[k].name, err)
			}
			sr.Stacks[k].add(s, b)
		}
	}
	for k := range sr.Stacks {
		sr.Stacks[k].settle()
	}
	return sr, nil
}
