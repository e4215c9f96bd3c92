package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/control"
)

func TestArpingIsPrintedAsIputilsDoes(t *testing.T) {
	me, bob := link.Addr{2, 0, 0, 0, 0, 2}, link.Addr{0xc2, 0, 0, 0, 0, 1}
	own, peer := netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.1")
	start := control.ArpingEvent{Kind: control.ArpingStart, Dev: "tap0", Src: own, LLAddr: me}
	reply := control.ArpingEvent{Kind: control.ArpingReply, Src: peer, LLAddr: bob, For: own, ForLLAddr: me, RTT: 875 * time.Microsecond}
	elsewhere := reply
	elsewhere.For, elsewhere.ForLLAddr, elsewhere.Request, elsewhere.Broadcast, elsewhere.RTT = peer, link.BroadcastAddr, true, true, 497190*time.Microsecond
	proxied := reply
	proxied.ForLLAddr, proxied.Broadcast = bob, true
	first, second := control.ArpingEvent{Kind: control.ArpingSent, Broadcast: true}, control.ArpingEvent{Kind: control.ArpingSent}

	print := func(quiet bool, events ...control.ArpingEvent) (string, *arpingReport) {
		rep := &arpingReport{dst: peer, quiet: quiet}
		var b strings.Builder
		for _, ev := range append([]control.ArpingEvent{start}, events...) {
			b.WriteString(rep.event(ev))
		}
		return b.String() + rep.summary(), rep
	}
	out, rep := print(false, first, reply, second, reply)
	require.Equal(t, `ARPING 10.0.0.1 from 10.0.0.2 tap0
Unicast reply from 10.0.0.1 [C2:00:00:00:00:01]  0.875ms
Unicast reply from 10.0.0.1 [C2:00:00:00:00:01]  0.875ms
Sent 2 probes (1 broadcast(s))
Received 2 response(s)
`, out)
	for want, r := range map[int][]control.ArpingRequest{
		exitDone:   {{}, {Count: 2, Deadline: 1}, {Count: 5}, {Mode: control.ArpingAnnounce}, {Mode: control.ArpingAnswer}},
		exitFailed: {{Count: 5, Deadline: 1}, {Mode: control.ArpingDAD}},
	} {
		for _, r := range r {
			require.Equal(t, want, rep.code(r), "%+v", r)
		}
	}
	out, _ = print(false, first, elsewhere, proxied)
	require.Equal(t, `ARPING 10.0.0.1 from 10.0.0.2 tap0
Broadcast request from 10.0.0.1 [C2:00:00:00:00:01] for 10.0.0.1 [FF:FF:FF:FF:FF:FF] 497.190ms
Broadcast reply from 10.0.0.1 [C2:00:00:00:00:01] for [C2:00:00:00:00:01] 0.875ms
Sent 1 probes (1 broadcast(s))
Received 2 response(s) (1 request(s), 2 broadcast(s))
`, out)
	out, rep = print(true, first, first)
	require.Empty(t, out)
	require.Equal(t, exitFailed, rep.code(control.ArpingRequest{}))
	require.Equal(t, exitDone, rep.code(control.ArpingRequest{Mode: control.ArpingDAD}))
}

func TestArpingComplainsAsIputils(t *testing.T) {
	for line, want := range map[string]struct {
		code int
		errs string
	}{
		"-c 0 10.0.0.1":    {1, "arping: invalid argument: '0': out of range: 1 <= value <= 2147483647\n"},
		"-c x 10.0.0.1":    {1, "arping: invalid argument: 'x'\n"},
		"-c 1.5 10.0.0.1":  {1, "arping: invalid argument: '1.5'\n"},
		"-w -1 10.0.0.1":   {1, "arping: invalid argument: '-1': out of range: 0 <= value <= 2147483647\n"},
		"-s foo 10.0.0.1":  {2, "arping: invalid source foo\n"},
		"foo.invalid":      {2, "arping: foo.invalid: Name or service not known\n"},
		"":                 {2, "Error: arping: want one address, as in `tapstack arping -c 2 10.0.0.1`\n"},
		"-i 0.1 -f ::1":    {2, "arping: ::1: Name or service not known\n"},
		"10.0.0.1 -I tap0": {3, ""},
	} {
		code, _, errs := try(t, append([]string{"arping"}, strings.Fields(line)...)...)
		require.Equal(t, want.code, code, line)
		if want.errs != "" {
			require.Equal(t, want.errs, errs, line)
		}
	}
	code, out, _ := try(t, "arping", "-V")
	require.Zero(t, code)
	require.True(t, strings.HasPrefix(out, "arping from tapstack "), out)
}
