package stack_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/link/tap"
	"github.com/tapstack/tapstack/link/tap/taptest"
)

// The addresses of both sides are the same whoever the peer is, so that only
// times differ in what the tools print.
const (
	toolsMAC   = "02:00:00:00:00:01"
	toolsMAC2  = "02:00:00:00:00:11"
	subjectMAC = "02:00:00:00:00:02"
)

// peer is a host at 10.0.0.2 to be asked by tools that run at 10.0.0.1. The
// interface is t0 at both ends.
type peer struct {
	tools      *kernelHost
	neighbours func() []string
	sysctl     func(name, value string) error
}

// linuxPeer is a kernel behind a veth pair.
func linuxPeer(t *testing.T) peer {
	t.Helper()
	k, host := newKernelHost(t), newKernelHost(t)
	k.run("ip link add t0 address %s type veth peer name t0 address %s netns %s", toolsMAC, subjectMAC, host.path)
	k.run("ip addr add 10.0.0.1/24 dev t0")
	k.run("ip link set t0 up")
	host.run("ip addr add 10.0.0.2/24 dev t0")
	host.run("ip link set t0 up")
	return peer{
		tools:      k,
		neighbours: func() []string { return host.neighbours("t0") },
		sysctl:     host.setSysctl,
	}
}

// tapstackPeer is a host of ours behind a TAP.
func tapstackPeer(t *testing.T) peer {
	t.Helper()
	k, host := newKernelHost(t), newHost(t)
	d := k.tap("t0", tap.Config{Addr: mac(t, subjectMAC)})
	k.run("ip link set t0 address %s", toolsMAC)
	k.run("ip addr add 10.0.0.1/24 dev t0")
	attach(t, host, "t0", d, "10.0.0.2/24")
	return peer{
		tools:      k,
		neighbours: func() []string { return neighbours(host, "t0") },
		sysctl:     host.SetSysctl,
	}
}

// exchange is what a user does at 10.0.0.1, and what must be seen of it.
type exchange struct {
	name   string
	sysctl string   // name=value of the peer's, if not empty
	script []string // command lines
	// prints are patterns in the transcript with Linux as peer. They guard
	// against two peers that agree because neither heard anything.
	prints []string
}

// perform returns a transcript without times: what each command printed, its
// exit status, and the peer's neighbours after all.
func (p peer) perform(x exchange) string {
	var b strings.Builder
	if name, value, ok := strings.Cut(x.sysctl, "="); ok {
		if err := p.sysctl(name, value); err != nil {
			fmt.Fprintln(&b, err)
		}
	}
	for _, line := range x.script {
		out, status := p.tools.command(line)
		fmt.Fprintf(&b, "$ %s\n%s[%d]\n", line, timeless(out), status)
	}
	fmt.Fprintf(&b, "peer: %s\n", strings.Join(p.neighbours(), "; "))
	return b.String()
}

// timeless replaces everything that is a time, or computed from one, in what the
// tools print, identifications, which are random, and libpcap's count, which begins
// before its filter is in place.
func timeless(s string) string {
	for _, r := range []struct{ pattern, by string }{
		{`\d{4}-\d\d-\d\d \d\d:\d\d \S+`, "DATE"},
		{`= [\d./]+ ms`, "= TIME"},
		{`[\d.]+ hosts/sec`, "RATE"},
		{`\d+ packets received by filter`, "N packets received by filter"},
		{`\d+(\.\d+)? ?(ms|msec|usec|seconds|sec|s)\b`, "TIME"},
		{`\b(id|Originate|Receive|Transmit|tsrtt)=\d+`, "$1=N"},
		{`(?m)(\t[\d.]+\t)\d+( absolute)?$`, "${1}N"},
	} {
		s = regexp.MustCompile(r.pattern).ReplaceAllString(s, r.by)
	}
	return s
}

// compare lets each exchange happen with a Linux and with a tapstack peer of its
// own, all at the same time, and compares the transcripts. The tools' patience is
// short, and on a busy machine an answer may come too late for it, so what does
// not agree gets a second chance alone.
func compare(t *testing.T, exchanges []exchange) {
	t.Helper()
	compareOn(t, linuxPeer, tapstackPeer, exchanges)
}

// compareOn is compare with peers of another kind.
func compareOn(t *testing.T, linux, ours func(*testing.T) peer, exchanges []exchange) {
	t.Helper()
	results := perform(t, linux, ours, exchanges)
	for n, x := range exchanges {
		t.Run(x.name, func(t *testing.T) {
			r := results[n]
			if !r.agree(x) {
				t.Logf("again, for Linux printed\n%s\nand tapstack\n%s", r.linux, r.ours)
				r = perform(t, linux, ours, []exchange{x})[0]
			}
			for _, pattern := range x.prints {
				require.Regexp(t, pattern, r.linux)
			}
			require.Equal(t, r.linux, r.ours)
		})
	}
}

// transcripts are of the same exchange.
type transcripts struct{ linux, ours string }

func (r transcripts) agree(x exchange) bool {
	for _, pattern := range x.prints {
		if !regexp.MustCompile(pattern).MatchString(r.linux) {
			return false
		}
	}
	return r.linux == r.ours
}

// perform lets all exchanges happen at once.
func perform(t *testing.T, newLinux, newOurs func(*testing.T) peer, exchanges []exchange) []transcripts {
	t.Helper()
	results := make([]transcripts, len(exchanges))
	var wg sync.WaitGroup
	defer wg.Wait() // also when a peer cannot be made
	for n, x := range exchanges {
		linux, ours := newLinux(t), newOurs(t)
		wg.Go(func() { results[n].linux = linux.perform(x) })
		wg.Go(func() { results[n].ours = ours.perform(x) })
	}
	wg.Wait()
	return results
}

const (
	learnt     = `peer: 10.0.0.1 lladdr 02:00:00:00:00:01 STALE\n`
	relearnt   = `peer: 10.0.0.1 lladdr 02:00:00:00:00:11 STALE\n`
	unlearnt   = `peer: \n`
	acceptGARP = "net.ipv4.conf.t0.arp_accept=1"
)

// move changes the asker's hardware address after the peer has learnt it.
var move = []string{"arping -f -w 2 -I t0 10.0.0.2", "ip link set t0 address " + toolsMAC2}

// needIputilsArping skips the test unless arping is that of iputils; the other
// one has different options.
func needIputilsArping(t *testing.T) {
	t.Helper()
	needTools(t, "arping")
	if out, _ := exec.Command("arping", "-V").CombinedOutput(); !strings.Contains(string(out), "iputils") {
		taptest.Skip(t, "this needs the arping of iputils")
	}
}

func TestKernelPeersArping(t *testing.T) {
	linktest.WantNoPackets(t)
	needTools(t, "ip")
	needIputilsArping(t)
	compare(t, []exchange{
		{"ARP-14 request", "", []string{"arping -c 2 -w 3 -I t0 10.0.0.2"}, []string{`Received 2 response`, learnt}},
		{"ARP-14 request by broadcast alone", "", []string{"arping -b -c 2 -w 3 -I t0 10.0.0.2"}, []string{`2 broadcast`, `Received 2 response`, learnt}},
		{"ARP-14 request overrides at once", "", slices.Concat(move, move[:1]), []string{`Received 1 response`, relearnt}},
		{"ARP-26 request for an unused address", "", []string{"arping -c 1 -w 1 -I t0 10.0.0.3"}, []string{`Received 0 response`, unlearnt}},
		{"ARP-16 request that arp_ignore forbids", "net.ipv4.conf.all.arp_ignore=8", []string{"arping -c 1 -w 1 -I t0 10.0.0.2"}, []string{`Received 0 response`, unlearnt}},
		{"ARP-10 probe of a used address", "", []string{"arping -D -c 2 -w 2 -I t0 10.0.0.2"}, []string{`reply from 10.0.0.2`, `\[1\]`, unlearnt}},
		{"ARP-10 probe of an unused address", "", []string{"arping -D -c 1 -w 1 -I t0 10.0.0.3"}, []string{`Received 0`, `\[0\]`, unlearnt}},
		{"ARP-26 announcement", "", []string{"arping -U -c 1 -I t0 10.0.0.1"}, []string{`\[0\]`, unlearnt}},
		{"ARP-26 announcement as reply", "", []string{"arping -A -c 1 -I t0 10.0.0.1"}, []string{`\[0\]`, unlearnt}},
		{"ARP-25 announcement, arp_accept", acceptGARP, []string{"arping -U -c 1 -I t0 10.0.0.1"}, []string{learnt}},
		{"ARP-25 announcement as reply, arp_accept", acceptGARP, []string{"arping -A -c 1 -I t0 10.0.0.1"}, []string{learnt}},
		{"ARP-29 announcement of a new MAC", "", slices.Concat(move, []string{"arping -U -c 1 -I t0 10.0.0.1"}), []string{relearnt}},
		{"ARP-29 announcement of a new MAC as reply", "", slices.Concat(move, []string{"arping -A -c 1 -I t0 10.0.0.1"}), []string{relearnt}},
		{"ARP-8 announcement dropped", "net.ipv4.conf.t0.drop_gratuitous_arp=1", slices.Concat(move, []string{"arping -U -c 1 -I t0 10.0.0.1"}), []string{learnt}},
	})
}

// habetsArping returns the path of Thomas Habets's arping, which Debian cannot
// install beside that of iputils.
func habetsArping(t *testing.T) string {
	t.Helper()
	const variable = "TAPSTACK_HABETS_ARPING"
	paths := []string{"/usr/sbin/arping", "/usr/local/sbin/arping"}
	if p := os.Getenv(variable); p != "" {
		paths = []string{p}
	}
	for _, p := range paths {
		if out, err := exec.Command(p, "--help").CombinedOutput(); err == nil && strings.Contains(string(out), "Habets") {
			return p
		}
	}
	taptest.Skip(t, fmt.Sprintf("this needs the arping of Thomas Habets, and %s is none; name it in %s", strings.Join(paths, ", "), variable))
	return ""
}

func TestKernelPeersHabetsArping(t *testing.T) {
	linktest.WantNoPackets(t)
	needTools(t, "ip")
	arping := habetsArping(t) + " -c 1 -i t0 "
	compare(t, []exchange{
		{"ARP-14 request", "", []string{strings.Replace(arping, "-c 1", "-c 2", 1) + "10.0.0.2"}, []string{`2 packets received`, learnt}},
		{"ARP-14 request, looking for duplicates", "", []string{arping + "-d 10.0.0.2"}, []string{`1 packets received`, `\[0\]`, learnt}},
		{"ARP-26 request for an unused address", "", []string{arping + "10.0.0.3"}, []string{`Timeout`, unlearnt}},
		{"ARP-10 probe", "", []string{arping + "-0 10.0.0.2"}, []string{`1 packets received`, unlearnt}},
		{"ARP-12 request by broadcast address", "", []string{arping + "-b 10.0.0.2"}, []string{`Timeout`, unlearnt}},
		{"ARP-14 request for somebody else", "", []string{arping + "-S 10.0.0.9 10.0.0.2"}, []string{`1 packets received`, `peer: 10.0.0.9 lladdr 02:00:00:00:00:01 STALE\n`}},
		{"ARP-9 request from another MAC", "", []string{arping + "-p -s 02:00:00:00:00:33 10.0.0.2"}, []string{`peer: 10.0.0.1 lladdr 02:00:00:00:00:33 STALE\n`}},
		{"ARP-13 claim of the peer's own address", "", []string{arping + "-S 10.0.0.2 -U 10.0.0.2"}, []string{`Timeout`, unlearnt}},
		{"ARP-25 announcement, arp_accept", acceptGARP, []string{arping + "-U 10.0.0.1"}, []string{learnt}},
		{"ARP-25 announcement as reply, arp_accept", acceptGARP, []string{arping + "-P -U 10.0.0.1"}, []string{learnt}},
		{"echo to a MAC, by broadcast", "", []string{arping + subjectMAC}, []string{`Timeout`}},
		{"echo to a MAC and an address", "", []string{arping + "-T 10.0.0.2 " + subjectMAC}, []string{`1 packets received`, `peer: 10.0.0.1 lladdr 02:00:00:00:00:01 REACHABLE\n`}},
	})
}

func TestKernelPeersScanners(t *testing.T) {
	linktest.WantNoPackets(t)
	needTools(t, "ip", "arp-scan", "arp-fingerprint", "nmap")
	scan := "arp-scan --interface=t0 --retry=1 --timeout=1000 "
	compare(t, []exchange{
		{"OUT-3 arp-scan of a subnet", "", []string{scan + "10.0.0.0/30"}, []string{`10.0.0.2\s02:00:00:00:00:02`, `1 responded`, learnt}},
		{"ARP-10 arp-scan with probes", "", []string{scan + "--arpspa=0.0.0.0 10.0.0.2"}, []string{`1 responded`, unlearnt}},
		{"ARP-14 arp-scan as if each target asked for itself", "", []string{scan + "--arpspa=dest 10.0.0.2"}, []string{`0 responded`, unlearnt}},
		{"ARP-5 arp-scan, hardware type 6", "", []string{scan + "--arphrd=6 10.0.0.2"}, []string{`1 responded`, learnt}},
		{"ARP-2 arp-scan with padding", "", []string{scan + "--padding=" + strings.Repeat("a5", 200) + " 10.0.0.2"}, []string{`1 responded`, learnt}},
		{"ARP-6 arp-scan with replies", "", []string{scan + "--arpop=2 10.0.0.2"}, []string{`0 responded`, unlearnt}},
		{"ARP-2..12 arp-fingerprint", "", []string{"arp-fingerprint -o --timeout=250 10.0.0.2"}, []string{`01010100000\s+Linux`}},
		{"nmap -sn -PR", "", []string{"nmap -n -sn -PR 10.0.0.2-3"}, []string{`Host is up`, `2 IP addresses \(1 host up\)`, learnt}},
	})
}
