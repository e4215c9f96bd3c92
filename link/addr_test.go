package link

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseAddr(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     Addr
		ok       bool
	}{
		{"ok, lower case", "02:00:00:ab:cd:ef", Addr{2, 0, 0, 0xab, 0xcd, 0xef}, true},
		{"ok, upper case", "02:00:00:AB:CD:EF", Addr{2, 0, 0, 0xab, 0xcd, 0xef}, true},
		{"ok, broadcast", "ff:ff:ff:ff:ff:ff", BroadcastAddr, true},
		{"ok, zero", "00:00:00:00:00:00", Addr{}, true},
		{"bad, empty", "", Addr{}, false},
		{"bad, five pairs", "02:00:00:00:00", Addr{}, false},
		{"bad, seven pairs", "02:00:00:00:00:00:01", Addr{}, false},
		{"bad, dashes", "02-00-00-00-00-02", Addr{}, false},
		{"bad, one separator", "02:00:00:00:00-02", Addr{}, false},
		{"bad, not hexadecimal", "0g:00:00:00:00:02", Addr{}, false},
		{"bad, shifted colons", "020:00:00:00:00:2", Addr{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseAddr(c.in)
			require.Equal(t, c.ok, err == nil, "error: %v", err)
			require.Equal(t, c.want, got)
			if err != nil {
				require.True(t, strings.HasPrefix(err.Error(), "link: "), err.Error())
			}
		})
	}
}

func TestAddrClasses(t *testing.T) {
	for _, c := range []struct {
		addr                   string
		zero, broadcast, group bool
	}{
		{"00:00:00:00:00:00", true, false, false},
		{"02:00:00:00:00:01", false, false, false},
		{"01:00:5e:00:00:01", false, false, true},
		{"ff:ff:ff:ff:ff:ff", false, true, true},
	} {
		a, err := ParseAddr(c.addr)
		require.NoError(t, err)
		require.Equal(t, c.zero, a.IsZero(), c.addr)
		require.Equal(t, c.broadcast, a.IsBroadcast(), c.addr)
		require.Equal(t, c.group, a.IsGroup(), c.addr)
	}
}

func TestAddrText(t *testing.T) {
	a := Addr{0x02, 0, 0, 0, 0, 0x2a}
	b, err := json.Marshal(map[string]Addr{"lladdr": a})
	require.NoError(t, err)
	require.Equal(t, `{"lladdr":"02:00:00:00:00:2a"}`, string(b))
	var back map[string]Addr
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, a, back["lladdr"])
	require.Error(t, json.Unmarshal([]byte(`{"lladdr":"x"}`), &back))
	require.Equal(t, a, back["lladdr"], "a bad address must leave the old value")
}

func TestMulticastAddr(t *testing.T) {
	t.Run("RFC 1112 6.4: only the low 23 bits count", func(t *testing.T) {
		require.Equal(t, Addr{0x01, 0x00, 0x5e, 0, 0, 1}, MulticastAddr(netip.MustParseAddr("224.0.0.1")))
		require.Equal(t, Addr{0x01, 0x00, 0x5e, 0x7f, 0xff, 0xfa}, MulticastAddr(netip.MustParseAddr("239.255.255.250")))
		require.Equal(t, MulticastAddr(netip.MustParseAddr("224.1.2.3")), MulticastAddr(netip.MustParseAddr("225.129.2.3")))
	})
}

func TestAddrDoesNotAllocate(t *testing.T) {
	a, buf := Addr{2, 0, 0, 0, 0, 1}, make([]byte, 0, 32)
	wantNoAllocs(t, func() { _, _ = a.AppendText(buf) })
}

func FuzzParseAddr(f *testing.F) {
	for _, s := range []string{"", "02:00:00:00:00:02", "FF:ff:00:11:22:33", "02-00-00-00-00-02", "0:0:0:0:0:0:::::::"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddr(s)
		if err != nil {
			require.Equal(t, Addr{}, a)
			return
		}
		require.Equal(t, strings.ToLower(s), a.String())
	})
}
