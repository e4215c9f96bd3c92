package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/stack/control"
)

// sockets are those of a program that was looked at with iproute2's ss.
func sockets() []control.Socket {
	at := netip.MustParseAddrPort
	k := func(state string, recv, send int, local, remote string) control.Socket {
		return control.Socket{Netid: "tcp", State: state, RecvQ: recv, SendQ: send, Local: at(local), Remote: at(remote)}
	}
	list := []control.Socket{
		k("LISTEN", 0, 7, "127.0.0.1:8000", "0.0.0.0:0"),
		k("LISTEN", 0, 128, "0.0.0.0:80", "0.0.0.0:0"),
		k("ESTAB", 0, 0, "127.0.0.1:54374", "127.0.0.1:8000"),
		k("TIME-WAIT", 0, 0, "127.0.0.1:54386", "127.0.0.1:8000"),
		k("ESTAB", 0, 0, "127.0.0.1:54394", "127.0.0.1:8000"),
		k("ESTAB", 1520, 0, "127.0.0.1:8000", "127.0.0.1:54374"),
		k("ESTAB", 0, 0, "127.0.0.1:8000", "127.0.0.1:54394"),
	}
	list[3].Timer = &control.SocketTimer{Name: "timewait", Left: 59 * time.Second}
	list[4].Timer = &control.SocketTimer{Name: "keepalive", Left: 119*time.Minute + 59*time.Second}
	return list
}

// ssOf prints what a command line of ss asks for.
func ssOf(t *testing.T, line string, all []control.Socket) string {
	t.Helper()
	var o ssOptions
	var args []string
	for i, w := range strings.Fields(strings.ReplaceAll(line, "'", "")) {
		switch {
		case i == 0:
		case strings.HasPrefix(w, "-"):
			for _, c := range w[1:] {
				switch c {
				case 't':
					o.tcp = true
				case 'u':
					o.udp = true
				case 'w':
					o.raw = true
				case 'a':
					o.all = true
				case 'l':
					o.listening = true
				case 'n':
					o.numeric = true
				case 'H':
					o.noHeader = true
				case 'o':
					o.timers = true
				case 'm':
					o.memory = true
				case 'i':
					o.info = true
				case 'O':
					o.oneline = true
				case 'p':
					o.process = true
				case '6':
					o.ipv6 = true
				}
			}
		default:
			args = append(args, w)
		}
	}
	f, err := parseSSFilter(o, args)
	require.NoError(t, err)
	var list []control.Socket
	for _, k := range all {
		if f.has(k) {
			list = append(list, k)
		}
	}
	return string(printSockets(o, f, list, 77, nil))
}

// The tables are iproute2's, to the last blank.
func TestSocketsArePrintedAsSSDoes(t *testing.T) {
	for line, want := range map[string]string{
		"ss -tan": `State     Recv-Q Send-Q Local Address:Port  Peer Address:Port Process
LISTEN    0      7          127.0.0.1:8000       0.0.0.0:*           
LISTEN    0      128          0.0.0.0:80         0.0.0.0:*           
ESTAB     0      0          127.0.0.1:54374    127.0.0.1:8000        
TIME-WAIT 0      0          127.0.0.1:54386    127.0.0.1:8000        
ESTAB     0      0          127.0.0.1:54394    127.0.0.1:8000        
ESTAB     1520   0          127.0.0.1:8000     127.0.0.1:54374       
ESTAB     0      0          127.0.0.1:8000     127.0.0.1:54394       
`,
		"ss -tln": `State  Recv-Q Send-Q Local Address:Port Peer Address:PortProcess
LISTEN 0      7          127.0.0.1:8000      0.0.0.0:*          
LISTEN 0      128          0.0.0.0:80        0.0.0.0:*          
`,
		"ss -tlnH": `LISTEN 0      7      127.0.0.1:8000 0.0.0.0:*
LISTEN 0      128      0.0.0.0:80   0.0.0.0:*
`,
		"ss -tno": `State Recv-Q Send-Q Local Address:Port  Peer Address:Port Process                    
ESTAB 0      0          127.0.0.1:54374    127.0.0.1:8000                            
ESTAB 0      0          127.0.0.1:54394    127.0.0.1:8000  timer:(keepalive,119min,0)
ESTAB 1520   0          127.0.0.1:8000     127.0.0.1:54374                           
ESTAB 0      0          127.0.0.1:8000     127.0.0.1:54394                           
`,
		"ss -tn state established": `Recv-Q Send-Q Local Address:Port  Peer Address:Port Process
0      0          127.0.0.1:54374    127.0.0.1:8000        
0      0          127.0.0.1:54394    127.0.0.1:8000        
1520   0          127.0.0.1:8000     127.0.0.1:54374       
0      0          127.0.0.1:8000     127.0.0.1:54394       
`,
		"ss -tn state time-wait": `Recv-Q Send-Q Local Address:Port  Peer Address:PortProcess
0      0          127.0.0.1:54386    127.0.0.1:8000       
`,
		"ss -tan sport = :8000": `State  Recv-Q Send-Q Local Address:Port Peer Address:Port Process
LISTEN 0      7          127.0.0.1:8000      0.0.0.0:*           
ESTAB  1520   0          127.0.0.1:8000    127.0.0.1:54374       
ESTAB  0      0          127.0.0.1:8000    127.0.0.1:54394       
`,
		"ss -tan 'sport = :8000 and dst 127.0.0.1'": `State Recv-Q Send-Q Local Address:Port Peer Address:Port Process
ESTAB 1520   0          127.0.0.1:8000    127.0.0.1:54374       
ESTAB 0      0          127.0.0.1:8000    127.0.0.1:54394       
`,
		"ss -tan '( sport == 80 or dport :8000 )'": `State     Recv-Q Send-Q Local Address:Port  Peer Address:PortProcess
LISTEN    0      128          0.0.0.0:80         0.0.0.0:*          
ESTAB     0      0          127.0.0.1:54374    127.0.0.1:8000       
TIME-WAIT 0      0          127.0.0.1:54386    127.0.0.1:8000       
ESTAB     0      0          127.0.0.1:54394    127.0.0.1:8000       
`,
		"ss -tan dport gt 9000": `State Recv-Q Send-Q Local Address:Port Peer Address:Port Process
ESTAB 1520   0          127.0.0.1:8000    127.0.0.1:54374       
ESTAB 0      0          127.0.0.1:8000    127.0.0.1:54394       
`,
		"ss -tan src 127.0.0.1:8000": `State  Recv-Q Send-Q Local Address:Port Peer Address:Port Process
LISTEN 0      7          127.0.0.1:8000      0.0.0.0:*           
ESTAB  1520   0          127.0.0.1:8000    127.0.0.1:54374       
ESTAB  0      0          127.0.0.1:8000    127.0.0.1:54394       
`,
		"ss -tan src 127.0.0.0/8": `State     Recv-Q Send-Q Local Address:Port  Peer Address:Port Process
LISTEN    0      7          127.0.0.1:8000       0.0.0.0:*           
ESTAB     0      0          127.0.0.1:54374    127.0.0.1:8000        
TIME-WAIT 0      0          127.0.0.1:54386    127.0.0.1:8000        
ESTAB     0      0          127.0.0.1:54394    127.0.0.1:8000        
ESTAB     1520   0          127.0.0.1:8000     127.0.0.1:54374       
ESTAB     0      0          127.0.0.1:8000     127.0.0.1:54394       
`,
		"ss -tan not sport = :80": `State     Recv-Q Send-Q Local Address:Port  Peer Address:Port Process
LISTEN    0      7          127.0.0.1:8000       0.0.0.0:*           
ESTAB     0      0          127.0.0.1:54374    127.0.0.1:8000        
TIME-WAIT 0      0          127.0.0.1:54386    127.0.0.1:8000        
ESTAB     0      0          127.0.0.1:54394    127.0.0.1:8000        
ESTAB     1520   0          127.0.0.1:8000     127.0.0.1:54374       
ESTAB     0      0          127.0.0.1:8000     127.0.0.1:54394       
`,
		"ss -ltn src 0.0.0.0": `State  Recv-Q Send-Q Local Address:Port Peer Address:PortProcess
LISTEN 0      128          0.0.0.0:80        0.0.0.0:*          
`,
	} {
		t.Run(line, func(t *testing.T) { require.Equal(t, want, ssOf(t, line, sockets())) })
	}
}

func TestSocketsOfAllKinds(t *testing.T) {
	at := netip.MustParseAddrPort
	list := []control.Socket{
		{Netid: "icmp", State: "UNCONN", Local: at("0.0.0.0:7"), Remote: at("0.0.0.0:0")},
		{Netid: "udp", State: "UNCONN", RecvQ: 832, Local: at("10.0.0.2:53"), Remote: at("0.0.0.0:0"), Dev: "t0",
			Memory: &control.SocketMemory{Receive: 832, ReceiveBuffer: 212992, Drops: 3}},
		{Netid: "tcp", State: "ESTAB", SendQ: 9, Local: at("10.0.0.2:40000"), Remote: at("10.0.0.1:80"),
			Timer:  &control.SocketTimer{Name: "on", Left: 1234 * time.Millisecond, Retrans: 2},
			Memory: &control.SocketMemory{ReceiveBuffer: 131072, SendBuffer: 16384, Queued: 9},
			TCP: &control.TCPInfo{Timestamps: true, SACK: true, Sacked: 2, DSACKDups: 1, Reordering: 7, Congestion: "reno", WScale: true, SndWScale: 10, RcvWScale: 7, RTO: 204, RTT: 0.022, RTTVar: 0.013,
				MSS: 1448, PMTU: 1500, RcvMSS: 536, AdvMSS: 1448, Cwnd: 10, Ssthresh: 7, LastSent: 40, Unacked: 1, Retransmits: 1, Resent: 4, RcvSpace: 65535, SndWnd: 64000}},
	}
	require.Equal(t, `Netid State  Recv-Q Send-Q Local Address:Port  Peer Address:PortProcess
icmp  UNCONN 0      0            0.0.0.0:7          0.0.0.0:*          
udp   UNCONN 832    0        10.0.0.2%t0:53         0.0.0.0:*          
tcp   ESTAB  0      9           10.0.0.2:40000     10.0.0.1:80         
`, ssOf(t, "ss -an", list))
	require.Equal(t, "udp UNCONN 832    0      10.0.0.2%t0:53 0.0.0.0:* skmem:(r832,rb212992,t0,tb0,f0,w0,o0,bl0,d3)\n", ssOf(t, "ss -HanumOlw sport = :53", list))
	require.Equal(t, "ESTAB 0      9      10.0.0.2:40000 10.0.0.1:80 timer:(on,1.234ms,2)\n\t ts sack reno wscale:10,7 rto:204 rtt:0.022/0.013 mss:1448 pmtu:1500 "+
		"rcvmss:536 advmss:1448 cwnd:10 ssthresh:7 send 5265454545bps lastsnd:40 unacked:1 retrans:1/4 sacked:2 dsack_dups:1 reordering:7 rcv_space:65535 snd_wnd:64000\n",
		ssOf(t, "ss -Hantio", list))
	require.Equal(t, "ESTAB 0      9      10.0.0.2:40000 10.0.0.1:80 users:((\"tapstack\",pid=77))\n", ssOf(t, "ss -Htnp", list))
	require.Empty(t, ssOf(t, "ss -Han6", list))
	require.Equal(t, "udp UNCONN 832    0      10.0.0.2%t0:domain 0.0.0.0:*\n", string(printSockets(ssOptions{noHeader: true},
		ssFilter{families: []string{"udp", "tcp"}, states: ssSet(ssStates["all"])}, list[1:2], 1, map[string]string{"53/udp": "domain", "53/tcp": "no"})))
}

func TestSSTimes(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0ms": 0, "200ms": 200 * time.Millisecond, "1.234ms": 1234 * time.Millisecond, "59sec": 59*time.Second + 300*time.Millisecond,
		"1min5sec": 65 * time.Second, "119min": 119*time.Minute + 59*time.Second, "5sec": 5 * time.Second, "2min": 2 * time.Minute,
	} {
		require.Equal(t, want, ssTime(d))
	}
}

func TestSSSummary(t *testing.T) {
	list := append(sockets(), control.Socket{Netid: "udp"}, control.Socket{Netid: "udp"}, control.Socket{Netid: "icmp"})
	require.Equal(t, "Total: 9\nTCP:   7 (estab 4, closed 1, orphaned 0, timewait 1)\n\nTransport Total     IP        IPv6\n"+
		"RAW\t  1         1         0        \nUDP\t  2         2         0        \nTCP\t  6         6         0        \n"+
		"INET\t  9         9         0        \nFRAG\t  0         0         0        \n\n", string(printSSSummary(list)))
}

func TestSSFilters(t *testing.T) {
	at := netip.MustParseAddrPort
	k := control.Socket{Netid: "tcp", State: "ESTAB", Local: at("10.0.0.2:40000"), Remote: at("10.0.0.1:80"), Dev: "t0"}
	for line, want := range map[string]bool{
		"dst 10.0.0.1": true, "dst = 10.0.0.1:80": true, "dst 10.0.0.1:81": false, "dst != 10.0.0.1": false, "dst :80": true, "dst *:80": true,
		"dst 10.0.0.0/24 and src 10/8": true, "src 11/8": false, "10.0.0.1": true, "sport > :1024": true, "sport>1024": true, "sport gt 40000": false,
		"sport ge 40000 sport le 40000": true, "dport = :http": true, "dport != 80 or sport = 40000": true, "! dport 80": false,
		"not ( dport 80 and sport 40000 )": false, "( dport 81 || dport 80 ) && dst 10.0.0.1": true, "dev = t0": true, "dev != t0": false, "dev t1": false,
		"src > :100": true, "dport lt 80 or dport leq 80": true,
	} {
		f, err := parseSSFilter(ssOptions{}, strings.Fields(line))
		require.NoError(t, err, line)
		require.Equal(t, want, f.has(k), line)
	}
	for _, line := range []string{"foo", "dst", "dst 10.0.0.300", "sport", "sport = foo", "( dport 80", "dport 80 )", "dport 80 or", "not", "state foo",
		"dst > 10.0.0.1", "dev", "dev > t0", "fwmark = 1", "sport 70000", "cgroup x"} {
		_, err := parseSSFilter(ssOptions{}, strings.Fields(line))
		require.Error(t, err, line)
		code, _ := exit(err)
		require.Equal(t, exitUsage, code, line)
	}
	for line, want := range map[string]string{
		"state established": "ESTAB", "state time-wait state syn-recv": "SYN-RECV TIME-WAIT", "exclude connected exclude closed": "LISTEN",
		"state bucket": "SYN-RECV TIME-WAIT", "state all exclude big": "SYN-RECV TIME-WAIT",
	} {
		f, err := parseSSFilter(ssOptions{}, strings.Fields(line))
		require.NoError(t, err, line)
		require.Equal(t, ssSet(strings.Fields(want)), f.states, line)
	}
}
