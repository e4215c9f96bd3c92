package neighbour

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/random"
)

var (
	peerIP = netip.MustParseAddr("192.0.2.9")
	macM   = link.Addr{2, 0, 0, 0, 0, 1} // ours
	macA   = link.Addr{2, 0, 0, 0, 0, 0xa}
	macB   = link.Addr{2, 0, 0, 0, 0, 0xb}
)

// bed is a table on which a test acts, and all that comes out of it: frames,
// requests and failures, as lines, in order.
type bed struct {
	t     *testing.T
	table *Table
	iface *Interface
	sub   *Subscription
	drops link.Drops

	mu  sync.Mutex
	log []string
}

// testParams differ from the defaults on purpose.
func testParams() *Params {
	p := DefaultParams()
	p.BaseReachableTime = 20 * time.Second
	p.RetransTime = 2 * time.Second
	p.DelayFirstProbeTime = 3 * time.Second
	return &p
}

// inBubble runs f with a bed, on fake time, and checks that nothing is left.
func inBubble(t *testing.T, c Config, f func(b *bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, c)
		f(b)
		b.close()
	})
}

func newBed(t *testing.T, c Config) *bed {
	b := &bed{t: t}
	if c.Params == nil {
		c.Params = testParams()
	}
	if c.Rand == nil {
		c.Rand = random.New(1)
	}
	c.Drops = &b.drops
	c.Solicit = func(s Solicitation) {
		how := "broadcast"
		if s.Unicast {
			how = "unicast to " + last(s.LLAddr)
		}
		head := ""
		if s.HasHead {
			head = fmt.Sprintf(" head %d", binary.BigEndian.Uint32(s.Head[:]))
		}
		b.note("ask %s %s%s", s.Target, how, head)
	}
	c.Unreachable = func(p *link.Packet) {
		b.note("unreachable %d", binary.BigEndian.Uint32(p.Bytes()))
		p.Release()
	}
	b.table = New(c)
	b.sub = b.table.Subscribe(1 << 12)
	i, err := b.table.AddInterface(InterfaceConfig{Index: 1, Name: "t0", Addr: macM, Link: b})
	require.NoError(t, err)
	b.iface = i
	return b
}

func (b *bed) close() {
	b.t.Helper()
	b.table.Close()
	require.Zero(b.t, link.LivePackets(), "packets left")
}

// last is how tests write an address: its last byte in hexadecimal.
func last(a link.Addr) string { return fmt.Sprintf("%x", a[5]) }

// Write is the bed's link.
func (b *bed) Write(p *link.Packet) error {
	h, n, err := link.ParseEthernet(p.Bytes())
	require.NoError(b.t, err)
	require.Equal(b.t, link.IPv4, h.Type)
	b.note("frame %d to %s", binary.BigEndian.Uint32(p.Bytes()[n:]), last(h.Dst))
	p.Release()
	return nil
}

func (b *bed) note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log = append(b.log, fmt.Sprintf(format, args...))
}

// want checks what came out since the last want, lines joined by "; ".
func (b *bed) want(lines string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Equal(b.t, lines, strings.Join(b.log, "; "))
	b.log = nil
}

// packet returns a packet of 28 bytes that begins with n.
func packet(n int) *link.Packet { return sizedPacket(n, 28) }

func sizedPacket(n, size int) *link.Packet {
	p := link.NewPacket(size)
	clear(p.Bytes())
	binary.BigEndian.PutUint32(p.Bytes(), uint32(n))
	p.EtherType = link.IPv4
	return p
}

// send hands packets numbered from first to last to the interface.
func (b *bed) send(first, last int) {
	b.t.Helper()
	for n := first; n <= last; n++ {
		require.NoError(b.t, b.iface.Output(peerIP, packet(n)))
	}
}

func (b *bed) sendConfirmed(n int) {
	b.t.Helper()
	p := packet(n)
	p.Confirm = true
	require.NoError(b.t, b.iface.Output(peerIP, p))
}

// reply is a unicast ARP reply, hint any other ARP packet.
func (b *bed) reply(a link.Addr, f Flags) error {
	return b.table.Update(1, peerIP, Update{LLAddr: a, HasLLAddr: true, State: Reachable, Flags: f, Cause: CauseFrame})
}

func (b *bed) hint(a link.Addr, f Flags) error {
	return b.table.Update(1, peerIP, Update{LLAddr: a, HasLLAddr: true, State: Stale, Flags: f, Cause: CauseFrame})
}

// set is `ip neigh replace`.
func (b *bed) set(s State, f Flags) error {
	return b.table.Set(1, peerIP, Request{State: s, Flags: f, Create: true, Replace: true})
}

func (b *bed) setAddr(s State, a link.Addr, f Flags) error {
	return b.table.Set(1, peerIP, Request{State: s, LLAddr: a, HasLLAddr: true, Flags: f, Create: true, Replace: true})
}

// info returns the peer's entry without counting a lookup.
func (b *bed) info() EntryInfo {
	for e := range b.table.All() {
		if e.IP == peerIP {
			return e
		}
	}
	return EntryInfo{}
}

func (b *bed) wantState(s State) {
	b.t.Helper()
	require.Equal(b.t, s.String(), b.info().State.String())
}

// pass lets time go by.
func (b *bed) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// wantAt checks that the state is as it is until just before d from now, and s
// from then on.
func (b *bed) wantAt(d time.Duration, s State) {
	b.t.Helper()
	before := b.info().State
	b.pass(d - 1)
	b.wantState(before)
	b.pass(1)
	b.wantState(s)
}

// reachable returns the interface's current reachable_time.
func (b *bed) reachable() time.Duration {
	d, err := b.table.ReachableTime(1)
	require.NoError(b.t, err)
	return d
}

// announced returns what Linux would have announced since the last call.
func (b *bed) announced() string {
	var lines []string
	for _, ev := range b.events() {
		if ev.Announced != Silent {
			s := map[Announcement]string{NewNeigh: "new ", DelNeigh: "del ", GetNeigh: "miss "}[ev.Announced] + ev.Entry.State.String()
			if ev.Entry.HasLLAddr {
				s += " " + last(ev.Entry.LLAddr)
			}
			lines = append(lines, s)
		}
	}
	return strings.Join(lines, "; ")
}

// silent returns all events since the last call.
func (b *bed) events() (all []Event) {
	for {
		select {
		case ev := <-b.sub.C:
			all = append(all, ev)
		default:
			return all
		}
	}
}
