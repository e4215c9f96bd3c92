package ipv4

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMembershipsMakeTheInterfacesFilter(t *testing.T) {
	h := newTestHost(t)
	g := addr("239.1.1.1")
	a, b := h.NewMemberships(), h.NewMemberships()
	filter := func() *SourceFilter {
		for _, x := range h.t0.Groups() {
			if x.Addr == g {
				return &x.Filter
			}
		}
		return nil
	}
	s1, s2 := addr("10.0.0.8"), addr("10.0.0.9")
	require.NoError(t, a.JoinSourceSpecificGroup(2, g, s1))
	require.Equal(t, &SourceFilter{true, sources("10.0.0.8")}, filter())
	require.NoError(t, b.JoinSourceSpecificGroup(2, g, s2))
	require.Equal(t, &SourceFilter{true, sources("10.0.0.8", "10.0.0.9")}, filter())
	require.NoError(t, b.LeaveSourceSpecificGroup(2, g, s2))
	require.NoError(t, b.JoinGroup(2, g))
	require.NoError(t, b.ExcludeSourceSpecificGroup(2, g, s1))
	require.NoError(t, b.ExcludeSourceSpecificGroup(2, g, s2))
	require.Equal(t, &SourceFilter{false, sources("10.0.0.9")}, filter())
	require.True(t, a.Allow(g, s1, 2, true))
	require.False(t, b.Allow(g, s1, 2, true))
	require.False(t, b.Allow(g, s1, 0, true))
	require.True(t, b.Allow(g, s1, 3, true), "elsewhere it is no member")
	require.False(t, b.Allow(g, s1, 3, false))
	require.NoError(t, b.IncludeSourceSpecificGroup(2, g, s2))
	require.Equal(t, &SourceFilter{}, filter())

	require.NoError(t, b.SetSourceFilter(2, g, SourceFilter{Only: true, Sources: sources("10.0.0.7", "10.0.0.7")}))
	require.Equal(t, &SourceFilter{true, sources("10.0.0.7", "10.0.0.8")}, filter())
	f, err := b.SourceFilter(2, g)
	require.NoError(t, err)
	require.Equal(t, SourceFilter{true, sources("10.0.0.7")}, f)
	require.NoError(t, b.SetSourceFilter(2, g, SourceFilter{Only: true}))
	_, err = b.SourceFilter(2, g)
	requireErrno(t, syscall.EADDRNOTAVAIL, err)
	requireErrno(t, syscall.EINVAL, b.SetSourceFilter(2, g, SourceFilter{}))
	a.Close()
	require.Nil(t, filter())
	require.ErrorIs(t, a.JoinGroup(2, g), net.ErrClosed)
}

func TestMembershipLimits(t *testing.T) {
	h := newTestHost(t)
	require.NoError(t, h.SetSysctl("igmp_max_memberships", 2))
	require.NoError(t, h.SetSysctl("igmp_max_msf", 3))
	ms := h.NewMemberships()
	defer ms.Close()
	for n := range 4 {
		want := syscall.Errno(0)
		if n >= 2 {
			want = syscall.ENOBUFS
		}
		requireErrno(t, want, ms.JoinGroup(2, netip.MustParseAddr(fmt.Sprintf("239.1.1.%d", n))))
		if want = 0; n >= 3 {
			want = syscall.ENOBUFS
		}
		requireErrno(t, want, ms.ExcludeSourceSpecificGroup(2, addr("239.1.1.0"), netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", n))))
	}
	requireErrno(t, syscall.ENOBUFS, ms.SetSourceFilter(2, addr("239.1.1.0"), SourceFilter{Sources: sources("1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4")}))
}

// A socket's memberships do not outlive their interface.
func TestMembershipsWithoutTheirInterface(t *testing.T) {
	h := newTestHost(t)
	ms := h.NewMemberships()
	require.NoError(t, ms.JoinGroup(3, addr("239.1.1.1")))
	h.RemoveInterface(3)
	require.NoError(t, ms.ExcludeSourceSpecificGroup(3, addr("239.1.1.1"), addr("1.1.1.1")))
	require.NoError(t, ms.LeaveGroup(3, addr("239.1.1.1")))
	requireErrno(t, syscall.ENODEV, ms.JoinGroup(3, addr("239.1.1.1")))
	ms.Close()
}
