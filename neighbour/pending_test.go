package neighbour

import (
	"encoding/binary"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

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

// TestOneDrainer: a second resolution, while what waited for the first one is
// still being sent, leaves the rest to whoever is at it (UPD-11).
func TestOneDrainer(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		b.iface.link = writerFunc(func(p *link.Packet) error {
			first := p.Bytes()[17] == 1
			err := b.Write(p)
			if first {
				require.NoError(t, b.set(Failed, 0))
				b.send(3, 3)
				require.NoError(t, b.reply(macB, 0))
				b.send(4, 4)
			}
			return err
		})
		b.send(1, 2)
		require.NoError(t, b.reply(macA, 0))
		b.send(5, 5)
		b.want("ask 192.0.2.9 broadcast head 1; frame 1 to a; ask 192.0.2.9 broadcast head 3; frame 2 to b; frame 3 to b; frame 4 to b; frame 5 to b")
	})
}

// TestDrainStops: what waits when the entry fails meanwhile is reported.
func TestDrainStops(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		b.iface.link = writerFunc(func(p *link.Packet) error {
			first := p.Bytes()[17] == 1
			err := b.Write(p)
			if first {
				b.send(3, 3)
				require.NoError(t, b.set(Incomplete, 0))
				b.send(4, 4)
				require.NoError(t, b.set(Failed, 0))
			}
			return err
		})
		b.send(1, 2)
		require.NoError(t, b.reply(macA, 0))
		b.want("ask 192.0.2.9 broadcast head 1; frame 1 to a; unreachable 3; unreachable 4")
		require.EqualValues(t, 1, b.drops.Count(link.NeighFailed), "packet 2, as Linux drops what is left")
		b.wantState(Failed)
	})
}
