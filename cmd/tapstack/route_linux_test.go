package main

import (
	"errors"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link/tap/taptest"
)

// outcome is what a command line did, for people and for scripts.
type outcome struct {
	Code      int
	Out, Errs string
}

// ran runs a command and returns its outcome.
func ran(t *testing.T, p *program, cmd *exec.Cmd) outcome {
	t.Helper()
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	var err error
	p.ns.Do(func() { err = cmd.Run() })
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		require.NoError(t, err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// sameOutcomes runs each line on the kernel of the namespace and on the host, under
// the same names, and compares what they print and end with.
func sameOutcomes(t *testing.T, p *program, lines string) {
	t.Helper()
	for _, tool := range []string{"ip", "sysctl"} {
		taptest.Tool(t, tool)
	}
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		words := strings.Fields(line)
		if words[0] != "sysctl" {
			words = append([]string{"ip"}, words...)
		}
		t.Run(line, func(t *testing.T) {
			theirs := ran(t, p, exec.Command(words[0], words[1:]...))
			cmd := p.command(words[1:]...)
			cmd.Args[0] = words[0]
			require.Equal(t, plainOutcome(theirs), plainOutcome(ran(t, p, cmd)))
		})
	}
}

// plainOutcome forgets what cannot be the same: the seconds that are left of a
// lifetime.
func plainOutcome(o outcome) outcome {
	o.Out = regexp.MustCompile(`\d+sec|_life_time":\d{1,9}\b`).ReplaceAllString(o.Out, "Nsec")
	// A TAP of the kernel's has a queue, and nothing that would tell its state.
	o.Out = regexp.MustCompile(`qdisc \S+ state \S+ (.*) qlen \d+`).ReplaceAllString(o.Out, "state $1")
	o.Out = regexp.MustCompile(`"qdisc":"\S+?","operstate":"\w+"(.*?),"txqlen":\d+`).ReplaceAllString(o.Out, "$1")
	o.Out = regexp.MustCompile(`(?m)^(t\d +)(UP|UNKNOWN) +`).ReplaceAllString(o.Out, "$1")
	return o
}

// routeProgram is a host with t0 and t1 beside a kernel with the same.
func routeProgram(t *testing.T) *program {
	p := newProgram(t)
	host := p.start("--link", "name=t0,addr=none", "--link", "name=t1,addr=none", "--service", "none")
	t.Cleanup(func() { p.stop(host, "t0") })
	p.system("ip link set lo up")
	p.system("sysctl -qw net.ipv4.conf.all.rp_filter=0")
	for _, dev := range []string{"t0", "t1"} {
		p.system("sysctl -qw net.ipv4.conf." + dev + ".rp_filter=0")
		p.system("sysctl -qw net.ipv6.conf." + dev + ".disable_ipv6=1")
	}
	return p
}

func TestKernelRoutes(t *testing.T) {
	sameOutcomes(t, routeProgram(t), `
addr add 10.0.0.1/24 dev t0
addr add 10.1.0.1/24 dev t1
route
# what can be added, and what not
route add default via 10.0.0.254
route add default via 10.1.0.254
route add default via 10.1.0.254 metric 10
route append default via 10.1.0.254
route prepend default via 10.0.0.253
route append default via 10.1.0.254
route show
route replace default via 10.0.0.252
route replace default via 10.0.0.254
route show
route change default via 10.0.0.251
route change 9.9.0.0/16 via 10.0.0.251
route test 9.9.0.0/16 via 10.0.0.251
route test default via 10.0.0.250
route show
route del default via 10.9.9.9
route del default
route del default
route show
route del default metric 10
route flush proto boot
route show
route add 10.96.0.0/16 dev t0 proto static
route add 10.96.0.1/16 dev t0
route add 10.97.0.0/16 via 10.0.0.20 src 10.0.0.1 metric 7
route add 10.97.0.0/16 via 10.0.0.20 src 10.0.0.99 metric 8
route add 10.97.0.0/16 via 10.0.0.20 src 10.1.0.1 metric 8
route add 10.98.0.0/16 via 99.0.0.1
route add 10.98.0.0/16 via 99.0.0.1 dev t0
route add 10.98.0.0/16 via 99.0.0.1 dev t0 onlink
route add 10.98.1.0/24 via 99.0.0.1 onlink
route add 10.98.2.0/24 via 10.0.0.1 dev t0 onlink
route add 10.98.2.0/24 via 10.0.0.255
route add 10.98.2.0/24 via 10.0.0.1
route add 10.98.3.0/24 via 10.98.0.5
route add 10.98.4.0/24 dev t0 onlink
route add 10.98.4.0/24
route add 10.98.4.0/24 dev t9
route add 10.98.5.0/24 via 10.0.0.9 scope link
route add 10.98.5.0/24 dev t0 scope host
route add 10.98.5.0/24 via 10.0.0.9 scope host
route add 10.98.6.0/24 dev t0 scope global
route add 10.98.7.0/24 dev t0 scope 100
route add 10.98.8.0/24 dev t0 scope nowhere
route add unreachable 10.90.0.0/16
route add blackhole 10.91.0.0/16
route add prohibit 10.92.0.0/16 metric 4
route add throw 10.93.0.0/16
route add blackhole 10.94.0.0/16 via 10.0.0.9
route add blackhole 10.94.0.0/16 dev t0
route add local 10.95.0.0/16 dev lo
route add local 10.95.0.0/16
route add local 10.95.1.0/24 dev t0 scope link
route add broadcast 10.95.2.255 dev t0
route add broadcast 10.95.3.255 dev t0 scope global
route add multicast 224.9.0.0/16 dev t0
route show
-d route show
-j route show
-j -p route show
route show table local
-j route show table local
-4 route show table all
-4 -d route show table all
# selectors
route show dev t0
route show dev t9
route show via 10.0.0.20
route show src 10.0.0.1
route show scope link
route show scope global
route show type unreachable
route show type prohibit
route show proto static
route show proto kernel dev t1
route show 10.96.0.0/16
route show to root 10.96.0.0/12
route show match 10.97.3.4
route show exact 10.97.0.0/16
route show to match 10.97.0.0/16
route show metric 7
route show default
route show table nix
route show scope nix
route show type nix
route show foo
# metrics and TOS
route add 10.80.0.0/16 via 10.0.0.20 mtu 1400
route add 10.81.0.0/16 via 10.0.0.20 mtu lock 1300 advmss 1200 window 1000 hoplimit 33 initcwnd 5 initrwnd 6 reordering 9
route add 10.82.0.0/16 via 10.0.0.20 mtu 70000 advmss 70000 hoplimit 300
route add 10.82.0.0/16 via 10.0.0.20 mtu 70000 advmss 70000 hoplimit 255
route add 10.85.0.0/16 via 10.0.0.20 rtt 20ms rttvar 1s rto_min 2
route add 10.86.0.0/16 via 10.0.0.20 mtu x
route add 10.86.0.0/16 via 10.0.0.20 table nix
route add 10.86.0.0/16 via 10.0.0.20 scope nix
route add 10.86.0.0/16 via 10.0.0.20 proto nix
route add 10.86.0.0/16 via foo
route add foo via 10.0.0.20
route add 10.86.0.0/16 via 10.0.0.20 tos nix
route add 10.83.0.0/16 via 10.0.0.20 rtt 20 rttvar 10 rto_min 40ms ssthresh 8 cwnd 9 quickack 1
route add 10.84.0.0/16 via 10.0.0.20 tos 0x10
route add 10.84.0.0/16 via 10.0.0.21
route add 10.84.0.0/16 via 10.0.0.22 tos 0x20
route add 10.84.0.0/16 via 10.0.0.22 tos 0x23
route show root 10.80.0.0/12
-j route show root 10.80.0.0/12
route show tos 0x10
route get 10.84.0.1
route get 10.84.0.1 tos 0x10
route get 10.81.0.1
-j route get 10.81.0.1
route del 10.84.0.0/16
route del 10.84.0.0/16
route del 10.84.0.0/16 tos 0x10
route del 10.84.0.0/16 tos 0x20
# other tables
route add 10.70.0.0/16 dev t0 table 100
route add 10.70.0.0/16 via 10.0.0.9 table default
route add default via 10.0.0.9 table 100
route show table 100
route del 10.70.0.0/16 table 100
route flush table 100
route show table 100
route add 10.93.5.0/24 via 10.0.0.9 table default
# how packets go
route get 10.0.0.9
route get 10.0.0.1
route get 10.0.0.255
route get 127.0.0.5
route get 224.0.0.1
route get 255.255.255.255
route get 8.8.8.8
route get 10.90.0.1
route get 10.91.0.1
route get 10.92.0.1
route get 10.93.0.1
route get 10.97.0.1
route get 10.97.0.1 from 10.1.0.1
route get 10.97.0.1 from 10.1.0.9
route get 10.97.0.1 oif t1
route get 10.97.0.1 oif t9
-j route get 10.97.0.1
-o route get 10.97.0.1
route get 10.0.0.1 from 10.1.0.9 iif t1
route get 10.0.0.9 from 10.1.0.9 iif t1
route get 10.0.0.9 iif t1
sysctl -w net.ipv4.ip_forward=1
route get 10.0.0.9 from 10.1.0.9 iif t1
route get 10.97.0.9 from 10.1.0.9 iif t1
-j route get 10.97.0.9 from 10.1.0.9 iif t1
route get 10.90.0.9 from 10.1.0.9 iif t1
route get 8.8.8.8 from 10.1.0.9 iif t1
route get 10.0.0.255 from 10.1.0.9 iif t1
route get
route get foo
route get 10.0.0.1 10.0.0.2
# flush
route flush
-s route flush proto static
-s route flush 10.77.0.0/16
-s route flush root 10.80.0.0/12
route flush cache
route flush type unreachable
route show
route del 10.98.9.0/24
route del unreachable 10.90.0.0/16
route del 10.97.0.0/16 dev t1
route del 10.97.0.0/16 src 10.0.0.1
route del 10.97.0.0/16 proto static
route del 10.97.0.0/16 proto boot
route del local 10.95.0.0/16 dev lo
route del 10.98.6.0/24 scope link
route del 10.98.6.0/24 scope global
route flush table main
-4 route show table all
`)
}

func TestKernelMultipath(t *testing.T) {
	sameOutcomes(t, routeProgram(t), `
addr add 10.0.0.1/24 dev t0
addr add 10.1.0.1/24 dev t1
route add default nexthop via 10.0.0.9 nexthop via 10.1.0.9 weight 3
route add 10.50.0.0/16 nexthop via 10.0.0.9 dev t0 weight 256 nexthop dev t1 weight 1
route add 10.51.0.0/16 nexthop via 10.0.0.9 dev t0
route add 10.52.0.0/16 nexthop via 10.0.0.9 weight 0
route add 10.52.0.0/16 nexthop via 10.0.0.9 weight 257 nexthop via 10.1.0.9
route add 10.52.0.0/16 nexthop via 10.0.0.9 nexthop via 99.0.0.9
route add 10.52.0.0/16 nexthop via 10.0.0.9 nexthop via 99.0.0.9 dev t1 onlink
route add 10.53.0.0/16 scope host nexthop via 10.0.0.9 nexthop via 10.1.0.9
route add blackhole 10.54.0.0/16 nexthop via 10.0.0.9 nexthop via 10.1.0.9
route add 10.55.0.0/16 metric 5 src 10.0.0.1 mtu 1400 proto static nexthop via 10.0.0.9 nexthop via 10.1.0.9
route show
-d route show
-o route show
-j route show
-j -p route show
route show dev t1
route show via 10.1.0.9
route get 10.50.0.1 oif t1
route get 10.50.0.1 oif t0
route del default nexthop via 10.0.0.9 nexthop via 10.1.0.8
route del default nexthop via 10.0.0.9 nexthop via 10.1.0.9 weight 3
route add default nexthop via 10.0.0.9 nexthop via 10.1.0.9 weight 3
# a link that goes takes its next hops along, for as long as it is down
link set t1 down
route show
-j route show
route get 10.50.0.1
route show table local
link set t1 up
route show
link set t0 down
link set t1 down
route show
link set t0 up
link set t1 up
route show
route show table local
# addresses
route add default nexthop via 10.0.0.9 nexthop via 10.1.0.9
addr del 10.1.0.1/24 dev t1
route show
addr add 10.1.0.1/24 dev t1
route show
sysctl -w net.ipv4.fib_multipath_hash_policy=1
sysctl -w net.ipv4.fib_multipath_use_neigh=1
sysctl net.ipv4.fib_multipath_hash_policy net.ipv4.fib_multipath_use_neigh
sysctl net.ipv4.fib_multipath_foo
route flush table main
`)
}

func TestKernelAddresses(t *testing.T) {
	sameOutcomes(t, routeProgram(t), `
addr add 10.0.0.1/24 dev t0
addr add 10.0.0.2/24 dev t0
addr add 10.0.0.3/24 dev t0
addr add 10.0.0.3/24 dev t0
addr add 10.0.0.4/24 dev t0 scope link
addr add 10.0.0.5/25 dev t0
addr add 10.2.0.1/16 brd + dev t0 label t0:a
addr add 10.3.0.1/24 brd - dev t0
addr add 10.4.0.1/24 brd 10.4.0.77 dev t0 metric 50
addr add 10.5.0.1/24 dev t0 noprefixroute
addr add 10.6.0.1 peer 10.6.0.2 dev t0
addr add 10.6.1.1 peer 10.6.1.2/30 dev t0
addr add 10.7.0.1/32 dev lo
addr add 10.7.0.2/24 dev lo scope host
addr add 10.8.0.1/31 dev t0 brd +
addr add 10.9.0.1/24 dev t0 label x0
addr del 10.9.0.1/24 dev t0
addr add 10.9.0.1/24 dev t9
addr add 10.9.0.1/24 dev t0 valid_lft 100 preferred_lft 50
addr add 10.9.1.1/24 dev t0 valid_lft 100 preferred_lft 0
addr add 10.9.2.1/24 dev t0 valid_lft 50 preferred_lft 100
addr add 10.9.2.1/24 dev t0 valid_lft 0
addr add 10.9.3.1/24 dev t0 valid_lft forever preferred_lft 0
-4 addr show dev t0
-4 -j addr show dev t0
-4 addr show dev lo
-br -4 addr show
-o -4 addr show dev t0
-4 addr show dev t0 secondary
-4 addr show dev t0 primary
-4 addr show dev t0 scope link
-4 addr show dev t0 to 10.6.0.0/16
-4 addr show dev t0 dynamic
-4 addr show dev t0 deprecated
-4 addr show dev t0 permanent
-4 addr show dev t9
route show
route show table local
route get 10.9.1.7
route get 10.6.0.2
route get 10.5.0.7
# changes
addr change 10.4.0.1/24 dev t0 metric 60
addr replace 10.9.0.1/24 dev t0 valid_lft 200 preferred_lft 150
addr replace 10.9.0.1/24 dev t0
addr change 10.9.4.1/24 dev t0
-4 addr show dev t0
route show
# deleting
addr del 10.0.0.9/24 dev t0
addr del 10.0.0.2/25 dev t0
addr del 10.0.0.2/24 dev t0
addr del 10.9.4.1 dev t0
addr del 10.6.0.1 peer 10.6.0.2 dev t0
sysctl -qw net.ipv4.conf.t0.promote_secondaries=0
sysctl -qw net.ipv4.conf.all.promote_secondaries=0
addr add 10.20.0.1/24 dev t0
addr add 10.20.0.2/24 dev t0
addr add 10.20.0.3/24 dev t0
route add 10.30.0.0/16 dev t0 src 10.20.0.1
route add 10.31.0.0/16 dev t0 src 10.20.0.2
route add 10.32.0.0/16 via 10.20.0.9
addr del 10.20.0.1/24 dev t0
-4 addr show dev t0
route show
route show table local
sysctl -qw net.ipv4.conf.t0.promote_secondaries=1
addr add 10.21.0.1/24 dev t0
addr add 10.21.0.2/24 dev t0
addr add 10.21.0.3/24 dev t0
route add 10.33.0.0/16 dev t0 src 10.21.0.1
route add 10.34.0.0/16 dev t0 src 10.21.0.2
route add 10.35.0.0/16 via 10.21.0.9
addr del 10.21.0.1/24 dev t0
-4 addr show dev t0
route show
route show table local
# links
route add 10.36.0.0/16 dev t1
link set t1 down
route add 10.36.0.0/16 dev t1
route add 10.36.0.0/16 via 10.0.0.1 dev t1 onlink
link set t0 down
route show
route show table local
link set t0 up
route show
route show table local
link set t0 mtu 67
link set t0 mtu 1400
route get 10.0.0.9
addr flush
-s addr flush dev t1
addr flush dev t0 scope link
addr flush dev t0
-4 addr show dev t0
route show
route show table local
`)
}
