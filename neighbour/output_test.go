package neighbour

import (
	"net/netip"
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

func TestHead(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // PRB-5
		require.NoError(t, b.iface.Output(peerIP, sizedPacket(1, 20)))
		require.NoError(t, b.iface.Output(nth(1), sizedPacket(1, 19)))
		b.want("ask 192.0.2.9 broadcast head 1; ask 10.0.0.1 broadcast")
	})
}

// TestFastPath: the slow path notes the use, the fast one does not; it opens with
// the first packet that the slow one has sent, in connected states (NUD-62).
func TestFastPath(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		for _, c := range []struct {
			what string
			do   func() error
			slow bool
		}{
			{"first packet", func() error { return b.reply(macA, Create) }, true},
			{"second packet", func() error { return nil }, false},
			{"other address", func() error { return b.reply(macB, Override) }, false},
			{"STALE", func() error { return b.set(Stale, 0) }, true},
			{"DELAY", func() error { return nil }, true},
			{"PERMANENT", func() error { return b.set(Permanent, 0) }, false},
			{"FAILED, resolved anew", func() error {
				require.NoError(t, b.set(Failed, 0))
				return b.reply(macA, 0)
			}, false},
		} {
			require.NoError(t, c.do(), c.what)
			b.pass(time.Second)
			b.send(1, 1)
			require.Equal(t, c.slow, b.info().Used == 0, c.what)
		}
		b.want("frame 1 to a; frame 1 to a; frame 1 to b; frame 1 to b; frame 1 to b; frame 1 to b; frame 1 to a")
	})
}

// TestConfirmationComesFirst: what a packet confirms is confirmed when it leaves
// (L3-3).
func TestConfirmationComesFirst(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		confirmed := time.Duration(-1)
		b.iface.link = writerFunc(func(p *link.Packet) error {
			confirmed = b.info().Confirmed
			return b.Write(p)
		})
		require.NoError(t, b.hint(macA, Create))
		for range 2 { // slow and, after the reply, fast
			b.pass(time.Second)
			b.sendConfirmed(1)
			require.Zero(t, confirmed)
			require.NoError(t, b.reply(macA, 0))
		}
		b.pass(time.Second)
		b.send(1, 1)
		require.Equal(t, time.Second, confirmed)
	})
}
