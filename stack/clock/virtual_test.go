package clock

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)

func TestVirtualStandsStill(t *testing.T) {
	v := NewVirtual(start)
	c := New(v)
	require.Equal(t, start, c.Now())
	v.Advance(90 * time.Second)
	require.Equal(t, start.Add(90*time.Second), c.Now())
	require.Equal(t, 90*time.Second, c.Since(start))
	v.Advance(-time.Hour)
	require.Equal(t, start.Add(90*time.Second), c.Now(), "time never goes backwards")
}

// trace collects which functions ran, and when.
type trace struct {
	v   *Virtual
	log []string
}

func (tr *trace) add(name string) func() {
	return func() { tr.log = append(tr.log, name+" "+tr.v.Now().Sub(start).String()) }
}

func TestVirtualOrder(t *testing.T) {
	v := NewVirtual(start)
	tr := &trace{v: v}
	v.AfterFunc(3*time.Second, tr.add("c"))
	v.AfterFunc(1*time.Second, tr.add("a"))
	v.AfterFunc(3*time.Second, tr.add("d"))
	v.AfterFunc(2*time.Second, tr.add("b"))
	v.AfterFunc(-time.Second, tr.add("now"))
	require.Empty(t, tr.log, "nothing runs before Advance, not even what is due")

	v.Advance(3*time.Second - 1)
	require.Equal(t, []string{"now 0s", "a 1s", "b 2s"}, tr.log)
	v.Advance(1)
	require.Equal(t, []string{"now 0s", "a 1s", "b 2s", "c 3s", "d 3s"}, tr.log,
		"equal times run in the order of arming")
}

func TestVirtualChain(t *testing.T) {
	v := NewVirtual(start)
	tr := &trace{v: v}
	n := 0
	var tick func()
	tick = func() {
		tr.add("tick")()
		if n++; n < 3 {
			v.AfterFunc(time.Second, tick)
		}
	}
	v.AfterFunc(time.Second, tick)
	v.Advance(10 * time.Second)
	require.Equal(t, []string{"tick 1s", "tick 2s", "tick 3s"}, tr.log,
		"what a function arms runs in the same Advance, at its own time")
	require.Equal(t, start.Add(10*time.Second), v.Now())
}

func TestVirtualNestedAdvance(t *testing.T) {
	v := NewVirtual(start)
	tr := &trace{v: v}
	v.AfterFunc(time.Second, func() { v.Advance(5 * time.Second) })
	v.AfterFunc(4*time.Second, tr.add("inner"))
	v.Advance(2 * time.Second)
	require.Equal(t, []string{"inner 4s"}, tr.log)
	require.Equal(t, start.Add(6*time.Second), v.Now(), "the outer Advance does not turn time back")
}

func TestVirtualTimer(t *testing.T) {
	v := NewVirtual(start)
	tr := &trace{v: v}
	timer := v.AfterFunc(time.Second, tr.add("t"))
	require.True(t, timer.Stop())
	require.False(t, timer.Stop())
	v.Advance(time.Minute)
	require.Empty(t, tr.log)

	require.False(t, timer.Reset(time.Second), "was not armed")
	require.True(t, timer.Reset(3*time.Second), "was armed")
	v.Advance(2 * time.Second)
	require.Empty(t, tr.log, "the earlier time no longer counts")
	v.Advance(time.Second)
	require.Equal(t, []string{"t 1m3s"}, tr.log)
	require.False(t, timer.Stop(), "it has run")
	require.False(t, timer.Reset(time.Second), "and can be armed again")
	v.Advance(time.Second)
	require.Len(t, tr.log, 2)
}

func TestVirtualNext(t *testing.T) {
	v := NewVirtual(start)
	_, ok := v.Next()
	require.False(t, ok)
	late := v.AfterFunc(time.Hour, func() {})
	v.AfterFunc(time.Minute, func() {})
	when, ok := v.Next()
	require.True(t, ok)
	require.Equal(t, start.Add(time.Minute), when)
	v.Advance(time.Minute)
	when, _ = v.Next()
	require.Equal(t, start.Add(time.Hour), when)
	late.Stop()
	_, ok = v.Next()
	require.False(t, ok)
}

func TestVirtualConcurrent(t *testing.T) {
	v := NewVirtual(start)
	var (
		wg sync.WaitGroup
		mu sync.Mutex
		n  int
	)
	for range 4 {
		wg.Go(func() {
			for range 100 {
				timer := v.AfterFunc(time.Millisecond, func() { mu.Lock(); n++; mu.Unlock() })
				timer.Reset(2 * time.Millisecond)
				v.Now()
				v.Advance(time.Microsecond)
			}
		})
	}
	wg.Wait()
	v.Advance(time.Second)
	require.Equal(t, 400, n)
}
