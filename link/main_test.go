package link

import (
	"runtime/debug"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wantNoPackets fails the test when it ends with packets that nobody released.
func wantNoPackets(t *testing.T) {
	t.Helper()
	before := LivePackets()
	t.Cleanup(func() {
		if n := LivePackets() - before; n != 0 {
			t.Errorf("%d packets were not released", n)
		}
	})
}

// wantNoAllocs fails the test when f allocates. Under the race detector it does
// nothing: sync.Pool forgets on purpose then.
func wantNoAllocs(t *testing.T, f func()) {
	t.Helper()
	info, _ := debug.ReadBuildInfo()
	if slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return
	}
	if n := testing.AllocsPerRun(1000, f); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
