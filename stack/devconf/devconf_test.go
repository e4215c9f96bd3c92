package devconf

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNamesAreComplete(t *testing.T) {
	for k := range NumKeys {
		require.NotEmpty(t, k.String(), "key %d has no Linux name", k)
		got, ok := Lookup(k.String())
		require.True(t, ok)
		require.Equal(t, k, got)
	}
	_, ok := Lookup("arp_nonsense")
	require.False(t, ok)
}

func TestMergeRules(t *testing.T) {
	for _, c := range []struct {
		all, dev int32
		max      int
		or, and  bool
	}{
		{0, 0, 0, false, false},
		{0, 2, 2, true, false},
		{1, 0, 1, true, false},
		{3, 2, 3, true, true},
		{-1, 0, 0, true, false},
		{0, -1, 0, true, false},
	} {
		tab := New()
		dev := tab.AddInterface(1)
		tab.Set(All, ArpIgnore, c.all)
		tab.Set(1, ArpIgnore, c.dev)
		require.Equal(t, c.max, dev.Max(ArpIgnore), "max of all=%d dev=%d", c.all, c.dev)
		require.Equal(t, c.or, dev.Or(ArpIgnore), "or of all=%d dev=%d", c.all, c.dev)
		require.Equal(t, c.and, dev.And(ArpIgnore), "and of all=%d dev=%d", c.all, c.dev)
	}
}

func TestPropagation(t *testing.T) {
	tab := New()
	own := func(scope int, k Key) int { v, _ := tab.Get(scope, k); return v }
	tab.AddInterface(1)
	tab.AddInterface(2)
	tab.AddInterface(3)
	tab.Set(1, ArpAccept, 0) // written, if with the old value
	tab.Addressed(2)
	tab.Set(Default, ArpAccept, 2)
	tab.AddInterface(4)
	require.Equal(t, 0, own(1, ArpAccept), "a value written on the interface stays")
	require.Equal(t, 0, own(2, ArpAccept), "an interface with an address counts as written")
	require.Equal(t, 2, own(3, ArpAccept), "an untouched interface follows the default")
	require.Equal(t, 2, own(4, ArpAccept), "a new interface copies the default")

	tab.Set(Default, ArpAccept, 1)
	require.Equal(t, 1, own(3, ArpAccept))
	require.Equal(t, 2, own(4, ArpAccept), "SYSCTL-45: made after the default was written")

	require.Equal(t, 1, own(All, AcceptRedirects))
	tab.Set(All, Forwarding, 1)
	require.Equal(t, 0, own(All, AcceptRedirects), "a router listens to no redirects")
	require.Equal(t, 1, own(1, AcceptRedirects))
	for _, scope := range []int{All, Default, 1, 2, 3, 4} {
		require.Equal(t, 1, own(scope, Forwarding), "forwarding of scope %d after all.forwarding=1", scope)
	}
	tab.Set(Default, Forwarding, 0)
	require.Equal(t, 1, own(3, Forwarding), "default.forwarding is not copied")

	_, ok := tab.Get(4, ArpAccept)
	require.True(t, ok)
	tab.RemoveInterface(4)
	require.False(t, tab.Set(4, ArpAccept, 1), "an interface that is gone")
	_, ok = tab.Get(4, ArpAccept)
	require.False(t, ok)
}

func TestReadsDoNotAllocate(t *testing.T) {
	dev := New().AddInterface(1)
	require.Zero(t, testing.AllocsPerRun(100, func() { dev.Max(ArpIgnore); dev.Or(ProxyArp) }))
}
