package arp

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/neighbour"
)

// How conf/all and conf/DEV come together, by what ARP does: each row is the
// values of the two and the behaviour. Values that make no sense are stored, too
// (SYSCTL-44).
func TestMerge(t *testing.T) {
	type row struct {
		all, dev int
		want     string
	}
	// or is the table of a key that counts when either value is set.
	or := func(off, on string) []row {
		return []row{{0, 0, off}, {0, 1, on}, {1, 0, on}, {1, 1, on}, {-1, 0, on}, {0, -1, on}, {2, 0, on}}
	}
	// answers tells which of some requests get a reply.
	answers := func(ins ...Packet) func(b *bench) string {
		return func(b *bench) string {
			var got []string
			for _, in := range ins {
				b.in(1, link.Broadcast, in)
				if len(b.log) > 0 {
					got = append(got, in.TargetIP.String())
				}
				b.log = nil
			}
			return strings.Join(got, " ")
		}
	}
	for _, c := range []struct {
		rule, key string
		setup     []string
		rows      []row
		behaviour func(b *bench) string
	}{
		{rule: "SYSCTL-30 MAX", key: "arp_ignore",
			rows: []row{{0, 0, "10.0.0.2 10.0.1.2"}, {1, 0, "10.0.0.2"}, {0, 1, "10.0.0.2"}, {1, 1, "10.0.0.2"}, {2, 1, "10.0.0.2"},
				{3, 1, "10.0.0.2 10.0.1.2"}, {1, 3, "10.0.0.2 10.0.1.2"}, {8, 0, ""}, {1, 8, ""}, {8, 1, ""},
				{4, 0, "10.0.0.2 10.0.1.2"}, {7, 1, "10.0.0.2 10.0.1.2"}, {9, 8, "10.0.0.2 10.0.1.2"}, {-1, 0, "10.0.0.2 10.0.1.2"}, {-1, 1, "10.0.0.2"}, {-5, -1, "10.0.0.2 10.0.1.2"}},
			behaviour: answers(request(macA, "10.0.0.9", "10.0.0.2"), request(macA, "10.0.0.9", "10.0.1.2"))},
		{rule: "SYSCTL-31 MAX", key: "arp_announce",
			rows: []row{{0, 0, "10.0.1.2 10.0.0.3"}, {1, 0, "10.0.0.2 10.0.0.3"}, {0, 1, "10.0.0.2 10.0.0.3"}, {1, 1, "10.0.0.2 10.0.0.3"},
				{2, 0, "10.0.0.2 10.0.0.2"}, {0, 2, "10.0.0.2 10.0.0.2"}, {1, 2, "10.0.0.2 10.0.0.2"}, {2, 1, "10.0.0.2 10.0.0.2"},
				{3, 2, "10.0.1.2 10.0.0.3"}, {-1, 0, "10.0.1.2 10.0.0.3"}, {-1, 1, "10.0.0.2 10.0.0.3"}},
			behaviour: func(b *bench) string {
				b.host.addrs[1] = append(b.host.addrs[1], Address{Prefix: prefix("10.0.0.3/24")})
				var got []string
				for _, src := range []string{"10.0.1.2", "10.0.0.3"} {
					s := neighbour.Solicitation{Interface: 1, Target: ip("10.0.0.9"), HasHead: true}
					s.Head[0] = 0x45
					a := ip(src).As4()
					copy(s.Head[12:], a[:])
					b.arp.Solicit(s)
					got = append(got, strings.Fields(b.log[0])[5])
					b.log = nil
				}
				return strings.Join(got, " ")
			}},
		{rule: "SYSCTL-32 OR", key: "arp_filter", rows: or("10.0.0.2", ""), behaviour: answers(request(macA, "10.0.1.9", "10.0.0.2"))},
		{rule: "SYSCTL-33 MAX", key: "arp_accept",
			rows: []row{{0, 0, " "}, {1, 0, "near far"}, {0, 1, "near far"}, {1, 1, "near far"}, {2, 0, "near "}, {0, 2, "near "}, {1, 2, "near "}, {2, 1, "near "},
				{3, 1, " "}, {1, 3, " "}, {2, 3, " "}, {-1, 0, " "}, {-1, 1, "near far"}},
			behaviour: func(b *bench) string {
				near, far := "", ""
				b.in(1, link.Host, reply(macA, "10.0.0.9", "10.0.0.2"))
				b.in(1, link.Host, reply(macA, "10.7.0.9", "10.0.0.2"))
				if _, ok := b.table.Lookup(1, ip("10.0.0.9")); ok {
					near = "near"
				}
				if _, ok := b.table.Lookup(1, ip("10.7.0.9")); ok {
					far = "far"
				}
				return near + " " + far
			}},
		{rule: "SYSCTL-34 MAX", key: "arp_notify", // anything but 0 is on
			rows: []row{{0, 0, "0"}, {1, 0, "1"}, {0, 1, "1"}, {1, 1, "1"}, {2, 0, "1"}, {-1, 0, "0"}, {-1, -2, "1"}},
			behaviour: func(b *bench) string {
				b.arp.Notify(1)
				return fmt.Sprint(len(b.log))
			}},
		{rule: "SYSCTL-36 OR", key: "drop_gratuitous_arp", rows: or("1", "0"), behaviour: func(b *bench) string {
			b.in(1, link.Broadcast, request(macA, "10.0.0.9", "10.0.0.9"))
			return fmt.Sprint(b.arp.Stats.Consumed())
		}},
		{rule: "SYSCTL-37 OR", key: "proxy_arp", setup: []string{"forwarding=1"}, rows: or("", "10.0.1.77"),
			behaviour: answers(request(macA, "10.0.0.9", "10.0.1.77"), request(macA, "10.0.0.9", "10.0.0.77"))},
		{rule: "SYSCTL-38 OR", key: "proxy_arp_pvlan", setup: []string{"forwarding=1"}, rows: or("", "10.0.0.77"),
			behaviour: answers(request(macA, "10.0.0.9", "10.0.1.77"), request(macA, "10.0.0.9", "10.0.0.77"))},
		{rule: "SYSCTL-39 dev", key: "medium_id", setup: []string{"forwarding=1", "proxy_arp=1", "eth2.medium_id=5"}, // all has no say
			rows:      []row{{0, 0, "10.0.1.77"}, {-1, 0, "10.0.1.77"}, {5, 0, "10.0.1.77"}, {0, -1, ""}, {0, 5, ""}, {6, 5, ""}, {5, 6, "10.0.1.77"}},
			behaviour: answers(request(macA, "10.0.0.9", "10.0.1.77"))},
		{rule: "SYSCTL-40 OR", key: "route_localnet", rows: or("", "127.0.0.1"), behaviour: answers(request(macA, "10.0.0.9", "127.0.0.1"))},
		{rule: "SYSCTL-43 dev", key: "forwarding", setup: []string{"proxy_arp=1"}, // writing all writes every interface; here dev is written later
			rows:      []row{{0, 0, ""}, {0, 1, "10.0.1.77"}, {1, 0, ""}, {1, 1, "10.0.1.77"}},
			behaviour: answers(request(macA, "10.0.0.9", "10.0.1.77"))},
	} {
		for _, r := range c.rows {
			t.Run(fmt.Sprintf("%s %s all %d dev %d", c.rule, c.key, r.all, r.dev), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBench(t)
					b.set(append([]string{"proxy_delay=0"}, c.setup...)...)
					b.set(fmt.Sprintf("all.%s=%d", c.key, r.all), fmt.Sprintf("eth1.%s=%d", c.key, r.dev))
					require.Equal(t, r.want, c.behaviour(b))
				})
			})
		}
	}
}

// An interface follows conf/default until something is written on it
// (the whole of it: stack/devconf).
func TestDefaultsReachARP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.set("default.arp_ignore=8")
		b.in(1, link.Broadcast, request(macA, "10.0.0.9", "10.0.0.2"))
		b.wantSent("SYSCTL-45 eth1 had no value of its own")
		b.set("eth1.arp_ignore=0", "default.arp_ignore=1", "default.arp_ignore=8")
		b.in(1, link.Broadcast, request(macA, "10.0.0.9", "10.0.0.2"))
		b.wantSent("SYSCTL-45 now it has", toA)
	})
}

func TestStageOfUpdates(t *testing.T) {
	t.Run("ARP-22 who has no entry gets none by being looked up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			for _, in := range []Packet{request(macA, "10.0.0.9", "10.0.0.77"), request(macA, "10.0.0.9", "10.0.0.9"), reply(macA, "10.0.0.9", "10.0.0.9")} {
				b.in(1, link.Broadcast, in)
			}
			b.wantEntry("none", "10.0.0.9", "")
			require.Zero(t, b.table.Stats().Allocs)
		})
	})
	t.Run("ARP-32 a locked reply confirms the address that it contradicts", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.in(1, link.Broadcast, request(macA, "10.0.0.9", "10.0.0.2"))
			pass(neighbour.DefaultParams().LockTime)
			before, _ := b.table.Lookup(1, ip("10.0.0.9"))
			b.in(1, link.Host, reply(macB, "10.0.0.9", "10.0.0.2"))
			after, _ := b.table.Lookup(1, ip("10.0.0.9"))
			require.Equal(t, macA, after.LLAddr, "the first stays")
			require.Greater(t, before.Confirmed, after.Confirmed, "and is taken for good")
			require.Zero(t, after.Confirmed)
		})
	})
	t.Run("ARP-15 a sender by the subnet broadcast address", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.host.anySource = true
			b.in(1, link.Broadcast, request(macA, "10.0.0.255", "10.0.0.2"))
			b.wantSent("is answered", "eth1 us > A reply: 10.0.0.2 is-at us, 10.0.0.255 is-at A, 42 bytes")
			e, ok := b.table.Lookup(1, ip("10.0.0.255"))
			require.True(t, ok)
			require.Equal(t, neighbour.NoARP, e.State)
		})
	})
}

func TestRepliesAreNeitherLimitedNorMerged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		for range 1000 {
			b.in(1, link.Broadcast, request(macA, "10.0.0.9", "10.0.0.2"))
		}
		require.Len(t, b.log, 1000, "OUT-5 a reply for each request")
		require.EqualValues(t, 1000, b.arp.Stats.OutReplies.Load())
	})
}

func TestProxyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.set("forwarding=1", "proxy_arp=1", "proxy_delay=0")
		b.in(1, link.Broadcast, request(macA, "10.0.0.9", "10.0.1.77"))
		b.wantSent("PROXY-8 our address for theirs, once", proxiedReply)
		b.wantEntry("ARP-21 the asker is learnt as by a request for us", "10.0.0.9", "STALE A")
		b.in(1, link.Broadcast, request(macB, "10.0.0.9", "10.0.1.77"))
		b.wantEntry("ARP-21 without regard to locktime", "10.0.0.9", "STALE B")
		b.log = nil
		require.NoError(t, b.table.SetSysctl("default", "gc_thresh3", "0"))
		require.NoError(t, b.table.SetSysctl("default", "gc_thresh2", "0"))
		require.NoError(t, b.table.Delete(1, ip("10.0.0.9")))
		b.in(1, link.Broadcast, request(macA, "10.0.0.9", "10.0.1.77"))
		b.wantSent("ARP-21 whom there is no room for is answered", proxiedReply)
		b.wantEntry("and not learnt", "10.0.0.9", "")
	})
}
