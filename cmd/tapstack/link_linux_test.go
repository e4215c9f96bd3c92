package main

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// An interface comes and goes while the host runs, and its TAP with it.
func TestKernelLinkAddDel(t *testing.T) {
	p := newProgram(t)
	host := p.start("--link", "name=t0,addr=10.0.0.2/24,peer=10.0.0.1/24", "--service", "none")
	p.ok("link add t1 type tap address 02:00:00:00:01:02 mtu 1400 peer 10.1.0.1/24")
	p.ok("addr add 10.1.0.2/24 dev t1")
	require.Contains(t, p.ok("link show t1"), "3: t1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1400 ")
	require.Contains(t, p.ok("ping -c 1 10.1.0.1"), " 1 received")
	for line, want := range map[string]string{
		"link add t1":                     "Error: device t1: file exists\n",
		"link add t2 peer 10.0.0.1/24":    "Error: tap: 10.0.0.1 is the address of t0 already; choose another for the kernel's side: address already in use\n",
		"link del t7":                     "Error: device t7: no such device\n",
		"link del lo":                     "Error: device lo: operation not supported\n",
		"addr add 10.1.0.3/24 dev t7":     "Error: device t7: no such device\n",
		"neigh add 10.1.0.3 dev t7":       "Error: device t7: no such device\n",
		"neigh del 10.1.0.1 dev t0":       "Error: neighbour 10.1.0.1 dev t0: no such file or directory\n",
		"neigh get 10.1.0.77 dev t1":      "Error: neighbour 10.1.0.77 dev t1: no such file or directory\n",
		"neigh change 10.1.0.7 dev t1":    "Error: neighbour 10.1.0.7 dev t1: no such file or directory\n",
		"neigh del proxy 10.1.0.7":        "Error: proxy neighbour 10.1.0.7: no such file or directory\n",
		"addr add 10.1.0.9/24 dev lo acd": "Error: address 10.1.0.9/24 dev lo: operation not supported\n",
	} {
		code, _, errs := p.run(strings.Fields(line)...)
		require.Equal(t, 1, code, line)
		require.Equal(t, want, errs, line)
	}
	_, err := net.InterfaceByName("t2")
	require.Error(t, err, "nothing is left of what failed")
	p.ok("link del t1")
	require.NotContains(t, p.ok("addr"), "t1")
	require.NotContains(t, p.ok("route"), "10.1.0.0")
	require.NotContains(t, p.ok("neigh"), "10.1.0.1")
	_, err = net.InterfaceByName("t1")
	require.Error(t, err)
	p.ok("link add t1")
	require.Contains(t, p.ok("link show t1"), "4: t1: ")
	p.stop(host, "t1")
}
