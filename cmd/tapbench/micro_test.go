package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func execute(args ...string) (string, error) {
	var out bytes.Buffer
	c := root(&out)
	c.SetErr(&bytes.Buffer{})
	c.SetArgs(append([]string{"micro"}, args...))
	err := c.Execute()
	return out.String(), err
}

func TestMicroReports(t *testing.T) {
	before := flag.Lookup("test.benchtime").Value.String()
	file := filepath.Join(t.TempDir(), "r.json")
	out, err := execute("--run", "^Neighbour/(lookup/1|reply/1)$", "--rounds", "3", "--time", "1ms", "--json", file)
	require.NoError(t, err)
	require.Equal(t, before, flag.Lookup("test.benchtime").Value.String(), "other benchmarks are not affected")

	lines := strings.Split(out, "\n")
	require.Len(t, lines, 5, "a heading, two scenarios, a footing: %s", out)
	require.Contains(t, lines[1], "Neighbour/lookup/1 ")
	require.Contains(t, lines[2], "Neighbour/reply/1 ")

	b, err := os.ReadFile(file)
	require.NoError(t, err)
	var r report
	require.NoError(t, json.Unmarshal(b, &r))
	require.Len(t, r.Scenarios, 2)
	for _, s := range r.Scenarios {
		require.Equal(t, []string{tapstack, gvisor}, []string{s.Stacks[0].Name, s.Stacks[1].Name})
		for _, st := range s.Stacks {
			require.Len(t, st.Rounds, 3)
			require.Equal(t, median(st.Rounds), st.NsPerOp)
			require.Positive(t, st.NsPerOp)
		}
	}
}

func TestMicroRefuses(t *testing.T) {
	for _, args := range [][]string{{"--run", "("}, {"--run", "nothing"}, {"--rounds", "0"}, {"--time", "0s"}, {"x"}} {
		_, err := execute(args...)
		require.Error(t, err, "%v", args)
	}
}

func TestMedian(t *testing.T) {
	require.Equal(t, 2, median([]int{3, 1, 2}))
	require.Equal(t, 2, median([]int{4, 3, 2, 1}), "the lower of the middle ones")
	require.Equal(t, 7, median([]int{7}))
}
