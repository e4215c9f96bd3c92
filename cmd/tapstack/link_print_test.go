package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/stack/control"
)

func links() []control.Link {
	return []control.Link{
		{
			Index: 1, Name: "lo", Flags: []string{"LOOPBACK", "UP", "LOWER_UP"}, MTU: 65536, OperState: "UNKNOWN", Type: "loopback",
			Address: "00:00:00:00:00:00", Broadcast: "00:00:00:00:00:00",
			Addresses: []control.Address{{Local: ip("127.0.0.1"), PrefixLen: 8, Scope: "host"}},
		},
		{
			Index: 2, Name: "v1", Flags: []string{"BROADCAST", "MULTICAST", "UP", "LOWER_UP"}, MTU: 1500, OperState: "UP", Type: "ether",
			Address: "02:ee:00:00:00:01", Broadcast: "ff:ff:ff:ff:ff:ff",
			Addresses: []control.Address{
				{Local: ip("10.0.0.2"), PrefixLen: 24, Scope: "global"},
				{Local: ip("10.0.0.5"), PrefixLen: 24, Broadcast: ip("10.0.0.255"), Scope: "global", Secondary: true},
			},
			Rx: control.Traffic{Bytes: 90, Packets: 1}, Tx: control.Traffic{Bytes: 3193, Packets: 29, Dropped: 2},
		},
	}
}

func TestLinksArePrintedAsIPDoes(t *testing.T) {
	for _, tc := range []struct {
		name  string
		o     options
		addrs bool
		want  string
	}{
		{"link", options{}, false, `1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN mode DEFAULT group default qlen 1000
    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
2: v1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP mode DEFAULT group default qlen 1000
    link/ether 02:ee:00:00:00:01 brd ff:ff:ff:ff:ff:ff
`},
		{"addr", options{}, true, `1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000
    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
    inet 127.0.0.1/8 scope host lo
       valid_lft forever preferred_lft forever
2: v1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default qlen 1000
    link/ether 02:ee:00:00:00:01 brd ff:ff:ff:ff:ff:ff
    inet 10.0.0.2/24 scope global v1
       valid_lft forever preferred_lft forever
    inet 10.0.0.5/24 brd 10.0.0.255 scope global secondary v1
       valid_lft forever preferred_lft forever
`},
		{"-4 -s addr", options{ipv4: true, stats: 1}, true, `1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000
    inet 127.0.0.1/8 scope host lo
       valid_lft forever preferred_lft forever
    RX:  bytes packets errors dropped  missed   mcast           
             0       0      0       0       0       0 
    TX:  bytes packets errors dropped carrier collsns           
             0       0      0       0       0       0 
2: v1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default qlen 1000
    inet 10.0.0.2/24 scope global v1
       valid_lft forever preferred_lft forever
    inet 10.0.0.5/24 brd 10.0.0.255 scope global secondary v1
       valid_lft forever preferred_lft forever
    RX:  bytes packets errors dropped  missed   mcast           
            90       1      0       0       0       0 
    TX:  bytes packets errors dropped carrier collsns           
          3193      29      0       2       0       0 
`},
		{"-o addr", options{oneline: true}, true, `1: lo    inet 127.0.0.1/8 scope host lo\       valid_lft forever preferred_lft forever
2: v1    inet 10.0.0.2/24 scope global v1\       valid_lft forever preferred_lft forever
2: v1    inet 10.0.0.5/24 brd 10.0.0.255 scope global secondary v1\       valid_lft forever preferred_lft forever
`},
		{"-o link", options{oneline: true}, false, `1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN mode DEFAULT group default qlen 1000\    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
2: v1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP mode DEFAULT group default qlen 1000\    link/ether 02:ee:00:00:00:01 brd ff:ff:ff:ff:ff:ff
`},
		{"-br addr", options{brief: true}, true, "lo               UNKNOWN        127.0.0.1/8 \nv1               UP             10.0.0.2/24 10.0.0.5/24 \n"},
		{"-br link", options{brief: true}, false, "lo               UNKNOWN        00:00:00:00:00:00 <LOOPBACK,UP,LOWER_UP> \n" +
			"v1               UP             02:ee:00:00:00:01 <BROADCAST,MULTICAST,UP,LOWER_UP> \n"},
		{"-j link", options{json: true}, false, `[{"ifindex":1,"ifname":"lo","flags":["LOOPBACK","UP","LOWER_UP"],"mtu":65536,"qdisc":"noqueue","operstate":"UNKNOWN","linkmode":"DEFAULT","group":"default","txqlen":1000,"link_type":"loopback","address":"00:00:00:00:00:00","broadcast":"00:00:00:00:00:00"},{"ifindex":2,"ifname":"v1","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1500,"qdisc":"noqueue","operstate":"UP","linkmode":"DEFAULT","group":"default","txqlen":1000,"link_type":"ether","address":"02:ee:00:00:00:01","broadcast":"ff:ff:ff:ff:ff:ff"}]
`},
		{"-j -br addr", options{json: true, brief: true}, true, `[{"ifname":"lo","operstate":"UNKNOWN","addr_info":[{"local":"127.0.0.1","prefixlen":8}]},{"ifname":"v1","operstate":"UP","addr_info":[{"local":"10.0.0.2","prefixlen":24},{"local":"10.0.0.5","prefixlen":24}]}]
`},
	} {
		t.Run(tc.name, func(t *testing.T) { require.Equal(t, tc.want, string(printLinks(tc.o, links(), tc.addrs))) })
	}
	t.Run("-j -p -s addr", func(t *testing.T) {
		require.Equal(t, `[ {
        "ifindex": 2,
        "ifname": "v1",
        "flags": [ "BROADCAST","MULTICAST","UP","LOWER_UP" ],
        "mtu": 1500,
        "qdisc": "noqueue",
        "operstate": "UP",
        "group": "default",
        "txqlen": 1000,
        "link_type": "ether",
        "address": "02:ee:00:00:00:01",
        "broadcast": "ff:ff:ff:ff:ff:ff",
        "addr_info": [ {
                "family": "inet",
                "local": "10.0.0.2",
                "prefixlen": 24,
                "scope": "global",
                "label": "v1",
                "valid_life_time": 4294967295,
                "preferred_life_time": 4294967295
            },{
                "family": "inet",
                "local": "10.0.0.5",
                "prefixlen": 24,
                "broadcast": "10.0.0.255",
                "scope": "global",
                "secondary": true,
                "label": "v1",
                "valid_life_time": 4294967295,
                "preferred_life_time": 4294967295
            } ],
        "stats64": {
            "rx": {
                "bytes": 90,
                "packets": 1,
                "errors": 0,
                "dropped": 0,
                "over_errors": 0,
                "multicast": 0
            },
            "tx": {
                "bytes": 3193,
                "packets": 29,
                "errors": 0,
                "dropped": 2,
                "carrier_errors": 0,
                "collisions": 0
            }
        }
    } ]
`, string(printLinks(options{json: true, pretty: true, stats: 1}, links()[1:], true)))
	})
}

// As ip prints an IPv6 address under duplicate address detection.
func TestClaimedAddressesArePrinted(t *testing.T) {
	l := links()[1]
	l.Addresses = []control.Address{
		{Local: ip("10.0.0.7"), PrefixLen: 24, Scope: "global", Tentative: true, ACD: "probing"},
		{Local: ip("10.0.0.8"), PrefixLen: 24, Scope: "global", Tentative: true, DADFailed: true, NoPrefix: true, ACD: "refused"},
	}
	require.Equal(t, `2: v1    inet 10.0.0.7/24 scope global tentative v1\       valid_lft forever preferred_lft forever
2: v1    inet 10.0.0.8/24 scope global dadfailed tentative noprefixroute v1\       valid_lft forever preferred_lft forever
`, string(printLinks(options{oneline: true}, []control.Link{l}, true)))
	require.Contains(t, string(printLinks(options{json: true}, []control.Link{l}, true)),
		`"local":"10.0.0.7","prefixlen":24,"scope":"global","tentative":true,"label":"v1"`)
}

func TestAddressEventsArePrintedAsIPDoes(t *testing.T) {
	ev := control.AddressEvent{Index: 3, Dev: "d0", Address: control.Address{Local: ip("10.0.0.5"), PrefixLen: 24, Broadcast: ip("10.0.0.255"), Scope: "global"}}
	require.Equal(t, "3: d0    inet 10.0.0.5/24 brd 10.0.0.255 scope global d0\n       valid_lft forever preferred_lft forever\n", string(printAddressEvent(options{}, ev)))
	ev.Deleted, ev.Missed, ev.Address = true, 3, control.Address{Local: ip("10.0.0.6"), PrefixLen: 24, Scope: "link", Metric: 7, NoPrefix: true}
	require.Equal(t, "missed 3 events\nDeleted 3: d0    inet 10.0.0.6/24 metric 7 scope link noprefixroute d0\\       valid_lft forever preferred_lft forever\n",
		string(printChange(options{oneline: true}, control.Change{Address: &ev}, false)))
}
