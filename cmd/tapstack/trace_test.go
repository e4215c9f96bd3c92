package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/stack/control"
)

func TestTraceIsPrinted(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.Local)
	for _, tc := range []struct {
		ev   control.TraceEvent
		want string
	}{
		{control.TraceEvent{Neigh: &control.Event{Kind: "changed", From: "NONE", To: "INCOMPLETE", Cause: "packet", Neighbour: control.Neighbour{Dst: ip("10.0.0.9"), Dev: "t0"}}},
			"neigh 10.0.0.9 dev t0 NONE -> INCOMPLETE by packet"},
		{control.TraceEvent{Neigh: &control.Event{Kind: "flushed", To: "REACHABLE", Count: 3, Cause: "frame", Neighbour: control.Neighbour{Dst: ip("10.0.0.9"), Dev: "t0", LLAddr: "02:00:00:00:00:09"}}},
			"neigh 10.0.0.9 dev t0 flushed in REACHABLE, packets 3 lladdr 02:00:00:00:00:09 by frame"},
		{control.TraceEvent{Drop: &control.Drop{Reason: "NO_SOCKET", Dev: "t0", Protocol: "UDP", Src: ip("10.0.0.1"), Dst: ip("10.0.0.2"), SrcPort: 53, DstPort: 9, Length: 32}},
			"drop NO_SOCKET dev t0 UDP 10.0.0.1:53 > 10.0.0.2:9 length 32"},
		{control.TraceEvent{Drop: &control.Drop{Reason: "NEIGH_FAILED", Protocol: "ICMP", Src: ip("10.0.0.1"), Dst: ip("10.0.0.2"), Fragment: true, Length: 1500}},
			"drop NEIGH_FAILED ICMP 10.0.0.1 > 10.0.0.2 fragment length 1500"},
		{control.TraceEvent{Drop: &control.Drop{Reason: "HDR_TRUNC", Dev: "t0", Length: 3}}, "drop HDR_TRUNC dev t0 length 3"},
	} {
		tc.ev.Time = at
		require.Equal(t, "[2026-01-02T03:04:05.000006] "+tc.want+"\n", string(printTrace(tc.ev)))
	}
	require.Equal(t, "missed 7 events\n", string(printTrace(control.TraceEvent{Time: at, Missed: 7}))[:16])
}
