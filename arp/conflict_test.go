package arp

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/random"
)

// life is a conflict that a test takes through time.
type life struct {
	t   *testing.T
	m   conflict
	now time.Time
}

func newLife(t *testing.T, seed uint64) *life {
	l := &life{t: t, m: conflict{limit: new(attempts), rand: random.New(seed)}, now: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}
	l.m.begin(l.now)
	return l
}

// words are the effects in a line.
func words(fx []effect) (s string) {
	for n, e := range fx {
		if n > 0 {
			s += ", "
		}
		switch e.frame {
		case probeFrame:
			s += "send probe"
		case announceFrame:
			s += "send announcement"
		default:
			s += e.event.String()
		}
		if !e.by.IsZero() {
			s += " by " + short(e.by)
		}
	}
	return s
}

// next goes to the deadline, and returns how long that took and what came of it.
func (l *life) next() (time.Duration, string) {
	l.t.Helper()
	require.False(l.t, l.m.deadline.IsZero(), "there is a deadline in state %s", l.m.state)
	wait := l.m.deadline.Sub(l.now)
	l.now = l.m.deadline
	return wait, words(l.m.expire(l.now))
}

// hold takes the claim to Held.
func (l *life) hold() {
	l.t.Helper()
	for l.m.state != ClaimHeld {
		l.next()
	}
	require.True(l.t, l.m.deadline.IsZero())
}

// hear delivers a packet, if it contests the claim.
func (l *life) hear(a Packet) string {
	if !l.m.contested(a, a.SenderAddr == ourM) {
		return "-"
	}
	return words(l.m.contest(l.now, a.SenderAddr))
}

func TestProbingSchedule(t *testing.T) {
	var least, most [3]time.Duration // initial wait and the two gaps
	for seed := range uint64(2000) {
		l := newLife(t, seed)
		var waits []time.Duration
		step := func(want string, state ClaimState) {
			t.Helper()
			d, got := l.next()
			require.Equal(t, want, got, "seed %d", seed)
			require.Equal(t, state, l.m.state)
			waits = append(waits, d)
		}
		step("probing", ClaimProbing)
		step("send probe", ClaimProbing)
		step("send probe", ClaimProbing)
		step("send probe", ClaimProbing)
		step("usable, send announcement", ClaimAnnouncing)
		step("send announcement", ClaimHeld)
		require.True(t, l.m.deadline.IsZero(), "ACD-4 ANNOUNCE_NUM is 2")
		require.Zero(t, waits[0], "it begins at once")
		require.Equal(t, AnnounceWait, waits[4], "ACD-1 from the last probe to the first announcement")
		require.Equal(t, AnnounceInterval, waits[5], "ACD-4")
		for n, d := range waits[1:4] {
			if seed == 0 {
				least[n], most[n] = d, d
			}
			least[n], most[n] = min(least[n], d), max(most[n], d)
		}
	}
	const near = 10 * time.Millisecond
	for n, lo := range []time.Duration{0, ProbeMin, ProbeMin} {
		hi := lo + time.Second
		require.True(t, lo <= least[n] && least[n] < lo+near && hi-near < most[n] && most[n] <= hi,
			"ACD-1 wait %d is spread over %s to %s: %s to %s", n, lo, hi, least[n], most[n])
	}
}

func TestSameSeedSameSchedule(t *testing.T) {
	a, b := newLife(t, 3), newLife(t, 3)
	for range 6 {
		da, wa := a.next()
		db, wb := b.next()
		require.Equal(t, da, db)
		require.Equal(t, wa, wb)
	}
}

// What contests a claim, in each state.
func TestContests(t *testing.T) {
	const it, other = "10.0.0.7", "10.0.0.2"
	for _, c := range []struct {
		name               string
		in                 Packet
		probing, announced string
	}{
		{"ACD-2 ACD-5 a request from it", request(macA, it, other), "conflict by A", "send announcement, defended by A"},
		{"ACD-2 ACD-5 a reply from it", reply(macA, it, other), "conflict by A", "send announcement, defended by A"},
		{"ACD-2 ACD-5 an announcement of it", request(macA, it, it), "conflict by A", "send announcement, defended by A"},
		{"ACD-2 ACD-5 a probe for it", request(macA, "0.0.0.0", it), "conflict by A", "-"},
		{"ACD-2 our own probe, heard back", request(ourM, "0.0.0.0", it), "-", "-"},
		{"ACD-2 ACD-5 ourselves, announcing", request(ourM, it, it), "conflict by us", "-"},
		{"ACD-2 a reply without a sender is no probe", reply(macA, "0.0.0.0", it), "-", "-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for state, reach := range map[string]func(l *life){
				"in the first wait": func(l *life) { l.next() },
				"between probes":    func(l *life) { l.next(); l.next(); l.next() },
				"after the last":    func(l *life) { l.next(); l.next(); l.next(); l.next() },
			} {
				l := newLife(t, 1)
				reach(l)
				require.Equal(t, c.probing, l.hear(c.in), state)
				if c.probing != "-" {
					require.Equal(t, ClaimRefused, l.m.state, "ACD-3")
					require.True(t, l.m.deadline.IsZero(), "ACD-3 nothing more is sent")
					require.Equal(t, "-", l.hear(c.in), "ACD-3 it is told once")
				}
			}
			l := newLife(t, 1)
			for range 5 {
				l.next()
			}
			require.Equal(t, ClaimAnnouncing, l.m.state)
			require.Equal(t, c.announced, l.hear(c.in), "announcing")
			require.Equal(t, ClaimAnnouncing, l.m.state)
			l = newLife(t, 1)
			l.hold()
			require.Equal(t, c.announced, l.hear(c.in), "held")
		})
	}
	t.Run("ACD-2 not before the window", func(t *testing.T) {
		require.Equal(t, "-", newLife(t, 1).hear(request(macA, it, it)))
	})
}

func TestDefences(t *testing.T) {
	foe := request(macA, "10.0.0.7", "10.0.0.7")
	const defend, lose = "send announcement, defended by A", "lost by A"
	for _, c := range []struct {
		name    string
		defence Defence
		at      []time.Duration // from the first conflict on
		want    []string
	}{
		{"ACD-6 (a) gives up at once", DefendNever, []time.Duration{0, 1}, []string{lose, "-"}},
		{"ACD-6 (b) once", DefendOnce, []time.Duration{0, DefendInterval, DefendInterval + 1}, []string{defend, lose, "-"}},
		{"ACD-6 (b) again after the interval", DefendOnce, []time.Duration{0, DefendInterval + 1, 2*DefendInterval + 2}, []string{defend, defend, defend}},
		{"ACD-6 (b) each conflict starts the interval", DefendOnce, []time.Duration{0, DefendInterval + 1, DefendInterval + 2}, []string{defend, defend, lose}},
		{"ACD-6 (c) keeps it, and is not hasty", DefendAlways, []time.Duration{0, 1, DefendInterval, DefendInterval + 1, DefendInterval + 2}, []string{defend, "", "", defend, ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLife(t, 1)
			l.m.defence = c.defence
			l.hold()
			start := l.now
			for n, d := range c.at {
				l.now = start.Add(d)
				require.Equal(t, c.want[n], l.hear(foe), "conflict %d, after %s", n, d)
			}
			held := c.want[len(c.want)-1] != lose && c.want[len(c.want)-1] != "-"
			require.Equal(t, held, l.m.state.Usable())
		})
	}
	t.Run("ACD-6 (b) is the default", func(t *testing.T) {
		require.Equal(t, DefendOnce, ClaimConfig{}.Defence)
	})
	t.Run("ACD-6 a defence does not delay the second announcement", func(t *testing.T) {
		l := newLife(t, 1)
		for range 5 {
			l.next()
		}
		l.now = l.now.Add(time.Second)
		require.Equal(t, defend, l.hear(foe))
		wait, got := l.next()
		require.Equal(t, "1s send announcement", fmt.Sprint(wait, " ", got))
	})
}

func TestRetryAndRateLimit(t *testing.T) {
	l := newLife(t, 1)
	l.m.retry = 15 * time.Second
	for n := 1; n <= MaxConflicts; n++ {
		began := l.now
		_, got := l.next()
		require.Equal(t, "probing", got)
		require.Equal(t, "conflict by A", l.hear(request(macA, "10.0.0.7", "10.0.0.7")))
		if n < MaxConflicts {
			require.Equal(t, 15*time.Second, l.m.deadline.Sub(l.now), "ACD-3 the owner's interval, attempt %d from %s", n, began)
		}
	}
	for range 5 {
		began := l.now
		wait, got := l.next()
		require.Equal(t, "", got, "ACD-3 after MAX_CONFLICTS the next is put off")
		require.Equal(t, 15*time.Second, wait)
		require.Equal(t, ClaimWaiting, l.m.state)
		require.Equal(t, "-", l.hear(request(macA, "10.0.0.7", "10.0.0.7")), "it is not probing")
		_, got = l.next()
		require.Equal(t, "probing", got)
		require.Equal(t, RateLimitInterval, l.now.Sub(began), "ACD-3 one attempt in RATE_LIMIT_INTERVAL")
		l.hear(request(macA, "10.0.0.7", "10.0.0.7"))
	}
}

// The limit is the interface's: a second claim waits for the first one's turn.
func TestRateLimitIsShared(t *testing.T) {
	a, b := newLife(t, 1), newLife(t, 2)
	b.m.limit = a.m.limit
	a.m.limit.conflicts = MaxConflicts
	_, got := a.next()
	require.Equal(t, "probing", got, "ACD-3 the first attempt after a quiet time is free")
	_, got = b.next()
	require.Equal(t, "", got)
	require.Equal(t, RateLimitInterval, b.m.deadline.Sub(b.now))
	a.hold()
	a.m.suspend(a.now)
	_, got = a.next()
	require.Equal(t, "suspended", got)
	a.m.begin(a.now)
	_, got = a.next()
	require.Equal(t, "probing", got, "ACD-9 an address that was held is not a new attempt")
}

func TestSuspendedClaimIsSilent(t *testing.T) {
	l := newLife(t, 1)
	l.next()
	l.m.suspend(l.now)
	_, got := l.next()
	require.Equal(t, "suspended", got)
	require.True(t, l.m.deadline.IsZero())
	l.m.suspend(l.now)
	require.True(t, l.m.deadline.IsZero(), "it is told once")
	require.Equal(t, "-", l.hear(request(macA, "10.0.0.7", "10.0.0.7")))
	l.m.state = ClaimReleased
	require.Empty(t, l.m.expire(l.now))
}

func TestClaimWords(t *testing.T) {
	require.Equal(t, "once never always always", fmt.Sprint(DefendOnce, DefendNever, DefendAlways, Defence(9)))
	require.Equal(t, "suspended waiting probing announcing held refused released released",
		fmt.Sprint(ClaimSuspended, ClaimWaiting, ClaimProbing, ClaimAnnouncing, ClaimHeld, ClaimRefused, ClaimReleased, ClaimState(99)))
	require.Equal(t, "probing usable conflict defended lost suspended", fmt.Sprint(Probing, Usable, Conflict, Defended, Lost, Suspended))
	require.Equal(t, "A", short(link.Addr(macA)))
}
