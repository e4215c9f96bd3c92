package ipv4

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAddresses(t *testing.T) {
	h := newTestHost(t)
	list := func(index int) (s []string) {
		for _, a := range h.Addresses(index) {
			line := a.Prefix.String()
			if a.Secondary {
				line += " secondary"
			}
			s = append(s, line)
		}
		return s
	}
	require.Equal(t, addr("10.0.0.255"), h.Addresses(2)[0].Broadcast, "brd + by default")
	require.Equal(t, ScopeHost, h.Addresses(1)[0].Scope)
	requireErrno(t, syscall.EEXIST, h.AddAddress(2, Address{Prefix: prefix("10.0.0.2/24")}))
	requireErrno(t, syscall.ENODEV, h.AddAddress(9, Address{Prefix: prefix("10.0.0.3/24")}))
	for _, bad := range []string{"0.0.0.0/8", "224.0.0.1/4", "255.255.255.255/32", "fe80::1/64"} {
		requireErrno(t, syscall.EINVAL, h.AddAddress(2, Address{Prefix: prefix(bad)}))
	}
	requireErrno(t, syscall.EINVAL, h.AddAddress(2, Address{Prefix: prefix("10.0.0.3/24"), Scope: ScopeLink}))
	require.NoError(t, h.AddAddress(2, Address{Prefix: prefix("10.0.0.3/24")}))
	require.NoError(t, h.AddAddress(2, Address{Prefix: prefix("10.0.0.4/24")}))
	require.NoError(t, h.AddAddress(2, Address{Prefix: prefix("192.168.0.1/31")}))
	require.NoError(t, h.AddAddress(2, Address{Prefix: prefix("192.168.9.1/32")}))
	require.Equal(t, []string{"10.0.0.2/24", "192.168.0.1/31", "192.168.9.1/32", "10.0.0.3/24 secondary", "10.0.0.4/24 secondary"}, list(2))
	require.False(t, h.Addresses(2)[1].Broadcast.IsValid(), "no broadcast in 31 bits (RFC 3021)")
	require.Contains(t, routeLines(h, TableLocal), "local 10.0.0.3/32 dev t0 src 10.0.0.2", "secondaries speak by their primary")
	require.NotContains(t, routeLines(h, TableMain), "unicast 192.168.9.1/32 dev t0 src 192.168.9.1", "32 bits have no subnet")

	// Routes that prefer an address go with it.
	require.NoError(t, h.AddRoute(Route{Dst: prefix("7.0.0.0/8"), Gateway: addr("10.0.0.1"), Src: addr("10.0.0.4")}))
	require.NoError(t, h.DeleteAddress(2, prefix("10.0.0.4/24")))
	require.NotContains(t, routeLines(h, TableMain), "unicast 7.0.0.0/8 via 10.0.0.1 dev t0 src 10.0.0.4")

	require.NoError(t, h.SetConf("t0", "promote_secondaries", 1))
	require.NoError(t, h.DeleteAddress(2, prefix("10.0.0.2/24")))
	require.Equal(t, []string{"192.168.0.1/31", "192.168.9.1/32", "10.0.0.3/24"}, list(2))
	require.Contains(t, routeLines(h, TableMain), "unicast 10.0.0.0/24 dev t0 src 10.0.0.3")
	require.NoError(t, h.SetConf("t0", "promote_secondaries", 0))
	require.NoError(t, h.AddAddress(2, Address{Prefix: prefix("10.0.0.5/24")}))
	require.NoError(t, h.DeleteAddress(2, prefix("10.0.0.3/24")))
	require.Equal(t, []string{"192.168.0.1/31", "192.168.9.1/32"}, list(2), "secondaries go with their primary")
	require.NotContains(t, routeLines(h, TableMain), "unicast 10.0.0.0/24 dev t0 src 10.0.0.3")
	requireErrno(t, syscall.EADDRNOTAVAIL, h.DeleteAddress(2, prefix("10.0.0.3/24")))
}
