package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The shell completes what the running host has.
func TestKernelCompletion(t *testing.T) {
	p := newProgram(t)
	host := p.start("--link", "name=t0,addr=10.0.0.2/24,peer=10.0.0.1/24", "--service", "none")
	p.ok("neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev t0")
	for line, want := range map[string]string{
		"neigh get ":               "10.0.0.9\ndev\n:4\n",
		"neigh get 10.0.0.9 dev ":  "lo\nt0\n:4\n",
		"neigh del 10.0.0.9 dev t": "t0\n:4\n",
		"ping -I ":                 "lo\nt0\n:4\n",
		"ping 10.":                 "10.0.0.9\n:4\n",
		"sysctl net.ipv4.conf.":    "net.ipv4.conf.all.\nnet.ipv4.conf.default.\nnet.ipv4.conf.lo.\nnet.ipv4.conf.t0.\n:6\n",
		"sysctl net.ipv4.ip_def":   "net.ipv4.ip_default_ttl\n:6\n",
		"link set t":               "t0\n:4\n",
		"route get ":               "10.0.0.9\nfrom\noif\niif\n:4\n",
		"addr show dev ":           "lo\nt0\n:4\n",
		"--control " + p.sock + " neigh get 10.0.0.9 dev t": "t0\n:4\n",
	} {
		code, out, errs := p.run(strings.Split("__complete "+line, " ")...)
		require.Equal(t, 0, code, errs)
		for _, l := range strings.Fields(want) {
			require.Contains(t, "\n"+out, "\n"+l+"\n", line)
		}
	}
	p.stop(host, "t0")
}
