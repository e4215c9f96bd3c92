package udp

import (
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
)

func TestConnect(t *testing.T) {
	a, b := newTestPair(t)
	require.NoError(t, a.ip.AddRoute(ipv4.Route{Dst: netip.MustParsePrefix("203.0.113.0/24"), Type: ipv4.Unreachable}))
	one, two := b.listen("0.0.0.0:1"), b.listen("0.0.0.0:2")
	c := a.listen("0.0.0.0:1000")
	reply := func(from *Conn, data string) { send(t, from, data, "10.0.0.1:1000") }

	reply(one, "before")
	require.NoError(t, c.Connect(ap("10.0.0.2:1")))
	require.Equal(t, ap("10.0.0.2:1"), c.RemoteAddrPort())
	require.Equal(t, ap("10.0.0.1:1000"), c.LocalAddrPort(), "the route chose the address")
	reply(one, "from the peer")
	reply(two, "from another")
	require.Equal(t, []string{"before", "from the peer"}, unread(t, c))
	_, err := c.Write([]byte("x"))
	require.NoError(t, err)
	require.Equal(t, []string{"x"}, unread(t, one))
	_, err = c.WriteToUDPAddrPort([]byte("x"), ap("10.0.0.2:2"))
	require.ErrorIs(t, err, net.ErrWriteToConnected)

	require.NoError(t, c.Connect(ap("10.0.0.2:2")))
	reply(one, "from the old one")
	reply(two, "from the new one")
	require.Equal(t, []string{"from the new one"}, unread(t, c))
	wantErrno(t, syscall.EHOSTUNREACH, c.Connect(ap("203.0.113.1:2")))
	wantErrno(t, syscall.EACCES, c.Connect(ap("10.0.0.255:2")))
	wantErrno(t, syscall.EAFNOSUPPORT, c.Connect(ap("[fd00::1]:2")))
	require.Equal(t, ap("10.0.0.2:2"), c.RemoteAddrPort(), "all as it was")

	require.NoError(t, c.Connect(netip.AddrPort{}))
	require.Nil(t, c.RemoteAddr())
	require.Equal(t, ap("0.0.0.0:1000"), c.LocalAddrPort())
	reply(one, "from anyone")
	require.Equal(t, []string{"from anyone"}, unread(t, c))
	_, err = c.Write([]byte("x"))
	wantErrno(t, syscall.EDESTADDRREQ, err)

	dialed := a.dial("10.0.0.2:1")
	port := dialed.LocalAddrPort().Port()
	require.NoError(t, dialed.Connect(netip.AddrPort{}))
	require.Equal(t, netip.AddrPortFrom(netip.IPv4Unspecified(), port), dialed.LocalAddrPort())
	bound := a.listen("10.0.1.1:7")
	require.NoError(t, bound.Connect(ap("10.0.0.2:1")))
	require.NoError(t, bound.Connect(netip.AddrPort{}))
	require.Equal(t, ap("10.0.1.1:7"), bound.LocalAddrPort(), "what was asked for stays")
	require.NoError(t, bound.Close())
	require.ErrorIs(t, bound.Connect(ap("10.0.0.2:1")), net.ErrClosed)
}
