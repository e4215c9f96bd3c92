package pipe

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
)

var (
	addrA = link.Addr{2, 0, 0, 0, 0, 0xa}
	addrB = link.Addr{2, 0, 0, 0, 0, 0xb}
	addrC = link.Addr{2, 0, 0, 0, 0, 0xc}
)

func newTestLAN(t *testing.T, c LANConfig) (l *LAN, a, b, d *Device) {
	l = NewLAN(c)
	t.Cleanup(l.Close)
	return l, l.Attach(addrA), l.Attach(addrB), l.Attach(addrC)
}

func TestLANFloodsUntilItKnows(t *testing.T) {
	linktest.WantNoPackets(t)
	_, a, b, c := newTestLAN(t, LANConfig{})

	require.NoError(t, a.Write(frame(link.BroadcastAddr, addrA, "who")))
	require.Equal(t, []string{"who"}, drain(t, b))
	require.Equal(t, []string{"who"}, drain(t, c))
	require.Empty(t, drain(t, a), "not back to where it came from")

	require.NoError(t, b.Write(frame(addrA, addrB, "me")))
	require.Equal(t, []string{"me"}, drain(t, a), "the switch has heard a")
	require.Empty(t, drain(t, c))

	require.NoError(t, a.Write(frame(addrC, addrA, "c?")))
	require.Equal(t, []string{"c?"}, drain(t, b), "c is unknown: flooded")
	require.Equal(t, []string{"c?"}, drain(t, c))
	require.NoError(t, a.Write(frame(link.Addr{0x01, 0, 0x5e, 0, 0, 1}, addrA, "all")))
	require.Equal(t, []string{"all"}, drain(t, b))
	require.Equal(t, []string{"all"}, drain(t, c))
}

func TestLANFollowsAMovedStation(t *testing.T) {
	linktest.WantNoPackets(t)
	_, a, b, c := newTestLAN(t, LANConfig{})
	require.NoError(t, b.Write(frame(link.BroadcastAddr, addrB, "here")))
	require.NoError(t, c.Write(frame(link.BroadcastAddr, addrB, "moved")))
	require.Len(t, drain(t, a), 2)
	drain(t, b)
	drain(t, c)
	require.NoError(t, a.Write(frame(addrB, addrA, "x")))
	require.Equal(t, []string{"x"}, drain(t, c))
	require.Empty(t, drain(t, b))
	require.NoError(t, c.Write(frame(addrB, addrC, "to myself")))
	require.Empty(t, drain(t, c))
}

func TestLANNeverLearnsGroups(t *testing.T) {
	linktest.WantNoPackets(t)
	_, a, b, c := newTestLAN(t, LANConfig{})
	require.NoError(t, b.Write(frame(addrA, link.BroadcastAddr, "forged")))
	require.NoError(t, a.Write(frame(link.BroadcastAddr, addrA, "x")))
	require.Contains(t, drain(t, c), "x", "a broadcast goes everywhere, whoever claimed the address")
}

func TestHub(t *testing.T) {
	linktest.WantNoPackets(t)
	_, a, b, c := newTestLAN(t, LANConfig{Hub: true})
	require.NoError(t, a.Write(frame(link.BroadcastAddr, addrA, "1")))
	require.NoError(t, b.Write(frame(addrA, addrB, "2")))
	require.Equal(t, []string{"1", "2"}, drain(t, c), "a hub hides nothing")
	require.Equal(t, []string{"2"}, drain(t, a))
}

func TestLANShortFrame(t *testing.T) {
	linktest.WantNoPackets(t)
	_, a, b, _ := newTestLAN(t, LANConfig{})
	require.NoError(t, a.Write(link.NewPacket(3)))
	require.Len(t, drain(t, b), 1)
}

func TestLANDetach(t *testing.T) {
	linktest.WantNoPackets(t)
	l, a, b, c := newTestLAN(t, LANConfig{})
	require.NoError(t, b.Write(frame(link.BroadcastAddr, addrB, "x")))
	drain(t, a)
	drain(t, c)
	b.Close()
	require.NoError(t, a.Write(frame(addrB, addrA, "b?")))
	require.Equal(t, []string{"b?"}, drain(t, c), "what was learned of a port goes with it")

	b = l.Attach(addrB)
	require.NoError(t, a.Write(frame(addrB, addrA, "again")))
	require.Equal(t, []string{"again"}, drain(t, b))
}

func TestLANFullPort(t *testing.T) {
	linktest.WantNoPackets(t)
	_, a, b, c := newTestLAN(t, LANConfig{Queue: 2})
	for range 3 {
		require.NoError(t, a.Write(frame(link.BroadcastAddr, addrA, "x")), "the sender does not learn of it")
	}
	require.EqualValues(t, 1, b.Missed())
	require.EqualValues(t, 1, c.Missed())
}

func TestLANConcurrent(t *testing.T) {
	linktest.WantNoPackets(t)
	l := NewLAN(LANConfig{Queue: 8})
	var writers, readers sync.WaitGroup
	for i := range 6 {
		d := l.Attach(link.Addr{2, 0, 0, 0, 0, byte(i)})
		readers.Go(func() {
			for {
				p, err := d.Read()
				if err != nil {
					return
				}
				p.Release()
			}
		})
		writers.Go(func() {
			for n := range 100 {
				_ = d.Write(frame(link.Addr{2, 0, 0, 0, 0, byte(n % 6)}, d.Addr(), "x"))
			}
			if i%2 == 0 {
				d.Close()
			}
		})
	}
	writers.Wait()
	l.Close()
	readers.Wait()
}
