package stack_test

import (
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/icmp"
	xipv4 "golang.org/x/net/ipv4"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/ipv4/raw"
	"github.com/tapstack/tapstack/link/pipe"
)

// A program that pings with golang.org/x/net/icmp: the socket is the host's, the
// rest is as ever.
func ExampleHost_ListenPacket_icmp() {
	a, b := pipe.New(pipe.Config{})
	alice, bob := host(a, "10.0.0.1/24"), host(b, "10.0.0.2/24")
	defer alice.Close()
	defer bob.Close()

	c, err := alice.ListenPacket("ip4:icmp", "0.0.0.0") // in place of icmp.ListenPacket
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	echo := icmp.Message{Type: xipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: 1, Seq: 1, Data: []byte("hello")}}
	request, err := echo.Marshal(nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := c.WriteTo(request, &net.IPAddr{IP: net.IPv4(10, 0, 0, 2)}); err != nil {
		log.Fatal(err)
	}
	reply := make([]byte, 1500)
	n, from, err := c.ReadFrom(reply)
	if err != nil {
		log.Fatal(err)
	}
	m, err := icmp.ParseMessage(1, reply[:n])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Type, "from", from)
	// Output: echo reply from 10.0.0.2
}

func TestRawSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, bob := pair(t)
		at, err := bob.ListenPacket("ip4:89", "10.0.0.2")
		require.NoError(t, err)
		defer at.Close()
		c, err := alice.Dial("ip:ospf", "10.0.0.2")
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Write([]byte("hello"))
		require.NoError(t, err)
		b := make([]byte, 100)
		n, from, err := at.ReadFrom(b)
		require.NoError(t, err)
		require.Equal(t, "hello", string(b[:n]))
		require.Equal(t, "10.0.0.1", from.String())
		_, err = at.WriteTo([]byte("and back"), from)
		require.NoError(t, err)
		n, err = c.Read(b)
		require.NoError(t, err)
		require.Equal(t, "and back", string(b[ipv4.HeaderLen:n]), "with its header, as from net.IPConn")

		// Without a socket the sender is told; a connected one hears of it.
		require.NoError(t, at.Close())
		_, err = c.Write([]byte("hello? hello?"))
		require.NoError(t, err)
		_, err = c.Read(b)
		require.ErrorIs(t, err, syscall.ENOPROTOOPT)

		// One that is not resolved is told of only with IP_RECVERR.
		e, err := alice.Raw().Listen(netip.Addr{}, 89, raw.SocketConfig{ReceiveErrors: true})
		require.NoError(t, err)
		_, err = e.WriteToAddr([]byte("anybody?"), netip.MustParseAddr("10.0.0.77"))
		require.NoError(t, err)
		_, err = e.Read(b)
		require.ErrorIs(t, err, syscall.EHOSTUNREACH)
		q, ok := e.NextError()
		require.True(t, ok)
		require.Equal(t, "anybody?", string(q.Data))

		require.NoError(t, e.SetReadDeadline(time.Now().Add(time.Minute)))
		_, err = e.Read(b)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)

		for _, x := range []struct {
			network, address string
			want             error
		}{
			{"ip4:0", "10.0.0.1", syscall.EPROTONOSUPPORT},
			{"ip4:icmp", "10.0.0.2", syscall.EADDRNOTAVAIL},
			{"ip6:icmp", "10.0.0.1", net.UnknownNetworkError("ip6:icmp")},
			{"ip4", "10.0.0.1", net.UnknownNetworkError("ip4")},
		} {
			_, err := alice.ListenPacket(x.network, x.address)
			require.ErrorIs(t, err, x.want)
			var op *net.OpError
			require.ErrorAs(t, err, &op)
		}
		_, err = alice.ListenPacket("ip4:256", "")
		require.ErrorContains(t, err, "unknown IP protocol")
		_, err = alice.Dial("ip4:nonsense", "10.0.0.1")
		require.ErrorContains(t, err, "unknown IP protocol")
		_, err = alice.Dial("ip4:icmp", "::1")
		require.ErrorContains(t, err, "not an IPv4 address")
	})
}
