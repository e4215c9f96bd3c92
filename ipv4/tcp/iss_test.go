package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/stack/random"
)

func TestISS(t *testing.T) {
	s, other := newSecret(random.New(1)), newSecret(random.New(2))
	k := tuple{addr{10, 0, 0, 1}, addr{10, 0, 0, 2}, 4000, 80}
	require.Equal(t, s.iss(k, 0), s.iss(k, 3*time.Microsecond), "RFC 6528: 4 microseconds a tick")
	require.Equal(t, s.iss(k, 0).Add(250000), s.iss(k, time.Second))
	require.NotEqual(t, s.iss(k, 0), other.iss(k, 0), "secret")
	seen := map[Seq]bool{}
	for port := range uint16(1000) {
		k.lport = port
		seen[s.iss(k, 0)] = true
	}
	require.Greater(t, len(seen), 998, "each connection elsewhere")
	require.Equal(t, s.timestampOffset(k.laddr, k.raddr), s.timestampOffset(k.laddr, k.raddr))
	require.NotEqual(t, s.timestampOffset(k.laddr, k.raddr), s.timestampOffset(k.raddr, k.laddr))
	require.NotEqual(t, s.portOffset(k.laddr, k.raddr, 80), s.portOffset(k.laddr, k.raddr, 81))
}

func TestEphemeral(t *testing.T) {
	pr := newProtocol(&testIP{}, Config{Rand: random.New(1)})
	taken := map[uint16]bool{}
	claim := func(port uint16) bool {
		if taken[port] {
			return false
		}
		taken[port] = true
		return true
	}
	for range ephemerals {
		port, ok := pr.ephemeral(addr{10}, addr{11}, 80, claim)
		require.True(t, ok)
		require.GreaterOrEqual(t, port, uint16(firstEphemeral))
		require.LessOrEqual(t, port, uint16(lastEphemeral))
		if len(taken) > 2000 {
			break
		}
	}
	for p := firstEphemeral; p <= lastEphemeral; p++ {
		taken[uint16(p)] = true
	}
	_, ok := pr.ephemeral(addr{10}, addr{11}, 80, claim)
	require.False(t, ok)
}
