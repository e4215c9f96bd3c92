package tap

import (
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/random"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConfigCheck(t *testing.T) {
	for _, c := range []struct {
		name string
		in   Config
		ok   bool
	}{
		{"ok, zero", Config{}, true},
		{"ok, everything", Config{Name: "t0", Addr: link.Addr{2, 0, 0, 0, 0, 2}, MTU: 9000, Peer: netip.MustParsePrefix("10.0.0.1/24")}, true},
		{"ok, 15 characters", Config{Name: "abcdefghijklmno"}, true},
		{"ok, smallest and largest MTU", Config{MTU: 68}, true},
		{"ok, largest MTU", Config{MTU: 65521}, true},
		{"bad, 16 characters", Config{Name: "abcdefghijklmnop"}, false},
		{"bad, slash", Config{Name: "a/b"}, false},
		{"bad, blank", Config{Name: "a b"}, false},
		{"bad, colon", Config{Name: "a:1"}, false},
		{"bad, template", Config{Name: "tap%d"}, false},
		{"bad, dot", Config{Name: "."}, false},
		{"bad, two dots", Config{Name: ".."}, false},
		{"bad, zero byte", Config{Name: "a\x00b"}, false},
		{"bad, group address", Config{Addr: link.BroadcastAddr}, false},
		{"bad, MTU too small", Config{MTU: 67}, false},
		{"bad, MTU too large", Config{MTU: 65522}, false},
		{"bad, negative MTU", Config{MTU: -1}, false},
		{"bad, IPv6 peer", Config{Peer: netip.MustParsePrefix("fd00::1/64")}, false},
		{"bad, peer 0.0.0.0", Config{Peer: netip.MustParsePrefix("0.0.0.0/0")}, false},
		{"bad, multicast peer", Config{Peer: netip.MustParsePrefix("224.0.0.1/4")}, false},
		{"bad, peer without length", Config{Peer: netip.PrefixFrom(netip.MustParseAddr("10.0.0.1"), -1)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.in.check()
			require.Equal(t, c.ok, err == nil, "%v", err)
			if err != nil {
				require.ErrorIs(t, err, syscall.EINVAL)
				require.True(t, strings.HasPrefix(err.Error(), "tap: "), err.Error())
				require.NotContains(t, err.Error(), "\n")
			}
		})
	}
}

func TestStationAddr(t *testing.T) {
	peer := link.Addr{2, 0, 0, 0, 0, 1}
	a, err := Config{Addr: link.Addr{2, 0, 0, 0, 0, 9}}.stationAddr(peer)
	require.NoError(t, err)
	require.Equal(t, link.Addr{2, 0, 0, 0, 0, 9}, a)

	_, err = Config{Addr: peer}.stationAddr(peer)
	require.ErrorIs(t, err, syscall.EADDRINUSE)

	for range 100 {
		a, err := Config{}.stationAddr(peer)
		require.NoError(t, err)
		require.False(t, a.IsGroup())
		require.Equal(t, byte(2), a[0]&2, "locally administered")
	}
	first, _ := Config{Rand: random.New(1)}.stationAddr(peer)
	again, _ := Config{Rand: random.New(1)}.stationAddr(peer)
	require.Equal(t, first, again)
	other, err := Config{Rand: random.New(1)}.stationAddr(first)
	require.NoError(t, err)
	require.NotEqual(t, first, other, "never the kernel's own")
}
