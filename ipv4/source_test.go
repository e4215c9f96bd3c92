package ipv4

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSelectSource(t *testing.T) {
	h := newTestHost(t)
	require.NoError(t, h.AddAddress(2, Address{Prefix: prefix("192.168.1.2/24")}))
	require.NoError(t, h.AddAddress(2, Address{Prefix: prefix("10.0.0.3/24")})) // secondary
	require.NoError(t, h.AddAddress(2, Address{Prefix: prefix("172.16.0.2/24"), Scope: ScopeLink}))
	hop := nextHop(nil)
	for n, name := range []string{"u0", "u1"} {
		_, err := h.AddInterface(InterfaceConfig{Index: 7 + n, Name: name, MTU: 1500, Neighbours: hop})
		require.NoError(t, err)
	}
	require.NoError(t, h.AddAddress(8, Address{Prefix: prefix("172.30.0.1/24"), Scope: ScopeLink}))
	for _, tc := range []struct {
		name   string
		index  int
		target string
		scope  Scope
		want   string
	}{
		{"subnet of the target", 2, "192.168.1.77", ScopeUniverse, "192.168.1.2"},
		{"no subnet: the first", 2, "8.8.8.8", ScopeUniverse, "10.0.0.2"},
		{"any target", 2, "", ScopeUniverse, "10.0.0.2"},
		{"never a secondary", 2, "10.0.0.9", ScopeUniverse, "10.0.0.2"},
		{"scope link too narrow", 2, "172.16.0.9", ScopeUniverse, "10.0.0.2"},
		{"scope link allowed", 2, "172.16.0.9", ScopeLink, "172.16.0.2"},
		{"scope host too narrow on lo", 1, "127.0.0.5", ScopeLink, "10.0.0.2"},
		{"scope host allowed", 1, "127.0.0.5", ScopeHost, "127.0.0.1"},
		{"unnumbered borrows", 7, "8.8.8.8", ScopeUniverse, "10.0.0.2"},
		{"only scope link, asked for universe", 8, "172.30.0.9", ScopeUniverse, "10.0.0.2"},
		{"no such interface borrows", 99, "8.8.8.8", ScopeUniverse, "10.0.0.2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var target netip.Addr
			if tc.target != "" {
				target = addr(tc.target)
			}
			require.Equal(t, tc.want, h.SelectSource(tc.index, target, tc.scope).String())
		})
	}
	require.NoError(t, h.AddAddress(1, Address{Prefix: prefix("10.99.0.1/32")}))
	require.Equal(t, "10.99.0.1", h.SelectSource(7, addr("8.8.8.8"), ScopeUniverse).String(), "the loopback interface's is preferred")
	require.NoError(t, h.SetConf("lo", "route_localnet", 1))
	require.Equal(t, "127.0.0.1", h.SelectSource(1, addr("127.0.0.5"), ScopeLink).String(), "route_localnet widens scope host")
}

// TestConfirmAddress is ARP-16's use of inet_confirm_addr and ARP-18.
func TestConfirmAddress(t *testing.T) {
	h := newTestHost(t)
	require.NoError(t, h.AddAddress(2, Address{Prefix: prefix("10.0.0.130/25")}))
	require.NoError(t, h.AddAddress(2, Address{Prefix: prefix("10.9.9.9/32"), Scope: ScopeHost}))
	require.NoError(t, h.AddAddress(1, Address{Prefix: prefix("10.0.0.77/32")}))
	for _, tc := range []struct {
		name        string
		index       int
		peer, local string
		scope       Scope
		want        string
	}{
		{"ARP-16 1: on the interface", 2, "", "10.0.0.2", ScopeHost, "10.0.0.2"},
		{"ARP-16 1: on another", 3, "", "10.0.0.2", ScopeHost, ""},
		{"ARP-16 2: in its subnet", 2, "10.0.0.9", "10.0.0.2", ScopeHost, "10.0.0.2"},
		{"ARP-16 2: another prefix holds both", 2, "10.0.0.9", "10.0.0.130", ScopeHost, "10.0.0.130"},
		{"ARP-16 2: no prefix holds both", 2, "10.0.1.9", "10.0.0.2", ScopeHost, ""},
		{"ARP-16 3: scope link, any interface", 0, "", "10.0.0.77", ScopeLink, "10.0.0.77"},
		{"ARP-16 3: scope host is too narrow", 0, "", "10.9.9.9", ScopeLink, ""},
		{"ARP-18: any local", 2, "10.0.0.200", "", ScopeHost, "10.0.0.2"},
		{"ARP-18: any local, the matching prefix's own address", 3, "10.0.1.200", "", ScopeLink, "10.0.1.2"},
		{"ARP-18: no prefix for the peer", 3, "10.0.0.200", "", ScopeLink, ""},
		{"not ours", 0, "", "10.0.0.3", ScopeHost, ""},
		{"no such interface", 42, "", "10.0.0.2", ScopeHost, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var peer, local netip.Addr
			if tc.peer != "" {
				peer = addr(tc.peer)
			}
			if tc.local != "" {
				local = addr(tc.local)
			}
			got := h.ConfirmAddress(tc.index, peer, local, tc.scope)
			if tc.want == "" {
				require.False(t, got.IsValid(), "%v", got)
				return
			}
			require.Equal(t, tc.want, got.String())
		})
	}
	t.Run("ARP-18: wildcard: the first address is outside the prefix of the peer", func(t *testing.T) {
		require.NoError(t, h.AddAddress(3, Address{Prefix: prefix("10.7.7.7/24")}))
		require.Equal(t, "10.7.7.7", h.ConfirmAddress(3, addr("10.7.7.1"), netip.Addr{}, ScopeHost).String())
	})
}
