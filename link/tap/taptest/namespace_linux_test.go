package taptest

import (
	"net"
	"os/exec"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tapstack/tapstack/link/tap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func names(t *testing.T) (names []string) {
	t.Helper()
	ifaces, err := net.Interfaces()
	require.NoError(t, err)
	for _, i := range ifaces {
		names = append(names, i.Name)
	}
	return names
}

func TestNamespaceIsEmpty(t *testing.T) {
	n := Namespace(t)
	require.Equal(t, []string{"lo"}, names(t))
	lo, err := net.InterfaceByName("lo")
	require.NoError(t, err)
	require.NotZero(t, lo.Flags&net.FlagUp)

	d, err := tap.Open(tap.Config{Name: "t0"})
	require.NoError(t, err)
	defer d.Close()

	n.Do(func() { require.Equal(t, []string{"lo", "t0"}, names(t), "another goroutine, the same namespace") })
	out, err := exec.Command("cat", "/proc/net/dev").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "t0:", "commands run in it too")

	t.Run("subtests are elsewhere", func(t *testing.T) {
		require.NotContains(t, names(t), "t0")
	})
}

func TestDoEndsWithItsFunction(t *testing.T) {
	n := Namespace(t)
	reached := false
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.Do(runtime.Goexit) // what t.FailNow does
		reached = true
	}()
	<-done
	require.False(t, reached)
}
