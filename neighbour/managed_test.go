package neighbour

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestManaged(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // NUD-9, TMR-10
		require.NoError(t, b.table.SetSysctl("t0", "interval_probe_time_ms", "300"))
		b.pass(time.Second)
		require.NoError(t, b.set(None, Managed))
		require.Equal(t, Managed, b.info().Flags)
		b.want("ask 192.0.2.9 broadcast")
		b.announced()
		b.pass(6 * time.Second) // fails 6 s after the first request, at 7 s
		b.wantState(Failed)
		require.Equal(t, "new FAILED", b.announced())
		b.want("ask 192.0.2.9 broadcast; ask 192.0.2.9 broadcast")
		b.pass(3*time.Second - 1)
		b.want("")
		b.pass(1) // 10 s: a tick of the table's, whatever the interface's value is
		b.want("ask 192.0.2.9 broadcast")
		require.NoError(t, b.reply(macA, 0))
		// A tick is a use, also of a reachable entry: what comes next depends on
		// how long ago the last one was.
		b.pass(b.reachable() + 5*time.Second)
		require.Contains(t, []State{Delay, Probe}, b.info().State)
		require.NoError(t, b.setAddr(Stale, macA, 0))
		b.pass(time.Minute)
		b.log = nil
		b.wantState(Stale)
	})
}
