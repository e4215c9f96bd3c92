package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// mark is a moment and what the processors had done by then: for the device under
// test, and for everything on the machine. What the kernel does in a system call
// of a process counts as the process's: a TAP's write runs the receive path of the
// kernel's TCP.
type mark struct {
	at           time.Time
	dut, machine time.Duration
}

// spent is what lies between two marks.
type spent struct{ time, dut, machine time.Duration }

func (m mark) since(before mark) spent {
	return spent{m.at.Sub(before.at), m.dut - before.dut, m.machine - before.machine}
}

func (c *client) now() mark {
	m := mark{at: time.Now(), machine: machineTime()}
	// The clock of a process's CPU time, as clock_getcpuclockid(3) has it.
	const cpuclockSched = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^c.pid<<3|cpuclockSched), &t); err == nil {
		m.dut = time.Duration(t.Nano())
	}
	return m
}

// machineTime sums up in /proc/stat what was neither idle nor stolen (proc(5)).
func machineTime() time.Duration {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	const tick = time.Second / 100 // USER_HZ
	var sum time.Duration
	for k, f := range strings.Fields(line) {
		switch k {
		case 1, 2, 3, 6, 7: // user, nice, system, irq, softirq
			n, _ := strconv.ParseInt(f, 10, 64)
			sum += time.Duration(n) * tick
		}
	}
	return sum
}

// residentBytes is a process's resident memory.
func residentBytes(pid int) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	var size, resident int
	if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
		return 0, err
	}
	return resident * os.Getpagesize(), nil
}
