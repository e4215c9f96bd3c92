package neighbour

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/clock"
	"github.com/tapstack/tapstack/stack/random"
)

var (
	modelSteps = flag.Int("neighbour.steps", 20_000, "steps of the model test")
	modelSeed  = flag.Uint64("neighbour.seed", 1, "seed of the model test")
)

// rig is the real table beside the model, on virtual time.
type rig struct {
	*bed
	v *clock.Virtual
}

func (r *rig) dump() (rows []row, collectables int, lastFlush instant) {
	for e := range r.table.All() {
		rows = append(rows, row{e.IP, e.State, e.LLAddr, e.Flags, e.Used, e.Confirmed, e.Updated, e.Probes, e.Refs, e.QueueLen})
	}
	slices.SortFunc(rows, byIP)
	return rows, int(r.table.collector.count.Load()), instant(r.table.collector.lastFlush.Load())
}

// byHost brings lines that begin with an address into its order: what happens to
// different hosts at one instant is not ordered.
func byHost(lines []string) string {
	slices.SortStableFunc(lines, func(a, b string) int {
		return strings.Compare(a[:strings.Index(a, ":")], b[:strings.Index(b, ":")])
	})
	return strings.Join(lines, "\n")
}

// split separates what the table says from what it sends: the two are not
// ordered against each other.
func split(lines []string) (said, sent []string) {
	for _, l := range lines {
		if w := strings.Fields(l)[1]; w == "new" || w == "del" || w == "miss" {
			said = append(said, l)
		} else {
			sent = append(sent, l)
		}
	}
	return said, sent
}

func TestModel(t *testing.T) {
	const hosts = 9
	rnd := rand.New(rand.NewPCG(*modelSeed, 7))
	v := clock.NewVirtual(time.Unix(0, 0))
	limits := Limits{Thresh1: 4, Thresh2: 5, Thresh3: 7}
	p := Params{
		BaseReachableTime: 20*time.Second + 14, RetransTime: time.Second + 3, DelayFirstProbeTime: 3*time.Second + 11, IntervalProbeTime: 5*time.Second + 17,
		GCStaleTime: 30*time.Second + 29, LockTime: time.Second, UcastProbes: 2, McastProbes: 3, UnresQueueBytes: 3 * 832,
	}
	r := &rig{newBed(t, Config{Clock: clock.New(v), Params: &p, Limits: &limits, Rand: random.New(*modelSeed)}), v}
	r.table.config.Solicit = func(s Solicitation) {
		how := "broadcast"
		if s.Unicast {
			how = "unicast to " + last(s.LLAddr)
		}
		r.note("%v: ask %s", s.Target, how)
	}
	hostOf := func(p *link.Packet, off int) (host, n int) { return int(p.Bytes()[off+3]), int(p.Bytes()[off+7]) }
	r.table.config.Unreachable = func(p *link.Packet) {
		host, n := hostOf(p, 0)
		r.note("%v: unreachable %d", nth(host), n)
		p.Release()
	}
	r.iface.link = writerFunc(func(p *link.Packet) error {
		host, n := hostOf(p, 14)
		r.note("%v: frame %d to %s", nth(host), n, last(link.Addr(p.Bytes()[:6])))
		p.Release()
		return nil
	})
	r.table.blocks.lastDraw = never / 2 // the model does not draw
	m := &model{limits: limits, c: *r.iface.block.load(), period: p.BaseReachableTime / 2, manageDue: instant(p.IntervalProbeTime), gcDue: instant(r.table.blocks.defaults.load().reachable)}

	macs := []link.Addr{macA, macB}
	states := States()
	var history []string
	for step := range *modelSteps {
		host, mac := rnd.IntN(hosts), macs[rnd.IntN(2)]
		n := 1 + step%250
		var got, want error
		op := rnd.IntN(100)
		switch {
		case op < 25:
			confirm := rnd.IntN(3) == 0
			history = append(history, fmt.Sprint("send ", host, n, confirm))
			p := link.NewPacket(28)
			clear(p.Bytes())
			p.Bytes()[3], p.Bytes()[7], p.EtherType, p.Confirm = byte(host), byte(n), link.IPv4, confirm
			r.iface.Output(nth(host), p)
			m.send(host, n, confirm)
		case op < 45:
			u := news{lladdr: mac, hasLLAddr: true, state: []State{Reachable, Stale}[rnd.IntN(2)]}
			flags := []Flags{0, Override, OverrideUnlocked, OverrideUnlocked, WeakOverride}[rnd.IntN(5)]
			create := rnd.IntN(4) == 0
			history = append(history, fmt.Sprint("frame ", host, u, flags, create))
			full := flags
			if create {
				full |= Create
			}
			got = r.table.Update(1, nth(host), Update{LLAddr: mac, HasLLAddr: true, State: u.state, Flags: full, Cause: CauseFrame})
			u.flags = flags &^ OverrideUnlocked
			want = m.frame(host, u, flags == OverrideUnlocked, create)
		case op < 50:
			history = append(history, fmt.Sprint("confirm ", host))
			r.table.Confirm(1, nth(host))
			if e := m.find(host); e != nil {
				e.confirmed = m.now
			}
		case op < 62:
			req := Request{LLAddr: mac, HasLLAddr: rnd.IntN(3) > 0, State: states[rnd.IntN(9)], Create: rnd.IntN(2) > 0, Replace: rnd.IntN(2) > 0, Exclusive: rnd.IntN(5) == 0}
			if !req.HasLLAddr {
				req.LLAddr = link.Addr{}
			}
			if rnd.IntN(3) == 0 {
				req.Flags = Flags(rnd.Uint32()) & (ISRouter | Use | Managed | ExtLearned | ExtValidated)
			}
			history = append(history, fmt.Sprintf("set %d %+v", host, req))
			got, want = r.table.Set(1, nth(host), req), m.set(host, req)
		case op < 66:
			history = append(history, fmt.Sprint("delete ", host))
			got, want = r.table.Delete(1, nth(host)), m.delete(host)
		case op < 67:
			history = append(history, "own address, or down and up, or carrier")
			switch rnd.IntN(3) {
			case 0:
				r.table.SetLLAddr(1, macM)
				m.forget(func(*modelEntry) bool { return true })
			case 1:
				r.table.SetUp(1, false)
				r.table.SetUp(1, true)
				m.forget(func(*modelEntry) bool { return true })
			case 2:
				r.table.SetCarrier(1, false, true)
				m.forget(func(e *modelEntry) bool { return e.state != Permanent && e.flags&ExtValidated == 0 })
			}
		case op < 69:
			q := m.c.Params
			q.UcastProbes, q.McastProbes, q.AppProbes, q.McastReprobes = rnd.IntN(4), rnd.IntN(4), rnd.IntN(2), rnd.IntN(2)
			q.RetransTime = time.Duration(rnd.Int64N(int64(2 * time.Second)))
			q.DelayFirstProbeTime = time.Duration(rnd.Int64N(int64(8 * time.Second)))
			q.UnresQueueBytes = 832 * rnd.IntN(5)
			history = append(history, fmt.Sprintf("params %+v", q))
			require.NoError(t, r.table.SetParams(1, q))
			m.c.Params = q
		default:
			d := time.Duration(rnd.Int64N(int64([]time.Duration{time.Millisecond, time.Second, 4 * time.Second, 40 * time.Second}[rnd.IntN(4)])))
			if next, ok := v.Next(); ok && rnd.IntN(4) == 0 {
				d = next.Sub(v.Now()) - time.Duration(rnd.IntN(2)) // right at, or just before, what comes next
				d = max(d, 0)
			}
			history = append(history, fmt.Sprint("advance ", d))
			v.Advance(d)
			m.advance(d)
		}
		for _, ev := range r.events() {
			what, ok := map[Announcement]string{NewNeigh: "new", DelNeigh: "del", GetNeigh: "miss"}[ev.Announced]
			if !ok {
				continue
			}
			line := fmt.Sprintf("%v: %s %v", ev.Entry.IP, what, ev.Entry.State)
			if ev.Entry.HasLLAddr {
				line += " " + last(ev.Entry.LLAddr)
			}
			r.log = append(r.log, line)
		}
		context := func() string {
			return fmt.Sprintf("step %d: %s", step, strings.Join(history[max(0, len(history)-15):], "\n"))
		}
		if got != want {
			t.Fatalf("got error %v, want %v; %s", got, want, context())
		}
		said, sent := split(r.log)
		wantSaid, wantSent := split(m.log)
		rows, n, flushed := r.dump()
		wantRows, wantN, wantFlushed := m.dump()
		if byHost(said) != byHost(wantSaid) || byHost(sent) != byHost(wantSent) || !slices.Equal(rows, wantRows) || n != wantN || flushed != wantFlushed {
			require.Equal(t, fmt.Sprintf("%+v", wantRows), fmt.Sprintf("%+v", rows), context())
			require.Equal(t, []any{wantN, wantFlushed}, []any{n, flushed}, context())
			require.Equal(t, byHost(wantSaid), byHost(said), context())
			require.Equal(t, byHost(wantSent), byHost(sent), context())
		}
		r.log, m.log = nil, nil
		if step%1000 == 0 {
			history = history[max(0, len(history)-15):]
		}
	}
	st := r.table.Stats()
	require.Equal(t, []uint64{m.failures, m.discards, m.fulls, uint64(len(m.entries)), uint64(m.collectables())},
		[]uint64{st.ResFailed, st.UnresolvedDiscards, st.TableFulls, st.Entries, st.GCEntries})
	t.Logf("%d steps, %d failures, %d discards, %d refusals, %d forced runs", *modelSteps, st.ResFailed, st.UnresolvedDiscards, st.TableFulls, st.ForcedGCRuns)
	r.close()
}
