package neighbour

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStates(t *testing.T) {
	// NUD-1, ENT-8.
	for _, c := range []struct {
		s                       State
		timer, valid, connected bool
	}{
		{None, false, false, false}, {Incomplete, true, false, false}, {Reachable, true, true, true}, {Stale, false, true, false},
		{Delay, true, true, false}, {Probe, true, true, false}, {Failed, false, false, false}, {NoARP, false, true, true}, {Permanent, false, true, true},
	} {
		t.Run(c.s.String(), func(t *testing.T) {
			require.Equal(t, []bool{c.timer, c.valid, c.connected}, []bool{c.s.InTimer(), c.s.Valid(), c.s.Connected()})
			back, ok := ParseState(strings.ToLower(c.s.String()))
			require.True(t, ok)
			require.Equal(t, c.s, back)
		})
	}
	_, ok := ParseState("maybe")
	require.False(t, ok)
}
