package ipv4

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInterfaceErrors(t *testing.T) {
	h := newTestHost(t)
	hop := nextHop(nil)
	for _, c := range []InterfaceConfig{{Index: 0, Name: "x", MTU: 1500, Neighbours: hop}, {Index: 9, MTU: 1500, Neighbours: hop},
		{Index: 9, Name: "all", MTU: 1500, Neighbours: hop}, {Index: 9, Name: "x", MTU: 67, Neighbours: hop}, {Index: 9, Name: "x", MTU: 1500}} {
		_, err := h.AddInterface(c)
		requireErrno(t, syscall.EINVAL, err)
	}
	for _, c := range []InterfaceConfig{{Index: 2, Name: "x", MTU: 1500, Neighbours: hop}, {Index: 9, Name: "t0", MTU: 1500, Neighbours: hop}, {Index: 9, Name: "x", MTU: 1500, Loopback: true, Neighbours: hop}} {
		_, err := h.AddInterface(c)
		requireErrno(t, syscall.EEXIST, err)
	}
	requireErrno(t, syscall.EINVAL, h.SetMTU(2, 67))
	requireErrno(t, syscall.ENODEV, h.SetMTU(9, 1500))
	require.NoError(t, h.SetMTU(2, 9000))
	require.Equal(t, 9000, h.t0.MTU())
	require.Equal(t, []*Interface{h.lo, h.t0, h.t1}, h.Interfaces())
}
