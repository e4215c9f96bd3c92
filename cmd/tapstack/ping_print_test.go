package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/stack/control"
)

// play prints what ping prints about events a second apart.
func play(p *pingReport, events ...control.PingEvent) (out, errs string) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
	for _, ev := range events {
		o, e := p.event(ev, now)
		out, errs = out+o, errs+e
		now = now.Add(time.Second)
	}
	return out + p.summary(), errs
}

func sent(n int) control.PingEvent { return control.PingEvent{Kind: control.PingSent, Seq: n} }

func reply(n int, rtt time.Duration) control.PingEvent {
	return control.PingEvent{Kind: control.PingReply, Seq: n, From: ip("10.0.0.1"), Bytes: 64, TTL: 64, RTT: rtt}
}

func TestPingPrintsAsIputilsDoes(t *testing.T) {
	start := control.PingEvent{Kind: control.PingStart, Src: ip("10.0.0.2")}
	unreachable := func(n int) control.PingEvent {
		return control.PingEvent{Kind: control.PingError, Seq: n, From: ip("10.0.0.2"), Type: 3, Code: 1}
	}
	us := time.Microsecond
	for _, tc := range []struct {
		name   string
		p      pingReport
		events []control.PingEvent
		want   string
		errs   string
		code   int
	}{
		{"two answers", pingReport{dst: ip("10.0.0.1"), size: 56}, []control.PingEvent{start, sent(1), reply(1, 208*us), sent(2), reply(2, 158*us)},
			`PING 10.0.0.1 (10.0.0.1) 56(84) bytes of data.
64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=0.208 ms
64 bytes from 10.0.0.1: icmp_seq=2 ttl=64 time=0.158 ms

--- 10.0.0.1 ping statistics ---
2 packets transmitted, 2 received, 0% packet loss, time 2000ms
rtt min/avg/max/mdev = 0.158/0.183/0.208/0.025 ms
`, "", exitDone},
		{"nobody there", pingReport{dst: ip("10.0.0.9"), size: 56}, []control.PingEvent{start, sent(1), sent(2), sent(3), unreachable(1), unreachable(2), unreachable(3)},
			`PING 10.0.0.9 (10.0.0.9) 56(84) bytes of data.
From 10.0.0.2 icmp_seq=1 Destination Host Unreachable
From 10.0.0.2 icmp_seq=2 Destination Host Unreachable
From 10.0.0.2 icmp_seq=3 Destination Host Unreachable

--- 10.0.0.9 ping statistics ---
3 packets transmitted, 0 received, +3 errors, 100% packet loss, time 2000ms
pipe 3
`, "", exitFailed},
		{"silence", pingReport{dst: ip("10.0.0.3"), size: 56, src: "10.0.0.5"}, []control.PingEvent{{Kind: control.PingStart, Src: ip("10.0.0.5")}, sent(1)},
			`PING 10.0.0.3 (10.0.0.3) from 10.0.0.5 : 56(84) bytes of data.

--- 10.0.0.3 ping statistics ---
1 packets transmitted, 0 received, 100% packet loss, time 0ms

`, "", exitFailed},
		{"-I device, -q", pingReport{dst: ip("10.0.0.2"), size: 56, src: "v0", dev: true, quiet: true}, []control.PingEvent{start, sent(1), reply(1, 13*us)},
			`PING 10.0.0.2 (10.0.0.2) from 10.0.0.2 v0: 56(84) bytes of data.

--- 10.0.0.2 ping statistics ---
1 packets transmitted, 1 received, 0% packet loss, time 0ms
rtt min/avg/max/mdev = 0.013/0.013/0.013/0.000 ms
`, "", exitDone},
		{"-s 10 has no room for a time", pingReport{dst: ip("10.0.0.2"), size: 10}, []control.PingEvent{start, sent(1), {Kind: control.PingReply, Seq: 1, From: ip("10.0.0.2"), Bytes: 18, TTL: 64, RTT: us}},
			`PING 10.0.0.2 (10.0.0.2) 10(38) bytes of data.
18 bytes from 10.0.0.2: icmp_seq=1 ttl=64

--- 10.0.0.2 ping statistics ---
1 packets transmitted, 1 received, 0% packet loss, time 0ms

`, "", exitDone},
		{"too long", pingReport{dst: ip("10.0.0.9"), size: 2000}, []control.PingEvent{start, {Kind: control.PingSendError, Seq: 1, Error: "message too long", MTU: 1400}},
			`PING 10.0.0.9 (10.0.0.9) 2000(2028) bytes of data.

--- 10.0.0.9 ping statistics ---
1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms

`, "ping: local error: message too long, mtu=1400\n", exitFailed},
		{"not sent", pingReport{dst: ip("10.0.0.9"), size: 56}, []control.PingEvent{start, {Kind: control.PingSendError, Seq: 1, Error: "network is unreachable"}},
			`PING 10.0.0.9 (10.0.0.9) 56(84) bytes of data.

--- 10.0.0.9 ping statistics ---
1 packets transmitted, 0 received, 100% packet loss, time 0ms

`, "ping: sendmsg: Network is unreachable\n", exitFailed},
		{"duplicates, a third lost", pingReport{dst: ip("10.0.0.1"), size: 56}, []control.PingEvent{start, sent(1), reply(1, 12345*us), {Kind: control.PingReply, Seq: 1, From: ip("10.0.0.1"), Bytes: 64, TTL: 64, RTT: 123456 * us, Dup: true}, sent(2), reply(2, 1234*us), sent(3)},
			`PING 10.0.0.1 (10.0.0.1) 56(84) bytes of data.
64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=12.3 ms
64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=123 ms (DUP!)
64 bytes from 10.0.0.1: icmp_seq=2 ttl=64 time=1.23 ms

--- 10.0.0.1 ping statistics ---
3 packets transmitted, 2 received, +1 duplicates, 33.3333% packet loss, time 5000ms
rtt min/avg/max/mdev = 1.234/45.678/123.456/55.184 ms
`, "", exitDone},
		{"-D", pingReport{dst: ip("10.0.0.1"), size: 56, stamp: true}, []control.PingEvent{start, sent(1), reply(1, 208*us)},
			`PING 10.0.0.1 (10.0.0.1) 56(84) bytes of data.
[1767323047.678901] 64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=0.208 ms

--- 10.0.0.1 ping statistics ---
1 packets transmitted, 1 received, 0% packet loss, time 0ms
rtt min/avg/max/mdev = 0.208/0.208/0.208/0.000 ms
`, "", exitDone},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, errs := play(&tc.p, tc.events...)
			require.Equal(t, tc.want, out)
			require.Equal(t, tc.errs, errs)
			require.Equal(t, tc.code, tc.p.code(1, false))
		})
	}
}

func TestPingTimes(t *testing.T) {
	for us, want := range map[int]string{
		7: "0.007", 208: "0.208", 999: "0.999", 1000: "1.00", 1234: "1.23", 1236: "1.24", 9994: "9.99", 9995: "10.0", 12345: "12.3",
		99949: "99.9", 99950: "100", 123456: "123", 1500000: "1500",
	} {
		require.Equal(t, want, milliseconds(time.Duration(us)*time.Microsecond), "%d us", us)
	}
}

func TestPingErrorWords(t *testing.T) {
	for _, tc := range []struct {
		typ, code uint8
		want      string
	}{
		{3, 0, "Destination Net Unreachable"}, {3, 1, "Destination Host Unreachable"}, {3, 3, "Destination Port Unreachable"},
		{3, 4, "Frag needed and DF set (mtu = 1400)"}, {3, 13, "Packet filtered"}, {3, 77, "Dest Unreachable, Bad Code: 77"},
		{11, 0, "Time to live exceeded"}, {11, 1, "Frag reassembly time exceeded"}, {12, 0, "Parameter problem: pointer = 7"}, {99, 0, "Bad ICMP type: 99"},
	} {
		require.Equal(t, tc.want, icmpError(control.PingEvent{Type: tc.typ, Code: tc.code, MTU: 1400, Info: 7}))
	}
}

func TestPingArguments(t *testing.T) {
	ok := pingOptions{interval: "1", wait: "10", size: "56"}
	with := func(f func(*pingOptions)) pingOptions { o := ok; f(&o); return o }
	for _, tc := range []struct {
		name string
		o    pingOptions
		args []string
		err  string
	}{
		{"no destination", ok, nil, "usage error: Destination address required"},
		{"count 0", with(func(o *pingOptions) { o.count = "0" }), []string{"10.0.0.1"}, "invalid argument: '0': out of range: 1 <= value <= 9223372036854775807"},
		{"count x", with(func(o *pingOptions) { o.count = "x" }), []string{"10.0.0.1"}, "invalid argument: 'x'"},
		{"size", with(func(o *pingOptions) { o.size = "70000" }), []string{"10.0.0.1"}, "out of range: 0 <= value <= 65507"},
		{"interval", with(func(o *pingOptions) { o.interval = "-1" }), []string{"10.0.0.1"}, "invalid argument: '-1'"},
		{"no name", ok, []string{"10.0.0.300"}, "10.0.0.300: Name or service not known"},
		{"IPv6", ok, []string{"fe80::1"}, "fe80::1: Address family for hostname not supported"},
		{"-p", with(func(o *pingOptions) { o.pattern = "f0zz" }), []string{"10.0.0.1"}, "patterns must be specified as hex digits: zz"},
		{"-R -T", with(func(o *pingOptions) { o.record, o.stamps = true, "tsonly" }), []string{"10.0.0.1"}, "only one of -T or -R may be used"},
		{"-T", with(func(o *pingOptions) { o.stamps = "x" }), []string{"10.0.0.1"}, "invalid timestamp type: x"},
		{"-l", with(func(o *pingOptions) { o.preload = "0" }), []string{"10.0.0.1"}, "invalid argument: '0': out of range: 1 <= value <= 65536"},
		{"-Q", with(func(o *pingOptions) { o.tos = "300" }), []string{"10.0.0.1"}, "the decimal value of TOS bits must be in range 0-255: 300"},
		{"-M", with(func(o *pingOptions) { o.pmtu = "perhaps" }), []string{"10.0.0.1"}, "invalid -M argument: perhaps"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := tc.o.request(tc.args)
			require.ErrorContains(t, err, tc.err)
		})
	}
	r, err := pingOptions{count: "3", interval: "0.2", wait: "1", size: "1472", from: "t0", pmtu: "do", ttl: "7"}.request([]string{"10.0.0.1"})
	require.NoError(t, err)
	require.Equal(t, control.PingRequest{Dst: ip("10.0.0.1"), Dev: "t0", Count: 3, Interval: 200 * time.Millisecond, Wait: time.Second, Size: 1472, TTL: 7, DF: true}, r)
	r, err = pingOptions{interval: "1", wait: "10", size: "56", from: "10.0.0.5"}.request([]string{"10.0.0.1"})
	require.NoError(t, err)
	require.Equal(t, ip("10.0.0.5"), r.Src)
	r, err = pingOptions{interval: "1", size: "56", preload: "3", record: true, tos: "0x10", pattern: "ff0", pmtu: "dont", adaptive: true}.request([]string{"peer"})
	require.NoError(t, err)
	require.Equal(t, control.PingRequest{Name: "peer", Names: true, Interval: time.Second, Size: 56, Preload: 3, TOS: 16, Pattern: []byte{0xff, 0}, Fragment: true, Adaptive: true,
		Options: append([]byte{1, 7, 39, 4}, make([]byte, 36)...)}, r)
}

// What an answer has besides its time.
func TestPingOddAnswers(t *testing.T) {
	data := make([]byte, 56)
	for i := range data {
		data[i] = byte(i)
	}
	data[20] = 0xee
	odd := func(f func(*control.PingEvent)) control.PingEvent {
		ev := reply(1, 208*time.Microsecond)
		f(&ev)
		return ev
	}
	line := func(p pingReport, ev control.PingEvent) string {
		out, _ := p.event(ev, time.Now())
		return out
	}
	p := pingReport{dst: ip("10.0.0.1"), size: 56}
	const head = "64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=0.208 ms"
	require.Equal(t, "40 bytes from 10.0.0.1: icmp_seq=1 ttl=64 (truncated)\n", line(p, odd(func(e *control.PingEvent) { e.Bytes = 40 })))
	require.Equal(t, "64 bytes from 10.0.0.3: icmp_seq=1 ttl=64 time=0.208 ms (DIFFERENT ADDRESS!)\n", line(p, odd(func(e *control.PingEvent) { e.From = ip("10.0.0.3") })))
	require.Equal(t, "64 bytes from peer (10.0.0.1): icmp_seq=1 ttl=64 time=0.208 ms\n", line(p, odd(func(e *control.PingEvent) { e.Name = "peer" })))
	require.Equal(t, head+"\nwrong data byte #20 should be 0x14 but was 0xee\n#16\t10 11 12 13 ee 15 16 17 18 19 1a 1b 1c 1d 1e 1f 20 21 22 23 24 25 26 27 28 29 2a 2b 2c 2d 2e 2f \n#48\t30 31 32 33 34 35 36 37 \n",
		line(p, odd(func(e *control.PingEvent) { e.Data = data })))
	rr := []byte{1, 7, 11, 12, 10, 0, 0, 2, 10, 0, 0, 1}
	require.Equal(t, head+"\nNOP\nRR: \t10.0.0.2\n\t10.0.0.1\n\n", line(p, odd(func(e *control.PingEvent) { e.Opts = rr })))
	p.route = rr[4:11] // iputils forgets the last byte
	require.Equal(t, head+"\nNOP\t(same route)\n", line(p, odd(func(e *control.PingEvent) { e.Opts = rr })))
	require.Equal(t, head+"\nTS: \t5 absolute\n\t2\n\t9 absolute not-standard\nUnrecorded hops: 3\n\n",
		line(p, odd(func(e *control.PingEvent) { e.Opts = []byte{68, 16, 17, 0x30, 0, 0, 0, 5, 0, 0, 0, 7, 0x80, 0, 0, 9} })))
	require.Equal(t, head+"\nTS: \t10.0.0.1\t5 absolute\n\n", line(p, odd(func(e *control.PingEvent) { e.Opts = []byte{68, 12, 13, 1, 10, 0, 0, 1, 0, 0, 0, 5} })))
	require.Equal(t, head+"\nunknown option 94\n", line(p, odd(func(e *control.PingEvent) { e.Opts = []byte{0x94, 4, 0, 0} })))
	for _, broken := range [][]byte{{7}, {7, 2}, {7, 60, 4}, {7, 3, 255}, {68, 3, 9}, {68, 4, 255, 1}, {0, 7}} {
		require.Contains(t, line(p, odd(func(e *control.PingEvent) { e.Opts = broken })), head)
	}

	p = pingReport{dst: ip("10.0.0.1"), size: 56, flood: true, outstanding: true}
	out, _ := play(&p, sent(1), sent(2), reply(2, 0), control.PingEvent{Kind: control.PingError, Seq: 1, Type: 3}, sent(3))
	require.Contains(t, out, "no answer yet for icmp_seq=1\n.\b \b\bE.\n---")
	require.Contains(t, out, ", pipe 2, ipg/ewma 2000.000/0.000 ms\n")
}
