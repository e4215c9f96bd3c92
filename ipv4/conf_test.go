package ipv4

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/stack/devconf"
)

// effective returns what a setting comes to on i, as the code that acts on it
// reads it.
func effective(i *Interface, name string) int {
	is := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	switch name {
	case "rp_filter":
		return i.Conf().Max(devconf.RPFilter)
	case "accept_redirects":
		return is(i.acceptsRedirects())
	case "route_localnet":
		return is(i.routesLocalnet())
	}
	panic(name)
}

func TestConfMerge(t *testing.T) {
	for _, tc := range []struct {
		name           string
		all, dev, want int
	}{
		{"rp_filter", 0, 0, 0}, {"rp_filter", 2, 1, 2}, {"rp_filter", 1, 0, 1}, {"rp_filter", 0, 2, 2}, // MAX
		{"route_localnet", 1, 0, 1}, {"route_localnet", 0, 1, 1}, {"route_localnet", 0, 0, 0}, // OR
		{"accept_redirects", 1, 0, 1}, {"accept_redirects", 0, 1, 1}, // OR for a host
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newTestHost(t)
			require.NoError(t, h.SetConf("all", tc.name, tc.all))
			require.NoError(t, h.SetConf("t0", tc.name, tc.dev))
			require.Equal(t, tc.want, effective(h.t0, tc.name))
			own, err := h.ConfValue("t0", tc.name)
			require.NoError(t, err)
			require.Equal(t, tc.dev, own, "stored as written")
		})
	}
	t.Run("accept_redirects of a router is AND", func(t *testing.T) {
		h := newTestHost(t)
		h.SetForwarding(true)
		require.Zero(t, effective(h.t0, "accept_redirects"), "all turned off by ip_forward=1")
		require.NoError(t, h.SetConf("all", "accept_redirects", 1))
		require.Equal(t, 1, effective(h.t0, "accept_redirects"))
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
	require.Equal(t, 2, effective(fresh, "rp_filter"), "SYSCTL-45: never set on it")
	require.Equal(t, 0, effective(h.t0, "rp_filter"), "SYSCTL-45: with an address, as good as set")
	later, err := h.AddInterface(InterfaceConfig{Index: 8, Name: "t8", MTU: 1500, Neighbours: hop})
	require.NoError(t, err)
	require.Equal(t, 2, effective(later, "rp_filter"))
	require.NoError(t, h.SetConf("default", "rp_filter", 1))
	require.Equal(t, 1, effective(fresh, "rp_filter"))
	require.Equal(t, 2, effective(later, "rp_filter"), "SYSCTL-45: made after the first write")
	require.NoError(t, h.SetConf("t7", "rp_filter", -5))
	require.NoError(t, h.SetConf("default", "rp_filter", 2))
	v, _ := h.ConfValue("t7", "rp_filter")
	require.Equal(t, -5, v, "SYSCTL-44: any integer")
	require.Equal(t, 0, effective(fresh, "rp_filter"), "SYSCTL-44: max with all")
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
}
