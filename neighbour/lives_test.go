package neighbour

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The lives of an entry on exact time: what goes out, what is announced, when.

func TestResolve(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // NUD-2, NUD-7, NUD-10, NUD-26, UPD-11
		b.send(1, 3)
		b.want("ask 192.0.2.9 broadcast head 1")
		b.wantState(Incomplete)
		require.Equal(t, 4, b.info().Probes, "PRB-2")
		require.NoError(t, b.reply(macA, OverrideUnlocked))
		b.want("frame 1 to a; frame 2 to a; frame 3 to a")
		b.wantState(Reachable)
		b.send(4, 4)
		b.want("frame 4 to a")
		require.Equal(t, "new REACHABLE a", b.announced())
		b.wantAt(b.reachable(), Stale) // NUD-16, TMR-4
		require.Equal(t, "new STALE a", b.announced())
		b.want("")
	})
}

func TestResolveFails(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // NUD-23, NUD-24, TMR-2, PRB-5, L3-7, L3-9
		b.send(1, 1)
		b.pass(time.Second)
		b.send(2, 2)
		b.want("ask 192.0.2.9 broadcast head 1")
		b.pass(time.Second - 1)
		b.want("")
		b.pass(1)
		b.want("ask 192.0.2.9 broadcast head 2")
		b.pass(2 * time.Second)
		b.want("ask 192.0.2.9 broadcast head 2")
		b.wantAt(2*time.Second, Failed)
		b.want("unreachable 1; unreachable 2")
		require.Equal(t, "new FAILED", b.announced())
		require.EqualValues(t, 1, b.table.Stats().ResFailed, "STAT-7")
		b.send(3, 3)
		b.wantState(Incomplete)
		b.want("ask 192.0.2.9 broadcast head 3")
	})
}

func TestResolveRefused(t *testing.T) {
	p := testParams()
	p.McastProbes = 0
	inBubble(t, Config{Params: p}, func(b *bed) { // NUD-8
		b.send(1, 1)
		b.wantState(Failed)
		b.want("")
		require.Empty(t, b.announced())
		require.Zero(t, b.table.Stats().ResFailed)
	})
}

func TestHeardFirst(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // NUD-2, NUD-11, NUD-12, NUD-18, NUD-20, NUD-21, TMR-3
		require.NoError(t, b.hint(macA, Create|Override))
		b.wantState(Stale)
		require.Equal(t, "new STALE a", b.announced())
		b.send(1, 1)
		b.want("frame 1 to a")
		b.wantState(Delay)
		b.wantAt(3*time.Second, Probe)
		b.want("ask 192.0.2.9 unicast to a")
		b.send(2, 2)
		b.want("frame 2 to a")
		b.pass(2 * time.Second)
		b.want("ask 192.0.2.9 unicast to a")
		b.pass(2 * time.Second)
		b.want("ask 192.0.2.9 unicast to a")
		b.wantAt(2*time.Second, Failed)
		require.Equal(t, "new PROBE a; new FAILED", b.announced())
	})
}

func TestHintWhileResolving(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // NUD-27, NTF-3
		b.send(1, 2)
		require.NoError(t, b.hint(macA, OverrideUnlocked))
		b.wantState(Delay)
		b.want("ask 192.0.2.9 broadcast head 1; frame 1 to a; frame 2 to a")
		require.Equal(t, "new DELAY a", b.announced())
		b.wantAt(3*time.Second, Probe)
	})
}

func TestProbeAnswered(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // NUD-29, NUD-30
		require.NoError(t, b.hint(macA, Create|Override))
		b.send(1, 1)
		b.pass(3 * time.Second)
		b.wantState(Probe)
		require.NoError(t, b.hint(macA, OverrideUnlocked))
		b.wantState(Probe)
		require.NoError(t, b.reply(macA, OverrideUnlocked))
		b.wantState(Reachable)
		require.Equal(t, "new STALE a; new PROBE a; new REACHABLE a", b.announced())
		b.wantAt(b.reachable(), Stale)
	})
}

func TestBusyFlowGoesStale(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // NUD-13, L3-6
		require.NoError(t, b.reply(macA, Create))
		b.send(1, 1) // slow, builds the header
		b.pass(time.Second)
		b.send(2, 2) // fast
		require.Equal(t, time.Second, b.info().Used, "the fast path does not count as use")
		b.wantAt(b.reachable()-time.Second, Stale)
		b.send(3, 3)
		b.wantState(Delay)
	})
}

func TestShortReachableTimeGoesToDelay(t *testing.T) {
	p := testParams()
	p.BaseReachableTime = time.Second
	inBubble(t, Config{Params: p}, func(b *bed) { // NUD-15
		b.send(1, 1)
		require.NoError(t, b.reply(macA, 0))
		require.Equal(t, "new REACHABLE a", b.announced())
		b.wantAt(b.reachable(), Delay)
		require.Empty(t, b.announced(), "NTF-2: REACHABLE to DELAY is silent")
		b.wantAt(3*time.Second, Probe)
		require.Equal(t, "new PROBE a", b.announced())
	})
}

func TestConfirmationInDelay(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // NUD-17, TMR-5, NUD-5, L3-12
		require.NoError(t, b.hint(macA, Create|Override))
		b.send(1, 1)
		b.pass(time.Second)
		b.events()
		b.sendConfirmed(2)
		require.Equal(t, "DELAY", b.info().State.String())
		require.Zero(t, b.info().Confirmed)
		require.Empty(t, b.announced())
		b.wantAt(2*time.Second, Reachable)
		require.Equal(t, "new REACHABLE a", b.announced())
		b.want("frame 1 to a; frame 2 to a")
		b.wantAt(b.reachable()-2*time.Second, Stale)
	})
}

func TestConfirmationCarriedByTheUse(t *testing.T) {
	life := func(literal bool, end State) {
		inBubble(t, Config{Switches: Switches{LiteralTimers: literal}}, func(b *bed) { // NUD-39, DEV-2
			require.NoError(t, b.hint(macA, Create|Override))
			b.sendConfirmed(1)
			b.wantAt(3*time.Second, end)
		})
	}
	life(false, Probe)
	life(true, Reachable)
}

func TestConfirmationCannotSaveProbe(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // NUD-38
		require.NoError(t, b.hint(macA, Create|Override))
		b.send(1, 1)
		b.pass(3 * time.Second)
		for range 5 {
			b.table.Confirm(1, peerIP)
			b.pass(time.Second)
			b.wantState(Probe)
		}
		b.table.Confirm(1, peerIP)
		b.wantAt(time.Second, Failed)
	})
}

func TestConfirmedForAMinute(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // TMR-4, NUD-14
		require.NoError(t, b.reply(macA, Create))
		b.announced()
		for range 60 {
			b.pass(time.Second)
			b.iface.Confirm(peerIP)
		}
		b.wantState(Reachable)
		require.Empty(t, b.announced())
		b.wantAt(b.reachable(), Stale)
	})
}

func TestNoProbesForProbe(t *testing.T) {
	for _, c := range []struct {
		name  string
		flags Flags
		end   State
		said  string
	}{
		{"NUD-19 fails without PROBE", 0, Failed, "new FAILED"},
		{"NUD-19 NUD-22 validated goes back to STALE", ExtValidated, Stale, "new STALE a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := testParams()
			p.UcastProbes = 0
			inBubble(t, Config{Params: p}, func(b *bed) {
				require.NoError(t, b.setAddr(Stale, macA, c.flags))
				b.send(1, 1)
				b.announced()
				b.wantAt(3*time.Second, c.end)
				require.Equal(t, c.said, b.announced())
				b.want("frame 1 to a")
			})
		})
	}
}

func TestValidatedKeepsAddress(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // NUD-22
		require.NoError(t, b.setAddr(Stale, macA, ExtValidated))
		b.send(1, 1)
		b.pass(3*time.Second + 3*2*time.Second - 1)
		b.wantState(Probe)
		b.pass(1)
		b.wantState(Stale)
		require.True(t, b.info().HasLLAddr)
		require.Zero(t, b.table.Stats().ResFailed)
		require.Equal(t, "new STALE a; new PROBE a; new STALE a", b.announced())
	})
}

func TestProbeKinds(t *testing.T) {
	t.Run("PRB-3 app_solicit", func(t *testing.T) {
		p := testParams()
		p.AppProbes = 1
		inBubble(t, Config{Params: p}, func(b *bed) {
			b.send(1, 1)
			require.Equal(t, "miss INCOMPLETE", b.announced())
			b.want("")
			for range 3 {
				b.pass(2 * time.Second)
				b.want("ask 192.0.2.9 broadcast head 1")
			}
			b.wantAt(2*time.Second, Failed)
		})
	})
	t.Run("PRB-4 mcast_resolicit", func(t *testing.T) {
		p := testParams()
		p.UcastProbes, p.McastReprobes = 2, 2
		inBubble(t, Config{Params: p}, func(b *bed) {
			require.NoError(t, b.setAddr(Probe, macA, 0)) // NUD-41
			b.pass(0)
			b.want("ask 192.0.2.9 unicast to a")
			b.pass(6 * time.Second)
			b.want("ask 192.0.2.9 unicast to a; ask 192.0.2.9 broadcast; ask 192.0.2.9 broadcast")
			b.wantAt(2*time.Second, Failed)
		})
	})
	t.Run("TMR-1 retrans floor", func(t *testing.T) {
		p := testParams()
		p.RetransTime, p.McastProbes = time.Millisecond, 10
		inBubble(t, Config{Params: p}, func(b *bed) {
			b.send(1, 1)
			b.want("ask 192.0.2.9 broadcast head 1")
			for range 9 {
				b.pass(10*time.Millisecond - 1)
				b.want("")
				b.pass(1)
				b.want("ask 192.0.2.9 broadcast head 1")
			}
			b.wantAt(10*time.Millisecond, Failed)
		})
	})
	t.Run("ENT-6 counts are read at each timer", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			b.send(1, 1)
			require.NoError(t, b.table.SetSysctl("t0", "mcast_solicit", "2"))
			require.NoError(t, b.table.SetSysctl("t0", "retrans_time_ms", "500"))
			b.pass(2 * time.Second)
			b.want("ask 192.0.2.9 broadcast head 1; ask 192.0.2.9 broadcast head 1")
			b.wantAt(500*time.Millisecond, Failed)
		})
	})
}

func TestLocktime(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // TMR-13, NUD-33, NUD-34, NUD-35, ARP-29
		require.NoError(t, b.reply(macA, Create|OverrideUnlocked))
		b.pass(time.Second)
		require.NoError(t, b.hint(macB, OverrideUnlocked))
		require.Equal(t, time.Second, b.info().Confirmed)
		require.NoError(t, b.reply(macB, OverrideUnlocked))
		require.Equal(t, macA, b.info().LLAddr)
		require.Zero(t, b.info().Confirmed, "NUD-35: the ignored answer prolongs the old mapping")
		require.Equal(t, "new REACHABLE a", b.announced())
		b.pass(1)
		require.NoError(t, b.reply(macB, OverrideUnlocked))
		require.Equal(t, macB, b.info().LLAddr)
		require.Equal(t, "new REACHABLE b", b.announced())
		require.NoError(t, b.hint(macA, Override))
		b.wantState(Stale) // NUD-32
		require.Equal(t, 40*time.Second, b.info().Confirmed)
	})
}

func TestAskedForWithoutEnd(t *testing.T) {
	// PRB-6, PRB-10: RFC 4861's constants; a request that nobody sends is a probe
	// like any other; and as long as somebody tries there is one each second.
	p := DefaultParams()
	require.Equal(t, []int{3, 3}, []int{p.UcastProbes, p.McastProbes}, "MAX_UNICAST_SOLICIT, MAX_MULTICAST_SOLICIT")
	require.Equal(t, []time.Duration{time.Second, 5 * time.Second, 30 * time.Second},
		[]time.Duration{p.RetransTime, p.DelayFirstProbeTime, p.BaseReachableTime}, "RETRANS_TIMER, DELAY_FIRST_PROBE_TIME, REACHABLE_TIME")
	for _, mute := range []bool{false, true} {
		inBubble(t, Config{Params: &p}, func(b *bed) {
			if mute {
				b.table.config.Solicit = nil
			}
			for range 300 {
				b.send(1, 1)
				b.pass(100 * time.Millisecond)
			}
			asked := 0
			for _, ev := range b.events() {
				if ev.Kind == Solicited {
					asked++
				}
			}
			require.Equal(t, 30, asked)
			require.EqualValues(t, 10, b.table.Stats().ResFailed)
		})
	}
}
