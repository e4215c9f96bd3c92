package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tapstack/tapstack/stack/control"
)

// nstatOptions are the flags of nstat(8).
type nstatOptions struct {
	absolute, zeros         bool
	reset, noUpdate, silent bool
}

func (c *cli) nstatCommand() *cobra.Command {
	var o nstatOptions
	cmd := &cobra.Command{
		Use:   "nstat [-a] [-z] [-n] [-r] [-s] [-j] [PATTERN]...",
		Short: "Show the host's counters, as nstat(8)",
		Long: `Show the host's counters under Linux's SNMP names, what became of ARP packets
(ArpIn..., ArpOut...), the neighbour table's (Arp_...) and the dropped packets by
reason (Drop_...). They count from the host's start.
A PATTERN is a name in which * stands for anything.

Called as nstat, as inside "tapstack shell", it shows what has been counted since it
was last called, unless -a is given: it remembers the counters in the file that
$NSTAT_HISTORY names, else in one of its own for each host and user.`,
		Example: "  tapstack nstat\n  tapstack nstat -z 'Arp*'\n  tapstack nstat -j\n  tapstack shell -- sh -c 'nstat -n; ping -c 1 10.0.0.1; nstat'",
		Args:    cobra.ArbitraryArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return c.nstat(cmd.Context(), o, args) },
	}
	f := cmd.Flags()
	f.BoolVarP(&o.absolute, "ignore", "a", false, "values since the host's start, whatever is remembered")
	f.BoolVarP(&o.silent, "nooutput", "n", false, "show nothing, only remember")
	f.BoolVarP(&o.reset, "reset", "r", false, "forget what is remembered")
	f.BoolVarP(&o.noUpdate, "noupdate", "s", false, "do not remember")
	f.BoolVarP(&o.zeros, "zeros", "z", false, "also counters that are 0")
	f.BoolVarP(&c.opts.json, "json", "j", false, "print JSON")
	f.BoolVarP(&c.opts.pretty, "pretty", "p", false, "indent JSON")
	return cmd
}

func (c *cli) nstat(ctx context.Context, o nstatOptions, patterns []string) error {
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil {
			return usage("nstat: %q is not a pattern", p)
		}
	}
	var n control.Counters
	if err := c.client().Get(ctx, "counters", nil, &n); err != nil {
		return err
	}
	all := flatCounters(n)
	shown := all
	if c.history {
		h, err := openHistory(c.historyFile())
		if err != nil {
			return err
		}
		defer h.Close()
		if !o.absolute && !o.reset {
			old, err := h.read()
			if err != nil {
				return err
			}
			var stale bool
			if shown, stale = since(all, old); stale {
				fmt.Fprintln(c.err, "nstat: history is stale, ignoring it.")
			}
		}
		if !o.noUpdate {
			if err := h.write(all); err != nil {
				return err
			}
		}
	}
	if c.history && o.silent {
		return nil
	}
	return c.write(printCounters(c.opts, shown, o.zeros, patterns))
}

// flatCounters puts all counters under one name each.
func flatCounters(n control.Counters) map[string]uint64 {
	all := maps.Clone(n.Protocols)
	if all == nil {
		all = map[string]uint64{}
	}
	for k, v := range n.Neigh {
		all["Arp_"+k] = v
	}
	for k, v := range n.Drops {
		all["Drop_"+k] = v
	}
	return all
}

// groups are the protocols in nstat's order.
var groups = []string{"Ip", "Icmp", "IcmpMsg", "Tcp", "Udp", "UdpLite", "TcpExt", "IpExt"}

// groupOf returns where among groups a name belongs: at the longest that begins it.
func groupOf(name string) int {
	best, length := len(groups), 0
	for i, g := range groups {
		if len(g) > length && len(name) > len(g) && name[:len(g)] == g {
			best, length = i, len(g)
		}
	}
	return best
}

func printCounters(o options, all map[string]uint64, zeros bool, patterns []string) []byte {
	names := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		if ga, gb := groupOf(a), groupOf(b); ga != gb {
			return ga - gb
		}
		if a < b {
			return -1
		}
		return 1
	})
	names = slices.DeleteFunc(names, func(name string) bool {
		return all[name] == 0 && !zeros || len(patterns) > 0 && !slices.ContainsFunc(patterns, func(p string) bool {
			ok, _ := path.Match(p, name)
			return ok
		})
	})
	if o.json {
		j := jsonWriter{pretty: o.pretty}
		j.openObject()
		j.name("kernel")
		j.openObject()
		for _, name := range names {
			j.unsigned(name, all[name])
		}
		j.closeObject()
		j.closeObject()
		return j.finish()
	}
	var b bytes.Buffer
	b.WriteString("#kernel\n")
	for _, name := range names {
		fmt.Fprintf(&b, "%-32s%-16d%6.1f\n", name, all[name], 0.0)
	}
	return b.Bytes()
}
