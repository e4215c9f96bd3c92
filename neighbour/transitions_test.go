package neighbour

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTransitionsAreComplete(t *testing.T) {
	names := make(map[string]bool)
	for row := range Transitions() {
		require.False(t, names[row.Name], "two rows %q", row.Name)
		names[row.Name] = true
		require.NotEmpty(t, row.Text, row.Name)
		require.NotZero(t, row.From, row.Name)
	}
	for _, s := range States() {
		for tr := range numTriggers {
			t.Run(fmt.Sprint(s, " ", tr), func(t *testing.T) {
				otherwise := false
				for row := range Transitions() {
					if row.On == tr && row.From.Has(s) && (row.Guard == Always || row.Guard >= FirstLLAddr) {
						otherwise = true
					}
				}
				require.True(t, otherwise, "no row that applies in the end")
			})
		}
	}
}

// rules names the spec's rule for each row that describes the update procedure.
var rules = map[string]string{
	"reply-first": "NUD-26", "reply-confirms": "NUD-29", "reply-refreshes": "NUD-31", "reply-moves": "NUD-33",
	"reply-moves-reachable": "NUD-33", "reply-locked": "NUD-35", "reply-weak": "NUD-36", "reply-weak-ignored": "NUD-36",
	"hint-first": "NUD-27", "hint-same": "NUD-28 NUD-30", "hint-moves": "NUD-32", "hint-moves-stale": "NUD-32",
	"hint-locked": "NUD-34", "hint-weak": "NUD-36", "hint-weak-ignored": "NUD-36", "reply-static": "NUD-37", "hint-static": "NUD-37",
	"set-unknown": "NUD-45", "set-first": "NUD-40", "set-same": "NUD-40 NUD-46", "set-other": "NUD-40",
	"invalidate-valid": "NUD-43", "invalidate-probe": "NUD-44", "invalidate-incomplete": "NUD-44", "invalidate-unresolved": "NUD-42",
	"use-static": "NUD-47", "use": "NUD-47",
}

// TestTransitionsDescribeUpdate holds the rows about updates to the procedure.
func TestTransitionsDescribeUpdate(t *testing.T) {
	for _, row := range consequences {
		require.Contains(t, rules, row.Name)
		for _, s := range States() {
			if !row.From.Has(s) {
				continue
			}
			for _, target := range targets(row) {
				t.Run(fmt.Sprintf("%s/%s/%v to %v", rules[row.Name], row.Name, s, target), func(t *testing.T) {
					checkConsequence(t, row, s, target)
				})
			}
		}
	}
}

func targets(row Transition) []State {
	switch row.On {
	case TriggerReply:
		return []State{Reachable}
	case TriggerInvalidate:
		return []State{None, Incomplete, Failed}
	case TriggerSet:
		return []State{Reachable, Stale, Delay, Probe, NoARP, Permanent}
	}
	return []State{Stale}
}

func checkConsequence(t *testing.T, row Transition, s, target State) {
	const now = instant(1000 * time.Second)
	c := testTunables()
	n := nud{state: s, lladdr: macA, used: 1, confirmed: 2, updated: 3, deadline: never, queued: 1}
	if s.InTimer() {
		n.deadline = now.add(time.Second)
	}
	before := n
	u := news{lladdr: macB, hasLLAddr: true, state: target, flags: Override}
	switch row.On {
	case TriggerSet, TriggerInvalidate:
		u.flags |= Admin
	case TriggerAdminUse:
		u.flags |= Admin | Use
	}
	switch row.Guard {
	case SameLLAddr:
		u.lladdr = macA
	case LockedLLAddr:
		u.flags &^= Override
	case WeakLLAddr:
		u.flags = u.flags&^Override | WeakOverride
	case NoLLAddr:
		u.hasLLAddr = false
	}
	o := n.update(u, now, c)

	want := s
	switch {
	case row.To == Target:
		want = target
	case row.To < Same:
		want = State(row.To)
	}
	require.Equal(t, want.String(), n.state.String())
	switch row.Arm {
	case StopTimer:
		require.Equal(t, never, n.deadline)
	case ArmReachable:
		require.Equal(t, now.add(c.reachable), n.deadline)
	case KeepTimer:
		if row.To != Target {
			require.Equal(t, before.deadline, n.deadline)
		}
	}
	var did Action
	for _, a := range []struct {
		bit  Action
		seen bool
	}{
		{TouchUpdated, n.updated == now}, {TouchConfirmed, n.confirmed == now}, {AgeConfirmed, n.confirmed == now.add(-2*c.BaseReachableTime)},
		{StoreLLAddr, n.lladdr == macB}, {Flush, o.do&Flush != 0}, {Announce, o.do&Announce != 0}, {Reject, o.rejected != nil}, {Fail, o.do&Fail != 0},
	} {
		if a.seen {
			did |= a.bit
		}
	}
	if row.To == Target {
		// What else it does depends on the target, see the row's text.
		require.Equal(t, row.Do, did&row.Do)
		return
	}
	require.Equal(t, row.Do.String(), did.String())
}
