package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"testing"
	"text/tabwriter"
)

// report is what the micro-benchmarks found, as it is written to JSON.
type report struct {
	machine
	Rounds    int              `json:"rounds"`
	Time      string           `json:"time"` // of each stack in each round
	Scenarios []scenarioReport `json:"scenarios"`
}

type scenarioReport struct {
	Name   string        `json:"name"`
	Stacks []stackReport `json:"stacks"`
}

// stackReport has a stack's medians, and each round's time.
type stackReport struct {
	Name        string    `json:"name"`
	NsPerOp     float64   `json:"ns_per_op"`
	AllocsPerOp float64   `json:"allocs_per_op"`
	BytesPerOp  float64   `json:"bytes_per_op"` // allocated
	MBPerSecond float64   `json:"mb_per_second,omitempty"`
	Rounds      []float64 `json:"rounds_ns_per_op"`

	payload       int64
	allocs, bytes []float64
}

func newReport(m *micro) *report {
	return &report{machine: thisMachine(), Rounds: m.rounds, Time: m.time.String()}
}

// add notes a round.
func (r *stackReport) add(s *scenario, b testing.BenchmarkResult) {
	n := float64(b.N)
	r.payload = s.bytes
	r.Rounds = append(r.Rounds, float64(b.T.Nanoseconds())/n)
	r.allocs = append(r.allocs, float64(b.MemAllocs)/n)
	r.bytes = append(r.bytes, float64(b.MemBytes)/n)
}

// settle computes the medians of the rounds.
func (r *stackReport) settle() {
	r.NsPerOp, r.AllocsPerOp, r.BytesPerOp = median(r.Rounds), median(r.allocs), median(r.bytes)
	r.MBPerSecond = float64(r.payload) * 1e3 / r.NsPerOp
}

// median of the values, which are not empty.
func median[T cmp.Ordered](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}

// print writes the table: for each scenario the stacks' times and allocations,
// and how many times longer the others take than the first.
func (r *report) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "scenario\ttapstack\tallocs\tspread\tgvisor\tallocs\tspread\tratio\t\n")
	for _, s := range r.Scenarios {
		fmt.Fprintf(w, "%s\t", s.Name)
		for _, st := range s.Stacks {
			fmt.Fprintf(w, "%s\t%s\t±%.0f%%\t", duration(st.NsPerOp), count(st.AllocsPerOp), st.spread())
		}
		for _, st := range s.Stacks[1:] {
			fmt.Fprintf(w, "%.1f\t", st.NsPerOp/s.Stacks[0].NsPerOp)
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "medians of %d rounds of %s, in turns; %s, %d CPUs; ratio: gvisor's time by tapstack's\n", r.Rounds, r.Time, r.Go, r.CPUs)
	return err
}

// spread is half the distance between the slowest and the fastest round, in
// percent of the median.
func (r *stackReport) spread() float64 {
	return 50 * (slices.Max(r.Rounds) - slices.Min(r.Rounds)) / r.NsPerOp
}

func duration(ns float64) string {
	switch {
	case ns < 100:
		return fmt.Sprintf("%.1f ns", ns)
	case ns < 10_000:
		return fmt.Sprintf("%.0f ns", ns)
	}
	return fmt.Sprintf("%.1f us", ns/1000)
}

// count hides what pools allocate once in a while.
func count(allocs float64) string { return strconv.FormatFloat(allocs, 'f', 0, 64) }

// save writes a report to a file, or to standard output for "-".
func save(name string, r any) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	b = append(b, '\n')
	if name == "-" {
		_, err = os.Stdout.Write(b)
		return err
	}
	return os.WriteFile(name, b, 0o644)
}
