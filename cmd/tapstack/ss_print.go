package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tapstack/tapstack/stack/control"
)

// ssColumn is a column of ss's: as wide as what is widest in it.
type ssColumn struct {
	header string
	right  bool
	space  bool // in front of it
}

// ssColumns are ss's columns in order.
var ssColumns = []ssColumn{
	{header: "Netid"}, {header: "State", space: true}, {header: "Recv-Q", space: true}, {header: "Send-Q", space: true},
	{header: "Local Address:", right: true, space: true}, {header: "Port"},
	{header: "Peer Address:", right: true, space: true}, {header: "Port"}, {header: "Process"},
}

// printSockets prints ss's table. A column whose cells are all the same word, for
// that was asked for, is left out: the netid, the state.
func printSockets(o ssOptions, f ssFilter, list []control.Socket, pid int, names map[string]string) []byte {
	shown := make([]bool, len(ssColumns))
	for i := range shown {
		shown[i] = i > 1 || i == 0 && len(f.families) != 1 || i == 1 && len(f.states) != 1
	}
	var rows [][]string
	if !o.noHeader {
		var head []string
		for _, col := range ssColumns {
			head = append(head, col.header)
		}
		rows = append(rows, head)
	}
	for _, k := range list {
		local, lport := ssEndpoint(k, k.Local, k.Dev, names)
		peer, pport := ssEndpoint(k, k.Remote, "", names)
		rows = append(rows, []string{k.Netid, k.State, fmt.Sprintf("%-6d", k.RecvQ), fmt.Sprintf("%-6d", k.SendQ),
			local + ":", lport, peer + ":", pport, ssProcess(o, k, pid)})
	}
	width := make([]int, len(ssColumns))
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	var b bytes.Buffer
	for _, row := range rows {
		first := true
		for i, cell := range row {
			if !shown[i] {
				continue
			}
			if ssColumns[i].space && !first {
				b.WriteByte(' ')
			}
			first = false
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if ssColumns[i].right {
				b.WriteString(pad + cell)
			} else {
				b.WriteString(cell + pad)
			}
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// ssEndpoint returns an address and a port as ss prints them.
func ssEndpoint(k control.Socket, a netip.AddrPort, dev string, names map[string]string) (host, port string) {
	host = a.Addr().String()
	if dev != "" {
		host += "%" + dev
	}
	port = strconv.Itoa(int(a.Port()))
	if name := names[port+"/"+k.Netid]; name != "" {
		port = name
	}
	if a.Port() == 0 {
		port = "*"
	}
	return host, port
}

// ssProcess returns what comes in the last column: timers, the process, memory and
// what TCP knows.
func ssProcess(o ssOptions, k control.Socket, pid int) string {
	var b strings.Builder
	if o.process {
		fmt.Fprintf(&b, " users:((\"tapstack\",pid=%d))", pid)
	}
	if (o.timers || o.extended) && k.Timer != nil {
		fmt.Fprintf(&b, " timer:(%s,%s,%d)", k.Timer.Name, ssTime(k.Timer.Left), k.Timer.Retrans)
	}
	if o.extended && k.Dev != "" {
		b.WriteString(" dev:" + k.Dev)
	}
	if !o.memory && !o.info {
		return b.String()
	}
	if !o.oneline {
		b.WriteString("\n\t")
	}
	if m := k.Memory; o.memory && m != nil {
		fmt.Fprintf(&b, " skmem:(r%d,rb%d,t0,tb%d,f0,w%d,o0,bl0,d%d)", m.Receive, m.ReceiveBuffer, m.SendBuffer, m.Queued, m.Drops)
	}
	if o.info && k.TCP != nil {
		b.WriteString(ssInfo(*k.TCP, o.timers || o.extended))
	}
	return b.String()
}

// ssInfo returns what ss -i tells of a connection, in its order.
func ssInfo(t control.TCPInfo, options bool) string {
	var b strings.Builder
	add := func(when bool, format string, args ...any) {
		if when {
			fmt.Fprintf(&b, " "+format, args...)
		}
	}
	add(options && t.Timestamps, "ts")
	add(options && t.SACK, "sack")
	add(t.Congestion != "", "%s", t.Congestion)
	add(t.WScale, "wscale:%d,%d", t.SndWScale, t.RcvWScale)
	add(t.RTO != 0, "rto:%s", float(t.RTO))
	add(t.Backoff != 0, "backoff:%d", t.Backoff)
	add(t.RTT != 0, "rtt:%s/%s", float(t.RTT), float(t.RTTVar))
	add(t.ATO != 0, "ato:%s", float(t.ATO))
	add(t.MSS != 0, "mss:%d", t.MSS)
	add(t.PMTU != 0, "pmtu:%d", t.PMTU)
	add(t.RcvMSS != 0, "rcvmss:%d", t.RcvMSS)
	add(t.AdvMSS != 0, "advmss:%d", t.AdvMSS)
	add(t.Cwnd != 0, "cwnd:%d", t.Cwnd)
	add(t.Ssthresh != 0, "ssthresh:%d", t.Ssthresh)
	if t.RTT > 0 && t.MSS > 0 && t.Cwnd > 0 {
		add(true, "send %.0fbps", float64(t.Cwnd)*float64(t.MSS)*8000/t.RTT)
	}
	add(t.LastSent != 0, "lastsnd:%s", float(t.LastSent))
	add(t.LastRcv != 0, "lastrcv:%s", float(t.LastRcv))
	add(t.Unacked != 0, "unacked:%d", t.Unacked)
	add(t.Retransmits != 0 || t.Resent != 0, "retrans:%d/%d", t.Retransmits, t.Resent)
	add(t.Lost != 0, "lost:%d", t.Lost)
	add(t.Sacked != 0, "sacked:%d", t.Sacked)
	add(t.DSACKDups != 0, "dsack_dups:%d", t.DSACKDups)
	add(t.Reordering != 0, "reordering:%d", t.Reordering)
	add(t.RcvSpace != 0, "rcv_space:%d", t.RcvSpace)
	add(t.MinRTT != 0, "minrtt:%s", float(t.MinRTT))
	add(t.RcvOOO != 0, "rcv_ooopack:%d", t.RcvOOO)
	add(t.SndWnd != 0, "snd_wnd:%d", t.SndWnd)
	return b.String()
}

// float prints as C's %g does numbers of these sizes.
func float(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// ssTime prints a time in ss's way: the finer unit only while it matters.
func ssTime(d time.Duration) string {
	n := d.Milliseconds()
	minutes, secs, msecs := n/60000, n/1000%60, n%1000
	var s string
	if minutes > 0 {
		s = fmt.Sprintf("%dmin", minutes)
		msecs = 0
		if minutes > 9 {
			secs = 0
		}
	}
	if secs > 0 {
		if secs > 9 {
			msecs = 0
		}
		s += strconv.FormatInt(secs, 10)
		if msecs > 0 {
			s += "."
		} else {
			s += "sec"
		}
	}
	switch {
	case msecs > 0 && secs > 0:
		s += fmt.Sprintf("%03dms", msecs)
	case msecs > 0 || s == "":
		s += fmt.Sprintf("%dms", msecs)
	}
	return s
}

// printSSSummary prints the counts of ss -s.
func printSSSummary(list []control.Socket) []byte {
	var raw, udp, tcp, estab, closed, timewait, orphaned int
	for _, k := range list {
		switch k.Netid {
		case "udp":
			udp++
		case "tcp":
			tcp++
			switch k.State {
			case "ESTAB":
				estab++
			case "TIME-WAIT":
				timewait++
				closed++
			case "UNCONN":
				closed++
			}
		default:
			raw++
		}
	}
	var b bytes.Buffer
	// As in ss the transports' TCP leaves out what is in TIME-WAIT.
	live := tcp - closed
	fmt.Fprintf(&b, "Total: %d\nTCP:   %d (estab %d, closed %d, orphaned %d, timewait %d)\n\n", raw+udp+live, tcp, estab, closed, orphaned, timewait)
	fmt.Fprintf(&b, "Transport Total     IP        IPv6\n")
	for _, v := range []struct {
		name string
		n    int
	}{{"RAW", raw}, {"UDP", udp}, {"TCP", live}, {"INET", raw + udp + live}, {"FRAG", 0}} {
		fmt.Fprintf(&b, "%s\t  %-9d %-9d %-9d\n", v.name, v.n, v.n, 0)
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// serviceNames reads what ports are called: "http" is at "80/tcp".
func serviceNames() map[string]string {
	f, err := os.Open("/etc/services")
	if err != nil {
		return nil
	}
	defer f.Close()
	names := map[string]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		line, _, _ := strings.Cut(s.Text(), "#")
		if w := strings.Fields(line); len(w) > 1 && names[w[1]] == "" {
			names[w[1]] = w[0]
		}
	}
	return names
}
