package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sampleReport has three rounds of one test, and a test that one device has no
// part in.
func sampleReport() *runReport {
	r := &run{duts: []string{tapstack, gvisor, linux}, ref: gvisor, rounds: 3, time: time.Second, only: []string{"udpecho", "resolve"}}
	rr := newRunReport(r)
	rr.machine = machine{Date: "2026-11-22", CPUs: 2, CPU: "Model 1", Kernel: "6.18", Go: "go1.26", GVisor: "v0"}
	echo := testNamed("udpecho")
	for k := range 3 {
		n := float64(k + 1)
		rr.add(echo, tapstack, values{"rate": 200_000 * n, "dut": 4 * n, "lost": 0})
		rr.add(echo, gvisor, values{"rate": 100_000 * n, "dut": 10 * n, "lost": 128, "nobody asked": 1})
		rr.add(echo, linux, values{"rate": 300_000 / n, "dut": 3, "lost": 0})
	}
	rr.add(testNamed("resolve"), tapstack, values{"lost": 0, "ms99": 12.34})
	rr.add(testNamed("resolve"), gvisor, values{"lost": 19_500})
	return rr
}

func TestRunReport(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, sampleReport().print(&out))
	var lines []string
	for line := range strings.Lines(out.String()) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	require.Equal(t, []string{
		"tapstack gvisor linux",
		"UDP echo, 64 B, 128 in flight 1/s 400,000 2.00x 200,000 150,000 0.75x",
		"– CPU of the stack's process us 8 0.40x 20 3 0.15x",
		"– lost 0 128 0",
		"resolving 20,000 neighbours, lost 0 19,500 -",
		"– time until 99 % are reached ms 12.3 - -",
		"Medians of 3 rounds of 1s, in turns, on 2026-11-22.",
		"2 x Model 1, Linux 6.18, go1.26, gVisor v0.",
		"x: ratio to gvisor. Compare ratios only, and those of one run.",
	}, lines)
}

func TestMarkdown(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, sampleReport().markdown(&out))
	require.Equal(t, tableBegin+`
Medians of 3 rounds of 1s, in turns, on 2026-11-22.
2 x Model 1, Linux 6.18, go1.26, gVisor v0.
In brackets the ratio to gvisor. Compare ratios only, and those of one run.

| | | tapstack | gvisor | linux |
|---|---|---:|---:|---:|
| UDP echo, 64 B, 128 in flight | 1/s | 400,000 (2.00x) | 200,000 | 150,000 (0.75x) |
| – CPU of the stack's process | us | 8 (0.40x) | 20 | 3 (0.15x) |
| – lost |  | 0 | 128 | 0 |
| resolving 20,000 neighbours, lost |  | 0 | 19,500 | - |
| – time until 99 % are reached | ms | 12.3 | - | - |
`+tableEnd+"\n", out.String())
}

func TestRunReportAsJSON(t *testing.T) {
	b, err := json.Marshal(sampleReport())
	require.NoError(t, err)
	var back runReport
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, "Model 1", back.CPU)
	require.Equal(t, &cellReport{Median: 400_000, Ratio: 2, Rounds: []float64{200_000, 400_000, 600_000}}, back.Rows[0].DUTs[tapstack])
	require.NotContains(t, back.Rows[3].DUTs, linux)
}

func TestFigure(t *testing.T) {
	for want, v := range map[string]float64{
		"0": 0, "0.500": .5, "0.012": .0123, "1.50": 1.5, "7": 7, "12.3": 12.34, "123": 123.4, "1,235": 1234.6, "1,234,568": 1234567.8, "-1,235": -1234.6,
	} {
		require.Equal(t, want, figure(v))
	}
}
