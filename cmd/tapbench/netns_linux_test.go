package main

import (
	"encoding/binary"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/tapstack/tapstack/link/tap/taptest"
)

func TestAttrIsPadded(t *testing.T) {
	b := attr(7, []byte("abcde"))
	require.Len(t, b, 12)
	require.EqualValues(t, 9, binary.NativeEndian.Uint16(b))
	require.EqualValues(t, 7, binary.NativeEndian.Uint16(b[2:]))
	require.Equal(t, "abcde\x00\x00\x00", string(b[4:]))
	require.Len(t, attr(7, []byte("abcd")), 8)
}

func TestNamespaces(t *testing.T) {
	taptest.Namespace(t)
	var n [2]*netns
	for k := range n {
		var err error
		n[k], err = newNetns()
		require.NoError(t, err)
		defer n[k].close()
	}
	names := func(n *netns) (names []string) {
		require.NoError(t, n.do(func() error {
			ifaces, err := net.Interfaces()
			for _, i := range ifaces {
				names = append(names, i.Name)
			}
			return err
		}))
		return names
	}
	require.NoError(t, n[0].do(func() error { return addVeth("a", "b", n[1]) }))
	require.Equal(t, []string{"lo", "a"}, names(n[0]))
	require.Equal(t, []string{"lo", "b"}, names(n[1]))
	require.ErrorIs(t, n[0].do(func() error { return addVeth("a", "c", n[1]) }), unix.EEXIST)
}
