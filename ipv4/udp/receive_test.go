package udp

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
)

func TestDuplicate(t *testing.T) {
	linktest.WantNoPackets(t)
	stale := link.NewPacket(4)
	copy(stale.Push(link.Headroom), bytes.Repeat([]byte{0xff}, link.Headroom))
	p := link.NewPacketFrom([]byte("network header, transport, data"))
	p.SetNetworkHeader()
	p.Pull(16)
	p.SetTransportHeader()
	p.Pull(11)
	stale.Release()
	q := duplicate(p)
	for _, p := range []*link.Packet{p, q} {
		require.Equal(t, "data", string(p.Bytes()))
		require.Equal(t, "transport, data", string(p.TransportHeader()))
		require.Equal(t, "network header, transport, data", string(p.NetworkHeader()))
	}
	p.Release()
	q.Release()
}

func TestSendersOfCopies(t *testing.T) {
	a, b := newTestPair(t)
	reuse := SocketConfig{ReuseAddr: true}
	all := []*Conn{b.listen("0.0.0.0:9", reuse), b.listen("0.0.0.0:9", reuse), b.listen("0.0.0.0:9", reuse)}
	for _, from := range []string{"10.0.0.1:1000", "10.0.1.1:2000"} {
		c := a.listen(from, SocketConfig{Broadcast: true})
		_, err := c.Send([]byte("x"), ap("10.0.0.255:9"), SendOptions{Interface: 2})
		require.NoError(t, err)
		for i, s := range all {
			_, got, err := s.ReadFromUDPAddrPort(nil)
			require.NoError(t, err)
			require.Equal(t, ap(from), got, "socket %d", i)
		}
	}
}
