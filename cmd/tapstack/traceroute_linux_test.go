package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var tracerouteTime = regexp.MustCompile(`  [0-9.]+ ms`)

// Through a chain of three routers, the same command line with Linux's traceroute
// from a kernel's host and with ours from this one.
func TestKernelTracerouteCompared(t *testing.T) {
	p := newDHCPLAN(t, "t0")
	sysctls := []string{"net.ipv4.ip_forward=1", "net.ipv4.icmp_ratelimit=0", "net.ipv4.icmp_msgs_per_sec=10000", "net.ipv4.icmp_msgs_burst=10000",
		"net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.default.send_redirects=0", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0"}
	for _, s := range append(sysctls, "net.ipv4.conf.br0.send_redirects=0") {
		p.system("sysctl -qw " + s)
	}
	// 10.0.0.1 - 10.1.0.2 - 10.2.0.2, whose link has a smaller MTU.
	r1, r2 := newNetns(t), newNetns(t)
	for _, r := range []*netns{r1, r2} {
		for _, s := range sysctls {
			r.run("sysctl -qw " + s) // the global limits are not there in each namespace
		}
	}
	p.system(fmt.Sprintf("ip link add e0 type veth peer name e0 netns %d", r1.pid))
	p.system("ip addr add 10.1.0.1/24 dev e0")
	p.system("ip link set e0 up")
	p.system("ip route add 10.2.0.0/16 via 10.1.0.2")
	p.system("ip route add unreachable 10.8.1.0/24")
	p.system("ip route add prohibit 10.8.2.0/24")
	p.system("ip route add blackhole 10.8.3.0/24")
	r1.ok("ip addr add 10.1.0.2/24 dev e0")
	r1.ok("ip link set e0 up")
	r1.ok("ip route add default via 10.1.0.1")
	r1.ok(fmt.Sprintf("ip link add e1 mtu 1300 type veth peer name e1 mtu 1300 netns %d", r2.pid))
	r1.ok("ip addr add 10.2.0.1/24 dev e1")
	r1.ok("ip link set e1 up")
	r2.ok("ip addr add 10.2.0.2/24 dev e1")
	r2.ok("ip link set e1 up")
	r2.ok("ip route add default via 10.2.0.1")
	kernel := p.besides("k0", "10.0.0.3/24")
	kernel.ok("ip route add default via 10.0.0.1")
	kernel.ok("ping -c 1 10.2.0.2")
	p.start("--link", "name=t0,addr=10.0.0.2/24", "--route", "0.0.0.0/0,via=10.0.0.1", "--service", "none")
	p.ok("ping -c 1 10.2.0.2")

	for _, args := range []string{
		"10.2.0.2",
		"-n 10.2.0.2",
		"-n -I 10.2.0.2",
		"-n -U 10.2.0.2",
		"-n -q 1 -m 2 10.2.0.2",
		"-n -f 2 10.2.0.2 100",
		"-n 10.2.0.2 20",
		"-n -F 10.2.0.2 1400",
		"-n -F 10.2.0.2 1400", // once more, when the path is known
		"-n -I -F 10.2.0.2 1400",
		"-n 10.2.0.2 3000",
		"-n 10.0.0.1",
		"-n -q 1 10.0.0.9",
		"-n 10.8.1.1",
		"-n 10.8.2.1",
		"-n -I 10.8.2.1",
		"-n -q 2 -m 3 -w 0.5 10.8.3.1",
		"-n -q 1 -N 1 -t 16 -p 40000 10.2.0.2",
		"-n -q 1 127.0.0.1",
		"-q 11 10.2.0.2",
		"-f 5 -m 3 10.2.0.2",
		"-m 256 10.2.0.2",
		"10.2.0.2 70000",
		"10.2.0.2 x",
		"10.2.0.2 1 2",
	} {
		t.Run(args, func(t *testing.T) {
			type result struct {
				Code      int
				Out, Errs string
			}
			want := make(chan result, 1)
			go func() {
				code, out, errs := kernel.run("traceroute " + args)
				want <- result{code, out, errs}
			}()
			code, out, errs := p.run(append([]string{"traceroute"}, strings.Fields(args)...)...)
			w := <-want
			same := func(s string) string {
				return strings.ReplaceAll(tracerouteTime.ReplaceAllString(s, "  T ms"), "10.0.0.3", "10.0.0.2")
			}
			require.Equal(t, same(w.Out), same(out))
			require.Equal(t, same(w.Errs), same(errs))
			require.Equal(t, w.Code, code)
		})
	}
}
