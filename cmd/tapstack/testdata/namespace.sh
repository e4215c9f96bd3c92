#!/bin/sh
# Set-up and questions as they are typed in a network namespace: t0 is 10.0.0.2/24,
# and 10.0.0.1 is behind it.
try() {
	echo "\$ $*"
	"$@" 2>&1
	echo "=> $?"
}

# Addresses and links.
try ip addr show dev t0
try ip -4 -br a
try ip -br link show t0
try ip a a 10.0.0.5/24 dev t0
try ip addr add 10.0.0.5/24 dev t0
try ip address add 10.9.9.9/32 dev lo
try ip -4 a s lo
try ip -o -4 addr show t0
try ip addr del 10.0.0.5/24 dev t0
try ip addr del 10.0.0.5/24 dev t0
try ip addr add 10.0.0.5/24 dev nope
try ip addr add nonsense dev t0
try ip addr show dev nope
try ip link show nope
try ip link set nope up
try ip link nonsense
try ip l set dev t0 mtu 1400
try ip link show t0
try ip link set t0 mtu 1500

# Neighbours.
try ip neigh
try ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev t0
try ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev t0
try ip neighbour change 10.0.0.9 lladdr 02:00:00:00:00:0a dev t0 nud reachable
try ip n r 10.0.0.9 lladdr 02:00:00:00:00:0b dev t0 nud permanent
try ip n
try ip -j neigh show 10.0.0.9
try ip -j -p n s to 10.0.0.9
try ip neigh get 10.0.0.9 dev t0
try ip neigh get 10.0.0.10 dev t0
try ip neigh del 10.0.0.9 dev t0
try ip neigh del 10.0.0.9 dev t0
try ip neigh add 10.0.0.9 dev nope
try ip neigh add 10.0.0.9
try ip neigh add 10.0.0.9 lladdr
try ip neigh add 10.0.0.9 lladdr zz dev t0
try ip neigh add nonsense dev t0
try ip neigh show nonsense
try ip neigh show nud nonsense
try ip neigh nonsense
try ip neigh flush
try ip neigh add proxy 10.0.0.77 dev t0
try ip neigh show proxy
try ip neigh del proxy 10.0.0.77 dev t0
try ip -s neigh flush dev t0

# Routes.
try ip route
try ip r a 10.1.0.0/16 via 10.0.0.1
try ip r a 10.1.0.0/16 via 10.0.0.1
try ip route add default via 10.0.0.1 metric 100
try ip route add unreachable 10.99.0.0/16
try ip route add 10.2.0.0/16 via 10.77.0.1
try ip route add 10.2.0.0/16 dev nope
try ip route add nonsense via 10.0.0.1
try ip route add default via nonsense
try ip -4 r
try ip r g 10.1.2.3
try ip route get 8.8.8.8
try ip route get 10.99.0.1
try ip route get 127.0.0.1
try ip -j route get 10.0.0.1
try ip route del 10.1.0.0/16
try ip route del 10.1.0.0/16
try ip route del default
try ip route del unreachable 10.99.0.0/16
try ip route show table local dev t0
try ip -d route show dev t0
try ip route nonsense

# ip itself.
try ip nonsense
try ip -nonsense addr
try ip -6 neigh
try ip -c=never -4 -br addr show lo
printf 'neigh add 10.0.0.8 lladdr 02:00:00:00:00:08 dev t0\n# nothing\n\nneigh show 10.0.0.8\nneigh del 10.0.0.8 dev t0\n' | try ip -batch -
printf 'link show nope\nneigh show\n' | try ip -batch -
printf 'link show nope\n-4 addr\nneigh show\n' | try ip -force -batch -

# Parameters.
try sysctl net.ipv4.ip_forward
try sysctl -w net.ipv4.ip_forward=1
try sysctl net/ipv4/ip_forward
try sysctl -n net.ipv4.ip_forward
try sysctl -N net.ipv4.ip_forward
try sysctl -q net.ipv4.ip_forward=0
try sysctl net.ipv4.ip_forward=nonsense
try sysctl -w net.ipv4.ip_forward
try sysctl net.ipv4.nonsense net.ipv4.ip_default_ttl
try sysctl -e net.ipv4.nonsense
try sysctl net.ipv4.conf.nope.forwarding
try sysctl -w net.ipv4.conf.t0.arp_ignore=1 net.ipv4.conf.t0.rp_filter=2
try sysctl net.ipv4.neigh.t0.retrans_time_ms net.ipv4.neigh.t0.ucast_solicit
try sysctl -w net.ipv4.neigh.t0.ucast_solicit=-1
try sysctl -w net.ipv4.ip_default_ttl=300
printf '# a comment\nnet.ipv4.conf.t0.arp_ignore = 0\n; another\nnet.ipv4.conf.t0.rp_filter=0\nnonsense\n' | try sysctl -p -

# Traffic.
try ping -c 1 10.0.0.1
try ping -c 2 -i 0.2 -q 10.0.0.1
try ping -c1 -W1 -s 1000 -I t0 10.0.0.1
try ping -c 1 -W 1 127.0.0.1
try ping -c 1 10.55.0.1
try ip neigh show 10.0.0.1 nud all
try ip -s neigh show 10.0.0.99
