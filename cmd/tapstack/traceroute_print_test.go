package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/stack/control"
)

func TestTraceroutePrintsAsTracerouteDoes(t *testing.T) {
	probe := func(hop, query int, from string, rtt time.Duration, icmp ...uint8) control.TracerouteEvent {
		ev := control.TracerouteEvent{Kind: control.TracerouteProbe, Hop: hop, Query: query, RTT: rtt}
		if from != "" {
			ev.From = ip(from)
		}
		if len(icmp) > 0 {
			ev.Type, ev.Code = icmp[0], icmp[1]
		}
		return ev
	}
	r := &tracerouteReport{target: "peer", hops: 30, length: 60, names: true}
	us := time.Microsecond
	named := probe(2, 2, "10.1.0.2", 1234*us)
	named.Name = "r2"
	out := ""
	for _, ev := range []control.TracerouteEvent{
		{Kind: control.TracerouteStart, Dst: ip("10.2.0.1")},
		probe(1, 0, "10.0.0.1", 92*us, 11, 0), probe(1, 1, "10.0.0.1", 2*us, 11, 0), probe(1, 2, "10.0.0.1", 12345*us, 11, 0),
		probe(2, 0, "", 0), probe(2, 1, "10.1.0.1", us, 11, 0), named,
		probe(10, 0, "10.2.0.1", us, 3, 1), probe(10, 1, "", 0), probe(10, 2, "10.2.0.1", us, 3, 1),
	} {
		out += r.event(ev)
	}
	require.Equal(t, `traceroute to peer (10.2.0.1), 30 hops max, 60 byte packets
 1  10.0.0.1 (10.0.0.1)  0.092 ms  0.002 ms  12.345 ms
 2  * 10.1.0.1 (10.1.0.1)  0.001 ms r2 (10.1.0.2)  1.234 ms
10  10.2.0.1 (10.2.0.1)  0.001 ms !H *  0.001 ms !H`, out)

	for _, tc := range []struct {
		typ, code uint8
		want      string
	}{
		{0, 0, ""}, {11, 0, ""}, {11, 1, "!<11-1>"}, {12, 0, "!<12-0>"}, {3, 0, "!N"}, {3, 1, "!H"}, {3, 2, "!P"}, {3, 3, ""}, {3, 4, "!F-1300"}, {3, 5, "!S"},
		{3, 6, "!N"}, {3, 7, "!H"}, {3, 8, "!N"}, {3, 9, "!X"}, {3, 10, "!X"}, {3, 11, "!N"}, {3, 12, "!H"}, {3, 13, "!X"}, {3, 14, "!V"}, {3, 15, "!C"}, {3, 99, "!<99>"},
	} {
		require.Equal(t, tc.want, unreachableMark(control.TracerouteEvent{Type: tc.typ, Code: tc.code, MTU: 1300}), "%d %d", tc.typ, tc.code)
	}
}
