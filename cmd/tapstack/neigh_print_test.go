package main

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/stack/control"
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// neighbours is a table whose counterpart was shown by iproute2 6.1 on Linux.
func neighbours() []control.Neighbour {
	return []control.Neighbour{
		{Dst: ip("10.0.0.4"), Dev: "v0", LLAddr: "02:00:00:00:00:04", State: "REACHABLE", RefCnt: 1, Used: 2, Confirmed: 2, Updated: 2},
		{Dst: ip("10.0.0.10"), Dev: "v0", LLAddr: "02:00:00:00:00:04", State: "PERMANENT", Protocol: 4, Used: 2, Confirmed: 2, Updated: 2},
		{Dst: ip("10.0.0.9"), Dev: "v0", State: "INCOMPLETE", RefCnt: 1, Used: 2, Confirmed: 62, Updated: 2, Probes: 6},
		{Dst: ip("10.0.0.8"), Dev: "v0", Managed: true, State: "INCOMPLETE", RefCnt: 1, Used: 2, Confirmed: 62, Updated: 2, Probes: 6},
		{Dst: ip("10.0.0.3"), Dev: "v0", LLAddr: "02:00:00:00:00:03", Router: true, State: "PERMANENT", Used: 1, Confirmed: 2, Updated: 2},
		{Dst: ip("10.0.0.6"), Dev: "v0", LLAddr: "02:00:00:00:00:04", ExternLearn: true, State: "STALE", Used: 2, Confirmed: 62, Updated: 2},
	}
}

// Every line ends with a blank, as in iproute2.
func TestNeighboursArePrintedAsIPDoes(t *testing.T) {
	proxy := []control.Neighbour{{Dst: ip("10.0.0.77"), Dev: "v0", Proxy: true}}
	none := []control.Neighbour{{Dst: ip("10.0.0.4"), Dev: "v0", State: "NONE"}}
	for _, tc := range []struct {
		name    string
		o       options
		list    []control.Neighbour
		hideDev bool
		want    string
	}{
		{"ENT-16 text", options{}, neighbours(), false, `10.0.0.4 dev v0 lladdr 02:00:00:00:00:04 REACHABLE 
10.0.0.10 dev v0 lladdr 02:00:00:00:00:04 PERMANENT proto static 
10.0.0.9 dev v0 INCOMPLETE 
10.0.0.8 dev v0 managed INCOMPLETE 
10.0.0.3 dev v0 lladdr 02:00:00:00:00:03 router PERMANENT 
10.0.0.6 dev v0 lladdr 02:00:00:00:00:04 extern_learn STALE 
`},
		{"ENT-16 -s", options{stats: 1}, neighbours(), false, `10.0.0.4 dev v0 lladdr 02:00:00:00:00:04  ref 1 used 2/2/2probes 0 REACHABLE 
10.0.0.10 dev v0 lladdr 02:00:00:00:00:04  used 2/2/2probes 0 PERMANENT proto static 
10.0.0.9 dev v0  ref 1 used 2/62/2probes 6 INCOMPLETE 
10.0.0.8 dev v0 managed  ref 1 used 2/62/2probes 6 INCOMPLETE 
10.0.0.3 dev v0 lladdr 02:00:00:00:00:03 router  used 1/2/2probes 0 PERMANENT 
10.0.0.6 dev v0 lladdr 02:00:00:00:00:04 extern_learn  used 2/62/2probes 0 STALE 
`},
		{"a filter on the device hides it", options{}, neighbours()[2:3], true, "10.0.0.9 INCOMPLETE \n"},
		{"proxy", options{}, proxy, false, "10.0.0.77 dev v0 proxy \n"},
		{"proxy on any interface", options{}, []control.Neighbour{{Dst: ip("10.0.0.77"), Proxy: true}}, false, "10.0.0.77 proxy \n"},
		{"proxy has no ages", options{stats: 1}, proxy, false, "10.0.0.77 dev v0 proxy \n"},
		{"NONE has no word", options{}, none, true, "10.0.0.4 \n"},
		{"-br", options{brief: true}, neighbours()[1:3], false, "" +
			"10.0.0.10                               v0               02:00:00:00:00:04\n" +
			"10.0.0.9                                v0               \n"},
		{"-j", options{json: true}, neighbours(), false, `[{"dst":"10.0.0.4","dev":"v0","lladdr":"02:00:00:00:00:04","state":["REACHABLE"]},{"dst":"10.0.0.10","dev":"v0","lladdr":"02:00:00:00:00:04","state":["PERMANENT"],"protocol":"static"},{"dst":"10.0.0.9","dev":"v0","state":["INCOMPLETE"]},{"dst":"10.0.0.8","dev":"v0","managed":null,"state":["INCOMPLETE"]},{"dst":"10.0.0.3","dev":"v0","lladdr":"02:00:00:00:00:03","router":null,"state":["PERMANENT"]},{"dst":"10.0.0.6","dev":"v0","lladdr":"02:00:00:00:00:04","extern_learn":null,"state":["STALE"]}]
`},
		{"-j -s", options{json: true, stats: 1}, neighbours()[2:5], false, `[{"dst":"10.0.0.9","dev":"v0","refcnt":1,"used":2,"confirmed":62,"updated":2,"probes":6,"state":["INCOMPLETE"]},{"dst":"10.0.0.8","dev":"v0","managed":null,"refcnt":1,"used":2,"confirmed":62,"updated":2,"probes":6,"state":["INCOMPLETE"]},{"dst":"10.0.0.3","dev":"v0","lladdr":"02:00:00:00:00:03","router":null,"used":1,"confirmed":2,"updated":2,"probes":0,"state":["PERMANENT"]}]
`},
		{"-j -p", options{json: true, pretty: true}, neighbours()[1:4], false, `[ {
        "dst": "10.0.0.10",
        "dev": "v0",
        "lladdr": "02:00:00:00:00:04",
        "state": [ "PERMANENT" ],
        "protocol": "static"
    },{
        "dst": "10.0.0.9",
        "dev": "v0",
        "state": [ "INCOMPLETE" ]
    },{
        "dst": "10.0.0.8",
        "dev": "v0",
        "managed": null,
        "state": [ "INCOMPLETE" ]
    } ]
`},
		{"-j proxy", options{json: true}, proxy, false, "[{\"dst\":\"10.0.0.77\",\"dev\":\"v0\",\"proxy\":null}]\n"},
		{"-j NONE", options{json: true}, none, false, "[{\"dst\":\"10.0.0.4\",\"dev\":\"v0\"}]\n"},
		{"-j -br", options{json: true, brief: true}, neighbours()[4:5], false, "[{\"dst\":\"10.0.0.3\",\"dev\":\"v0\",\"lladdr\":\"02:00:00:00:00:03\"}]\n"},
		{"-j nothing", options{json: true}, nil, false, "[]\n"},
		{"-j -p nothing", options{json: true, pretty: true}, nil, false, "[ ]\n"},
		{"nothing", options{}, nil, false, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.want, string(printNeighbours(tc.o, tc.list, tc.hideDev)))
		})
	}
}

func TestEventsArePrintedAsIPMonitorDoes(t *testing.T) {
	at := time.Date(2026, 11, 22, 7, 18, 12, 305189000, time.Local)
	n := control.Neighbour{Dst: ip("10.0.0.3"), Dev: "v0", Router: true, State: "FAILED", RefCnt: 1, Probes: 6, Used: 1, Confirmed: 63}
	changed := control.Event{Time: at, Kind: "changed", Cause: "timer", Announced: "RTM_NEWNEIGH", From: "INCOMPLETE", To: "FAILED", Neighbour: n}
	deleted := changed
	deleted.Announced, deleted.Kind = "RTM_DELNEIGH", "removed"
	miss := changed
	miss.Announced = "RTM_GETNEIGH"
	queued := control.Event{Time: at, Kind: "queued", Cause: "packet", From: "INCOMPLETE", To: "INCOMPLETE", Count: 2, Neighbour: control.Neighbour{Dst: ip("10.0.0.9"), Dev: "v0", State: "INCOMPLETE"}}
	reply := control.Event{Time: at, Kind: "changed", Cause: "frame", Detail: "reply", Announced: "RTM_NEWNEIGH", From: "INCOMPLETE", To: "REACHABLE", Neighbour: control.Neighbour{Dst: ip("10.0.0.9"), Dev: "v0", LLAddr: "02:00:00:00:00:09", State: "REACHABLE"}}
	lost := changed
	lost.Missed = 7
	for _, tc := range []struct {
		name string
		o    options
		ev   control.Event
		all  bool
		want string
	}{
		{"NTF-2 changed", options{}, changed, false, "10.0.0.3 dev v0 router FAILED \n"},
		{"NTF-2 removed", options{}, deleted, false, "Deleted 10.0.0.3 dev v0 router FAILED \n"},
		{"NTF-2 app_solicit", options{}, miss, false, "miss 10.0.0.3 dev v0 router FAILED \n"},
		{"-ts", options{shortStamp: true}, changed, false, "[2026-11-22T07:18:12.305189] 10.0.0.3 dev v0 router FAILED \n"},
		{"-t", options{stamp: true}, changed, false, "Timestamp: Sun Nov 22 07:18:12 2026 305189 usec\n10.0.0.3 dev v0 router FAILED \n"},
		{"-s", options{stats: 1}, changed, false, "10.0.0.3 dev v0 router  ref 1 used 1/63/0probes 6 FAILED \n"},
		{"events were lost", options{}, lost, false, "missed 7 events\n10.0.0.3 dev v0 router FAILED \n"},
		{"--all queued", options{}, queued, true, "[2026-11-22T07:18:12.305189] 10.0.0.9 dev v0 queued in INCOMPLETE, packets 2 by packet\n"},
		{"--all changed", options{}, reply, true, "[2026-11-22T07:18:12.305189] 10.0.0.9 dev v0 INCOMPLETE -> REACHABLE lladdr 02:00:00:00:00:09 by frame (reply) RTM_NEWNEIGH\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.want, string(printEvent(tc.o, tc.ev, tc.all)))
		})
	}
}
