package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/stack/control"
)

func TestCountersArePrintedAsNstatDoes(t *testing.T) {
	n := control.Counters{
		Protocols: map[string]uint64{"TcpInSegs": 9, "IpInReceives": 2, "IcmpInMsgs": 2, "IpOutNoRoutes": 0, "IpExtInOctets": 168, "TcpExtTCPTimeouts": 1},
		Neigh:     map[string]uint64{"allocs": 5, "hits": 0},
		Drops:     map[string]uint64{"NEIGH_FAILED": 4},
	}
	require.Equal(t, `#kernel
IpInReceives                    2                  0.0
IcmpInMsgs                      2                  0.0
TcpInSegs                       9                  0.0
TcpExtTCPTimeouts               1                  0.0
IpExtInOctets                   168                0.0
Arp_allocs                      5                  0.0
Drop_NEIGH_FAILED               4                  0.0
`, string(printCounters(options{}, flatCounters(n), false, nil)))
	require.Equal(t, "#kernel\nArp_allocs                      5                  0.0\nArp_hits                        0                  0.0\n",
		string(printCounters(options{}, flatCounters(n), true, []string{"Arp*"})))
	require.Equal(t, "{\"kernel\":{\"IpInReceives\":2,\"IpExtInOctets\":168}}\n", string(printCounters(options{json: true}, flatCounters(n), false, []string{"Ip[IE]*", "nothing"})))
	require.Equal(t, "#kernel\n", string(printCounters(options{}, flatCounters(control.Counters{}), true, nil)))
}

func TestStatusIsPrinted(t *testing.T) {
	s := control.Status{Name: "tapstack@x", Version: "devel", PID: 7, Control: "/run/x.sock", Uptime: 90 * time.Second, Services: []string{"http", "echo"}, Links: links()}
	require.Equal(t, `tapstack@x up 1m30s, pid 7, version devel, control /run/x.sock
lo UNKNOWN 00:00:00:00:00:00 mtu 65536 127.0.0.1/8
v1 UP 02:ee:00:00:00:01 mtu 1500 10.0.0.2/24 10.0.0.5/24
services http, echo
`, string(printStatus(options{}, s)))
	require.Contains(t, string(printStatus(options{json: true}, s)), `"pid":7`)
	require.Contains(t, string(printStatus(options{json: true, pretty: true}, s)), `    "pid": 7`)
}

func TestSysctlsArePrintedAsProcpsDoes(t *testing.T) {
	list := []control.Sysctl{{Name: "net.ipv4.ip_forward", Value: "0"}, {Name: "net.ipv4.conf.t0.arp_ignore", Value: "3"}}
	require.Equal(t, "net.ipv4.ip_forward = 0\nnet.ipv4.conf.t0.arp_ignore = 3\n", string(printSysctls(sysctlOptions{}, list, nil)))
	require.Equal(t, "0\n3\n", string(printSysctls(sysctlOptions{values: true}, list, nil)))
	require.Equal(t, "net.ipv4.ip_forward\nnet.ipv4.conf.t0.arp_ignore\n", string(printSysctls(sysctlOptions{names: true}, list, nil)))
}
