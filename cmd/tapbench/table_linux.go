package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// runReport is what a run found, as it is written to JSON.
type runReport struct {
	machine
	Rounds    int         `json:"rounds"`
	Time      string      `json:"time"` // of each stack in each test of a round
	Reference string      `json:"reference"`
	DUTs      []string    `json:"duts"`
	Rows      []rowReport `json:"rows"`
}

// rowReport is one row of the table. Devices that have no part in it are missing.
type rowReport struct {
	Test  string                 `json:"test"`
	Key   string                 `json:"key"`
	Label string                 `json:"label"`
	Unit  string                 `json:"unit,omitempty"`
	DUTs  map[string]*cellReport `json:"duts"`

	better better
}

// cellReport has a device's median, how many times the reference's it is where
// that says something, and the rounds.
type cellReport struct {
	Median float64   `json:"median"`
	Ratio  float64   `json:"ratio,omitempty"`
	Rounds []float64 `json:"rounds"`
}

func newRunReport(r *run) *runReport {
	rr := &runReport{machine: thisMachine(), Rounds: r.rounds, Time: r.time.String(), Reference: r.ref, DUTs: r.duts}
	for _, t := range r.tests() {
		for _, row := range t.rows {
			rr.Rows = append(rr.Rows, rowReport{Test: t.name, Key: row.key, Label: row.label, Unit: row.unit, DUTs: map[string]*cellReport{}, better: row.better})
		}
	}
	return rr
}

// add notes what a device did in a round.
func (r *runReport) add(t *test, column string, v values) {
	for k := range r.Rows {
		row := &r.Rows[k]
		n, ok := v[row.Key]
		if row.Test != t.name || !ok {
			continue
		}
		c := row.DUTs[column]
		if c == nil {
			c = &cellReport{}
			row.DUTs[column] = c
		}
		c.Rounds = append(c.Rounds, n)
		c.Median = median(c.Rounds)
		row.settle(r.Reference)
	}
}

// settle computes the ratios.
func (r *rowReport) settle(reference string) {
	ref := r.DUTs[reference]
	if r.better == neither || ref == nil || ref.Median == 0 {
		return
	}
	for name, c := range r.DUTs {
		if name != reference {
			c.Ratio = c.Median / ref.Median
		}
	}
}

// cell returns a device's number and ratio as they are shown.
func (r *rowReport) cell(name string) (number, ratio string) {
	c := r.DUTs[name]
	if c == nil {
		return "-", ""
	}
	if c.Ratio != 0 {
		ratio = fmt.Sprintf("%.2fx", c.Ratio)
	}
	return figure(c.Median), ratio
}

// print writes the table for people.
func (r *runReport) print(out io.Writer) error {
	// Numbers are aligned on the right, by blanks in front: labels are not.
	width := 0
	for _, row := range r.Rows {
		width = max(width, len([]rune(row.Label)))
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%-*s\t\t%s\t\n", width, "", strings.Join(r.DUTs, "\t\t"))
	for _, row := range r.Rows {
		fmt.Fprintf(w, "%-*s\t%s", width, row.Label, row.Unit)
		for _, name := range r.DUTs {
			number, ratio := row.cell(name)
			fmt.Fprintf(w, "\t%s\t%s", number, ratio)
		}
		fmt.Fprintln(w, "\t")
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s.\n%s.\nx: ratio to %s. Compare ratios only, and those of one run.\n", r.how(), r.machine, r.Reference)
	return err
}

// The lines around the block in README.md.
const (
	tableBegin = "<!-- what `go run ./cmd/tapbench run --table` prints -->"
	tableEnd   = "<!-- end of what it prints -->"
)

// markdown writes the block for README.md.
func (r *runReport) markdown(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s.\n%s.\nIn brackets the ratio to %s. Compare ratios only, and those of one run.\n\n", tableBegin, r.how(), r.machine, r.Reference)
	fmt.Fprintf(&b, "| | | %s |\n|---|---|%s\n", strings.Join(r.DUTs, " | "), strings.Repeat("---:|", len(r.DUTs)))
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "| %s | %s |", row.Label, row.Unit)
		for _, name := range r.DUTs {
			number, ratio := row.cell(name)
			if ratio != "" {
				number += " (" + ratio + ")"
			}
			fmt.Fprintf(&b, " %s |", number)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintln(&b, tableEnd)
	_, err := io.WriteString(out, b.String())
	return err
}

// how says in words what the numbers are.
func (r *runReport) how() string {
	return fmt.Sprintf("Medians of %d rounds of %s, in turns, on %s", r.Rounds, r.Time, r.Date)
}

// figure shows three digits that matter, and whole numbers from 1000 on.
func figure(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100, v == math.Trunc(v):
		return thousands(fmt.Sprintf("%.0f", v))
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// thousands puts commas into a whole number.
func thousands(s string) string {
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	var groups []string
	for len(s) > 3 {
		groups = append(groups, s[len(s)-3:])
		s = s[:len(s)-3]
	}
	groups = append(groups, s)
	slices.Reverse(groups)
	return sign + strings.Join(groups, ",")
}
