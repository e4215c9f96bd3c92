package link

import (
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
