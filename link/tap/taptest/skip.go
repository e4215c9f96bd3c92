package taptest

import (
	"os"
	"os/exec"
	"testing"
)

// RequireVariable names the environment variable that, set to 1, makes tests
// fail instead of skip where they cannot have a namespace or a TAP device.
const RequireVariable = "TAPSTACK_REQUIRE_KERNEL"

// Skip skips the test because something it needs is missing, or fails it where
// RequireVariable asks for that.
func Skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv(RequireVariable) == "1" {
		t.Fatalf("%s (and %s=1)", why, RequireVariable)
	}
	t.Skip(why)
}

// Tool returns the path of a program of the system's that a test needs. Without
// it the test is skipped.
func Tool(t testing.TB, name string) (path string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Skip(t, "this needs "+name+": "+err.Error())
	}
	return path
}
