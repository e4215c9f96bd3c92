package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUsageGrammar(t *testing.T) {
	for use, want := range map[string]grammar{
		"show [to PREFIX] [dev DEV] [nud STATE] [proxy]": {[]string{"to", "dev", "nud", "proxy"}, map[string]string{"to": "PREFIX", "dev": "DEV", "nud": "STATE"}, nil},
		"get IP dev DEV":                           {[]string{"dev"}, map[string]string{"dev": "DEV"}, []string{"IP"}},
		"set [dev] DEV {up | carrier on|off}...":   {[]string{"dev", "up", "carrier"}, map[string]string{"carrier": "on|off"}, []string{"DEV"}},
		"sysctl [-a] [-w] [KEY[=VALUE]]...":        {nil, map[string]string{}, []string{"KEY"}},
		"add {IP [lladdr MAC] | proxy IP} dev DEV": {[]string{"lladdr", "proxy", "dev"}, map[string]string{"lladdr": "MAC", "proxy": "IP", "dev": "DEV"}, []string{"IP"}},
		"run": {nil, map[string]string{}, nil},
	} {
		require.Equal(t, want, usageGrammar(use), use)
	}
}

func TestSysctlNamesAreCompletedByLevels(t *testing.T) {
	names := []string{"net.ipv4.conf.all.forwarding", "net.ipv4.conf.t0.forwarding", "net.ipv4.ip_forward", "net.ipv4.neigh.t0.locktime"}
	require.Equal(t, []string{"net.ipv4.conf.", "net.ipv4.ip_forward", "net.ipv4.neigh."}, nextLevel(names, ""))
	require.Equal(t, []string{"net.ipv4.conf.all.", "net.ipv4.conf.t0."}, nextLevel(names, "net.ipv4.conf."))
	require.Equal(t, []string{"net.ipv4.neigh.t0.locktime"}, nextLevel(names, "net.ipv4.n"))
	require.Empty(t, nextLevel(names, "x"))
}

// Without a host there is nothing but words, and no error.
func TestCompletionWithoutAHost(t *testing.T) {
	for line, want := range map[string]string{
		"neigh show nud re":          "reachable\n:4\n",
		"neigh show ":                "to\ndev\nnud\nproxy\n:4\n",
		"link set t0 c":              "carrier\n:4\n",
		"link set t0 arp ":           "on\noff\n:4\n",
		"neigh show dev ":            ":4\n",
		"sysctl net.":                ":6\n",
		"monitor ":                   "neigh\naddr\n:4\n",
		"neigh get 10.0.0.1 dev t0 ": ":4\n",
	} {
		args := strings.Split("__complete "+line, " ")
		code, out, _ := try(t, args...)
		require.Equal(t, 0, code)
		if line == "monitor " { // it has whatever can be watched
			require.Contains(t, out, "neigh\n")
			continue
		}
		require.Equal(t, want, out, line)
	}
}
