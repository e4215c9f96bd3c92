package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tapstack/tapstack/stack/control"
)

// ssOptions are the flags of ss(8).
type ssOptions struct {
	tcp, udp, raw, unix                     bool
	numeric, listening, all, noHeader       bool
	info, memory, extended, timers, process bool
	oneline, summary, json, pretty          bool
	ipv4, ipv6, packet, resolveHost         bool
	family                                  string
}

func (c *cli) ssCommand() *cobra.Command {
	var o ssOptions
	cmd := &cobra.Command{
		Use:   "ss [-tuwlanimeopHOs] [-4] [-j] [state STATE] [EXPRESSION]",
		Short: "Show the host's sockets, as ss(8)",
		Long: `Show the host's TCP, UDP and ping sockets, in the columns of ss(8): without -a or -l
those that have a peer. Recv-Q and Send-Q are bytes; of a listener, the connections
that wait to be accepted and how many may.

STATE is established, syn-sent, syn-recv, fin-wait-1, fin-wait-2, time-wait, closed,
close-wait, last-ack, listening, closing, or all, connected, synchronized, bucket,
big; "exclude STATE" leaves sockets out. EXPRESSION compares addresses and ports:
{src | dst} ADDR[/LEN][:PORT], {sport | dport} OP :PORT, dev = DEV, with OP one of
= != < <= > >= (eq ne lt le gt ge), joined by and, or, not and parentheses.`,
		Example: `  tapstack ss -tln
  tapstack ss -tani state established
  tapstack ss -tn 'dst 10.0.0.0/24 and ( dport = :80 or sport > :1024 )'
  tapstack ss -s`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return c.ss(cmd.Context(), o, args) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVarP(&o.tcp, "tcp", "t", false, "TCP sockets")
	f.BoolVarP(&o.udp, "udp", "u", false, "UDP sockets")
	f.BoolVarP(&o.raw, "raw", "w", false, "raw and ping sockets")
	f.BoolVarP(&o.unix, "unix", "x", false, "Unix sockets: the host has none")
	f.BoolVarP(&o.packet, "packet", "0", false, "packet sockets: not shown")
	f.BoolVarP(&o.listening, "listening", "l", false, "listeners, and sockets without a peer")
	f.BoolVarP(&o.all, "all", "a", false, "all sockets")
	f.BoolVarP(&o.numeric, "numeric", "n", false, "ports as numbers, not names")
	f.BoolVarP(&o.info, "info", "i", false, "what TCP knows: cwnd, ssthresh, rtt, rto, mss and more")
	f.BoolVarP(&o.memory, "memory", "m", false, "what buffers hold")
	f.BoolVarP(&o.extended, "extended", "e", false, "more details")
	f.BoolVarP(&o.timers, "options", "o", false, "timers")
	f.BoolVarP(&o.process, "processes", "p", false, "the process, which is the host's")
	f.BoolVarP(&o.noHeader, "no-header", "H", false, "leave out the first line")
	f.BoolVarP(&o.oneline, "oneline", "O", false, "one socket a line")
	f.BoolVarP(&o.summary, "summary", "s", false, "count sockets")
	f.BoolVarP(&o.ipv4, "ipv4", "4", false, "IPv4, which all are")
	f.BoolVarP(&o.ipv6, "ipv6", "6", false, "IPv6, which none is")
	f.StringVarP(&o.family, "family", "f", "", "inet or another")
	f.BoolVarP(&o.resolveHost, "resolve", "r", false, "accepted: addresses are never looked up")
	f.BoolVarP(&o.json, "json", "j", false, "print JSON")
	f.BoolVar(&o.pretty, "pretty", false, "indent JSON")
	for _, name := range []string{"unix", "packet", "resolve", "family", "ipv6"} {
		f.Lookup(name).Hidden = true
	}
	return cmd
}

// ss shows the sockets that the flags and the words ask for.
func (c *cli) ss(ctx context.Context, o ssOptions, args []string) error {
	switch o.family {
	case "", "inet":
	case "inet6":
		o.ipv6 = true
	case "unix", "link", "netlink", "vsock", "tipc", "xdp":
		o.unix = true
	default:
		return usage("ss: family %q is unknown", o.family)
	}
	o.json, o.pretty = o.json || c.opts.json, o.pretty || c.opts.pretty
	f, err := parseSSFilter(o, args)
	if err != nil {
		return err
	}
	var all control.Sockets
	if err := c.client().Get(ctx, "ss", nil, &all); err != nil {
		return err
	}
	if o.summary {
		return c.write(printSSSummary(all.Sockets))
	}
	list := slices.DeleteFunc(all.Sockets, func(k control.Socket) bool { return !f.has(k) })
	if o.json {
		if list == nil {
			list = []control.Socket{}
		}
		b, err := json.Marshal(list)
		if o.pretty && err == nil {
			b, err = json.MarshalIndent(list, "", "    ")
		}
		if err != nil {
			return err
		}
		return c.write(append(b, '\n'))
	}
	var names map[string]string
	if !o.numeric {
		names = serviceNames()
	}
	return c.write(printSockets(o, f, list, all.PID, names))
}

// families returns the netids that the flags ask for.
func (o ssOptions) families() []string {
	var list []string
	for _, v := range []struct {
		netid string
		on    bool
	}{{"icmp", o.raw}, {"udp", o.udp}, {"tcp", o.tcp}} {
		if v.on {
			list = append(list, v.netid)
		}
	}
	switch {
	case o.ipv6 && !o.ipv4:
		return nil
	case list == nil && !o.unix && !o.packet:
		return []string{"icmp", "udp", "tcp"}
	}
	return list
}

// ssStates are the names of the states behind the word state, with ss's own.
var ssStates = map[string][]string{
	"established": {"ESTAB"}, "syn-sent": {"SYN-SENT"}, "syn-recv": {"SYN-RECV"}, "fin-wait-1": {"FIN-WAIT-1"},
	"fin-wait-2": {"FIN-WAIT-2"}, "time-wait": {"TIME-WAIT"}, "unconnected": {"UNCONN"}, "closed": {"UNCONN"},
	"close-wait": {"CLOSE-WAIT"}, "last-ack": {"LAST-ACK"}, "listening": {"LISTEN"}, "listen": {"LISTEN"}, "closing": {"CLOSING"},
	"all":          strings.Fields(ssAll),
	"connected":    strings.Fields(ssSynchronized + " SYN-SENT"),
	"synchronized": strings.Fields(ssSynchronized),
	"bucket":       {"SYN-RECV", "TIME-WAIT"},
	"big":          strings.Fields("ESTAB SYN-SENT FIN-WAIT-1 FIN-WAIT-2 UNCONN CLOSE-WAIT LAST-ACK LISTEN CLOSING"),
}

const (
	ssSynchronized = "ESTAB SYN-RECV FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT CLOSE-WAIT LAST-ACK CLOSING"
	ssAll          = ssSynchronized + " SYN-SENT UNCONN LISTEN"
)
