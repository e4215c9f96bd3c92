package igmp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
)

var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// hostTest drives a host and writes down what it sends, by the time since the
// beginning.
type hostTest struct {
	t testing.TB
	host
	settings
	now    time.Time
	rand   *rand.Rand
	groups map[string]ipv4.SourceFilter
}

func newHostTest(t testing.TB) *hostTest {
	return &hostTest{
		t: t, now: epoch, rand: rand.New(rand.NewPCG(1, 2)), groups: make(map[string]ipv4.SourceFilter),
		settings: settings{v2Interval: 10 * time.Second, v3Interval: time.Second, robustness: 2, linkLocal: true},
	}
}

// filter reads "*" for everybody, "+10.0.0.1" for only some, "-10.0.0.1" for all
// but some.
func filter(s string) ipv4.SourceFilter {
	if s == "*" {
		return ipv4.SourceFilter{}
	}
	return ipv4.SourceFilter{Only: s[0] == '+', Sources: addrs(strings.Split(s[1:], ",")...)}
}

// join wants packets to a group; with an empty filter it wants none.
func (h *hostTest) join(group, f string) {
	if h.groups[group] = filter("*"); f == "" {
		delete(h.groups, group)
	} else {
		h.groups[group] = filter(f)
	}
	var list []ipv4.Group
	for g, f := range h.groups {
		list = append(list, ipv4.Group{Addr: addr(g), Filter: f})
	}
	h.update(append(list, ipv4.Group{Addr: ipv4.AllHosts}), h.now, &h.settings)
}

func (h *hostTest) leave(group string) { h.join(group, "") }

func (h *hostTest) ask(b []byte) {
	h.t.Helper()
	q, err := ParseQuery(b)
	require.NoError(h.t, err)
	h.query(q, h.now, &h.settings, h.rand)
}

func (m message) String() string {
	switch m.kind {
	case TypeReportV1:
		return fmt.Sprintf("v1 %v", m.group)
	case TypeReportV2:
		return fmt.Sprintf("v2 %v", m.group)
	case TypeLeave:
		return fmt.Sprintf("leave %v", m.group)
	}
	var list []string
	for _, r := range m.records {
		s := fmt.Sprintf("%v %v", r.Type, r.Group)
		for _, a := range r.Sources {
			s += " " + a.String()
		}
		list = append(list, s)
	}
	return strings.Join(list, "; ")
}

type event struct {
	after time.Duration // since pass was called
	what  string
}

// pass lets time go by and returns what is sent.
func (h *hostTest) pass(d time.Duration) (all []event) {
	from, end := h.now, h.now.Add(d)
	for {
		next := h.next()
		if next.IsZero() || next.After(end) {
			h.now = end
			return all
		}
		if next.After(h.now) {
			h.now = next
		}
		for _, m := range h.expire(h.now, &h.settings, h.rand) {
			all = append(all, event{h.now.Sub(from), m.String()})
		}
	}
}

// want is pass for a minute in which exactly this is sent, in order.
func (h *hostTest) want(what ...string) []event {
	h.t.Helper()
	all := h.pass(time.Minute)
	var got []string
	for _, e := range all {
		got = append(got, e.what)
	}
	require.Equal(h.t, what, got)
	require.True(h.t, h.next().IsZero(), "idle is idle")
	return all
}

// RFC 3376, section 5.1, in the words of its table.
func TestChangesAreReported(t *testing.T) {
	const g = "239.1.1.1"
	for _, c := range []struct{ name, old, new, report string }{
		{"IN (A) to IN (B)", "+10.0.0.1,10.0.0.2", "+10.0.0.2,10.0.0.3", "ALLOW 239.1.1.1 10.0.0.3; BLOCK 239.1.1.1 10.0.0.1"},
		{"EX (A) to EX (B)", "-10.0.0.1,10.0.0.2", "-10.0.0.2,10.0.0.3", "ALLOW 239.1.1.1 10.0.0.1; BLOCK 239.1.1.1 10.0.0.3"},
		{"IN (A) to EX (B)", "+10.0.0.1", "-10.0.0.2", "TO_EX 239.1.1.1 10.0.0.2"},
		{"EX (A) to IN (B)", "-10.0.0.1", "+10.0.0.2", "TO_IN 239.1.1.1 10.0.0.2"},
		{"nobody to EX ()", "", "*", "TO_EX 239.1.1.1"},
		{"EX () to nobody", "*", "", "TO_IN 239.1.1.1"},
		{"nobody to IN (A)", "", "+10.0.0.1", "ALLOW 239.1.1.1 10.0.0.1"},
		{"IN (A) to nobody", "+10.0.0.1", "", "BLOCK 239.1.1.1 10.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHostTest(t)
			if c.old != "" {
				h.join(g, c.old)
				h.pass(time.Minute)
			}
			h.join(g, c.new)
			all := h.want(c.report, c.report)
			require.Equal(t, soon, all[0].after, "at once")
			between := all[1].after - all[0].after
			require.True(t, between >= 0 && between < time.Second, between)
			require.Equal(t, c.new == "", len(h.host.groups) == 0, "what is gone is forgotten")
			h.join(g, c.new)
			h.want([]string(nil)...)
		})
	}
}

func TestSuccessiveChanges(t *testing.T) {
	t.Run("together in one report", func(t *testing.T) {
		h := newHostTest(t)
		h.join("239.1.1.1", "*")
		h.join("239.1.1.2", "+10.0.0.1")
		h.join("224.0.0.251", "*")
		r := "TO_EX 224.0.0.251; TO_EX 239.1.1.1; ALLOW 239.1.1.2 10.0.0.1"
		h.want(r, r)
	})
	t.Run("each is said as often as the robustness asks", func(t *testing.T) {
		h := newHostTest(t)
		h.settings.robustness = 3
		h.join("239.1.1.1", "*")
		h.pass(soon)
		h.join("239.1.1.2", "*")
		got := h.want("TO_EX 239.1.1.1; TO_EX 239.1.1.2", "TO_EX 239.1.1.1; TO_EX 239.1.1.2", "TO_EX 239.1.1.2")
		require.Equal(t, soon, got[0].after)
	})
	t.Run("left and joined again", func(t *testing.T) {
		h := newHostTest(t)
		h.join("239.1.1.1", "*")
		h.pass(time.Minute)
		h.leave("239.1.1.1")
		h.pass(soon)
		h.join("239.1.1.1", "*")
		h.want("TO_EX 239.1.1.1", "TO_EX 239.1.1.1")
	})
	t.Run("a source that came and went", func(t *testing.T) {
		h := newHostTest(t)
		h.join("239.1.1.1", "+10.0.0.1")
		h.pass(time.Minute)
		h.join("239.1.1.1", "+10.0.0.1,10.0.0.2")
		h.pass(soon)
		h.join("239.1.1.1", "+10.0.0.1")
		h.want("BLOCK 239.1.1.1 10.0.0.2", "BLOCK 239.1.1.1 10.0.0.2")
	})
	t.Run("a mode makes changes of sources void", func(t *testing.T) {
		h := newHostTest(t)
		h.join("239.1.1.1", "+10.0.0.1")
		h.pass(soon)
		h.join("239.1.1.1", "-10.0.0.2")
		h.want("TO_EX 239.1.1.1 10.0.0.2", "TO_EX 239.1.1.1 10.0.0.2")
	})
}

func TestSilentGroups(t *testing.T) {
	h := newHostTest(t)
	h.join("224.0.0.1", "*")
	h.want([]string(nil)...)
	h.linkLocal = false
	h.join("224.0.0.251", "*")
	h.ask(queryV3(100, "0.0.0.0", 2, 125))
	h.want([]string(nil)...)
}

func TestQueries(t *testing.T) {
	joined := func(t testing.TB) *hostTest {
		h := newHostTest(t)
		h.join("239.1.1.1", "*")
		h.join("239.1.1.2", "+10.0.0.1,10.0.0.2")
		h.join("239.1.1.3", "-10.0.0.1,10.0.0.2")
		h.pass(time.Minute)
		return h
	}
	const all = "IS_EX 239.1.1.1; IS_IN 239.1.1.2 10.0.0.1 10.0.0.2; IS_EX 239.1.1.3 10.0.0.1 10.0.0.2"
	for _, c := range []struct {
		name string
		b    []byte
		most time.Duration
		want []string
	}{
		{"general", queryV3(100, "0.0.0.0", 2, 125), 10 * time.Second, []string{all}},
		{"general at once", queryV3(0, "0.0.0.0", 2, 125), 0, []string{all}},
		{"general with sources", queryV3(100, "0.0.0.0", 2, 125, "10.0.0.1"), 0, nil},
		{"group", queryV3(10, "239.1.1.1", 2, 125), time.Second, []string{"IS_EX 239.1.1.1"}},
		{"group, only some", queryV3(10, "239.1.1.2", 2, 125), time.Second, []string{"IS_IN 239.1.1.2 10.0.0.1 10.0.0.2"}},
		{"unknown group", queryV3(10, "239.1.1.9", 2, 125), 0, nil},
		{"all hosts", queryV3(10, "224.0.0.1", 2, 125), 0, nil},
		{"sources that are wanted", queryV3(10, "239.1.1.2", 2, 125, "10.0.0.2", "10.0.0.9"), time.Second, []string{"IS_IN 239.1.1.2 10.0.0.2"}},
		{"sources that are not", queryV3(10, "239.1.1.2", 2, 125, "10.0.0.9"), 0, nil},
		{"sources of all but some", queryV3(10, "239.1.1.3", 2, 125, "10.0.0.2", "10.0.0.9"), time.Second, []string{"IS_EX 239.1.1.3 10.0.0.1 10.0.0.2"}},
		{"sources that are excluded", queryV3(10, "239.1.1.3", 2, 125, "10.0.0.2"), 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := joined(t)
			h.ask(c.b)
			for _, e := range h.want(c.want...) {
				require.LessOrEqual(t, e.after, c.most)
			}
		})
	}
	t.Run("delays are spread", func(t *testing.T) {
		var low, high time.Duration = time.Hour, 0
		for seed := range uint64(100) {
			h := joined(t)
			h.rand = rand.New(rand.NewPCG(seed, 0))
			h.ask(queryV3(100, "0.0.0.0", 2, 125))
			d := h.want(all)[0].after
			low, high = min(low, d), max(high, d)
		}
		require.Less(t, low, time.Second)
		require.Greater(t, high, 9*time.Second)
		require.Less(t, high, 10*time.Second)
	})
	t.Run("a second one does not put the answer off", func(t *testing.T) {
		for range 20 {
			h := joined(t)
			h.ask(queryV3(100, "0.0.0.0", 2, 125))
			at := h.next()
			h.ask(queryV3(0xff, "0.0.0.0", 2, 125))
			require.Equal(t, at, h.next())
			h.ask(queryV3(10, "239.1.1.1", 2, 125))
			first := h.groups239()
			h.ask(queryV3(0xff, "239.1.1.1", 2, 125))
			require.Equal(t, first, h.groups239())
			h.ask(queryV3(1, "239.1.1.1", 2, 125))
			require.LessOrEqual(t, h.groups239().Sub(h.now), time.Second)
		}
	})
	t.Run("sources add up, and all are more than some", func(t *testing.T) {
		h := joined(t)
		h.ask(queryV3(10, "239.1.1.2", 2, 125, "10.0.0.2"))
		h.ask(queryV3(10, "239.1.1.2", 2, 125, "10.0.0.1", "10.0.0.2"))
		h.want("IS_IN 239.1.1.2 10.0.0.2 10.0.0.1")
		h.ask(queryV3(10, "239.1.1.2", 2, 125, "10.0.0.2"))
		h.ask(queryV3(10, "239.1.1.2", 2, 125))
		h.want("IS_IN 239.1.1.2 10.0.0.1 10.0.0.2")
		h.ask(queryV3(10, "239.1.1.2", 2, 125))
		h.ask(queryV3(10, "239.1.1.2", 2, 125, "10.0.0.2"))
		h.want("IS_IN 239.1.1.2 10.0.0.1 10.0.0.2")
	})
	t.Run("a group that is left has no answer", func(t *testing.T) {
		h := joined(t)
		h.ask(queryV3(100, "239.1.1.1", 2, 125))
		h.leave("239.1.1.1")
		h.want("TO_IN 239.1.1.1", "TO_IN 239.1.1.1")
	})
	t.Run("robustness is the router's", func(t *testing.T) {
		h := joined(t)
		h.ask(queryV3(10, "0.0.0.0", 4, 20))
		h.want(all)
		require.Equal(t, 4, h.host.robustness)
		require.Equal(t, 20*time.Second, h.interval)
		h.leave("239.1.1.1")
		h.want("TO_IN 239.1.1.1", "TO_IN 239.1.1.1", "TO_IN 239.1.1.1", "TO_IN 239.1.1.1")
		h.ask(queryV3(10, "0.0.0.0", 0, 0))
		require.Equal(t, 2, h.robust(&h.settings))
	})
}

func (h *hostTest) groups239() time.Time { return h.host.groups[addr("239.1.1.1")].report }

func TestOlderQueriers(t *testing.T) {
	const g = "239.1.1.1"
	v2 := func() []byte { return old(TypeQuery, 100, "0.0.0.0") }
	t.Run("version 2 is spoken until its querier is gone", func(t *testing.T) {
		h := newHostTest(t)
		h.join(g, "*")
		h.pass(time.Minute)
		h.ask(v2())
		e := h.want("v2 239.1.1.1")
		require.Less(t, e[0].after, 10*time.Second)
		h.join("239.1.1.2", "+10.0.0.1")
		e = h.want("v2 239.1.1.2", "v2 239.1.1.2")
		require.Equal(t, soon, e[0].after)
		require.Less(t, e[1].after, soon+10*time.Second)
		h.join("239.1.1.2", "*")
		h.want([]string(nil)...)
		h.leave("239.1.1.2")
		e = h.want("leave 239.1.1.2")
		require.Zero(t, e[0].after)
		// Two robustness times 125 s and 10 s after the query, four minutes of
		// which have passed.
		h.pass(20*time.Second - time.Nanosecond)
		require.Equal(t, 2, h.version(h.now, &h.settings))
		h.pass(time.Nanosecond)
		require.Equal(t, 3, h.version(h.now, &h.settings))
		h.leave(g)
		h.want("TO_IN 239.1.1.1", "TO_IN 239.1.1.1")
	})
	t.Run("the timeout follows what a query of version 3 said", func(t *testing.T) {
		h := newHostTest(t)
		h.ask(queryV3(10, "0.0.0.0", 3, 5))
		h.ask(v2())
		require.Equal(t, h.now.Add(3*5*time.Second+4*time.Second), h.v2Until)
	})
	t.Run("who hears another's report is silent, and does not say that it leaves", func(t *testing.T) {
		h := newHostTest(t)
		h.ask(v2())
		h.join(g, "*")
		h.pass(soon)
		h.heard(addr(g))
		h.heard(addr("239.9.9.9"))
		h.want([]string(nil)...)
		h.leave(g)
		h.want([]string(nil)...)
	})
	t.Run("a query of a group", func(t *testing.T) {
		h := newHostTest(t)
		h.ask(v2())
		h.join(g, "*")
		h.join("239.1.1.2", "*")
		h.pass(time.Minute)
		h.ask(old(TypeQuery, 10, g))
		e := h.want("v2 239.1.1.1")
		require.Less(t, e[0].after, time.Second)
		h.ask(queryV3(10, "239.1.1.2", 2, 125, "10.0.0.1"))
		h.want("v2 239.1.1.2")
	})
	t.Run("version 1", func(t *testing.T) {
		h := newHostTest(t)
		h.join(g, "*")
		h.pass(time.Minute)
		h.ask(old(TypeQuery, 0, "239.7.7.7"))
		require.Less(t, h.want("v1 239.1.1.1")[0].after, 10*time.Second)
		h.ask(v2())
		h.want("v1 239.1.1.1")
		h.ask(queryV3(1, "239.1.1.7", 2, 125))
		h.want("v1 239.1.1.1")
		h.leave(g)
		h.want([]string(nil)...)
	})
	t.Run("what waited to be said is void", func(t *testing.T) {
		h := newHostTest(t)
		h.join(g, "*")
		h.join("239.1.1.2", "*")
		h.pass(time.Minute)
		h.leave("239.1.1.2")
		h.ask(queryV3(0xff, "0.0.0.0", 2, 125))
		h.ask(old(TypeQuery, 1, "239.9.9.9"))
		h.want([]string(nil)...)
		require.Len(t, h.host.groups, 1)
	})
	t.Run("forced", func(t *testing.T) {
		h := newHostTest(t)
		h.v2 = true
		h.join(g, "*")
		h.want("v2 239.1.1.1", "v2 239.1.1.1")
		h.v1 = true
		h.ask(queryV3(100, "0.0.0.0", 2, 125))
		h.want("v1 239.1.1.1")
	})
}

func TestDown(t *testing.T) {
	h := newHostTest(t)
	h.join("239.1.1.1", "*")
	h.ask(old(TypeQuery, 100, "0.0.0.0"))
	h.down()
	h.want([]string(nil)...)
	h.join("239.1.1.2", "*")
	require.Equal(t, "v2 239.1.1.1", h.pass(time.Minute)[0].what, "the querier is remembered")
}

// Whatever happens, an idle host has told the truth: who has heard all reports
// knows what is wanted.
func TestReportsTellWhatIsWanted(t *testing.T) {
	for seed := range uint64(50) {
		h := newHostTest(t)
		h.rand = rand.New(rand.NewPCG(seed, 1))
		heard := make(map[netip.Addr]ipv4.SourceFilter)
		listen := func(d time.Duration) {
			from, end := h.now, h.now.Add(d)
			for next := h.next(); !next.IsZero() && !next.After(end); next = h.next() {
				h.now = next
				for _, m := range h.expire(h.now, &h.settings, h.rand) {
					for _, r := range m.records {
						apply(heard, r)
					}
				}
			}
			require.False(t, h.now.Before(from))
			h.now = end
		}
		filters := []string{"", "*", "+10.0.0.1", "+10.0.0.1,10.0.0.2", "-10.0.0.1", "-10.0.0.2,10.0.0.3"}
		for range 40 {
			h.join(fmt.Sprintf("239.1.1.%d", h.rand.IntN(3)), filters[h.rand.IntN(len(filters))])
			if h.rand.IntN(5) == 0 {
				h.ask(queryV3(10, "0.0.0.0", 2, 125))
			}
			listen(time.Duration(h.rand.IntN(1500)) * time.Millisecond)
		}
		listen(time.Minute)
		for g := range 3 {
			a := fmt.Sprintf("239.1.1.%d", g)
			want, ok := h.groups[a]
			if !ok {
				want = ipv4.SourceFilter{Only: true}
			}
			for _, s := range addrs("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4") {
				f, ok := heard[addr(a)]
				require.Equal(t, want.Allows(s), ok && f.Allows(s), "%v from %v", a, s)
			}
		}
	}
}

// apply is what a record makes of a router's idea of one host (RFC 3376, section
// 6.4, with one member).
func apply(heard map[netip.Addr]ipv4.SourceFilter, r Record) {
	f, ok := heard[r.Group]
	if !ok {
		f.Only = true
	}
	set := make(map[netip.Addr]bool)
	for _, s := range f.Sources {
		set[s] = true
	}
	switch r.Type {
	case ModeIsInclude, ChangeToInclude, ModeIsExclude, ChangeToExclude:
		heard[r.Group] = ipv4.SourceFilter{Only: r.Type == ModeIsInclude || r.Type == ChangeToInclude, Sources: r.Sources}
		return
	}
	for _, s := range r.Sources {
		if set[s] = f.Only == (r.Type == AllowNewSources); !set[s] {
			delete(set, s)
		}
	}
	f.Sources = nil
	for s := range set {
		f.Sources = append(f.Sources, s)
	}
	heard[r.Group] = f
}
