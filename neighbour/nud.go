package neighbour

import (
	"math"
	"time"

	"github.com/tapstack/tapstack/link"
)

// instant is a time in nanoseconds since the table's epoch; an entry keeps four.
type instant int64

// never is the deadline of a timer that does not run.
const never instant = math.MaxInt64

func (t instant) add(d time.Duration) instant { return t + instant(d) }
func (t instant) sub(u instant) time.Duration { return time.Duration(t - u) }

// minTimer is the shortest time for which a firing timer is armed again, and
// between two requests (HZ/100 in Linux).
const minTimer = 10 * time.Millisecond

// tunables are what the machine needs to know of an interface's parameters.
type tunables struct {
	Params
	reachable     time.Duration // reachable_time, drawn from BaseReachableTime
	literalTimers bool
}

// retrans is the distance of two requests.
func (c *tunables) retrans() time.Duration { return max(c.RetransTime, minTimer) }

// maxProbes returns how many probes are sent in s before it is given up.
func (c *tunables) maxProbes(s State) int {
	if s == Probe {
		return c.UcastProbes + c.AppProbes + c.McastReprobes
	}
	return c.UcastProbes + c.AppProbes + c.McastProbes
}

// passed returns the time at which a timer that fires now is evaluated: later
// than its deadline, as timers are, by the least there is.
func (c *tunables) passed(now instant) instant {
	if c.literalTimers {
		return now
	}
	return now + 1
}

// nud is an entry as the machine sees it.
type nud struct {
	state  State
	flags  Flags // persistent ones
	dead   bool
	lladdr link.Addr // in force while the state is valid, else the last known
	probes int

	used      instant // last slow use
	confirmed instant // last evidence that the neighbour works
	updated   instant // last change of state or address
	deadline  instant // of the timer, or never

	queued int // packets that wait
}

// newNUD returns an entry as it is made. It counts as unconfirmed for longer than
// any reachable_time.
func newNUD(now instant, c *tunables) nud {
	return nud{used: now, updated: now, confirmed: now.add(-2 * c.BaseReachableTime), deadline: never}
}

// Trigger is something that happens to an entry.
type Trigger uint8

// The triggers. Those from Learn on go through the update procedure.
const (
	TriggerUse        Trigger = iota // a packet takes the slow path, or a command uses the entry
	TriggerManaged                   // the periodic use of a managed entry
	TriggerTimer                     // the entry's timer fires
	TriggerConfirm                   // an upper layer saw forward progress
	TriggerRemove                    // collected, flushed, or the interface went away
	TriggerReply                     // update(REACHABLE): a reply to this station
	TriggerHint                      // update(STALE): any other ARP packet
	TriggerSet                       // command: a valid state
	TriggerInvalidate                // command: NONE, INCOMPLETE or FAILED
	TriggerAdminUse                  // command: use or managed
	numTriggers
)

// String returns the trigger in a word or two.
func (tr Trigger) String() string {
	return [numTriggers]string{"use", "managed use", "timer", "confirm", "remove", "reply", "hint", "set", "invalidate", "admin use"}[tr]
}

// Action is a set of things that a transition does, in the order of the bits.
type Action uint32

// The actions.
const (
	TouchUsed      Action = 1 << iota // used = now
	TouchUpdated                      // updated = now
	TouchConfirmed                    // confirmed = now
	AgeConfirmed                      // confirmed = now - 2 base_reachable_time
	StoreLLAddr                       // take the link-layer address
	ClearProbes                       // probes = 0
	SkipUnicast                       // probes = ucast_solicit
	Enqueue                           // the packet waits
	Transmit                          // the packet goes out
	Discard                           // the packet is dropped
	Solicit                           // the next probe is sent
	Fail                              // res_failed++, the packets that wait are reported unreachable
	Flush                             // the packets that wait go out
	DropQueue                         // the packets that wait are dropped silently
	Announce                          // RTM_NEWNEIGH
	AnnounceGone                      // RTM_DELNEIGH
	Reject                            // the update fails
	numActions     = iota
)

// String lists the actions.
func (a Action) String() string {
	names := [numActions]string{"used=now", "updated=now", "confirmed=now", "confirmed=old", "store lladdr", "probes=0",
		"probes=ucast_solicit", "queue", "transmit", "drop", "solicit", "fail", "flush", "drop queue", "announce", "announce removal", "reject"}
	s := ""
	for i, name := range names {
		if a&(1<<i) != 0 {
			if s != "" {
				s += ", "
			}
			s += name
		}
	}
	return s
}

// Arming says what a transition does to the timer.
type Arming uint8

// The armings.
const (
	KeepTimer    Arming = iota // untouched
	StopTimer                  // stopped
	ArmRetrans                 // now + retrans_time, at least 10 ms
	ArmDelay                   // now + delay_first_probe_time
	ArmReachable               // now + reachable_time
	ArmEvidence                // confirmed + reachable_time, at least 10 ms from now
	ArmNow                     // at once
	numArmings
)

// String returns the new deadline.
func (a Arming) String() string {
	return [numArmings]string{"", "stop", "now+retrans", "now+delay", "now+reachable", "confirmed+reachable", "now"}[a]
}

// solicitation is how a probe is sent.
type solicitation uint8

const (
	askNone solicitation = iota
	askUnicast
	askUser // the probe is left to user space
	askBroadcast
)

// effects are what the machine wants done about an entry.
type effects struct {
	do  Action
	ask solicitation
}

// step runs the machine for a trigger that does not go through the update
// procedure.
func (n *nud) step(tr Trigger, now instant, c *tunables) effects {
	if tr == TriggerUse || tr == TriggerManaged {
		n.used = now // in every state, even a dead one
	}
	row := find(n, tr, now, c)
	if row == nil {
		return effects{}
	}
	from := n.state
	if row.To < Same {
		n.state = State(row.To)
	}
	return effects{do: row.Do, ask: n.act(row, from, now, c)}
}

// act performs the part of a row's actions that concerns the entry's own fields,
// and returns how to ask, if it asks.
func (n *nud) act(row *Transition, from State, now instant, c *tunables) (ask solicitation) {
	if row.Do&TouchUpdated != 0 {
		n.updated = now
	}
	if row.Do&TouchConfirmed != 0 {
		n.confirmed = now
	}
	if row.Do&ClearProbes != 0 {
		n.probes = 0
	}
	if row.Do&SkipUnicast != 0 {
		// Nothing to send a unicast to: the count starts behind them.
		n.probes = c.UcastProbes
	}
	n.arm(row.Arm, now, c)
	if row.Do&Solicit != 0 {
		ask = n.probe(c)
	}
	return ask
}

func (n *nud) arm(a Arming, now instant, c *tunables) {
	switch a {
	case StopTimer:
		n.deadline = never
	case ArmRetrans:
		n.deadline = now.add(c.retrans())
	case ArmDelay:
		n.deadline = now.add(max(c.DelayFirstProbeTime, 0))
	case ArmReachable:
		n.deadline = now.add(c.reachable)
	case ArmEvidence:
		n.deadline = max(n.confirmed.add(c.reachable), now.add(minTimer))
	case ArmNow:
		n.deadline = now
	}
}

// probe counts one more probe and says how it is sent: unicast ones first, then
// those of user space, then broadcasts.
func (n *nud) probe(c *tunables) solicitation {
	p := n.probes
	n.probes++
	switch {
	case p < c.UcastProbes:
		return askUnicast
	case p < c.UcastProbes+c.AppProbes:
		return askUser
	}
	return askBroadcast
}
