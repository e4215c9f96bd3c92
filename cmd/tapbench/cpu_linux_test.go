package main

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What this process spends is seen in its own clock and in the machine's.
func TestMarks(t *testing.T) {
	c := client{pid: os.Getpid()}
	before := c.now()
	var s spent
	for s.dut < 30*time.Millisecond {
		s = c.now().since(before)
		require.Less(t, s.time, 30*time.Second)
	}
	require.Positive(t, s.machine)
	require.LessOrEqual(t, s.dut, time.Duration(workers()+1)*s.time)

	c.pid = 1<<22 + 1 // more than Linux gives
	require.Zero(t, c.now().dut, "a process that is not there")
}

func TestResidentBytes(t *testing.T) {
	n, err := residentBytes(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, n, 1<<20)
	_, err = residentBytes(1 << 30)
	require.ErrorIs(t, err, os.ErrNotExist)
}
