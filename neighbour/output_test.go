package neighbour

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

func TestFrame(t *testing.T) {
	var frame []byte
	w := writerFunc(func(p *link.Packet) error {
		frame = append(frame[:0], p.Bytes()...)
		p.Release()
		return link.ErrQueueFull
	})
	table := New(Config{})
	defer table.Close()
	i, err := table.AddInterface(InterfaceConfig{Index: 3, Name: "x0", Addr: macM, Link: w})
	require.NoError(t, err)
	require.NoError(t, table.Set(3, peerIP, Request{LLAddr: macA, HasLLAddr: true, State: Permanent, Create: true}))
	for _, path := range []string{"slow", "fast"} {
		require.ErrorIs(t, i.Output(peerIP, packet(7)), link.ErrQueueFull, "the device's error comes back")
		require.Len(t, frame, 42, path)
		require.Equal(t, append(append(macA[:], macM[:]...), 8, 0, 0, 0, 0, 7), frame[:18], path)
	}
	require.ErrorIs(t, i.Output(netip.MustParseAddr("::1"), packet(1)), syscall.EINVAL)
	require.ErrorIs(t, i.Output(netip.Addr{}, packet(1)), syscall.EINVAL)
	require.Equal(t, 3, i.Index())
	require.Equal(t, "x0", i.Name())
	require.Zero(t, link.LivePackets())
}

type writerFunc func(p *link.Packet) error

func (f writerFunc) Write(p *link.Packet) error { return f(p) }

func TestZeroConfig(t *testing.T) {
	table := New(Config{})
	require.Equal(t, "arp_cache", table.Name())
	i, err := table.AddInterface(InterfaceConfig{Index: 1, Name: "t0", Link: &releasing{}})
	require.NoError(t, err)
	require.NoError(t, i.Output(peerIP, packet(1)))
	require.NoError(t, table.Set(1, peerIP, Request{State: Failed, Create: true}))
	require.Zero(t, link.LivePackets())
	require.NoError(t, i.Output(netip.MustParseAddr("224.0.0.5"), packet(1)))
	require.NoError(t, i.Output(netip.MustParseAddr("255.255.255.255"), packet(1)))
	table.Close()
	require.ErrorIs(t, i.Output(peerIP, packet(1)), syscall.ENETDOWN)
	require.ErrorIs(t, table.Set(1, peerIP, Request{State: Failed, Create: true}), syscall.ENETDOWN)
	table.Close()
	require.Zero(t, link.LivePackets())
}

func TestQueueLimit(t *testing.T) {
	t.Run("ENT-13 L3-4 STAT-12 the oldest go", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			b.send(1, 400)
			require.EqualValues(t, 144, b.table.Stats().UnresolvedDiscards)
			require.EqualValues(t, 144, b.drops.Count(link.NeighQueueFull))
			require.Equal(t, []int{256, 212992}, []int{b.info().QueueLen, b.info().QueueBytes})
			b.log = nil
			require.NoError(t, b.reply(macA, 0))
			require.Len(t, b.log, 256)
			require.Equal(t, "frame 145 to a", b.log[0])
			require.Equal(t, "frame 400 to a", b.log[255])
		})
	})
	t.Run("ENT-13 longer packets cost more", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			for n := range 100 {
				require.NoError(t, b.iface.Output(peerIP, sizedPacket(n, 1400)))
			}
			require.Equal(t, 92, b.info().QueueLen)
		})
	})
	t.Run("L3-4b the newest stays whatever the limit", func(t *testing.T) {
		p := testParams()
		p.UnresQueueBytes = 0
		inBubble(t, Config{Params: p}, func(b *bed) {
			b.send(1, 10)
			b.log = nil
			require.NoError(t, b.reply(macA, 0))
			b.want("frame 10 to a")
		})
	})
}

func TestHead(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // PRB-5
		require.NoError(t, b.iface.Output(peerIP, sizedPacket(1, 20)))
		require.NoError(t, b.iface.Output(nth(1), sizedPacket(1, 19)))
		b.want("ask 192.0.2.9 broadcast head 1; ask 10.0.0.1 broadcast")
	})
}

// orderLink checks that each sender's packets come out in order, each with one
// whole address.
type orderLink struct {
	t    *testing.T
	mu   sync.Mutex
	next map[uint32]uint32
	got  int
}

func (l *orderLink) Write(p *link.Packet) error {
	b := p.Bytes()
	dst := link.Addr(b[:6])
	sender, n := binary.BigEndian.Uint32(b[14:]), binary.BigEndian.Uint32(b[18:])
	p.Release()
	runtime.Gosched() // invites others to overtake
	l.mu.Lock()
	defer l.mu.Unlock()
	if dst != macA && dst != macB {
		l.t.Errorf("torn address %v", dst)
	}
	if l.next[sender] != n {
		l.t.Errorf("sender %d: packet %d, want %d", sender, n, l.next[sender])
	}
	l.next[sender] = n + 1
	l.got++
	return nil
}

// TestOrderAcrossResolution has senders at work while the neighbour resolves,
// moves, and fails again: no packet overtakes another of its sender, and none is
// lost (UPD-11, NUD-63, L3-5).
func TestOrderAcrossResolution(t *testing.T) {
	const senders, rounds, each = 4, 40, 20
	for round := range rounds {
		p := DefaultParams()
		p.UnresQueueBytes = 1 << 20
		l := &orderLink{t: t, next: make(map[uint32]uint32)}
		table := New(Config{Params: &p, Solicit: func(Solicitation) {}})
		i, err := table.AddInterface(InterfaceConfig{Index: 1, Name: "t0", Addr: macM, Link: l})
		require.NoError(t, err)
		var wg sync.WaitGroup
		for s := range senders {
			wg.Go(func() {
				for n := range each {
					p := link.NewPacket(28)
					p.EtherType = link.IPv4
					binary.BigEndian.PutUint32(p.Bytes(), uint32(s))
					binary.BigEndian.PutUint32(p.Bytes()[4:], uint32(n))
					i.Output(peerIP, p)
					if n%4 == s {
						runtime.Gosched()
					}
				}
			})
		}
		for r := range 2 {
			// Two answers at once; the second finds the first one draining.
			wg.Go(func() {
				mac := []link.Addr{macA, macB}[r]
				state := []State{Reachable, Stale}[(round+r)%2]
				for table.Update(1, peerIP, Update{LLAddr: mac, HasLLAddr: true, State: state, Flags: Override}) != nil {
					runtime.Gosched()
				}
			})
		}
		wg.Wait()
		// Whoever drains last is one of the goroutines above, all done.
		require.Equal(t, senders*each, l.got)
		table.Close()
	}
	require.Zero(t, link.LivePackets())
}

// TestConcurrentUse throws everything at one table at once; the race detector and
// the packet count are the judges.
func TestConcurrentUse(t *testing.T) {
	p := DefaultParams()
	p.BaseReachableTime, p.RetransTime, p.DelayFirstProbeTime = time.Millisecond, 0, time.Millisecond
	var table *Table
	var asked atomic.Int64
	table = New(Config{
		Params: &p, Limits: &Limits{Thresh1: 1, Thresh2: 100, Thresh3: 150},
		Solicit: func(s Solicitation) {
			if asked.Add(1)%3 == 0 { // answers from within the callback
				table.Update(1, s.Target, Update{LLAddr: macA, HasLLAddr: true, State: Reachable, Flags: OverrideUnlocked})
			}
		},
		Unreachable: func(p *link.Packet) { p.Release() },
	})
	l := &releasing{}
	i, err := table.AddInterface(InterfaceConfig{Index: 1, Name: "t0", Addr: macM, Link: l})
	require.NoError(t, err)
	sub := table.Subscribe(16)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for n := range 2000 {
				ip := nth((n*7 + g) % 200)
				i.Output(ip, packet(n))
				switch n % 11 {
				case 0:
					table.Update(1, ip, Update{LLAddr: macB, HasLLAddr: true, State: Stale, Flags: Override | Create})
				case 1:
					table.Delete(1, ip)
				case 2:
					table.Set(1, ip, Request{LLAddr: macA, HasLLAddr: true, State: Permanent, Create: true, Replace: true})
				case 3:
					table.Set(1, ip, Request{Flags: Managed, Create: true, Replace: true})
				case 4:
					table.Confirm(1, ip)
				case 5:
					table.Lookup(1, ip)
				case 6:
					table.Set(1, ip, Request{State: Failed, Create: true})
				}
				if n%500 == 499 {
					table.SetUp(1, false)
					table.SetUp(1, true)
					table.SetLLAddr(1, macM)
					table.SetSysctl("t0", "base_reachable_time_ms", "2")
					table.Stats()
					for range table.All() {
					}
				}
			}
		})
	}
	wg.Wait()
	sub.Close()
	table.Close()
	require.Eventually(t, func() bool { return link.LivePackets() == 0 }, time.Second, time.Millisecond)
	st := table.Stats()
	require.EqualValues(t, []uint64{0, 0}, []uint64{st.Entries, st.GCEntries})
	require.Equal(t, st.Allocs, st.Destroys)
}

func TestReentrantSolicit(t *testing.T) {
	// No lock is held in a callback: the answer may come in the same call.
	var table *Table
	l := &releasing{}
	table = New(Config{Solicit: func(s Solicitation) {
		if err := table.Update(s.Interface, s.Target, Update{LLAddr: macA, HasLLAddr: true, State: Reachable}); err != nil {
			t.Error(err)
		}
	}})
	defer table.Close()
	i, err := table.AddInterface(InterfaceConfig{Index: 1, Name: "t0", Link: l})
	require.NoError(t, err)
	for n := range 10 {
		require.NoError(t, i.Output(nth(n), packet(n)))
	}
	require.EqualValues(t, 10, l.n.Load())
}
