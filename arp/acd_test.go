package arp

import (
	"fmt"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
)

const (
	claimed  = "10.0.0.7"
	theProbe = "eth1 us > all request: 0.0.0.0 is-at us, 10.0.0.7 is-at -, 42 bytes"
	theClaim = "eth1 us > all request: 10.0.0.7 is-at us, 10.0.0.7 is-at -, 42 bytes"
)

// claim claims 10.0.0.7 on eth1, and writes its events down among the frames.
// The address is added and taken away as they say.
func (b *bench) claim(c ClaimConfig) *Claim {
	b.t.Helper()
	c.Notify = func(ev ClaimEvent) {
		b.mu.Lock()
		defer b.mu.Unlock()
		text := ev.Kind.String()
		if !ev.By.IsZero() {
			text += " by " + short(ev.By)
		}
		if ev.IP != ip(claimed) || ev.Interface != 1 || !ev.Time.Equal(time.Now()) {
			text += fmt.Sprintf(" (%+v)", ev)
		}
		b.log = append(b.log, text)
	}
	b.mu.Lock() // Claim itself does not call back
	cl, err := b.arp.Claim(1, ip(claimed), c)
	b.mu.Unlock()
	require.NoError(b.t, err)
	return cl
}

// upTo lets time pass until the log has n lines more, and returns how long it
// took.
func (b *bench) upTo(n int) time.Duration {
	b.t.Helper()
	start := time.Now()
	for range 20_000 {
		synctest.Wait()
		b.mu.Lock()
		have := len(b.log)
		b.mu.Unlock()
		if have >= n {
			return time.Since(start)
		}
		pass(time.Millisecond)
	}
	b.t.Fatalf("%d lines of %d: %v", len(b.log), n, b.log)
	return 0
}

var taken = []string{"probing", theProbe, theProbe, theProbe, "usable", theClaim, theClaim}

func TestClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		c := b.claim(ClaimConfig{})
		begun := time.Now()
		b.upTo(1)
		require.Zero(t, time.Since(begun), "at once")
		require.Equal(t, ClaimProbing, c.State())
		first := b.upTo(2)
		require.LessOrEqual(t, first, ProbeWait, "ACD-1")
		for range 2 {
			gap := b.upTo(len(b.log) + 1)
			require.True(t, ProbeMin-time.Millisecond <= gap && gap <= ProbeMax, "ACD-1 %s", gap)
		}
		require.Equal(t, ClaimProbing, c.State())
		gap := b.upTo(6)
		require.InDelta(t, AnnounceWait, gap, float64(time.Millisecond), "ACD-1")
		require.Equal(t, ClaimAnnouncing, c.State(), "ACD-4")
		gap = b.upTo(7)
		require.InDelta(t, AnnounceInterval, gap, float64(time.Millisecond), "ACD-4")
		require.Equal(t, ClaimHeld, c.State(), "ACD-4")
		b.wantSent("ACD-1 ACD-4 ACD-11 the frames and the events", taken...)
		b.wantEntry("ACD-7 nothing of it makes an entry", claimed, "")
		b.wantEntry("ACD-7 nothing of it makes an entry", "0.0.0.0", "")
		require.EqualValues(t, 3, b.arp.Stats.OutProbes.Load())
		require.EqualValues(t, 2, b.arp.Stats.OutAnnouncements.Load())
		pass(time.Hour)
		synctest.Wait()
		b.wantSent("and nothing more")

		b.in(1, link.Broadcast, request(macA, claimed, claimed))
		b.wantSent("ACD-6 (b)", theClaim, "defended by A")
		pass(5 * time.Second)
		b.in(1, link.Host, reply(macB, claimed, "10.0.0.2"))
		b.wantSent("ACD-6 (b) the second", "lost by B")
		require.Equal(t, ClaimRefused, c.State())
		b.in(1, link.Broadcast, request(macA, claimed, claimed))
		pass(time.Hour)
		synctest.Wait()
		b.wantSent("it is theirs")
		require.EqualValues(t, 2, b.arp.Stats.Conflicts.Load())
	})
}

func TestClaimConflict(t *testing.T) {
	for _, c := range []struct {
		name string
		in   Packet
	}{
		{"ACD-2 a reply to the probe", reply(macA, claimed, "0.0.0.0")},
		{"ACD-2 a host that asks for another", request(macA, claimed, "10.0.0.9")},
		{"ACD-2 another host probing", request(macA, "0.0.0.0", claimed)},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				cl := b.claim(ClaimConfig{})
				b.upTo(2)
				b.in(1, link.Host, c.in)
				pass(time.Hour)
				synctest.Wait()
				b.wantSent("ACD-3 unusable, and reported", "probing", theProbe, "conflict by A")
				require.Equal(t, ClaimRefused, cl.State())
			})
		})
	}
	t.Run("ACD-2 not what came by another interface", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.claim(ClaimConfig{})
			b.upTo(2)
			b.in(2, link.Host, reply(macA, claimed, "0.0.0.0"))
			b.upTo(7)
			b.wantSent("undisturbed", taken...)
		})
	})
	t.Run("ACD-2 drop_gratuitous_arp hides nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.set("drop_gratuitous_arp=1")
			b.claim(ClaimConfig{})
			b.upTo(2)
			b.in(1, link.Broadcast, request(macA, claimed, claimed))
			b.wantSent("heard all the same", "probing", theProbe, "conflict by A")
		})
	})
}

func TestClaimRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.claim(ClaimConfig{Retry: 20 * time.Second})
		b.upTo(1)
		b.in(1, link.Host, reply(macA, claimed, "0.0.0.0"))
		b.wantSent("refused", "probing", "conflict by A")
		pass(20*time.Second - 1)
		synctest.Wait()
		b.wantSent("ACD-3 not before")
		pass(1)
		b.upTo(7)
		b.wantSent("ACD-3 tried again", taken...)
	})
}

func TestClaimFollowsTheLink(t *testing.T) {
	flap := func(b *bench) {
		b.mu.Lock() // nor does SetLink
		b.arp.SetLink(1, false)
		b.arp.SetLink(1, true)
		b.mu.Unlock()
	}
	for _, c := range []struct {
		name string
		act  func(b *bench, c *Claim)
		want []string
	}{
		{"ACD-9 link down and up", func(b *bench, _ *Claim) {
			b.arp.SetLink(1, false)
			pass(time.Minute)
			b.arp.SetLink(1, true)
		}, append([]string{"suspended"}, taken...)},
		{"ACD-9 link down and up at one time", func(b *bench, _ *Claim) { flap(b) }, taken},
		{"ACD-9 another hardware address", func(b *bench, _ *Claim) { b.arp.SetLLAddr(1, macB) }, nil},
		{"ACD-9 the same hardware address", func(b *bench, _ *Claim) { b.arp.SetLLAddr(1, ourM) }, []string{}},
		{"ACD-9 resume", func(_ *bench, c *Claim) { c.Restart() }, taken},
		{"ACD-9 the link of another interface", func(b *bench, _ *Claim) {
			b.arp.SetLink(2, false)
			b.arp.SetLink(2, true)
		}, []string{}},
		{"no link any more", func(b *bench, c *Claim) {
			b.arp.SetLink(1, false)
			c.Restart()
			b.arp.SetLLAddr(1, macB)
		}, []string{"suspended"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				cl := b.claim(ClaimConfig{})
				b.upTo(7)
				b.wantSent("held", taken...)
				c.act(b, cl)
				if c.want == nil { // the frames name the other address
					b.upTo(7)
					require.Equal(t, "eth1 B > all request: 10.0.0.7 is-at B, 10.0.0.7 is-at -, 42 bytes", b.log[6])
					return
				}
				pass(time.Minute)
				synctest.Wait()
				b.mu.Lock()
				defer b.mu.Unlock()
				if len(b.log) > 0 && len(c.want) > 0 && b.log[0] == "suspended" && c.want[0] != "suspended" {
					b.log = b.log[1:] // told, if the timer was quick enough
				}
				require.ElementsMatch(t, c.want, b.log)
			})
		})
	}
	t.Run("ACD-9 a claim without a link waits for it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.arp.SetLink(1, false)
			c := b.claim(ClaimConfig{})
			pass(time.Hour)
			synctest.Wait()
			b.wantSent("silence")
			require.Equal(t, ClaimSuspended, c.State())
			b.arp.SetLink(1, true)
			b.upTo(7)
			b.wantSent("and then", taken...)
		})
	})
	t.Run("ACD-9 a refused claim tries its luck on the new link", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.claim(ClaimConfig{})
			b.upTo(1)
			b.in(1, link.Host, reply(macA, claimed, "0.0.0.0"))
			b.wantSent("refused", "probing", "conflict by A")
			b.arp.SetLink(1, false)
			b.upTo(1)
			b.arp.SetLink(1, true)
			b.upTo(8)
			b.wantSent("again", append([]string{"suspended"}, taken...)...)
		})
	})
}

func TestClaimEnds(t *testing.T) {
	for name, end := range map[string]func(b *bench, c *Claim){
		"released":         func(_ *bench, c *Claim) { c.Release(); c.Release(); c.Restart() },
		"interface gone":   func(b *bench, _ *Claim) { b.arp.RemoveInterface(1) },
		"protocol closed":  func(b *bench, _ *Claim) { b.arp.Close() },
		"released in time": func(b *bench, c *Claim) { c.Release(); b.arp.SetLink(1, false); b.arp.SetLink(1, true) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				c := b.claim(ClaimConfig{})
				b.upTo(2)
				b.wantSent("under way", "probing", theProbe)
				end(b, c)
				c.followLink()
				require.Equal(t, ClaimReleased, c.State())
				require.Nil(t, b.arp.hooks.Load(), "nothing is left to look at")
				b.in(1, link.Broadcast, request(macA, claimed, claimed))
				pass(time.Hour)
				synctest.Wait()
				b.wantSent("and that is all")
			})
		})
	}
	t.Run("released by its own event", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			_, err := b.arp.Claim(1, ip(claimed), ClaimConfig{Notify: func(ev ClaimEvent) {
				if ev.Kind == Usable {
					ev.Claim.Release()
				}
			}})
			require.NoError(t, err)
			pass(time.Minute)
			synctest.Wait()
			b.wantSent("no announcement", theProbe, theProbe, theProbe)
		})
	})
}

func TestClaimErrors(t *testing.T) {
	b := newBench(t)
	b.claim(ClaimConfig{})
	b.arp.SetNoARP(2, true)
	for _, c := range []struct {
		index int
		ip    string
		cfg   ClaimConfig
		want  error
	}{
		{9, claimed, ClaimConfig{}, syscall.ENODEV},
		{2, claimed, ClaimConfig{}, syscall.EOPNOTSUPP},
		{1, "0.0.0.0", ClaimConfig{}, syscall.EINVAL},
		{1, "224.0.0.1", ClaimConfig{}, syscall.EINVAL},
		{1, "255.255.255.255", ClaimConfig{}, syscall.EINVAL},
		{1, "fe80::1", ClaimConfig{}, syscall.EINVAL},
		{1, "10.0.0.8", ClaimConfig{Retry: -1}, syscall.EINVAL},
		{1, claimed, ClaimConfig{}, syscall.EEXIST},
	} {
		_, err := b.arp.Claim(c.index, ip(c.ip), c.cfg)
		require.ErrorIs(t, err, c.want, "%d %s", c.index, c.ip)
	}
	b.arp.Close()
	_, err := b.arp.Claim(1, ip("10.0.0.8"), ClaimConfig{})
	require.ErrorIs(t, err, net.ErrClosed)
}

// While a callback is busy, what happens waits for its turn, and what has been
// overtaken is not sent.
func TestClaimEventsComeInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var got []string
		_, err := b.arp.Claim(1, ip(claimed), ClaimConfig{Defence: DefendNever, Notify: func(ev ClaimEvent) {
			if ev.Kind == Usable {
				b.in(1, link.Broadcast, request(macA, claimed, claimed)) // within the call back
			}
			got = append(got, ev.Kind.String())
		}})
		require.NoError(t, err)
		pass(time.Minute)
		synctest.Wait()
		require.Equal(t, []string{"probing", "usable", "lost"}, got)
		b.wantSent("ACD-6 (a) no announcement of what is lost", theProbe, theProbe, theProbe)
	})
}

func TestWithoutClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.in(1, link.Broadcast, request(macA, "10.0.0.2", "10.0.0.2"))
		pass(time.Minute)
		synctest.Wait()
		b.wantSent("ACD-12 no probing, no defence")
		require.Nil(t, b.arp.hooks.Load(), "ACD-12 one load is all it costs")
	})
}

// A claim costs other packets nothing but a look.
func TestReceivingWithAClaimDoesNotAllocate(t *testing.T) {
	b := newBench(t)
	b.claim(ClaimConfig{})
	b.arp.edit(1, func(i *iface) { i.dev = discard{} })
	a := request(macA, "10.0.0.9", "10.0.0.2")
	b.in(1, link.Broadcast, a)
	linktest.WantNoAllocs(t, func() { b.in(1, link.Broadcast, a) })
}

func BenchmarkReceive(bm *testing.B) {
	for _, c := range []struct {
		name  string
		setup func(b *bench)
	}{
		{"bare", func(*bench) {}},
		{"claim", func(b *bench) { b.claim(ClaimConfig{}) }},
		{"listener", func(b *bench) { b.arp.Listen(2, 1) }},
		{"filter", func(b *bench) { b.arp.SetFilter(func(Direction, int, Packet) bool { return true }) }},
	} {
		bm.Run(c.name, func(bm *testing.B) {
			b := newBench(bm)
			b.arp.edit(1, func(i *iface) { i.dev = discard{} })
			c.setup(b)
			a := request(macA, "10.0.0.9", "10.0.0.77")
			bm.ReportAllocs()
			for bm.Loop() {
				b.in(1, link.Broadcast, a)
			}
		})
	}
}
