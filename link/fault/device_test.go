package fault

import (
	"errors"
	"fmt"
	"math/bits"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/stack/clock"
	"github.com/tapstack/tapstack/stack/random"
)

var _ link.Device = (*Device)(nil)

// wire is a device that records what is written, with the time, and from which
// tests feed what is read.
type wire struct {
	rx    *link.Ring
	start time.Time
	mu    sync.Mutex
	log   []string
	full  bool
}

func newWire() *wire { return &wire{rx: link.NewRing(10_000), start: time.Now()} }

func (w *wire) Write(p *link.Packet) error {
	defer p.Release()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.full {
		return link.ErrQueueFull
	}
	w.log = append(w.log, fmt.Sprintf("%s %v", p.Bytes(), time.Since(w.start)))
	return nil
}
func (w *wire) Read() (*link.Packet, error) { return w.rx.Read() }
func (w *wire) Addr() link.Addr             { return link.Addr{2, 0, 0, 0, 0, 1} }
func (w *wire) MTU() int                    { return 1400 }
func (w *wire) Close() error                { w.rx.Close(); return nil }

func (w *wire) seen() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	log := w.log
	w.log = nil
	return log
}

func text(s string) *link.Packet { return link.NewPacketFrom([]byte(s)) }

func write(t *testing.T, d *Device, texts ...string) {
	t.Helper()
	for _, s := range texts {
		require.NoError(t, d.Write(text(s)))
	}
}

// run runs f in a bubble with a fresh wrapped wire, and closes it.
func run(t *testing.T, c Config, f func(t *testing.T, w *wire, d *Device)) {
	linktest.WantNoPackets(t)
	synctest.Test(t, func(t *testing.T) {
		if c.Rand == nil {
			c.Rand = random.New(1)
		}
		w := newWire()
		d := New(w, c)
		defer d.Close()
		f(t, w, d)
	})
}

func TestZeroConfigIsTransparent(t *testing.T) {
	run(t, Config{}, func(t *testing.T, w *wire, d *Device) {
		write(t, d, "a", "b", "c")
		require.Equal(t, []string{"a 0s", "b 0s", "c 0s"}, w.seen(), "at once, in Write itself")
		require.NoError(t, w.rx.Write(text("in")))
		p, err := d.Read()
		require.NoError(t, err)
		require.Equal(t, "in", string(p.Bytes()))
		p.Release()
		require.Equal(t, w.Addr(), d.Addr())
		require.Equal(t, w.MTU(), d.MTU())
		require.Equal(t, Stats{Frames: 3}, d.Out())
		require.Equal(t, Stats{Frames: 1}, d.In())

		w.full = true
		require.ErrorIs(t, d.Write(text("x")), link.ErrQueueFull, "the device's own errors come through")
	})
}

func TestDelayKeepsOrder(t *testing.T) {
	run(t, Config{Out: Faults{Delay: 20 * time.Millisecond}}, func(t *testing.T, w *wire, d *Device) {
		write(t, d, "a", "b")
		time.Sleep(5 * time.Millisecond)
		write(t, d, "c")
		time.Sleep(15*time.Millisecond - 1)
		synctest.Wait()
		require.Empty(t, w.seen())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Equal(t, []string{"a 20ms", "b 20ms"}, w.seen())
		time.Sleep(time.Second)
		require.Equal(t, []string{"c 25ms"}, w.seen())
		require.Equal(t, Stats{Frames: 3, Delayed: 3}, d.Out())
	})
}

func TestJitterStaysInBoundsAndInOrder(t *testing.T) {
	run(t, Config{Out: Faults{Delay: 10 * time.Millisecond, Jitter: 10 * time.Millisecond}}, func(t *testing.T, w *wire, d *Device) {
		begin := time.Now()
		var sent []time.Duration
		for i := range 200 {
			sent = append(sent, time.Since(begin))
			write(t, d, fmt.Sprint(i))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		log := w.seen()
		require.Len(t, log, 200)
		spread := map[time.Duration]bool{}
		for i, line := range log {
			var n int
			var at string
			_, err := fmt.Sscan(line, &n, &at)
			require.NoError(t, err)
			require.Equal(t, i, n, "in order")
			when, err := time.ParseDuration(at)
			require.NoError(t, err)
			took := when - sent[n]
			require.LessOrEqual(t, took, 20*time.Millisecond)
			require.GreaterOrEqual(t, took, time.Duration(0))
			spread[took.Round(time.Millisecond)] = true
		}
		require.Greater(t, len(spread), 5, "delays vary")
	})
}

func TestReorder(t *testing.T) {
	run(t, Config{Out: Faults{Reorder: 1}}, func(t *testing.T, w *wire, d *Device) {
		write(t, d, "late")
		d.SetOut(Faults{})
		write(t, d, "a", "b")
		require.Equal(t, []string{"a 0s", "b 0s"}, w.seen(), "others overtake it")
		time.Sleep(time.Second)
		require.Equal(t, []string{"late 10ms"}, w.seen())
		require.EqualValues(t, 1, d.Out().Reordered)

		d.SetOut(Faults{Reorder: 1, ReorderDelay: time.Second, Delay: time.Second})
		write(t, d, "x")
		time.Sleep(time.Minute)
		require.Equal(t, []string{"x 3s"}, w.seen(), "held back on top of the delay")
	})
}

func TestRatesChangeWithoutOvertaking(t *testing.T) {
	run(t, Config{Out: Faults{Delay: 50 * time.Millisecond}}, func(t *testing.T, w *wire, d *Device) {
		write(t, d, "slow")
		d.SetOut(Faults{})
		write(t, d, "fast")
		require.Empty(t, w.seen())
		time.Sleep(time.Second)
		require.Equal(t, []string{"slow 50ms", "fast 50ms"}, w.seen(), "a shorter delay does not change the order")
		write(t, d, "now")
		require.Equal(t, []string{"now 1s"}, w.seen())
	})
}

func TestLossRate(t *testing.T) {
	run(t, Config{Out: Faults{Loss: 0.1}}, func(t *testing.T, w *wire, d *Device) {
		const n = 10_000
		for range n {
			write(t, d, "x")
		}
		lost := int(d.Out().Lost)
		require.InDelta(t, n/10, lost, 150)
		require.Len(t, w.seen(), n-lost)
	})
}

func TestDuplicate(t *testing.T) {
	run(t, Config{Out: Faults{Duplicate: 1}}, func(t *testing.T, w *wire, d *Device) {
		write(t, d, "a", "b")
		require.Equal(t, []string{"a 0s", "a 0s", "b 0s", "b 0s"}, w.seen())
		d.SetOut(Faults{Duplicate: 1, Delay: time.Millisecond})
		write(t, d, "c")
		time.Sleep(time.Second)
		require.Equal(t, []string{"c 1ms", "c 1ms"}, w.seen())
	})
}

func TestCorruptInvertsOneBit(t *testing.T) {
	run(t, Config{In: Faults{Corrupt: 1}}, func(t *testing.T, w *wire, d *Device) {
		positions := map[int]bool{}
		for range 200 {
			require.NoError(t, w.rx.Write(link.NewPacketFrom(make([]byte, 4))))
			p, err := d.Read()
			require.NoError(t, err)
			ones := 0
			for i, b := range p.Bytes() {
				ones += bits.OnesCount8(b)
				if b != 0 {
					positions[8*i+bits.TrailingZeros8(b)] = true
				}
			}
			require.Equal(t, 1, ones)
			p.Release()
		}
		require.Len(t, positions, 32, "any bit may be hit")
		require.NoError(t, w.rx.Write(link.NewPacket(0)))
		p, err := d.Read()
		require.NoError(t, err, "a frame without bits")
		p.Release()
	})
}

func TestDirectionsAreIndependent(t *testing.T) {
	run(t, Config{In: Faults{Loss: 1}}, func(t *testing.T, w *wire, d *Device) {
		write(t, d, "out")
		require.Len(t, w.seen(), 1)
		require.NoError(t, w.rx.Write(text("gone")))
		synctest.Wait()
		d.SetIn(Faults{Delay: time.Second})
		require.NoError(t, w.rx.Write(text("in")))
		begin := time.Now()
		p, err := d.Read()
		require.NoError(t, err)
		require.Equal(t, "in", string(p.Bytes()))
		require.Equal(t, time.Second, time.Since(begin))
		p.Release()
		require.Equal(t, Stats{Frames: 2, Lost: 1, Delayed: 1}, d.In())
	})
}

func TestMatch(t *testing.T) {
	long := func(b []byte) bool { return len(b) > 1 }
	run(t, Config{Out: Faults{Loss: 1, Match: long}}, func(t *testing.T, w *wire, d *Device) {
		write(t, d, "a", "bb", "c")
		require.Equal(t, []string{"a 0s", "c 0s"}, w.seen())
		d.SetOut(Faults{Delay: time.Second, Match: long})
		write(t, d, "dd", "e")
		require.Equal(t, []string{"e 0s"}, w.seen(), "others are not even kept in order")
	})
}

func TestSameSeedSameFaults(t *testing.T) {
	c := Config{Out: Faults{Loss: 0.2, Duplicate: 0.2, Reorder: 0.2, Corrupt: 0.2, Delay: time.Millisecond, Jitter: time.Millisecond}}
	var runs [2][]string
	for i := range runs {
		c.Rand = random.New(42)
		run(t, c, func(t *testing.T, w *wire, d *Device) {
			for n := range 500 {
				write(t, d, fmt.Sprint(n))
			}
			time.Sleep(time.Second)
			runs[i] = w.seen()
		})
	}
	require.Equal(t, runs[0], runs[1])
	require.NotEmpty(t, runs[0])
}

func TestLimit(t *testing.T) {
	run(t, Config{Limit: 2, Out: Faults{Delay: time.Second}}, func(t *testing.T, w *wire, d *Device) {
		write(t, d, "a", "b", "c")
		time.Sleep(time.Minute)
		require.Equal(t, []string{"a 1s", "b 1s"}, w.seen())
		require.Equal(t, Stats{Frames: 3, Delayed: 2, Overflow: 1}, d.Out())

		w.full = true
		write(t, d, "d")
		time.Sleep(time.Minute)
		require.EqualValues(t, 2, d.Out().Overflow, "the device was full when the frame's time came")

		for range 5 {
			require.NoError(t, w.rx.Write(text("in")))
		}
		synctest.Wait()
		require.EqualValues(t, 3, d.In().Overflow, "nobody reads")
	})
}

func TestCloseDropsWhatIsHeld(t *testing.T) {
	run(t, Config{In: Faults{Delay: time.Hour}, Out: Faults{Delay: time.Hour}}, func(t *testing.T, w *wire, d *Device) {
		write(t, d, "a", "b")
		require.NoError(t, w.rx.Write(text("in")))
		synctest.Wait()
		read := make(chan error)
		go func() {
			_, err := d.Read()
			read <- err
		}()
		synctest.Wait()
		require.NoError(t, d.Close())
		require.ErrorIs(t, <-read, net.ErrClosed)
		require.ErrorIs(t, d.Write(text("x")), net.ErrClosed)
		require.NoError(t, d.Close(), "twice is once")
		time.Sleep(2 * time.Hour)
		require.Empty(t, w.seen())
	})
}

// broken is a device whose Read fails.
type broken struct{ *wire }

var errBroken = errors.New("broken")

func (broken) Read() (*link.Packet, error) { return nil, errBroken }

func TestReadErrorComesThrough(t *testing.T) {
	d := New(broken{newWire()}, Config{})
	defer d.Close()
	_, err := d.Read()
	require.ErrorIs(t, err, errBroken)
}

func TestVirtualClock(t *testing.T) {
	linktest.WantNoPackets(t)
	v := clock.NewVirtual(time.Unix(0, 0))
	w := newWire()
	d := New(w, Config{Clock: clock.New(v), Out: Faults{Delay: time.Hour}})
	defer d.Close()
	write(t, d, "a")
	v.Advance(time.Hour - 1)
	require.Empty(t, w.seen())
	v.Advance(1)
	require.Len(t, w.seen(), 1)
}

func TestConcurrentUse(t *testing.T) {
	linktest.WantNoPackets(t)
	w := newWire()
	d := New(w, Config{Out: Faults{Loss: 0.1, Duplicate: 0.1, Reorder: 0.1, Delay: time.Microsecond, Jitter: time.Microsecond, ReorderDelay: time.Microsecond}})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 200 {
				_ = d.Write(text("x"))
				if i%50 == 0 {
					d.SetOut(Faults{Delay: time.Duration(i), Duplicate: 0.5})
					d.Out()
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, d.Close())
}
