package neighbour

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

// modelUpdate is an independent reading of section 2.4, UPD-1 to UPD-12: it
// answers each question about the result on its own instead of walking through
// the procedure.
func modelUpdate(n nud, u news, now instant, c *tunables) (after nud, fail, flush, notify bool, err error) {
	after = n
	old, admin := n.state, u.flags&Admin != 0
	switch {
	case n.dead: // UPD-1
		return n, false, false, false, ErrDead
	case !admin && (old == NoARP || old == Permanent): // UPD-2
		return n, false, false, false, ErrNotPermitted
	}
	if admin { // UPD-3
		for _, f := range []Flags{ExtLearned, Managed, ExtValidated} {
			if after.flags&f != u.flags&f {
				after.flags ^= f
				notify = true
			}
		}
	}
	if u.flags&(Use|Managed) != 0 { // UPD-4
		if old == Permanent {
			after.state = None
		}
		return after, false, false, notify, nil
	}
	if !u.state.Valid() { // UPD-5
		after.state, after.deadline = u.state, never
		if fail = (old == Incomplete || old == Probe) && u.state == Failed; fail {
			after.updated = now
		}
		return after, fail, false, notify || old.Valid() || fail, nil
	}
	if !u.hasLLAddr && !old.Valid() { // UPD-6
		return after, false, false, notify, ErrNoLLAddr
	}
	other := u.hasLLAddr && (!old.Valid() || u.lladdr != n.lladdr)
	if u.state.Connected() { // UPD-7
		after.confirmed = now
	}
	override := u.flags&Override != 0
	blocked := old.Valid() && other && !override
	weak := blocked && u.flags&WeakOverride != 0 && old.Connected()
	if blocked && !weak { // UPD-8
		return after, false, false, notify, nil
	}
	target := u.state
	if weak {
		target, other = Stale, false
	} else if old.Valid() && !other && target == Stale && !admin { // UPD-9
		target = old
	}
	if u.flags&OverrideISRouter != 0 && !blocked && u.flags&ISRouter != n.flags&ISRouter { // UPD-12
		after.flags ^= ISRouter
		notify = true
	}
	// UPD-10
	if target == old && !other {
		return after, false, false, notify, nil
	}
	after.updated = now
	notify = true
	if other {
		after.lladdr = u.lladdr
		if !target.Connected() {
			after.confirmed = now.add(-2 * c.BaseReachableTime)
		}
	}
	if target == old {
		return after, false, false, notify, nil
	}
	after.state = target
	after.deadline = never
	// TMR-12 is about the evidence as it is when the timer is armed.
	evidence := n.confirmed
	if u.state.Connected() {
		evidence = now
	}
	switch target {
	case Reachable:
		after.deadline = now.add(c.reachable)
	case Delay, Probe:
		after.deadline = now
	}
	if target == Probe {
		after.probes = 0
	}
	if after.deadline != never && after.used < evidence {
		after.used = evidence
	}
	return after, false, !old.Valid(), notify, nil // UPD-11
}

func TestUpdateProcedure(t *testing.T) {
	const now = instant(1000 * time.Second)
	c := testTunables()
	addrs := []struct {
		name string
		has  bool
		addr link.Addr
	}{{"no lladdr", false, link.Addr{}}, {"same lladdr", true, macA}, {"other lladdr", true, macB}}
	flagSets := []struct {
		name  string
		flags Flags
	}{
		{"none", 0}, {"override", Override}, {"weak", WeakOverride}, {"override weak", Override | WeakOverride},
		{"admin", Admin}, {"admin override", Admin | Override}, {"admin weak", Admin | WeakOverride},
		{"admin learned", Admin | Override | ExtLearned}, {"admin validated", Admin | Override | ExtValidated},
		{"admin use", Admin | Override | Use}, {"admin managed", Admin | Override | Managed},
		{"router", Override | OverrideISRouter | ISRouter}, {"no router", OverrideISRouter}, {"router locked", OverrideISRouter | ISRouter},
		{"admin router", Admin | Override | OverrideISRouter | ISRouter},
	}
	for _, old := range States() {
		t.Run(old.String(), func(t *testing.T) {
			for _, target := range States() {
				for _, a := range addrs {
					for _, f := range flagSets {
						t.Run(fmt.Sprintf("to %v, %s, %s", target, a.name, f.name), func(t *testing.T) {
							for _, had := range []Flags{0, ISRouter, ExtLearned | Managed} {
								for _, dead := range []bool{false, true} {
									n := nud{state: old, flags: had, dead: dead, lladdr: macA, probes: 2, used: 5, confirmed: 7, updated: 3, deadline: never}
									if old.InTimer() {
										n.deadline = now.add(time.Second)
									}
									u := news{a.addr, a.has, target, f.flags}
									want, fail, flush, notify, err := modelUpdate(n, u, now, c)
									o := n.update(u, now, c)
									require.Equal(t, want, n)
									require.True(t, errors.Is(o.rejected, err), "%v, want %v", o.rejected, err)
									require.Equal(t, []bool{fail, flush, notify}, []bool{o.do&Fail != 0, o.do&Flush != 0, o.notify})
									require.Equal(t, notify, o.do&Announce != 0)
								}
							}
						})
					}
				}
			}
		})
	}
}

func TestUpdateRegroups(t *testing.T) {
	// UPD-12: membership of the lists is looked at when it may have changed.
	c := testTunables()
	for _, x := range []struct {
		name string
		n    nud
		u    news
		want bool
	}{
		{"becomes permanent", nud{state: Stale}, news{macA, true, Permanent, Admin | Override}, true},
		{"leaves permanent", nud{state: Permanent}, news{macA, true, Stale, Admin | Override}, true},
		{"permanent fails", nud{state: Permanent}, news{state: Failed, flags: Admin}, true},
		{"permanent is used", nud{state: Permanent}, news{flags: Admin | Use}, true},
		{"gets learned", nud{state: Stale}, news{macA, true, Stale, Admin | ExtLearned}, true},
		{"nothing", nud{state: Stale}, news{macA, true, Reachable, Override}, false},
	} {
		t.Run(x.name, func(t *testing.T) { require.Equal(t, x.want, x.n.update(x.u, 1000, c).regroup) })
	}
}
