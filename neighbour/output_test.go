package neighbour

import (
	"net/netip"
	"syscall"
	"testing"

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
