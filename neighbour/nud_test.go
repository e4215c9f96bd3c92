package neighbour

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The machine's matrix: every state under every trigger. A line is
//
//	rule STATE trigger [circumstances] -> STATE timer actions
//
// The circumstances: fresh (confirmed within reachable_time), used (used within
// the delay), indelay (confirmed within the delay), left (probes left), mute (no
// probe allowed at all), nopr (none in PROBE), validated, dead. Without them the
// entry was confirmed and used long ago and its probes are spent. The timer: -
// untouched, stop, or when it fires: R retrans, D delay, now, or E reachable_time
// after the evidence.
const matrix = `
NUD-7   NONE        use     -> INCOMPLETE R updated queue solicit:broadcast
NUD-8   NONE        use     mute -> FAILED stop updated drop
NUD-7   FAILED      use     -> INCOMPLETE R updated queue solicit:broadcast
NUD-8   FAILED      use     mute -> FAILED stop updated drop
NUD-10  INCOMPLETE  use     -> INCOMPLETE - queue
NUD-13  REACHABLE   use     -> REACHABLE - transmit
NUD-11  STALE       use     -> DELAY D updated transmit
NUD-12  DELAY       use     -> DELAY - transmit
NUD-12  PROBE       use     -> PROBE - transmit
NUD-13  NOARP       use     -> NOARP - transmit
NUD-13  PERMANENT   use     -> PERMANENT - transmit
NUD-61  STALE       use     dead -> STALE - transmit
NUD-61  NONE        use     dead -> NONE - drop
NUD-61  INCOMPLETE  use     dead -> INCOMPLETE - drop
NUD-61  REACHABLE   use     dead -> REACHABLE - drop
NUD-61  DELAY       use     dead -> DELAY - drop
NUD-61  PROBE       use     dead -> PROBE - drop
NUD-61  FAILED      use     dead -> FAILED - drop
NUD-61  NOARP       use     dead -> NOARP - drop
NUD-61  PERMANENT   use     dead -> PERMANENT - drop

NUD-9   NONE        managed -> INCOMPLETE now updated
NUD-9   FAILED      managed -> INCOMPLETE now updated
NUD-8   FAILED      managed mute -> FAILED stop updated
NUD-8   NONE        managed mute -> FAILED stop updated
TMR-10  INCOMPLETE  managed -> INCOMPLETE -
TMR-10  REACHABLE   managed -> REACHABLE -
TMR-10  STALE       managed -> DELAY D updated
TMR-10  DELAY       managed -> DELAY -
TMR-10  PROBE       managed -> PROBE -
TMR-10  NOARP       managed -> NOARP -
TMR-10  PERMANENT   managed -> PERMANENT -
NUD-61  STALE       managed dead -> STALE -

NUD-25  NONE        timer   -> NONE stop
NUD-23  INCOMPLETE  timer   left -> INCOMPLETE R solicit:broadcast
NUD-24  INCOMPLETE  timer   -> FAILED stop updated fail announce
NUD-14  REACHABLE   timer   fresh -> REACHABLE E
NUD-14  REACHABLE   timer   fresh used -> REACHABLE E
NUD-15  REACHABLE   timer   used -> DELAY D updated
NUD-16  REACHABLE   timer   -> STALE stop updated announce
NUD-25  STALE       timer   -> STALE stop
NUD-17  DELAY       timer   indelay -> REACHABLE E updated announce
NUD-17  DELAY       timer   indelay nopr -> REACHABLE E updated announce
NUD-18  DELAY       timer   -> PROBE R updated probes=0 solicit:unicast announce
NUD-18  DELAY       timer   validated -> PROBE R updated probes=0 solicit:unicast announce
NUD-19  DELAY       timer   nopr -> FAILED stop updated probes=0 fail announce
NUD-22  DELAY       timer   nopr validated -> STALE stop updated probes=0 announce
NUD-20  PROBE       timer   left -> PROBE R solicit:unicast
NUD-20  PROBE       timer   left validated -> PROBE R solicit:unicast
NUD-21  PROBE       timer   -> FAILED stop updated fail announce
NUD-22  PROBE       timer   validated -> STALE stop updated announce
NUD-25  FAILED      timer   -> FAILED stop
NUD-25  NOARP       timer   -> NOARP stop
NUD-25  PERMANENT   timer   -> PERMANENT stop

NUD-38  NONE        confirm -> NONE - confirmed
NUD-38  INCOMPLETE  confirm -> INCOMPLETE - confirmed
NUD-38  REACHABLE   confirm -> REACHABLE - confirmed
NUD-38  STALE       confirm -> STALE - confirmed
NUD-38  DELAY       confirm -> DELAY - confirmed
NUD-38  PROBE       confirm -> PROBE - confirmed
NUD-38  FAILED      confirm -> FAILED - confirmed
NUD-38  NOARP       confirm -> NOARP - confirmed
NUD-38  PERMANENT   confirm -> PERMANENT - confirmed

NUD-52  NONE        remove  -> NONE stop dropqueue gone
NUD-52  INCOMPLETE  remove  -> INCOMPLETE stop dropqueue gone
NUD-52  REACHABLE   remove  -> REACHABLE stop dropqueue gone
NUD-52  STALE       remove  -> STALE stop dropqueue gone
NUD-52  DELAY       remove  -> DELAY stop dropqueue gone
NUD-52  PROBE       remove  -> PROBE stop dropqueue gone
NUD-52  FAILED      remove  -> FAILED stop dropqueue gone
NUD-52  NOARP       remove  -> NOARP stop dropqueue gone
NUD-52  PERMANENT   remove  -> PERMANENT stop dropqueue gone
`

// machineTriggers are those that step handles.
var machineTriggers = map[string]Trigger{
	"use": TriggerUse, "managed": TriggerManaged, "timer": TriggerTimer, "confirm": TriggerConfirm, "remove": TriggerRemove,
}

func testTunables() *tunables {
	return &tunables{Params: *testParams(), reachable: 17 * time.Second}
}

func TestMatrix(t *testing.T) {
	seen := make(map[string]bool)
	for line := range strings.SplitSeq(matrix, "\n") {
		left, right, ok := strings.Cut(line, "->")
		if !ok {
			continue
		}
		words := strings.Fields(left)
		rule, stateName, trigger, circumstances := words[0], words[1], words[2], words[3:]
		seen[stateName+" "+trigger] = true
		t.Run(strings.Join(words, "_"), func(t *testing.T) {
			state, ok := ParseState(stateName)
			require.True(t, ok, rule)
			c := testTunables()
			const now = instant(1000 * time.Second)
			n := nud{state: state, lladdr: macA, used: now.add(-100 * time.Second), confirmed: now.add(-200 * time.Second),
				updated: now.add(-300 * time.Second), deadline: now}
			n.probes = c.maxProbes(state)
			for _, word := range circumstances {
				switch word {
				case "fresh":
					n.confirmed = now.add(-16 * time.Second)
				case "used":
					n.used = now.add(-2 * time.Second)
				case "indelay":
					n.confirmed = now.add(-2 * time.Second)
				case "left":
					n.probes--
					if state == Probe {
						n.probes = 0
					}
				case "mute":
					c.McastProbes = 0
				case "nopr":
					c.UcastProbes = 0
				case "validated":
					n.flags |= ExtValidated
				case "dead":
					n.dead = true
				default:
					t.Fatalf("unknown circumstance %q", word)
				}
			}
			before := n
			ef := n.step(machineTriggers[trigger], now, c)
			require.Equal(t, strings.Join(strings.Fields(right), " "), describe(c, before, n, ef, now))
			if trigger == "use" || trigger == "managed" {
				require.Equal(t, now, n.used, "NUD-3: a use is noted in every state")
			} else {
				require.Equal(t, before.used, n.used)
			}
		})
	}
	for _, s := range States() {
		for trigger := range machineTriggers {
			require.True(t, seen[fmt.Sprint(s, " ", trigger)], "no line for %v under %s", s, trigger)
		}
	}
}

// describe says what a step did, in the words of the matrix.
func describe(c *tunables, before, n nud, ef effects, now instant) string {
	words := []string{n.state.String()}
	switch n.deadline {
	case never:
		words = append(words, "stop")
	case before.deadline:
		// The entries of the matrix have their timer at now.
		if n.state == Incomplete && before.state != Incomplete {
			words = append(words, "now")
		} else {
			words = append(words, "-")
		}
	case n.confirmed.add(c.reachable):
		words = append(words, "E")
	case now.add(c.RetransTime):
		words = append(words, "R")
	case now.add(c.DelayFirstProbeTime):
		words = append(words, "D")
	default:
		words = append(words, fmt.Sprint(n.deadline.sub(now)))
	}
	if n.confirmed == now {
		words = append(words, "confirmed")
	}
	if n.updated == now {
		words = append(words, "updated")
	}
	if n.state == Probe && before.state != Probe || ef.do&ClearProbes != 0 {
		words = append(words, "probes=0")
	}
	for _, a := range []struct {
		bit  Action
		word string
	}{{Enqueue, "queue"}, {Transmit, "transmit"}, {Discard, "drop"}} {
		if ef.do&a.bit != 0 {
			words = append(words, a.word)
		}
	}
	switch ef.ask {
	case askBroadcast:
		words = append(words, "solicit:broadcast")
	case askUnicast:
		words = append(words, "solicit:unicast")
	case askUser:
		words = append(words, "solicit:user")
	}
	for _, a := range []struct {
		bit  Action
		word string
	}{{Fail, "fail"}, {DropQueue, "dropqueue"}, {Announce, "announce"}, {AnnounceGone, "gone"}} {
		if ef.do&a.bit != 0 {
			words = append(words, a.word)
		}
	}
	return strings.Join(words, " ")
}

func TestTimerBounds(t *testing.T) {
	// NUD-14..17, DEV-2: the comparisons at their very edges.
	const now = instant(1000 * time.Second)
	for _, c := range []struct {
		name       string
		state      State
		confirmed  time.Duration // ago
		used       time.Duration // ago
		literal    bool
		want       State
		wantTimer  time.Duration // from now
		wantNoSign bool
	}{
		{"NUD-14 one before", Reachable, 17*time.Second - 1, time.Hour, false, Reachable, minTimer, false},
		{"NUD-16 at the edge", Reachable, 17 * time.Second, time.Hour, false, Stale, 0, false},
		{"NUD-14 at the edge, literally", Reachable, 17 * time.Second, time.Hour, true, Reachable, minTimer, false},
		{"NUD-15 one before", Reachable, time.Hour, 3*time.Second - 1, false, Delay, 3 * time.Second, false},
		{"NUD-16 used at the edge", Reachable, time.Hour, 3 * time.Second, false, Stale, 0, false},
		{"NUD-15 used at the edge, literally", Reachable, time.Hour, 3 * time.Second, true, Delay, 3 * time.Second, false},
		{"NUD-17 one before", Delay, 3*time.Second - 1, time.Hour, false, Reachable, 14*time.Second + 1, false},
		{"NUD-39 at the edge", Delay, 3 * time.Second, time.Hour, false, Probe, 2 * time.Second, false},
		{"NUD-39 at the edge, literally", Delay, 3 * time.Second, time.Hour, true, Reachable, 14 * time.Second, false},
		{"TMR-1 evidence almost expired", Reachable, 17*time.Second - 5*time.Millisecond, time.Hour, false, Reachable, minTimer, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tun := testTunables()
			tun.literalTimers = c.literal
			n := nud{state: c.state, confirmed: now.add(-c.confirmed), used: now.add(-c.used), deadline: now}
			n.step(TriggerTimer, now, tun)
			require.Equal(t, c.want.String(), n.state.String())
			if c.wantTimer == 0 {
				require.Equal(t, never, n.deadline)
			} else {
				require.Equal(t, c.wantTimer, n.deadline.sub(now))
			}
		})
	}
}

func TestProbeSequence(t *testing.T) {
	// PRB-1, PRB-2, PRB-3, PRB-4.
	for _, c := range []struct {
		name                      string
		state                     State
		ucast, app, mcast, remult int
		want                      string
	}{
		{"defaults, INCOMPLETE", Incomplete, 3, 0, 3, 0, "BBB"},
		{"defaults, PROBE", Probe, 3, 0, 3, 0, "UUU"},
		{"app, INCOMPLETE", Incomplete, 3, 2, 1, 0, "AAB"},
		{"all, PROBE", Probe, 2, 1, 3, 2, "UUABB"},
		{"broadcasts only, PROBE", Probe, 0, 0, 3, 2, "BB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tun := testTunables()
			tun.UcastProbes, tun.AppProbes, tun.McastProbes, tun.McastReprobes = c.ucast, c.app, c.mcast, c.remult
			n := nud{state: Delay, deadline: 0}
			trigger := TriggerTimer
			if c.state == Incomplete {
				n.state, trigger = None, TriggerUse
			}
			got := ""
			now := instant(time.Hour)
			for range 20 {
				ef := n.step(trigger, now, tun)
				got += [...]string{"", "U", "A", "B"}[ef.ask]
				trigger, now = TriggerTimer, n.deadline
				if n.deadline == never {
					break
				}
			}
			require.Equal(t, c.want, got)
			require.Equal(t, Failed.String(), n.state.String())
		})
	}
}
