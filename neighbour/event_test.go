package neighbour

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// short is an event in a line.
func short(ev Event) string {
	return fmt.Sprintf("%d %v %v %v>%v %d %v", ev.Seq, ev.Kind, ev.Cause, ev.From, ev.To, ev.Count, ev.Announced)
}

func TestEventStream(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // NTF-1, NTF-2, NTF-3
		start := time.Now()
		b.send(1, 2)
		b.pass(2 * time.Second)
		require.NoError(t, b.table.Update(1, peerIP, Update{LLAddr: macA, HasLLAddr: true, State: Stale, Cause: CauseFrame, Detail: "request"}))
		require.NoError(t, b.table.Delete(1, peerIP))
		evs := b.events()
		var lines []string
		for _, ev := range evs {
			lines = append(lines, short(ev))
			require.Equal(t, peerIP, ev.Entry.IP)
			require.Equal(t, "t0", ev.Entry.InterfaceName)
			require.Equal(t, ev.To, ev.Entry.State)
			require.Equal(t, ev.To.Valid(), ev.Entry.HasLLAddr)
		}
		require.Equal(t, []string{
			"1 created packet NONE>NONE 0 ",
			"2 changed packet NONE>INCOMPLETE 0 ",
			"3 queued packet INCOMPLETE>INCOMPLETE 1 ",
			"4 solicited packet INCOMPLETE>INCOMPLETE 4 ",
			"5 queued packet INCOMPLETE>INCOMPLETE 2 ",
			"6 solicited timer INCOMPLETE>INCOMPLETE 5 ",
			"7 changed frame INCOMPLETE>STALE 0 ",
			"8 changed packet STALE>DELAY 0 RTM_NEWNEIGH",
			"9 flushed frame DELAY>DELAY 2 ",
			"10 changed command DELAY>FAILED 0 RTM_NEWNEIGH",
			"11 removed command FAILED>FAILED 0 RTM_DELNEIGH",
		}, lines)
		require.Equal(t, "request", evs[6].Detail)
		require.Equal(t, 2*time.Second, evs[6].Time.Sub(start))
		require.Equal(t, 1, evs[1].Entry.Refs, "the timer's")
	})
}

func TestFailureEvents(t *testing.T) {
	p := testParams()
	p.McastProbes, p.UnresQueueBytes = 1, 832
	inBubble(t, Config{Params: p}, func(b *bed) {
		b.send(1, 2)
		b.pass(2 * time.Second)
		var lines []string
		for _, ev := range b.events()[4:] {
			lines = append(lines, short(ev))
		}
		require.Equal(t, []string{
			"5 discarded packet INCOMPLETE>INCOMPLETE 1 ",
			"6 queued packet INCOMPLETE>INCOMPLETE 1 ",
			"7 changed timer INCOMPLETE>FAILED 0 RTM_NEWNEIGH",
			"8 unreached timer FAILED>FAILED 1 ",
		}, lines)
	})
}

func TestSlowSubscriber(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // NTF-5
		slow := b.table.Subscribe(2)
		for n := range 5 {
			require.NoError(t, b.table.Set(1, nth(n), Request{State: Failed, Create: true}))
		}
		all := b.events() // created and changed, five times
		require.Len(t, all, 10)
		require.EqualValues(t, 8, slow.Missed())
		first, second := <-slow.C, <-slow.C
		require.EqualValues(t, []uint64{1, 2}, []uint64{first.Seq, second.Seq})
		require.NoError(t, b.table.Delete(1, nth(0)))
		next := <-slow.C
		require.EqualValues(t, []uint64{11, 8}, []uint64{next.Seq, next.Missed})
		slow.Close()
		slow.Close()
		_, open := <-slow.C
		require.False(t, open)
		require.EqualValues(t, 1, b.table.events.readers.Load())
	})
}

func TestSubscriptionEndsWithTable(t *testing.T) {
	table := New(Config{})
	sub := table.Subscribe(1)
	table.Close()
	_, open := <-sub.C
	require.False(t, open)
	sub.Close()
	_, open = <-table.Subscribe(1).C
	require.False(t, open)
}

func TestEventWords(t *testing.T) {
	require.Equal(t, "overflow unknown", Overflow.String()+" "+EventKind(99).String())
	require.Equal(t, "managed unknown", CauseManaged.String()+" "+Cause(99).String())
	require.Equal(t, "RTM_GETNEIGH", GetNeigh.String())
	for row := range Transitions() {
		require.NotContains(t, fmt.Sprint(row.On, row.Guard, row.To, row.Arm, row.Do, row.From), "%!", row.Name)
	}
	require.Equal(t, "any", anyState.String())
	require.Equal(t, "NONE, INCOMPLETE, FAILED", invalid.String())
}

// TestNoEventCost: without a subscriber the slow path does not allocate for
// events either.
func TestNoEventCost(t *testing.T) {
	table, i := benchTable(t, Config{}, sink{})
	defer table.Close()
	fill(t, table, i, 1)
	f := func() {
		table.Update(1, nth(0), Update{LLAddr: macA, HasLLAddr: true, State: Stale, Flags: Override | Admin})
		table.Update(1, nth(0), Update{LLAddr: macA, HasLLAddr: true, State: Reachable, Flags: Override})
	}
	require.Zero(t, testing.AllocsPerRun(100, f))
	sub := table.Subscribe(1)
	require.Zero(t, testing.AllocsPerRun(100, f), "nor with one")
	sub.Close()
}
