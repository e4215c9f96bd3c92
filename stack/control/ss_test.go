package control

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Every socket of a host is there, with the queues as Linux counts them.
func TestSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		at := netip.MustParseAddrPort
		l, err := n.alice.Listen("tcp", ":80")
		require.NoError(t, err)
		defer l.Close()
		c, err := n.bob.Dial("tcp", "10.0.0.1:80")
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Write([]byte("hello"))
		require.NoError(t, err)
		u, err := n.alice.ListenPacket("udp", "10.0.0.1:53")
		require.NoError(t, err)
		defer u.Close()
		d, err := n.alice.DialContext(context.Background(), "udp", "10.0.0.2:9")
		require.NoError(t, err)
		defer d.Close()
		e, err := n.alice.ICMP().ListenEcho(ip("10.0.0.1"), 0)
		require.NoError(t, err)
		defer e.Close()
		time.Sleep(time.Second)

		var all Sockets
		n.get("ss", &all)
		require.NotZero(t, all.PID)
		require.Len(t, all.Sockets, 5)
		require.Equal(t, Socket{Netid: "icmp", State: "UNCONN", Local: netip.AddrPortFrom(ip("10.0.0.1"), e.ID()), Remote: nobody()}, all.Sockets[0])
		byLocal := map[netip.AddrPort]Socket{}
		for _, k := range all.Sockets {
			byLocal[k.Local] = k
		}
		require.Equal(t, "UNCONN", byLocal[at("10.0.0.1:53")].State)
		require.Equal(t, Socket{Netid: "tcp", State: "LISTEN", RecvQ: 1, SendQ: all.Sockets[3].SendQ, Local: at("0.0.0.0:80"), Remote: nobody(), Memory: &SocketMemory{}}, all.Sockets[3])
		require.Positive(t, all.Sockets[3].SendQ, "the backlog")
		k := all.Sockets[4]
		require.Equal(t, []any{"tcp", "ESTAB", 5, 0, at("10.0.0.1:80"), at(c.LocalAddr().String())}, []any{k.Netid, k.State, k.RecvQ, k.SendQ, k.Local, k.Remote})
		require.Equal(t, 1500, k.TCP.PMTU)
		require.Equal(t, 10, k.TCP.Cwnd)
		require.Positive(t, k.TCP.RTO)
		require.Equal(t, 5, k.Memory.Receive)
		require.Positive(t, k.Memory.ReceiveBuffer)

		// What is sent to nobody waits, and says for how long.
		require.NoError(t, n.bob.SetUp("eth0", false))
		s, err := l.Accept()
		require.NoError(t, err)
		defer s.Close()
		_, err = s.Write(make([]byte, 100))
		require.NoError(t, err)
		time.Sleep(3 * time.Second)
		n.get("ss", &all)
		k = all.Sockets[4]
		require.Equal(t, 100, k.SendQ)
		require.Equal(t, "on", k.Timer.Name)
		require.Positive(t, k.Timer.Left)
		require.Positive(t, k.TCP.Retransmits)
		require.Equal(t, k.TCP.Retransmits+1, k.TCP.Resent, "timeouts, and a tail loss probe")
		require.Equal(t, 1, k.TCP.Unacked)
	})
}
