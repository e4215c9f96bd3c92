package main

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/stack/control"
)

func routes() []control.Route {
	p := netip.MustParsePrefix
	return []control.Route{
		{Dst: p("0.0.0.0/0"), Gateway: ip("10.0.0.4"), Dev: "v0", Protocol: 3, Scope: "global", Table: "main"},
		{Dst: p("10.0.0.0/24"), Dev: "v0", Protocol: 2, Scope: "link", PrefSrc: ip("10.0.0.2"), Table: "main"},
		{Dst: p("10.96.0.0/16"), Dev: "v0", Protocol: 4, Scope: "link", Table: "main"},
		{Dst: p("10.97.0.0/16"), Gateway: ip("10.0.0.4"), Dev: "v0", Protocol: 3, Scope: "global", PrefSrc: ip("10.0.0.5"), MTU: 1400, Table: "main"},
		{Type: "unreachable", Dst: p("10.98.0.0/16"), Protocol: 3, Scope: "global", Table: "main"},
		{Dst: p("192.168.77.0/24"), Gateway: ip("10.0.0.4"), Dev: "v0", Protocol: 3, Scope: "global", Metric: 5, Table: "main"},
	}
}

func TestRoutesArePrintedAsIPDoes(t *testing.T) {
	kernel := uint8(2)
	local := []control.Route{
		{Type: "local", Dst: netip.MustParsePrefix("10.0.0.2/32"), Dev: "v0", Protocol: 2, Scope: "host", PrefSrc: ip("10.0.0.2"), Table: "local"},
		{Type: "broadcast", Dst: netip.MustParsePrefix("10.0.0.255/32"), Dev: "v0", Protocol: 2, Scope: "link", PrefSrc: ip("10.0.0.2"), Table: "local"},
	}
	for _, tc := range []struct {
		name string
		o    options
		list []control.Route
		f    routeFilter
		want string
	}{
		{"main", options{}, routes(), routeFilter{table: "main"}, `default via 10.0.0.4 dev v0 
10.0.0.0/24 dev v0 proto kernel scope link src 10.0.0.2 
10.96.0.0/16 dev v0 proto static scope link 
10.97.0.0/16 via 10.0.0.4 dev v0 src 10.0.0.5 mtu 1400 
unreachable 10.98.0.0/16 
192.168.77.0/24 via 10.0.0.4 dev v0 metric 5 
`},
		{"-d", options{details: true}, routes(), routeFilter{table: "main"}, `unicast default via 10.0.0.4 dev v0 proto boot scope global 
unicast 10.0.0.0/24 dev v0 proto kernel scope link src 10.0.0.2 
unicast 10.96.0.0/16 dev v0 proto static scope link 
unicast 10.97.0.0/16 via 10.0.0.4 dev v0 proto boot scope global src 10.0.0.5 mtu 1400 
unreachable 10.98.0.0/16 proto boot scope global 
unicast 192.168.77.0/24 via 10.0.0.4 dev v0 proto boot scope global metric 5 
`},
		{"table all", options{}, local, routeFilter{table: "all"}, `local 10.0.0.2 dev v0 table local proto kernel scope host src 10.0.0.2 
broadcast 10.0.0.255 dev v0 table local proto kernel scope link src 10.0.0.2 
`},
		{"table local", options{}, local, routeFilter{table: "local"}, `local 10.0.0.2 dev v0 proto kernel scope host src 10.0.0.2 
broadcast 10.0.0.255 dev v0 proto kernel scope link src 10.0.0.2 
`},
		{"dev", options{}, routes()[1:2], routeFilter{table: "main", dev: "v0"}, "10.0.0.0/24 proto kernel scope link src 10.0.0.2 \n"},
		{"proto kernel", options{}, routes(), routeFilter{table: "main", proto: &kernel}, "10.0.0.0/24 dev v0 scope link src 10.0.0.2 \n"},
		{"via", options{}, routes()[:2], routeFilter{table: "main", via: "10.0.0.4"}, "default dev v0 \n"},
		{"-j", options{json: true}, routes(), routeFilter{table: "main"}, `[{"dst":"default","gateway":"10.0.0.4","dev":"v0","flags":[]},{"dst":"10.0.0.0/24","dev":"v0","protocol":"kernel","scope":"link","prefsrc":"10.0.0.2","flags":[]},{"dst":"10.96.0.0/16","dev":"v0","protocol":"static","scope":"link","flags":[]},{"dst":"10.97.0.0/16","gateway":"10.0.0.4","dev":"v0","prefsrc":"10.0.0.5","flags":[],"metrics":[{"mtu":1400}]},{"type":"unreachable","dst":"10.98.0.0/16","flags":[]},{"dst":"192.168.77.0/24","gateway":"10.0.0.4","dev":"v0","metric":5,"flags":[]}]
`},
		{"-j -p", options{json: true, pretty: true}, routes()[3:5], routeFilter{table: "main"}, `[ {
        "dst": "10.97.0.0/16",
        "gateway": "10.0.0.4",
        "dev": "v0",
        "prefsrc": "10.0.0.5",
        "flags": [ ],
        "metrics": [ {
                "mtu": 1400
            } ]
    },{
        "type": "unreachable",
        "dst": "10.98.0.0/16",
        "flags": [ ]
    } ]
`},
	} {
		t.Run(tc.name, func(t *testing.T) { require.Equal(t, tc.want, string(printRoutes(tc.o, tc.list, tc.f))) })
	}
}

func TestPathsArePrintedAsIPRouteGetDoes(t *testing.T) {
	host := func(s string) netip.Prefix { return netip.PrefixFrom(ip(s), 32) }
	for _, tc := range []struct {
		name string
		o    options
		r    control.Route
		q    control.RouteQuery
		want string
	}{
		{"on the link", options{}, control.Route{Dst: host("10.0.0.3"), Dev: "v0", PrefSrc: ip("10.0.0.2")}, control.RouteQuery{}, "10.0.0.3 dev v0 src 10.0.0.2 uid 0 \n    cache \n"},
		{"gateway, mtu", options{}, control.Route{Dst: host("10.97.0.1"), Gateway: ip("10.0.0.4"), Dev: "v0", PrefSrc: ip("10.0.0.5"), MTU: 1400}, control.RouteQuery{},
			"10.97.0.1 via 10.0.0.4 dev v0 src 10.0.0.5 uid 0 \n    cache mtu 1400 \n"},
		{"local", options{}, control.Route{Type: "local", Dst: host("10.0.0.2"), Dev: "lo", PrefSrc: ip("10.0.0.2")}, control.RouteQuery{},
			"local 10.0.0.2 dev lo src 10.0.0.2 uid 0 \n    cache <local> \n"},
		{"broadcast", options{}, control.Route{Type: "broadcast", Dst: host("10.0.0.255"), Dev: "v0", PrefSrc: ip("10.0.0.2")}, control.RouteQuery{},
			"broadcast 10.0.0.255 dev v0 src 10.0.0.2 uid 0 \n    cache <local,brd> \n"},
		{"from", options{}, control.Route{Dst: host("10.0.0.17"), Dev: "v0", PrefSrc: ip("10.0.0.5")}, control.RouteQuery{From: ip("10.0.0.5")},
			"10.0.0.17 from 10.0.0.5 dev v0 uid 0 \n    cache \n"},
		{"-o", options{oneline: true}, control.Route{Dst: host("10.0.0.3"), Dev: "v0", PrefSrc: ip("10.0.0.2")}, control.RouteQuery{}, "10.0.0.3 dev v0 src 10.0.0.2 uid 0 \\    cache \n"},
		{"-j", options{json: true}, control.Route{Dst: host("10.97.0.1"), Gateway: ip("10.0.0.4"), Dev: "v0", PrefSrc: ip("10.0.0.5"), MTU: 1400}, control.RouteQuery{},
			`[{"dst":"10.97.0.1","gateway":"10.0.0.4","dev":"v0","prefsrc":"10.0.0.5","flags":[],"uid":0,"cache":[],"metrics":[{"mtu":1400}]}]` + "\n"},
		{"-j local", options{json: true}, control.Route{Type: "local", Dst: host("10.0.0.2"), Dev: "lo", PrefSrc: ip("10.0.0.2")}, control.RouteQuery{},
			`[{"type":"local","dst":"10.0.0.2","dev":"lo","prefsrc":"10.0.0.2","flags":[],"uid":0,"cache":["local"]}]` + "\n"},
	} {
		t.Run(tc.name, func(t *testing.T) { require.Equal(t, tc.want, string(printPath(tc.o, tc.r, tc.q))) })
	}
}
