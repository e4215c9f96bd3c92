package ipv4

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConfMerge(t *testing.T) {
	for _, tc := range []struct {
		name           string
		all, dev, want int
	}{
		{"rp_filter", 0, 0, 0}, {"rp_filter", 2, 1, 2}, {"rp_filter", 1, 0, 1}, {"rp_filter", 0, 2, 2}, // MAX
		{"accept_local", 0, 1, 1}, {"accept_local", 1, 0, 1}, {"accept_local", 0, 0, 0}, // OR
		{"route_localnet", 1, 0, 1}, {"send_redirects", 0, 0, 0}, {"send_redirects", 1, 0, 1}, {"shared_media", 0, 1, 1},
		{"drop_unicast_in_l2_multicast", 1, 0, 1}, {"promote_secondaries", 1, 0, 1}, {"secure_redirects", 0, 1, 1},
		{"bc_forwarding", 1, 0, 0}, {"bc_forwarding", 0, 1, 0}, {"bc_forwarding", 1, 1, 1}, // AND
		{"ignore_routes_with_linkdown", 1, 0, 0}, {"ignore_routes_with_linkdown", 0, 1, 1}, // own
		{"accept_redirects", 1, 0, 1}, {"accept_redirects", 0, 1, 1}, // OR for a host
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newTestHost(t)
			require.NoError(t, h.SetConf("all", tc.name, tc.all))
			require.NoError(t, h.SetConf("t0", tc.name, tc.dev))
			n, err := confIndex(tc.name)
			require.NoError(t, err)
			require.Equal(t, tc.want, *confVars[n].field(h.t0.Conf()))
			own, err := h.ConfValue("t0", tc.name)
			require.NoError(t, err)
			require.Equal(t, tc.dev, own, "stored as written")
		})
	}
	t.Run("accept_redirects of a router is AND", func(t *testing.T) {
		h := newTestHost(t)
		h.SetForwarding(true)
		require.Zero(t, h.t0.Conf().AcceptRedirects, "all turned off by ip_forward=1")
		require.NoError(t, h.SetConf("all", "accept_redirects", 1))
		require.Equal(t, 1, h.t0.Conf().AcceptRedirects)
	})
}

func TestConfForwarding(t *testing.T) {
	h := newTestHost(t)
	require.False(t, h.Forwarding(2))
	require.NoError(t, h.SetSysctl("ip_forward", 1))
	require.True(t, h.Forwarding(2), "all is copied to every interface")
	require.NoError(t, h.SetConf("t0", "forwarding", 0))
	require.False(t, h.Forwarding(2))
	require.True(t, h.Forwarding(3))
	v, err := h.Sysctl("ip_forward")
	require.NoError(t, err)
	require.Equal(t, 1, v)
	require.NoError(t, h.SetConf("t0", "forwarding", 1))
	require.NoError(t, h.SetConf("all", "forwarding", 0))
	require.False(t, h.Forwarding(2))
	require.False(t, h.Forwarding(99))
}

func TestConfDefaultIsATemplate(t *testing.T) {
	h := newTestHost(t)
	hop := nextHop(nil)
	fresh, err := h.AddInterface(InterfaceConfig{Index: 7, Name: "t7", MTU: 1500, Neighbours: hop})
	require.NoError(t, err)
	require.NoError(t, h.SetConf("default", "rp_filter", 2))
	require.Equal(t, 2, fresh.Conf().RPFilter, "SYSCTL-45: never set on it")
	require.Equal(t, 0, h.t0.Conf().RPFilter, "SYSCTL-45: with an address, as good as set")
	later, err := h.AddInterface(InterfaceConfig{Index: 8, Name: "t8", MTU: 1500, Neighbours: hop})
	require.NoError(t, err)
	require.Equal(t, 2, later.Conf().RPFilter)
	require.NoError(t, h.SetConf("default", "rp_filter", 1))
	require.Equal(t, 1, fresh.Conf().RPFilter)
	require.Equal(t, 2, later.Conf().RPFilter, "SYSCTL-45: made after the first write")
	require.NoError(t, h.SetConf("t7", "rp_filter", -5))
	require.NoError(t, h.SetConf("default", "rp_filter", 2))
	v, _ := h.ConfValue("t7", "rp_filter")
	require.Equal(t, -5, v, "SYSCTL-44: any integer")
	require.Equal(t, 0, fresh.Conf().RPFilter, "SYSCTL-44: max with all")
}

func TestSysctlErrors(t *testing.T) {
	h := newTestHost(t)
	requireErrno(t, syscall.ENOENT, h.SetConf("all", "nonsense", 1))
	requireErrno(t, syscall.ENOENT, h.SetConf("t9", "rp_filter", 1))
	_, err := h.ConfValue("t9", "rp_filter")
	requireErrno(t, syscall.ENOENT, err)
	_, err = h.Sysctl("nonsense")
	requireErrno(t, syscall.ENOENT, err)
	requireErrno(t, syscall.ENOENT, h.SetSysctl("nonsense", 1))
	requireErrno(t, syscall.EINVAL, h.SetSysctl("ip_default_ttl", 0))
	requireErrno(t, syscall.EINVAL, h.SetSysctl("ip_default_ttl", 256))
	requireErrno(t, syscall.EINVAL, h.SetSysctl("ipfrag_high_thresh", 1000))
	for _, name := range SysctlNames() {
		v, err := h.Sysctl(name)
		require.NoError(t, err)
		require.NoError(t, h.SetSysctl(name, v), name)
	}
	for _, name := range ConfNames() {
		_, err := h.ConfValue("default", name)
		require.NoError(t, err)
	}
}
