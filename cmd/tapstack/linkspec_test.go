package main

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/control"
)

func TestParseLink(t *testing.T) {
	p := netip.MustParsePrefix
	for _, tc := range []struct {
		in   string
		want linkSpec
		err  string
	}{
		{"name=t0", linkSpec{name: "t0", queues: 1, offload: "auto"}, ""},
		{"name=t0,mac=02:00:00:00:00:02,addr=10.0.0.2/24", linkSpec{name: "t0", mac: link.Addr{2, 0, 0, 0, 0, 2}, addrs: []netip.Prefix{p("10.0.0.2/24")}, queues: 1, offload: "auto"}, ""},
		{"addr=10.0.0.2/24,addr=10.9.0.1/16,name=t0,peer=10.0.0.1/24,mtu=9000,queues=4,offload=off",
			linkSpec{name: "t0", addrs: []netip.Prefix{p("10.0.0.2/24"), p("10.9.0.1/16")}, peer: p("10.0.0.1/24"), mtu: 9000, queues: 4, offload: "off"}, ""},
		{"name=t0,gro=off", linkSpec{name: "t0", queues: 1, offload: "auto", noGRO: true}, ""},
		{"gro=on,name=t0", linkSpec{name: "t0", queues: 1, offload: "auto"}, ""},
		{"name=t0,gro=yes", linkSpec{}, "want on or off"},
		{"name=t0,addr=none", linkSpec{name: "t0", queues: 1, offload: "auto"}, ""},
		{"name=t0,addr=dhcp", linkSpec{name: "t0", dhcp: true, queues: 1, offload: "auto"}, ""},
		{"name=t0,addr=dhcp,addr=10.0.0.2/24", linkSpec{name: "t0", dhcp: true, addrs: []netip.Prefix{p("10.0.0.2/24")}, queues: 1, offload: "auto"}, ""},
		{"name=t0,addr=dhcp,addr=dhcp", linkSpec{}, "addr=dhcp is given twice"},
		{"name=t0,addr=dhcp,addr=none", linkSpec{}, "exclude each other"},
		{"", linkSpec{}, "want key=value"},
		{"t0", linkSpec{}, "want key=value"},
		{"name=", linkSpec{}, "want key=value"},
		{"name=t0,", linkSpec{}, "want key=value"},
		{"addr=10.0.0.2/24", linkSpec{}, "want a name"},
		{"name=t0,name=t1", linkSpec{}, "name is given twice"},
		{"name=sixteen-letters-", linkSpec{}, "1 to 15 characters"},
		{"name=a/b", linkSpec{}, "1 to 15 characters"},
		{"name=lo", linkSpec{}, "not lo"},
		{"name=t0,color=red", linkSpec{}, "there is no key \"color\""},
		{"name=t0,mac=zz", linkSpec{}, "not an Ethernet address"},
		{"name=t0,mac=ff:ff:ff:ff:ff:ff", linkSpec{}, "cannot be a station's address"},
		{"name=t0,mac=01:00:00:00:00:00", linkSpec{}, "cannot be a station's address"},
		{"name=t0,mac=00:00:00:00:00:00", linkSpec{}, "cannot be a station's address"},
		{"name=t0,addr=10.0.0.2", linkSpec{}, "with its prefix length"},
		{"name=t0,addr=10.0.0.300/24", linkSpec{}, "with its prefix length"},
		{"name=t0,addr=10.0.0.2/33", linkSpec{}, "with its prefix length"},
		{"name=t0,addr=fe80::1/64", linkSpec{}, "with its prefix length"},
		{"name=t0,addr=224.0.0.1/4", linkSpec{}, "no host can have"},
		{"name=t0,addr=0.0.0.0/0", linkSpec{}, "no host can have"},
		{"name=t0,addr=none,addr=10.0.0.2/24", linkSpec{}, "exclude each other"},
		{"name=t0,addr=10.0.0.1/24,peer=10.0.0.1/24", linkSpec{}, "need an address each"},
		{"name=t0,mtu=67", linkSpec{}, "want 68 to"},
		{"name=t0,mtu=many", linkSpec{}, "want 68 to"},
		{"name=t0,queues=0", linkSpec{}, "want 1 to 256"},
		{"name=t0,offload=maybe", linkSpec{}, "want auto, on or off"},
	} {
		t.Run(tc.in, func(t *testing.T) {
			got, err := parseLink(tc.in)
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
				code, line := exit(err)
				require.Equal(t, exitUsage, code)
				require.NotContains(t, line, "\n")
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
}

func FuzzParseLink(f *testing.F) {
	for _, s := range []string{
		"name=t0", "name=t0,mac=02:00:00:00:00:02,addr=10.0.0.2/24,addr=10.0.1.2/16,peer=10.0.0.1/24,mtu=1500,queues=1,offload=auto",
		"name=t0,addr=none", ",,,", "name==", "mac=::::::,name=t0", "name=t0,mtu=99999999999999999999",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := parseLink(s)
		if err != nil {
			if code, _ := exit(err); code != exitUsage {
				t.Fatalf("%q: %v is not a usage error", s, err)
			}
			return
		}
		if l.name == "" || len(l.name) > 15 || strings.ContainsAny(l.name, "/ ") || l.queues < 1 || l.mac.IsGroup() {
			t.Fatalf("%q was taken for %+v", s, l)
		}
		for _, a := range l.addrs {
			if !a.IsValid() || !a.Addr().Is4() || a.Addr().IsUnspecified() {
				t.Fatalf("%q: address %v", s, a)
			}
		}
	})
}

func TestParseRouteFlag(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want control.Route
		err  string
	}{
		{"0.0.0.0/0,via=10.0.0.1", control.Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: ip("10.0.0.1")}, ""},
		{"default,via=10.0.0.1,dev=t0,src=10.0.0.2,metric=5", control.Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: ip("10.0.0.1"), Dev: "t0", PrefSrc: ip("10.0.0.2"), Metric: 5}, ""},
		{"192.168.7.0/24,dev=t0", control.Route{Dst: netip.MustParsePrefix("192.168.7.0/24"), Dev: "t0"}, ""},
		{"192.168.7.0/24", control.Route{}, "want via=ADDR or dev=NAME"},
		{"192.168.7.1/24,dev=t0", control.Route{}, "invalid argument"},
		{"nonsense,via=10.0.0.1", control.Route{}, "not an IPv4 prefix"},
		{"10.0.0.0/8,via=x", control.Route{}, "not an IPv4 address"},
		{"10.0.0.0/8,via", control.Route{}, "want key=value"},
		{"10.0.0.0/8,color=red", control.Route{}, "no key \"color\""},
		{"10.0.0.0/8,via=10.0.0.1,metric=-1", control.Route{}, "want a number"},
	} {
		t.Run(tc.in, func(t *testing.T) {
			got, err := parseRouteFlag(tc.in)
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
}

func TestParseSysctlFlag(t *testing.T) {
	v, err := parseSysctlFlag("net.ipv4.ip_forward = 1")
	require.NoError(t, err)
	require.Equal(t, control.Sysctl{Name: "net.ipv4.ip_forward", Value: "1"}, v)
	for _, s := range []string{"", "net.ipv4.ip_forward", "=1", "net.ipv4.ip_forward="} {
		_, err := parseSysctlFlag(s)
		require.ErrorContains(t, err, "want KEY=VALUE", s)
	}
}
