package ipv4

import (
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAddressLifetimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		sub := h.Subscribe(100)
		defer sub.Close()
		now := time.Now()
		lent := Address{Prefix: prefix("10.5.0.1/24"), ValidUntil: now.Add(100 * time.Second), PreferredUntil: now.Add(50 * time.Second)}
		require.NoError(t, h.AddAddress(2, lent))
		requireErrno(t, syscall.EINVAL, h.AddAddress(2, Address{Prefix: prefix("10.6.0.1/24"), ValidUntil: now.Add(time.Second)}))
		last := func() Address {
			list := h.Addresses(2)
			return list[len(list)-1]
		}
		time.Sleep(49 * time.Second)
		require.False(t, last().Deprecated)
		time.Sleep(2 * time.Second)
		require.True(t, last().Deprecated, "preferred no longer")
		require.Equal(t, addr("10.5.0.1"), h.SelectSource(2, addr("10.5.0.9"), ScopeUniverse), "Linux chooses it all the same")
		lent.ValidUntil, lent.PreferredUntil = now.Add(200*time.Second), now.Add(150*time.Second)
		require.NoError(t, h.ReplaceAddress(2, lent))
		require.False(t, last().Deprecated, "renewed")
		time.Sleep(100 * time.Second)
		require.True(t, last().Deprecated)
		time.Sleep(50 * time.Second)
		require.Equal(t, addr("10.0.0.2"), last().Addr(), "gone")
		require.NotContains(t, routeLines(h, TableMain), "unicast 10.5.0.0/24 dev t0 src 10.5.0.1")
		var kinds []EventKind
		for len(sub.C) > 0 {
			if e := <-sub.C; e.Kind == AddressAdded || e.Kind == AddressDeleted {
				kinds = append(kinds, e.Kind)
			}
		}
		require.Equal(t, []EventKind{AddressAdded, AddressAdded, AddressAdded, AddressAdded, AddressDeleted}, kinds, "added, deprecated, renewed, deprecated, gone")
	})
}

func TestSlowSubscriber(t *testing.T) {
	h := newTestHost(t)
	sub := h.Subscribe(1)
	for n := range byte(3) {
		h.SetMTU(2, 1000+int(n))
	}
	require.Zero(t, (<-sub.C).Missed)
	h.SetMTU(2, 1400)
	require.EqualValues(t, 2, (<-sub.C).Missed, "what found no room is counted")
	sub.Close()
}
