package main

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/control"
)

func TestNeighWords(t *testing.T) {
	mac := link.Addr{2, 0, 0, 0, 0, 9}
	for _, tc := range []struct {
		name string
		args []string
		want control.NeighRequest
		err  string
	}{
		{"add", []string{"10.0.0.9", "lladdr", "02:00:00:00:00:09", "dev", "t0", "nud", "reachable"}, control.NeighRequest{Dst: ip("10.0.0.9"), Dev: "t0", LLAddr: &mac, State: "reachable"}, ""},
		{"order does not matter", []string{"dev", "t0", "lladdr", "2:0:0:0:0:9", "to", "10.0.0.9"}, control.NeighRequest{Dst: ip("10.0.0.9"), Dev: "t0", LLAddr: &mac}, ""},
		{"flags", []string{"10.0.0.9", "lladdr", "2:0:0:0:0:9", "dev", "t0", "router", "extern_learn", "proto", "static"},
			control.NeighRequest{Dst: ip("10.0.0.9"), Dev: "t0", LLAddr: &mac, Router: true, ExternLearn: true, Protocol: 4}, ""},
		{"use resolves", []string{"10.0.0.9", "dev", "t0", "use"}, control.NeighRequest{Dst: ip("10.0.0.9"), Dev: "t0", Use: true, State: "none"}, ""},
		{"managed resolves", []string{"10.0.0.9", "dev", "t0", "managed"}, control.NeighRequest{Dst: ip("10.0.0.9"), Dev: "t0", Managed: true, State: "none"}, ""},
		{"proxy", []string{"proxy", "10.0.0.77", "dev", "t0"}, control.NeighRequest{Dst: ip("10.0.0.77"), Dev: "t0", Proxy: true}, ""},
		{"states by number", []string{"10.0.0.9", "dev", "t0", "nud", "0x4"}, control.NeighRequest{Dst: ip("10.0.0.9"), Dev: "t0", State: "stale"}, ""},
		{"no state's number", []string{"10.0.0.9", "dev", "t0", "nud", "0x44"}, control.NeighRequest{}, "nud \"0x44\""},
		{"nud 4", []string{"10.0.0.9", "dev", "t0", "nud", "4"}, control.NeighRequest{Dst: ip("10.0.0.9"), Dev: "t0", State: "stale"}, ""},
		{"no device", []string{"10.0.0.9"}, control.NeighRequest{}, "want an address and a device"},
		{"no address", []string{"dev", "t0"}, control.NeighRequest{}, "want an address and a device"},
		{"bad address", []string{"10.0.0.300", "dev", "t0"}, control.NeighRequest{}, "\"10.0.0.300\" is not an IPv4 address"},
		{"bad lladdr", []string{"10.0.0.3", "lladdr", "zz", "dev", "t0"}, control.NeighRequest{}, "not an Ethernet address"},
		{"bad state", []string{"10.0.0.3", "dev", "t0", "nud", "foo"}, control.NeighRequest{}, "nud \"foo\""},
		{"all is no state", []string{"10.0.0.3", "dev", "t0", "nud", "all"}, control.NeighRequest{}, "nud all is no state"},
		{"two addresses", []string{"10.0.0.3", "10.0.0.4", "dev", "t0"}, control.NeighRequest{}, "\"10.0.0.4\" is not understood"},
		{"no value", []string{"10.0.0.3", "dev"}, control.NeighRequest{}, "\"dev\" wants a value"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := neighRequest("add", tc.args)
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
				code, _ := exit(err)
				require.Equal(t, exitUsage, code)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
}

func TestNeighFilterWords(t *testing.T) {
	f, err := neighFilter("show", []string{"to", "10/8", "dev", "t0", "nud", "stale", "nud", "0x"})
	require.Error(t, err)
	require.Empty(t, f.Proxy)
	f, err = neighFilter("show", []string{"10.1.2.3/8", "dev", "t0", "nud", "STALE", "nud", "none", "proxy"})
	require.NoError(t, err)
	require.Equal(t, control.NeighFilter{To: netip.MustParsePrefix("10.0.0.0/8"), Dev: "t0", NUD: []string{"stale", "none"}, Proxy: true}, f)
	require.Equal(t, "dev=t0&nud=stale&nud=none&proxy=1&to=10.0.0.0%2F8", f.Query().Encode())
	_, err = neighFilter("show", []string{"foo"})
	require.ErrorContains(t, err, "\"foo\" is not an IPv4 prefix")
}

func TestPrefixWords(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.0/24": "10.0.0.0/24", "10/8": "10.0.0.0/8", "192.168/16": "192.168.0.0/16", "10.0.0.9": "10.0.0.9/32",
		"default": "0.0.0.0/0", "any": "0.0.0.0/0", "10.0.0.0/255.255.255.0": "10.0.0.0/24", "10.0.0.2/24": "10.0.0.2/24",
	} {
		p, err := parsePrefix(in)
		require.NoError(t, err, in)
		require.Equal(t, want, p.String(), in)
	}
	for _, in := range []string{"", "x", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/255.0.255.0", "10/x", "fe80::/10", "10.0.0", "/8"} {
		_, err := parsePrefix(in)
		require.Error(t, err, in)
	}
}

func TestLinkWords(t *testing.T) {
	yes, no, mtu := true, false, 1000
	mac := link.Addr{2, 0, 0, 0, 0, 0xaa}
	for _, tc := range []struct {
		args []string
		want control.LinkChange
		err  string
	}{
		{[]string{"t0", "up"}, control.LinkChange{Dev: "t0", Up: &yes}, ""},
		{[]string{"dev", "t0", "down"}, control.LinkChange{Dev: "t0", Up: &no}, ""},
		{[]string{"t0", "carrier", "off", "mtu", "1000"}, control.LinkChange{Dev: "t0", Carrier: &no, MTU: &mtu}, ""},
		{[]string{"t0", "address", "02:00:00:00:00:aa", "arp", "on"}, control.LinkChange{Dev: "t0", Address: &mac, ARP: &yes}, ""},
		{[]string{"t0"}, control.LinkChange{}, "want what to change"},
		{[]string{"up"}, control.LinkChange{}, "want a device"},
		{[]string{"t0", "sideways"}, control.LinkChange{}, "not understood"},
		{[]string{"t0", "carrier", "perhaps"}, control.LinkChange{}, "want on or off"},
		{[]string{"t0", "mtu", "x"}, control.LinkChange{}, "want a number"},
	} {
		got, err := linkChange(tc.args)
		if tc.err != "" {
			require.ErrorContains(t, err, tc.err, "%v", tc.args)
			continue
		}
		require.NoError(t, err, "%v", tc.args)
		require.Equal(t, tc.want, got, "%v", tc.args)
	}
}

func TestAddressWords(t *testing.T) {
	p, none := netip.MustParsePrefix, netip.IPv4Unspecified()
	for _, tc := range []struct {
		args []string
		want control.AddressRequest
		err  string
	}{
		{[]string{"10.0.0.5/24", "dev", "t0"}, control.AddressRequest{Dev: "t0", Prefix: p("10.0.0.5/24"), Broadcast: none}, ""},
		{[]string{"10.0.0.5/24", "acd", "dev", "t0"}, control.AddressRequest{Dev: "t0", Prefix: p("10.0.0.5/24"), Broadcast: none, ACD: "once"}, ""},
		{[]string{"10.0.0.5/24", "dev", "t0", "acd", "always"}, control.AddressRequest{Dev: "t0", Prefix: p("10.0.0.5/24"), Broadcast: none, ACD: "always"}, ""},
		{[]string{"10.0.0.5/24", "dev", "t0", "acd"}, control.AddressRequest{Dev: "t0", Prefix: p("10.0.0.5/24"), Broadcast: none, ACD: "once"}, ""},
		{[]string{"10.0.0.5/24", "brd", "+", "dev", "t0"}, control.AddressRequest{Dev: "t0", Prefix: p("10.0.0.5/24")}, ""},
		{[]string{"10.0.0.5/24", "broadcast", "10.0.0.9", "dev", "t0"}, control.AddressRequest{Dev: "t0", Prefix: p("10.0.0.5/24"), Broadcast: ip("10.0.0.9")}, ""},
		{[]string{"10.9.9.9", "dev", "lo", "scope", "host"}, control.AddressRequest{Dev: "lo", Prefix: p("10.9.9.9/32"), Broadcast: none, Scope: "host"}, ""},
		{[]string{"local", "10.9.9.9/32", "dev", "lo", "metric", "7", "noprefixroute", "label", "lo:1"}, control.AddressRequest{Dev: "lo", Prefix: p("10.9.9.9/32"), Broadcast: none, Metric: 7, NoPrefix: true, Label: "lo:1"}, ""},
		{[]string{"10.0.0.5/24"}, control.AddressRequest{}, "want an address and a device"},
		{[]string{"dev", "t0"}, control.AddressRequest{}, "want an address and a device"},
		{[]string{"10.0.0.5", "peer", "10.0.0.6/30", "dev", "t0"}, control.AddressRequest{Dev: "t0", Prefix: p("10.0.0.5/30"), Peer: ip("10.0.0.6"), Broadcast: none}, ""},
		{[]string{"10.0.0.5/24", "valid_lft", "5", "preferred_lft", "6", "dev", "t0"}, control.AddressRequest{}, "preferred_lft is longer"},
	} {
		got, err := addressRequest("add", tc.args)
		if tc.err != "" {
			require.ErrorContains(t, err, tc.err, "%v", tc.args)
			continue
		}
		require.NoError(t, err, "%v", tc.args)
		require.Equal(t, tc.want, got, "%v", tc.args)
	}
}

func TestLinkAddWords(t *testing.T) {
	l, err := linkRequest([]string{"t1", "type", "tap", "address", "2:0:0:0:1:2", "mtu", "1400", "peer", "10.1.0.1/24"})
	require.NoError(t, err)
	require.Equal(t, control.LinkRequest{Name: "t1", Type: "tap", Address: link.Addr{2, 0, 0, 0, 1, 2}, MTU: 1400, Peer: netip.MustParsePrefix("10.1.0.1/24")}, l)
	l, err = linkRequest([]string{"name", "t1"})
	require.NoError(t, err)
	require.Equal(t, control.LinkRequest{Name: "t1"}, l)
	for line, want := range map[string]string{
		"": "want a name", "t1 t2": "\"t2\" is not understood", "t1 type dummy": "there is only tap", "t1 type": "wants a value", "lo": "not lo",
		"t1 address ff:ff:ff:ff:ff:ff": "cannot be a station's", "t1 mtu 10": "want 68 to", "t1 peer 10.1.0.1": "prefix length",
	} {
		_, err := linkRequest(strings.Fields(line))
		require.ErrorContains(t, err, want, line)
		code, _ := exit(err)
		require.Equal(t, exitUsage, code, line)
	}
}

func TestAddrDelTakesNoACD(t *testing.T) {
	_, err := addressRequest("del", []string{"10.0.0.5/24", "dev", "t0", "acd"})
	require.ErrorContains(t, err, "\"acd\" is not understood")
}

func TestRouteWords(t *testing.T) {
	r, err := parseRoute("route add", []string{"unreachable", "10.98.0.0/16", "metric", "3"})
	require.NoError(t, err)
	require.Equal(t, control.Route{Type: "unreachable", Dst: netip.MustParsePrefix("10.98.0.0/16"), Metric: 3}, r)
	r, err = parseRoute("route add", []string{"default", "via", "inet", "10.0.0.1", "onlink", "proto", "static", "scope", "link", "mtu", "1400", "table", "main"})
	require.NoError(t, err)
	require.Equal(t, control.Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: ip("10.0.0.1"), OnLink: true, Protocol: 4, Scope: "link", MTU: 1400, Table: "main"}, r)
	for _, args := range [][]string{{}, {"via", "10.0.0.1"}, {"default", "via"}, {"default", "default"}, {"default", "table", "seven"}, {"default", "proto", "nobody"}} {
		_, err := parseRoute("route add", args)
		code, _ := exit(err)
		require.Equal(t, exitUsage, code, "%v", args)
	}

	f, err := parseRouteFilter("route show", []string{"table", "255", "dev", "t0", "via", "10.0.0.1", "match", "10.0.0.9"})
	require.NoError(t, err)
	require.Equal(t, "local", f.table)
	for dst, want := range map[string]bool{"0.0.0.0/0": true, "10.0.0.0/24": true, "10.0.1.0/24": false} {
		require.Equal(t, want, f.has(control.Route{Dst: netip.MustParsePrefix(dst), Dev: "t0", Gateway: ip("10.0.0.1")}), dst)
	}
	f, err = parseRouteFilter("route show", []string{"root", "10.0.0.0/8"})
	require.NoError(t, err)
	require.True(t, f.has(control.Route{Dst: netip.MustParsePrefix("10.0.1.0/24")}))
	require.False(t, f.has(control.Route{Dst: netip.MustParsePrefix("0.0.0.0/0")}))
}

func FuzzWords(f *testing.F) {
	f.Add("10.0.0.9", "lladdr", "2:0:0:0:0:9", "dev")
	f.Add("to", "10/8", "nud", "stale")
	f.Add("default", "via", "10.0.0.1", "metric")
	f.Add("t0", "mtu", "1", "up")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		args := []string{a, b, c, d}
		for _, parse := range []func() error{
			func() error { _, err := neighRequest("add", args); return err },
			func() error { _, err := neighFilter("show", args); return err },
			func() error { _, err := parseRoute("route add", args); return err },
			func() error { _, err := parseRouteFilter("route show", args); return err },
			func() error { _, err := linkChange(args); return err },
			func() error { _, err := addressRequest("add", args); return err },
			func() error { _, err := ntableChanges(args); return err },
			func() error { _, err := blastRequest(args); return err },
		} {
			if err := parse(); err != nil && err.Error() == "" {
				t.Fatalf("%q: an error without words", args)
			}
		}
	})
}
