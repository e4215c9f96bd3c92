package ipv4

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGroups(t *testing.T) {
	h := newTestHost(t)
	g := addr("239.1.2.3")
	require.NoError(t, h.JoinGroup(2, g))
	require.NoError(t, h.JoinGroup(2, g))
	require.NoError(t, h.LeaveGroup(2, g))
	require.True(t, h.t0.member(g))
	require.NoError(t, h.LeaveGroup(2, g))
	require.False(t, h.t0.member(g))
	require.Error(t, h.LeaveGroup(2, g))
	require.Error(t, h.JoinGroup(2, addr("10.0.0.1")))
	require.Error(t, h.JoinGroup(9, g))
	require.True(t, h.t0.member(addr("224.0.0.1")))
}
