package fault

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

func TestMatchers(t *testing.T) {
	arp := func(dst link.Addr, op byte) []byte {
		b := make([]byte, link.EthernetHeaderLen, 42)
		link.Ethernet{Dst: dst, Src: link.Addr{2}, Type: link.ARP}.Put(b)
		return append(b, 0, 1, 8, 0, 6, 4, 0, op)
	}
	other := make([]byte, 60)
	link.Ethernet{Dst: link.Addr{2}, Type: link.IPv4}.Put(other)
	other[link.EthernetHeaderLen+7] = 2
	for _, c := range []struct {
		name                      string
		frame                     []byte
		broadcast, request, reply bool
	}{
		{"ARP request to all", arp(link.BroadcastAddr, 1), true, true, false},
		{"ARP request to one", arp(link.Addr{2}, 1), false, true, false},
		{"ARP reply", arp(link.Addr{2}, 2), false, false, true},
		{"ARP of another kind", arp(link.Addr{2}, 3), false, false, false},
		{"ARP cut off", arp(link.Addr{2}, 2)[:21], false, false, false},
		{"IPv4", other, false, false, false},
		{"empty", nil, false, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, []bool{c.broadcast, c.request, c.reply},
				[]bool{Broadcasts(c.frame), ARPRequests(c.frame), ARPReplies(c.frame)})
		})
	}
}

func FuzzMatchers(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 42))
	f.Fuzz(func(t *testing.T, b []byte) {
		require.False(t, ARPRequests(b) && ARPReplies(b))
		Broadcasts(b)
	})
}
