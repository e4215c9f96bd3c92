package dhcp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	epoch  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	server = netip.MustParseAddr("10.0.0.1")
	other  = netip.MustParseAddr("10.0.0.254")
	given  = netip.MustParsePrefix("10.0.0.50/24")
)

// bench is a machine on a table: its time passes when the test says so.
type bench struct {
	t   *testing.T
	m   machine
	now time.Time
}

func newBench(t *testing.T) *bench {
	return &bench{t: t, m: machine{rand: rand.New(rand.NewPCG(1, 2))}, now: epoch}
}

// line is what the machine did, in words.
func (b *bench) line(a action) string {
	s := ""
	if a.Withdraw {
		s += "withdraw "
	}
	if q := a.Send; q != nil {
		s += q.Type.String() + " to " + q.To.String()
		if q.Client.IsValid() {
			s += " ciaddr " + q.Client.String()
		}
		if q.Requested.IsValid() {
			s += " requested " + q.Requested.String()
		}
		if q.Server.IsValid() {
			s += " server " + q.Server.String()
		}
		if q.Broadcast {
			s += " broadcast"
		}
		s += " "
	}
	if a.Configure != nil {
		s += "configure " + a.Configure.Addr.String() + " "
	}
	return s + b.m.state.String()
}

// timer lets time pass up to the machine's deadline, and says how long it was.
func (b *bench) timer() (time.Duration, string) {
	b.t.Helper()
	require.False(b.t, b.m.next.IsZero(), "a deadline in %s", b.m.state)
	d := max(b.m.next.Sub(b.now), 0)
	b.now = b.now.Add(d)
	return d, b.line(b.m.timer(b.now))
}

func (b *bench) receive(t messageType, from netip.Addr, l Lease) string {
	l.Server = from
	return b.line(b.m.received(b.now, answer{Type: t, XID: b.m.xid, Server: from, Lease: l}))
}

func lease(d time.Duration) Lease {
	return Lease{Addr: given, Server: server, Duration: d, T1: d / 2, T2: d * 7 / 8}
}

// bound returns a machine with a lease of d that began at epoch.
func bound(t *testing.T, d time.Duration) *bench {
	b := newBench(t)
	b.m.start(b.now)
	b.receive(offer, server, lease(d))
	b.receive(ack, server, lease(d))
	require.Equal(t, "BOUND", b.line(b.m.usable(b.now)))
	return b
}

func within(t *testing.T, want, got, jitter time.Duration, what string) {
	t.Helper()
	require.InDelta(t, want.Seconds(), got.Seconds(), jitter.Seconds(), what)
}

// RFC 2131, figure 5, the way through the middle.
func TestMachineGetsAnAddress(t *testing.T) {
	b := newBench(t)
	require.Equal(t, "DISCOVER to 255.255.255.255 broadcast SELECTING", b.line(b.m.start(b.now)))
	require.Equal(t, "REQUEST to 255.255.255.255 requested 10.0.0.50 server 10.0.0.1 broadcast REQUESTING", b.receive(offer, server, lease(time.Hour)))
	require.Equal(t, "REQUESTING", b.receive(offer, other, lease(time.Hour)), "another offer comes too late")
	require.Equal(t, "REQUESTING", b.receive(ack, other, lease(time.Hour)), "it is not that server's to give")
	asked := b.now
	b.now = b.now.Add(2 * time.Second)
	require.Equal(t, "configure 10.0.0.50/24 CHECKING", b.receive(ack, server, lease(time.Hour)))
	require.Equal(t, asked.Add(time.Hour), b.m.lease.End(), "from when it was asked for (section 4.4.1)")
	require.Equal(t, "BOUND", b.line(b.m.usable(b.now.Add(6*time.Second))))
	require.Equal(t, asked.Add(30*time.Minute), b.m.next)
}

func TestMachineIgnores(t *testing.T) {
	b := newBench(t)
	b.m.start(b.now)
	require.Equal(t, "SELECTING", b.line(b.m.received(b.now, answer{Type: offer, XID: b.m.xid + 1, Server: server, Lease: lease(time.Hour)})), "another transaction")
	require.Equal(t, "SELECTING", b.receive(ack, server, lease(time.Hour)))
	require.Equal(t, "SELECTING", b.receive(nak, server, Lease{}))
	b = bound(t, time.Hour)
	for _, m := range []messageType{offer, ack, nak} {
		require.Equal(t, "BOUND", b.receive(m, server, lease(time.Hour)), m)
	}
	require.Equal(t, "BOUND", b.line(b.m.timer(b.now)), "a timer too early")
}

// RFC 2131, section 4.1: 4, 8, 16, 32, 64 s, plus or minus one.
func TestMachineRetransmits(t *testing.T) {
	b := newBench(t)
	b.m.start(b.now)
	xid := b.m.xid
	for n, want := range []int{4, 8, 16, 32, 64, 64, 64} {
		d, line := b.timer()
		within(t, time.Duration(want)*time.Second, d, time.Second, fmt.Sprint("retry ", n))
		require.Equal(t, "DISCOVER to 255.255.255.255 broadcast SELECTING", line)
		require.Equal(t, xid, b.m.xid, "one transaction")
	}
	require.Equal(t, uint16(b.now.Sub(epoch)/time.Second), b.m.ask(b.now).Send.Secs)

	b = newBench(t)
	b.m.start(b.now)
	b.receive(offer, server, lease(time.Hour))
	for n, want := range []int{4, 8, 16, 32} {
		d, line := b.timer()
		within(t, time.Duration(want)*time.Second, d, time.Second, fmt.Sprint("retry ", n))
		require.Equal(t, "REQUEST to 255.255.255.255 requested 10.0.0.50 server 10.0.0.1 broadcast REQUESTING", line)
	}
	_, line := b.timer()
	require.Equal(t, "DISCOVER to 255.255.255.255 broadcast SELECTING", line, "that server has gone (section 3.1, point 5)")
}

// RFC 2131, section 4.4.5.
func TestMachineRenews(t *testing.T) {
	b := bound(t, time.Hour)
	d, line := b.timer()
	require.Equal(t, 30*time.Minute, d, "T1")
	require.Equal(t, "REQUEST to 10.0.0.1 ciaddr 10.0.0.50 RENEWING", line)
	b.now = b.now.Add(time.Second)
	require.Equal(t, "configure 10.0.0.50/24 BOUND", b.receive(ack, server, lease(time.Hour)))
	require.Equal(t, epoch.Add(30*time.Minute+time.Hour), b.m.lease.End())
	require.Equal(t, epoch.Add(60*time.Minute), b.m.next)
}

func TestMachineRebindsAndExpires(t *testing.T) {
	b := bound(t, time.Hour)
	b.timer()
	var waits []time.Duration
	for b.m.state == Renewing {
		d, _ := b.timer()
		waits = append(waits, d)
	}
	require.Equal(t, epoch.Add(52*time.Minute+30*time.Second), b.now, "T2")
	require.Equal(t, 11*time.Minute+15*time.Second, waits[0], "half of what is left until T2")
	require.GreaterOrEqual(t, waits[len(waits)-2], time.Minute, "but a minute at least")
	require.Equal(t, "REQUEST to 255.255.255.255 ciaddr 10.0.0.50 REBINDING", b.line(b.m.ask(b.now)))
	line := ""
	for b.m.state == Rebinding {
		_, line = b.timer()
	}
	require.Equal(t, epoch.Add(time.Hour), b.now)
	require.Equal(t, "withdraw DISCOVER to 255.255.255.255 requested 10.0.0.50 broadcast SELECTING", line, "the address is not ours any more")

	b = bound(t, time.Hour)
	for b.m.state != Rebinding {
		b.timer()
	}
	require.Equal(t, "configure 10.0.0.50/24 BOUND", b.receive(ack, other, lease(time.Hour)), "any server may")
	require.Equal(t, other, b.m.lease.Server)
}

func TestMachineMoves(t *testing.T) {
	b := bound(t, time.Hour)
	b.timer()
	moved := lease(time.Hour)
	moved.Addr = netip.MustParsePrefix("10.0.0.51/24")
	require.Equal(t, "withdraw configure 10.0.0.51/24 CHECKING", b.receive(ack, server, moved))
}

func TestMachineNAK(t *testing.T) {
	for _, state := range []State{Renewing, Rebinding} {
		b := bound(t, time.Hour)
		for b.m.state != state {
			b.timer()
		}
		require.Equal(t, "withdraw DISCOVER to 255.255.255.255 broadcast SELECTING", b.receive(nak, server, Lease{}), state)
	}
	b := newBench(t)
	b.m.start(b.now)
	var pauses []time.Duration
	for range 9 {
		b.receive(offer, server, lease(time.Hour))
		require.NotContains(t, b.receive(nak, server, Lease{}), "withdraw")
		if b.m.state == Waiting {
			d, line := b.timer()
			require.Equal(t, "DISCOVER to 255.255.255.255 broadcast SELECTING", line)
			pauses = append(pauses, d/time.Second)
		}
	}
	require.Equal(t, []time.Duration{1, 2, 4, 8, 16, 32, 64, 64}, pauses, "a server that offers what it then refuses is not flooded")
}

// RFC 2131, section 3.1, point 5: decline, and wait ten seconds.
func TestMachineDeclines(t *testing.T) {
	b := newBench(t)
	b.m.start(b.now)
	b.receive(offer, server, lease(time.Hour))
	b.receive(ack, server, lease(time.Hour))
	require.Equal(t, "withdraw DECLINE to 255.255.255.255 requested 10.0.0.50 server 10.0.0.1 WAITING", b.line(b.m.conflict(b.now)))
	d, line := b.timer()
	require.Equal(t, 10*time.Second, d)
	require.Equal(t, "DISCOVER to 255.255.255.255 broadcast SELECTING", line, "without asking for it again")

	b = bound(t, time.Hour)
	require.Equal(t, "withdraw DECLINE to 255.255.255.255 requested 10.0.0.50 server 10.0.0.1 WAITING", b.line(b.m.conflict(b.now)), "RFC 5227, section 2.4")
	require.Equal(t, "WAITING", b.line(b.m.conflict(b.now)), "once")
}

// RFC 2131, section 3.2.
func TestMachineReboots(t *testing.T) {
	b := bound(t, time.Hour)
	b.now = b.now.Add(time.Minute)
	const ask = "REQUEST to 255.255.255.255 requested 10.0.0.50 broadcast REBOOTING"
	require.Equal(t, ask, b.line(b.m.linkBack(b.now)))
	require.Equal(t, "configure 10.0.0.50/24 CHECKING", b.receive(ack, server, lease(time.Hour)))

	b = bound(t, time.Hour)
	require.Equal(t, ask, b.line(b.m.linkBack(b.now)))
	require.Equal(t, "withdraw DISCOVER to 255.255.255.255 broadcast SELECTING", b.receive(nak, other, Lease{}), "another network")

	b = bound(t, time.Hour)
	b.m.linkBack(b.now)
	for b.m.state == Rebooting {
		b.timer()
	}
	require.Equal(t, Bound, b.m.state, "nobody answers: what is left of the lease may be used")
	require.Equal(t, epoch.Add(30*time.Minute), b.m.next)
}

func TestMachineStops(t *testing.T) {
	b := bound(t, time.Hour)
	require.Equal(t, "withdraw RELEASE to 10.0.0.1 ciaddr 10.0.0.50 server 10.0.0.1 STOPPED", b.line(b.m.stop(b.now)))
	require.True(t, b.m.next.IsZero())
	b = newBench(t)
	b.m.start(b.now)
	require.Equal(t, "STOPPED", b.line(b.m.stop(b.now)), "nothing to give back")
}

func TestMachineForever(t *testing.T) {
	b := newBench(t)
	b.m.start(b.now)
	l := Lease{Addr: given, Duration: Forever, T1: Forever, T2: Forever}
	b.receive(offer, server, l)
	b.receive(ack, server, l)
	require.Equal(t, "BOUND", b.line(b.m.usable(b.now)))
	require.True(t, b.m.next.IsZero(), "no timers")
	require.True(t, b.m.lease.End().IsZero())
}

// Whatever happens, in any order, there is a deadline in each state that waits
// for something, and no time before now.
func TestMachineNeverStuck(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	b := newBench(t)
	b.m.start(b.now)
	for range 20_000 {
		b.now = b.now.Add(time.Duration(r.Int64N(int64(10 * time.Minute))))
		l := lease(time.Duration(1+r.IntN(7200)) * time.Second)
		switch r.IntN(8) {
		case 0:
			b.receive(offer, server, l)
		case 1:
			b.receive(ack, server, l)
		case 2:
			b.receive(nak, server, Lease{})
		case 3:
			b.m.usable(b.now)
		case 4:
			b.m.conflict(b.now)
		case 5:
			b.m.linkBack(b.now)
		default:
			b.m.timer(b.now)
		}
		require.False(t, b.m.next.IsZero(), b.m.state)
	}
}
