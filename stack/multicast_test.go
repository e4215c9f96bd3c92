package stack_test

import (
	"net"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4/udp"
	"github.com/tapstack/tapstack/link"
)

func TestListenMulticastUDP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, bob := pair(t)
		group := netip.MustParseAddrPort("239.1.1.1:5000")
		one, err := bob.ListenMulticastUDP("udp4", "eth0", group)
		require.NoError(t, err)
		two, err := bob.ListenMulticastUDP("udp4", "eth0", group)
		require.NoError(t, err)
		defer two.Close()
		from, err := alice.UDP().Listen(netip.AddrPort{}, udp.SocketConfig{})
		require.NoError(t, err)
		defer from.Close()
		require.NoError(t, from.SetMulticastInterface(alice.Interface("eth0").Index()))

		buf := make([]byte, 100)
		_, err = from.WriteToUDPAddrPort([]byte("hello"), group)
		require.NoError(t, err)
		for _, c := range []*udp.Conn{one, two} {
			n, sender, err := c.ReadFromUDPAddrPort(buf)
			require.NoError(t, err)
			require.Equal(t, "hello", string(buf[:n]))
			require.Equal(t, "10.0.0.1", sender.Addr().String())
		}
		require.NoError(t, one.Close())
		require.NoError(t, two.Close())
		_, err = from.WriteToUDPAddrPort([]byte("hello"), group)
		require.NoError(t, err)
		synctest.Wait()
		require.EqualValues(t, 1, bob.Drops().Count(link.IPMulticast), "nobody is a member any more")

		for _, c := range []struct {
			network, name, group string
			want                 error
		}{
			{"tcp", "eth0", "239.1.1.1:5000", net.UnknownNetworkError("tcp")},
			{"udp", "eth9", "239.1.1.1:5000", syscall.ENODEV},
			{"udp", "eth0", "10.0.0.1:5000", syscall.EADDRNOTAVAIL},
			{"udp", "eth0", "10.0.0.2:5000", syscall.EINVAL},
		} {
			_, err := bob.ListenMulticastUDP(c.network, c.name, netip.MustParseAddrPort(c.group))
			require.ErrorIs(t, err, c.want)
			var op *net.OpError
			require.ErrorAs(t, err, &op)
		}
	})
}
