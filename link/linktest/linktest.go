// Package linktest is what the tests of many packages need: that a test leaves
// no packet behind, and that a path does not allocate.
package linktest

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/tapstack/tapstack/link"
)

// WantNoPackets fails the test when, after its cleanups registered later, there
// are more unreleased packets than now. Call it first, and not in tests that
// run in parallel with others.
func WantNoPackets(t testing.TB) {
	t.Helper()
	before := link.LivePackets()
	t.Cleanup(func() {
		// A timer's goroutine may be about to release the one it could not send.
		for i := 0; link.LivePackets() != before && i < 100_000; i++ {
			runtime.Gosched()
		}
		if n := link.LivePackets() - before; n != 0 {
			t.Errorf("%d packets were not released", n)
		}
	})
}

// WantNoAllocs fails the test when f allocates. It does nothing under the race
// detector, where sync.Pool forgets on purpose.
func WantNoAllocs(t testing.TB, f func()) {
	t.Helper()
	if Race() {
		return
	}
	if n := testing.AllocsPerRun(1000, f); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// Race reports whether the test binary was built with -race.
func Race() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-race" && s.Value == "true" {
			return true
		}
	}
	return false
}
