package neighbour

import "iter"

// Guard is the condition under which a transition applies.
type Guard uint8

// The guards.
const (
	Always            Guard = iota
	IsDead                  // the entry has left the table
	CanAsk                  // some broadcast or user-space probe is allowed
	EvidenceFresh           // confirmed within reachable_time
	UsedRecently            // used within delay_first_probe_time
	ConfirmedInDelay        // confirmed within delay_first_probe_time
	NoProbesValidated       // no probe is allowed in PROBE, and EXT_VALIDATED
	NoProbes                // no probe is allowed in PROBE
	ProbesLeft              // probes < max
	SpentValidated          // probes >= max, and EXT_VALIDATED
	FirstLLAddr             // none was in force
	SameLLAddr              // the one in force
	OtherLLAddr             // another, and it may override
	LockedLLAddr            // another, and it may not override
	WeakLLAddr              // another, weak override
	NoLLAddr                // none given, none in force
	numGuards
)

// String returns the condition in the words of the parameters.
func (g Guard) String() string {
	return [numGuards]string{
		Always: "", IsDead: "dead", CanAsk: "mcast_solicit + app_solicit > 0", EvidenceFresh: "now <= confirmed + reachable_time",
		UsedRecently: "now <= used + delay_first_probe_time", ConfirmedInDelay: "now <= confirmed + delay_first_probe_time",
		NoProbesValidated: "no probes for PROBE, EXT_VALIDATED", NoProbes: "no probes for PROBE", ProbesLeft: "probes < max",
		SpentValidated: "probes >= max, EXT_VALIDATED", FirstLLAddr: "first lladdr", SameLLAddr: "same lladdr",
		OtherLLAddr: "other lladdr, override", LockedLLAddr: "other lladdr, no override", WeakLLAddr: "other lladdr, weak override",
		NoLLAddr: "no lladdr known",
	}[g]
}

// holds evaluates a guard of the rows that step runs; those about addresses only
// describe the update procedure.
func (g Guard) holds(n *nud, now instant, c *tunables) bool {
	switch g {
	case Always:
		return true
	case IsDead:
		return n.dead
	case CanAsk:
		return c.McastProbes+c.AppProbes > 0
	case EvidenceFresh:
		return c.passed(now) <= n.confirmed.add(c.reachable)
	case UsedRecently:
		return c.passed(now) <= n.used.add(c.DelayFirstProbeTime)
	case ConfirmedInDelay:
		return c.passed(now) <= n.confirmed.add(c.DelayFirstProbeTime)
	case NoProbesValidated:
		return c.maxProbes(Probe) == 0 && n.flags&ExtValidated != 0
	case NoProbes:
		return c.maxProbes(Probe) == 0
	case ProbesLeft:
		return n.probes < c.maxProbes(n.state)
	case SpentValidated:
		return n.flags&ExtValidated != 0
	}
	return false
}

// Outcome is the state after a transition: a State, or one of the values below.
type Outcome uint16

// The outcomes that are no State.
const (
	Same   Outcome = 0x100 + iota // unchanged
	Target                        // the one that was asked for
	Gone                          // out of the table
)

// String returns the state's name, or says what becomes of it.
func (o Outcome) String() string {
	switch o {
	case Same:
		return "same"
	case Target:
		return "as asked"
	case Gone:
		return "removed"
	}
	return State(o).String()
}

// Transition is one row of the machine's table. Of the rows for an entry's state
// and a trigger the first whose guard holds applies.
type Transition struct {
	Name  string // stable, unique
	From  StateSet
	On    Trigger
	Guard Guard
	To    Outcome
	Arm   Arming
	Do    Action
	Text  string // the rule, in a sentence
}

// Transitions yields the table, in order. The rows up to TriggerRemove are what
// the machine runs; those of the other triggers say what the update procedure
// comes to, and the tests hold it to them.
func Transitions() iter.Seq[Transition] {
	return func(yield func(Transition) bool) {
		for _, rows := range [...][]Transition{transitions[:], consequences[:]} {
			for _, row := range rows {
				if !yield(row) {
					return
				}
			}
		}
	}
}

func find(n *nud, tr Trigger, now instant, c *tunables) *Transition {
	for i := range transitions {
		row := &transitions[i]
		if row.On == tr && row.From.Has(n.state) && row.Guard.holds(n, now, c) {
			return row
		}
	}
	return nil
}

const (
	anyState   = noneBit | 0xff
	unresolved = noneBit | StateSet(Failed)
	invalid    = unresolved | StateSet(Incomplete)
	dynamic    = StateSet(Reachable | Stale | Delay | Probe)
	static     = StateSet(NoARP | Permanent)
)

// transitions are the rows that the machine runs.
var transitions = [...]Transition{
	{"dead-stale", setOf(Stale), TriggerUse, IsDead, Same, KeepTimer, Transmit,
		"A packet that still holds a removed entry goes out if the entry was stale."},
	{"dead", anyState, TriggerUse, IsDead, Same, KeepTimer, Discard,
		"A removed entry that is not stale swallows the packet."},
	{"resolve", unresolved, TriggerUse, CanAsk, Outcome(Incomplete), ArmRetrans, SkipUnicast | TouchUpdated | Enqueue | Solicit,
		"The first packet waits, the first request is broadcast at once. A failed entry starts anew without any pause."},
	{"resolve-refused", unresolved, TriggerUse, Always, Outcome(Failed), StopTimer, TouchUpdated | Discard,
		"With no probe allowed the packet is dropped without a word."},
	{"wait", setOf(Incomplete), TriggerUse, Always, Same, KeepTimer, Enqueue,
		"More packets wait too, and cause no more requests."},
	{"reuse", setOf(Stale), TriggerUse, Always, Outcome(Delay), ArmDelay, TouchUpdated | Transmit,
		"The packet goes out to the old address at once; an upper layer has delay_first_probe_time to confirm it."},
	{"pass", setOf(Reachable, Delay, Probe, NoARP, Permanent), TriggerUse, Always, Same, KeepTimer, Transmit,
		"Packets go out while an entry is probed, as while it is known to work."},

	{"managed-dead", anyState, TriggerManaged, IsDead, Same, KeepTimer, 0,
		"Removed entries are not kept up."},
	{"managed-resolve", unresolved, TriggerManaged, CanAsk, Outcome(Incomplete), ArmNow, SkipUnicast | TouchUpdated,
		"A managed entry is resolved again; the timer sends the first request."},
	{"managed-refused", unresolved, TriggerManaged, Always, Outcome(Failed), StopTimer, TouchUpdated,
		"With no probe allowed it stays failed."},
	{"managed-reuse", setOf(Stale), TriggerManaged, Always, Outcome(Delay), ArmDelay, TouchUpdated,
		"A stale managed entry is used, so that it will be probed."},
	{"managed-pass", setOf(Incomplete, Reachable, Delay, Probe, NoARP, Permanent), TriggerManaged, Always, Same, KeepTimer, 0,
		"Resolved, or about to be: nothing is needed."},

	{"alive", setOf(Reachable), TriggerTimer, EvidenceFresh, Same, ArmEvidence, 0,
		"Confirmed meanwhile: the timer runs again from the evidence."},
	{"cool", setOf(Reachable), TriggerTimer, UsedRecently, Outcome(Delay), ArmDelay, TouchUpdated,
		"In use on the slow path: it will be probed without waiting for another packet. Announced to nobody."},
	{"age", setOf(Reachable), TriggerTimer, Always, Outcome(Stale), StopTimer, TouchUpdated | Announce,
		"Unconfirmed for reachable_time. Packets on the fast path do not count as use."},
	{"confirmed", setOf(Delay), TriggerTimer, ConfirmedInDelay, Outcome(Reachable), ArmEvidence, TouchUpdated | Announce,
		"An upper layer confirmed it, no request is needed."},
	{"skip-probe-validated", setOf(Delay), TriggerTimer, NoProbesValidated, Outcome(Stale), StopTimer, ClearProbes | TouchUpdated | Announce,
		"With no probe allowed a validated entry goes back to STALE."},
	{"skip-probe", setOf(Delay), TriggerTimer, NoProbes, Outcome(Failed), StopTimer, ClearProbes | TouchUpdated | Fail | Announce,
		"With no probe allowed it fails, and PROBE is never seen."},
	{"verify", setOf(Delay), TriggerTimer, Always, Outcome(Probe), ArmRetrans, ClearProbes | TouchUpdated | Solicit | Announce,
		"Nobody confirmed it: the first unicast request goes out at once."},
	{"probe-again", setOf(Probe), TriggerTimer, ProbesLeft, Same, ArmRetrans, Solicit,
		"One more request, unicast ones first."},
	{"probe-kept", setOf(Probe), TriggerTimer, SpentValidated, Outcome(Stale), StopTimer, TouchUpdated | Announce,
		"A validated entry keeps its address though nobody answers (RFC 7048's concern)."},
	{"probe-failed", setOf(Probe), TriggerTimer, Always, Outcome(Failed), StopTimer, TouchUpdated | Fail | Announce,
		"Nobody answered."},
	{"ask-again", setOf(Incomplete), TriggerTimer, ProbesLeft, Same, ArmRetrans, Solicit,
		"One more request."},
	{"unreachable", setOf(Incomplete), TriggerTimer, Always, Outcome(Failed), StopTimer, TouchUpdated | Fail | Announce,
		"Nobody answered: each packet that waits is reported unreachable, the oldest first."},
	{"stray", noneBit | setOf(Stale, Failed, NoARP, Permanent), TriggerTimer, Always, Same, StopTimer, 0,
		"No timer runs in these states; one that fires late is ignored."},

	{"confirm", anyState, TriggerConfirm, Always, Same, KeepTimer, TouchConfirmed,
		"Only the time is noted. It counts when a timer next fires in REACHABLE or DELAY, and never saves PROBE."},

	{"remove", anyState, TriggerRemove, Always, Gone, StopTimer, DropQueue | AnnounceGone,
		"Packets that wait are dropped without a report."},
}

// consequences are the rows that the update procedure comes to.
var consequences = [...]Transition{
	{"reply-first", invalid, TriggerReply, FirstLLAddr, Outcome(Reachable), ArmReachable,
		TouchUpdated | TouchConfirmed | StoreLLAddr | Flush | Announce,
		"A reply to this station resolves the entry; the packets go out in order."},
	{"reply-confirms", setOf(Stale, Delay, Probe), TriggerReply, SameLLAddr, Outcome(Reachable), ArmReachable,
		TouchUpdated | TouchConfirmed | Announce,
		"A reply to this station confirms the address."},
	{"reply-refreshes", setOf(Reachable), TriggerReply, SameLLAddr, Same, KeepTimer, TouchConfirmed,
		"Known to work already: only the time of the evidence is noted."},
	{"reply-moves", setOf(Stale, Delay, Probe), TriggerReply, OtherLLAddr, Outcome(Reachable), ArmReachable,
		TouchUpdated | TouchConfirmed | StoreLLAddr | Announce,
		"The neighbour answers from another address."},
	{"reply-moves-reachable", setOf(Reachable), TriggerReply, OtherLLAddr, Same, KeepTimer,
		TouchUpdated | TouchConfirmed | StoreLLAddr | Announce,
		"The neighbour answers from another address; the timer is not touched."},
	{"reply-locked", dynamic, TriggerReply, LockedLLAddr, Same, KeepTimer, TouchConfirmed,
		"The first answer wins for locktime. The other one still counts as evidence, and so prolongs the old mapping."},
	{"reply-weak", setOf(Reachable), TriggerReply, WeakLLAddr, Outcome(Stale), StopTimer, TouchUpdated | TouchConfirmed | Announce,
		"A weak override makes the entry suspect and keeps its address."},
	{"reply-weak-ignored", setOf(Stale, Delay, Probe), TriggerReply, WeakLLAddr, Same, KeepTimer, TouchConfirmed,
		"A suspect entry is not made more so."},

	{"hint-first", invalid, TriggerHint, FirstLLAddr, Outcome(Stale), StopTimer,
		TouchUpdated | AgeConfirmed | StoreLLAddr | Flush | Announce,
		"A request or a broadcast reply tells the address but proves nothing. Packets that waited use the entry, which makes it DELAY."},
	{"hint-same", dynamic, TriggerHint, SameLLAddr, Same, KeepTimer, 0,
		"Nothing new: in particular PROBE goes on."},
	{"hint-moves", setOf(Reachable, Delay, Probe), TriggerHint, OtherLLAddr, Outcome(Stale), StopTimer,
		TouchUpdated | AgeConfirmed | StoreLLAddr | Announce,
		"The neighbour has another address, unproven; probing the old one ends."},
	{"hint-moves-stale", setOf(Stale), TriggerHint, OtherLLAddr, Same, KeepTimer,
		TouchUpdated | AgeConfirmed | StoreLLAddr | Announce,
		"The neighbour has another address, as unproven as the old one."},
	{"hint-locked", dynamic, TriggerHint, LockedLLAddr, Same, KeepTimer, 0,
		"The first answer wins for locktime."},
	{"hint-weak", setOf(Reachable), TriggerHint, WeakLLAddr, Outcome(Stale), StopTimer, TouchUpdated | Announce,
		"A weak override makes the entry suspect and keeps its address."},
	{"hint-weak-ignored", setOf(Stale, Delay, Probe), TriggerHint, WeakLLAddr, Same, KeepTimer, 0,
		"A suspect entry is not made more so."},

	{"reply-static", static, TriggerReply, Always, Same, KeepTimer, Reject,
		"What a command or the kind of address fixed, no frame changes."},
	{"hint-static", static, TriggerHint, Always, Same, KeepTimer, Reject,
		"What a command or the kind of address fixed, no frame changes."},

	{"set-unknown", invalid, TriggerSet, NoLLAddr, Same, KeepTimer, Reject,
		"A valid state needs an address."},
	{"set-first", invalid, TriggerSet, FirstLLAddr, Target, KeepTimer, TouchUpdated | StoreLLAddr | Flush | Announce,
		"A command may set any state. REACHABLE runs for reachable_time; PROBE and DELAY are evaluated at once."},
	{"set-same", anyState &^ invalid, TriggerSet, SameLLAddr, Target, KeepTimer, 0,
		"With the address in force only the state changes, even to STALE; without one given it is kept."},
	{"set-other", anyState &^ invalid, TriggerSet, OtherLLAddr, Target, KeepTimer, TouchUpdated | StoreLLAddr | Announce,
		"With another address both change."},
	{"invalidate-valid", anyState &^ (invalid | StateSet(Probe)), TriggerInvalidate, Always, Target, StopTimer, Announce,
		"Output stops. INCOMPLETE set by a command has no timer and asks nobody: it waits for a frame."},
	{"invalidate-probe", setOf(Probe), TriggerInvalidate, Always, Target, StopTimer, Announce,
		"Output stops. FAILED counts as a failed resolution."},
	{"invalidate-incomplete", setOf(Incomplete), TriggerInvalidate, Always, Target, StopTimer, 0,
		"FAILED reports the packets that wait as unreachable and is announced, the other states do nothing."},
	{"invalidate-unresolved", unresolved, TriggerInvalidate, Always, Target, StopTimer, 0,
		"Nobody is told."},
	{"use-static", setOf(Permanent), TriggerAdminUse, Always, Outcome(None), KeepTimer, 0,
		"A permanent entry that is to be used or managed loses its state and its address, and is resolved."},
	{"use", anyState &^ StateSet(Permanent), TriggerAdminUse, Always, Same, KeepTimer, 0,
		"State and address of the command are ignored; flags apply; then the entry is used."},
}
