package stack_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"

	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/link/tap"
)

// quiet is a peer whose neighbours are not compared: how old they are depends on
// how long a tool takes.
func quiet(newPeer func(*testing.T) peer) func(*testing.T) peer {
	return func(t *testing.T) peer {
		p := newPeer(t)
		p.neighbours = func() []string { return nil }
		return p
	}
}

// Tools of IP, ICMP and UDP see the same of our host as of Linux.
func TestKernelPeersIP(t *testing.T) {
	linktest.WantNoPackets(t)
	needTools(t, "ip", "ping", "traceroute", "tracepath", "nmap", "hping3")
	compareOn(t, quiet(linuxPeer), quiet(tapstackPeer), []exchange{
		{"ping", "", []string{"ping -n -c 2 -i 0.2 10.0.0.2"}, []string{`64 bytes from 10.0.0.2: icmp_seq=2 ttl=64`, `2 received`}},
		{"ping of no bytes", "", []string{"ping -n -c 1 -s 0 10.0.0.2"}, []string{`8 bytes from`}},
		{"ping of a full frame", "", []string{"ping -n -c 1 -s 1472 -M do 10.0.0.2"}, []string{`1480 bytes from`}},
		{"ping in fragments", "", []string{"ping -n -c 1 -s 1473 10.0.0.2", "ping -n -c 1 -s 10000 10.0.0.2", "ping -n -c 1 -s 65507 10.0.0.2"}, []string{`65515 bytes from`}},
		{"ping with record route", "", []string{"ping -n -R -c 1 10.0.0.2"}, []string{`RR:.*10.0.0.1\n.*10.0.0.2\n.*10.0.0.2\n.*10.0.0.1\n`}},
		{"ping with time stamps' addresses", "", []string{"ping -n -T tsandaddr -c 1 10.0.0.2"}, []string{`TS:`, `1 received`}},
		{"ping with a type of service", "", []string{"ping -n -Q 0x10 -c 1 10.0.0.2"}, []string{`1 received`}},
		{"ping of the broadcast address", "", []string{"ping -n -b -c 1 -W 1 10.0.0.255"}, []string{`0 received`}},
		{"ping of the broadcast address that is answered", "net.ipv4.icmp_echo_ignore_broadcasts=0", []string{"ping -n -b -c 1 -W 1 10.0.0.255"}, []string{`1 received`}},
		{"ping of a host that answers none", "net.ipv4.icmp_echo_ignore_all=1", []string{"ping -n -c 1 -W 1 10.0.0.2"}, []string{`0 received`}},
		{"ping of all hosts of the link", "net.ipv4.icmp_echo_ignore_broadcasts=0", []string{"ping -n -c 1 -W 1 -I t0 224.0.0.1"}, []string{`64 bytes from 10.0.0.2`}},
		{"ping of a group it is no member of", "net.ipv4.icmp_echo_ignore_broadcasts=0", []string{"ping -n -c 1 -W 1 -I t0 224.1.2.3"}, []string{`0 received`}},
		{"traceroute", "", []string{"traceroute -n -q 1 10.0.0.2", "traceroute -n -I -q 1 10.0.0.2", "traceroute -n -T -p 9 -q 1 10.0.0.2"}, []string{` 1  10.0.0.2`}},
		{"tracepath", "", []string{"tracepath -n 10.0.0.2"}, []string{`reached`, `Resume: pmtu 1500`}},
		{"nmap, UDP ports", "", []string{"nmap -n -Pn -sU -p 7,9 --reason 10.0.0.2"}, []string{`7/udp closed`, `port-unreach`}},
		{"nmap, TCP ports", "", []string{"nmap -n -Pn -sS -p 7,9,80 --reason 10.0.0.2", "nmap -n -Pn -sA -p 7 --reason 10.0.0.2", "nmap -n -Pn -sX -p 7 --reason 10.0.0.2"}, []string{`80/tcp closed`, `reset`, `unfiltered`}},
		{"nmap, protocols", "", []string{"nmap -n -Pn -sO -p 6,17,99,254 --reason --max-retries 2 10.0.0.2"}, []string{`proto-unreach`}},
		{"hping3, fragments", "", []string{"hping3 -n -q -1 -c 2 -i u100000 -d 300 -f 10.0.0.2", "hping3 -n -q -2 -p 9 -c 1 -d 100 -x -m 56 10.0.0.2"}, []string{`2 packets received`}},
		{"hping3, time stamps", "", []string{"hping3 -n -q -1 --icmp-ts -c 1 10.0.0.2"}, []string{`1 packets received`}},
		{"hping3, address mask", "", []string{"hping3 -n -q -1 --icmp-addr -c 1 10.0.0.2"}, []string{`0 packets received`}},
		{"hping3, a wrong checksum", "", []string{"hping3 -n -q -1 -b -c 1 10.0.0.2"}, []string{`0 packets received`}},
		{"hping3, loose source route", "", []string{"hping3 -n -q -1 --lsrr 10.0.0.9 -c 1 10.0.0.2"}, []string{`0 packets received`}},
		{"hping3, ttl 1 is for us", "", []string{"hping3 -n -q -1 -t 1 -c 1 10.0.0.2"}, []string{`1 packets received`}},
	})
}

// A router is 10.0.0.2 to the tools, 10.0.1.2 with an MTU of 1400 to what is
// behind it: 10.0.1.9.
func behind(t *testing.T, far *kernelHost, dev string) {
	t.Helper()
	far.run("ip addr add 10.0.1.9/24 dev %s", dev)
	far.run("ip link set %s mtu 1400 up", dev)
	far.run("ip route add default via 10.0.1.2")
}

func linuxRouter(t *testing.T) peer {
	t.Helper()
	k, router, far := newKernelHost(t), newKernelHost(t), newKernelHost(t)
	k.run("ip link add t0 address %s type veth peer name t0 address %s netns %s", toolsMAC, subjectMAC, router.path)
	k.run("ip addr add 10.0.0.1/24 dev t0")
	k.run("ip link set t0 up")
	k.run("ip route add default via 10.0.0.2")
	router.run("ip link add t1 type veth peer name t1 netns %s", far.path)
	router.run("ip addr add 10.0.0.2/24 dev t0")
	router.run("ip addr add 10.0.1.2/24 dev t1")
	router.run("ip link set t0 up")
	router.run("ip link set t1 mtu 1400 up")
	router.run("ip route add prohibit 10.0.7.0/24")
	router.run("ip route add unreachable 10.0.8.0/24")
	router.run("ip route add blackhole 10.0.6.0/24")
	router.sysctl("net.ipv4.ip_forward", "1")
	behind(t, far, "t1")
	return peer{tools: k, sysctl: router.setSysctl}
}

func tapstackRouter(t *testing.T) peer {
	t.Helper()
	k, far, h := newKernelHost(t), newKernelHost(t), newHost(t)
	near := k.tap("t0", tap.Config{Addr: mac(t, subjectMAC)})
	k.run("ip link set t0 address %s", toolsMAC)
	k.run("ip addr add 10.0.0.1/24 dev t0")
	k.run("ip route add default via 10.0.0.2")
	attach(t, h, "t0", near, "10.0.0.2/24")
	attach(t, h, "t1", far.tap("t1", tap.Config{MTU: 1400}), "10.0.1.2/24")
	for dst, kind := range map[string]ipv4.RouteType{"10.0.7.0/24": ipv4.Prohibit, "10.0.8.0/24": ipv4.Unreachable, "10.0.6.0/24": ipv4.Blackhole} {
		require.NoError(t, h.IPv4().AddRoute(ipv4.Route{Dst: netip.MustParsePrefix(dst), Type: kind}))
	}
	sysctl(t, h, "net.ipv4.ip_forward=1")
	behind(t, far, "t1")
	return peer{tools: k, sysctl: h.SetSysctl}
}

// Tools see the same through our router as through Linux.
func TestKernelPeersRouter(t *testing.T) {
	linktest.WantNoPackets(t)
	needTools(t, "ip", "ping", "traceroute", "tracepath", "mtr", "hping3")
	compareOn(t, quiet(linuxRouter), quiet(tapstackRouter), []exchange{
		{"ping", "", []string{"ping -n -c 2 -i 0.2 10.0.1.9"}, []string{`ttl=63`, `2 received`}},
		{"ping with record route", "", []string{"ping -n -R -c 1 10.0.1.9"}, []string{`10.0.1.2\n.*10.0.1.9\n.*10.0.1.9\n.*10.0.0.2\n`}},
		{"ping with a short life", "", []string{"ping -n -t 1 -c 1 10.0.1.9"}, []string{`From 10.0.0.2 icmp_seq=1 Time to live exceeded`}},
		{"ping of nobody", "", []string{"ping -n -c 1 -W 5 10.0.1.77"}, []string{`From 10.0.0.2 icmp_seq=1 Destination Host Unreachable`}},
		{"ping without a route", "", []string{"ping -n -c 1 -W 2 10.9.9.9"}, []string{`From 10.0.0.2 icmp_seq=1 Destination Net Unreachable`}},
		{"ping of a prohibited net", "", []string{"ping -n -c 1 -W 2 10.0.7.1"}, []string{`From 10.0.0.2 icmp_seq=1 Packet filtered`}},
		{"ping of an unreachable net", "", []string{"ping -n -c 1 -W 2 10.0.8.1"}, []string{`From 10.0.0.2 icmp_seq=1 Destination Host Unreachable`}},
		{"ping of a black hole", "", []string{"ping -n -c 1 -W 1 10.0.6.1"}, []string{`0 received`}},
		{"ping larger than the next link", "", []string{"ping -n -c 1 -W 1 -s 1400 -M do 10.0.1.9", "ip route get 10.0.1.9", "ping -n -c 1 -s 1400 10.0.1.9"}, []string{`Frag needed and DF set \(mtu = 1400\)`, `1408 bytes from`}},
		{"ping in fragments", "", []string{"ping -n -c 1 -s 4000 -M dont 10.0.1.9", "ping -n -c 1 -s 65507 -M dont 10.0.1.9"}, []string{`65515 bytes from`}},
		{"traceroute", "", []string{"traceroute -n -q 1 10.0.1.9", "traceroute -n -I -q 1 10.0.1.9", "traceroute -n -q 1 10.9.9.9", "traceroute -n -q 1 10.0.7.1"}, []string{` 1  10.0.0.2`, ` 2  10.0.1.9`, `!N`, `!X`}},
		{"traceroute --mtu", "", []string{"traceroute -n -q 1 --mtu 10.0.1.9"}, []string{`F=1400`}},
		{"tracepath", "", []string{"tracepath -n 10.0.1.9"}, []string{`pmtu 1400`, `reached`}},
		{"mtr", "", []string{"mtr -n -r -c 2 -i 0.2 -o L 10.0.1.9"}, []string{`10.0.0.2`, `10.0.1.9`}},
		{"hping3, fragments", "", []string{"hping3 -n -q -1 -c 1 -d 1000 -f 10.0.1.9"}, []string{`1 packets received`}},
		{"no router any more", "net.ipv4.ip_forward=0", []string{"ping -n -c 1 -W 1 10.0.1.9"}, []string{`0 received`}},
	})
}
