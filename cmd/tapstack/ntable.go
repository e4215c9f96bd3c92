package main

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tapstack/tapstack/stack/control"
)

func (c *cli) ntableCommand() *cobra.Command {
	cmd := c.ipCommand(&cobra.Command{
		Use: "ntable [show] [dev DEV] [name arp_cache]", Aliases: []string{"nt", "nta", "ntab", "ntabl", "ntbl"},
		Short:   "Show and change the neighbour table's parameters, as `ip ntable`",
		Example: "  tapstack ntable\n  tapstack -s ntable\n  tapstack ntable change name arp_cache dev tap0 locktime 0",
	}, c.ntableShow)
	cmd.AddCommand(
		c.ipCommand(&cobra.Command{
			Use: "show [dev DEV] [name arp_cache]", Aliases: abbreviations("show", 1, "list", "lst", "ls", "l"),
			Short: "Show parameters; times in milliseconds", Example: "  tapstack ntable show dev tap0",
		}, c.ntableShow),
		c.ipCommand(&cobra.Command{
			Use: "change name arp_cache [dev DEV] {PARAMETER VALUE}...", Aliases: abbreviations("change", 1, "chg"),
			Short: "Change parameters",
			Long: `Change parameters. Without dev: those of the table, and the defaults. PARAMETER is one
of thresh1 thresh2 thresh3 gc_int base_reachable retrans gc_stale delay_probe queue
app_probes ucast_probes mcast_probes mcast_reprobes anycast_delay proxy_delay
proxy_queue locktime. Times are in milliseconds.`,
			Example: "  tapstack ntable change name arp_cache thresh3 4096\n  tapstack ntable change name arp_cache dev tap0 retrans 300",
		}, c.ntableChange),
	)
	return cmd
}

func (c *cli) ntableShow(ctx context.Context, args []string) error {
	w := &words{"ntable show", args}
	dev := ""
	for w.more() {
		var err error
		switch s := w.next(); s {
		case "dev":
			dev, err = w.value(s)
		case "name":
			if s, err = w.value(s); err == nil && s != "arp_cache" {
				err = usage("ntable show: there is no table %q, only arp_cache", s)
			}
		default:
			err = w.unknown(s)
		}
		if err != nil {
			return err
		}
	}
	var list []control.NTable
	if err := c.client().Get(ctx, "ntable", url.Values{"dev": {dev}}, &list); err != nil {
		return err
	}
	return c.write(printNTables(c.opts, list))
}

// parameters are ip-ntable's words with the names of their sysctls and the unit
// of these: milliseconds in one of them.
var parameters = map[string]struct {
	sysctl string
	unit   uint64
	table  bool // of the table, not of an interface
}{
	"thresh1": {"gc_thresh1", 1, true}, "thresh2": {"gc_thresh2", 1, true}, "thresh3": {"gc_thresh3", 1, true},
	"gc_int":         {"gc_interval", 1000, true},
	"base_reachable": {"base_reachable_time_ms", 1, false}, "retrans": {"retrans_time_ms", 1, false},
	"gc_stale": {"gc_stale_time", 1000, false}, "delay_probe": {"delay_first_probe_time", 1000, false},
	"queue": {"unres_qlen", 1, false}, "app_probes": {"app_solicit", 1, false}, "ucast_probes": {"ucast_solicit", 1, false},
	"mcast_probes": {"mcast_solicit", 1, false}, "mcast_reprobes": {"mcast_resolicit", 1, false},
	"anycast_delay": {"anycast_delay", 10, false}, "proxy_delay": {"proxy_delay", 10, false},
	"proxy_queue": {"proxy_qlen", 1, false}, "locktime": {"locktime", 10, false},
}

func (c *cli) ntableChange(ctx context.Context, args []string) error {
	list, err := ntableChanges(args)
	if err != nil {
		return err
	}
	client := c.client()
	defer client.Close()
	for _, v := range list {
		if err := client.Post(ctx, "sysctl/set", v, nil); err != nil {
			return err
		}
	}
	return nil
}

func ntableChanges(args []string) (list []control.Sysctl, err error) {
	w := &words{"ntable change", args}
	dev, named := "default", false
	var values []string
	for w.more() {
		s := w.next()
		v, err := w.value(s)
		if err != nil {
			return nil, err
		}
		switch s {
		case "dev":
			dev = v
		case "name":
			if named = v == "arp_cache"; !named {
				return nil, usage("ntable change: there is no table %q, only arp_cache", v)
			}
		default:
			if _, ok := parameters[s]; !ok {
				return nil, w.unknown(s)
			}
			values = append(values, s, v)
		}
	}
	if !named || len(values) == 0 {
		return nil, usage("ntable change: want `name arp_cache` and what to change; see `tapstack ntable change --help`")
	}
	for i := 0; i < len(values); i += 2 {
		p := parameters[values[i]]
		n, err := strconv.ParseUint(values[i+1], 0, 32)
		if err != nil {
			return nil, usage("ntable change: %s %q: want a number", values[i], values[i+1])
		}
		d := dev
		if p.table {
			if d = "default"; dev != "default" {
				return nil, usage("ntable change: %s belongs to the table, not to a device", values[i])
			}
		}
		list = append(list, control.Sysctl{Name: "net.ipv4.neigh." + d + "." + p.sysctl, Value: strconv.FormatUint(n/p.unit, 10)})
	}
	return list, nil
}

// field is a parameter as `ip ntable` prints it.
type field struct {
	word string
	v    int64
	end  bool // of a line of text
}

func ntableFields(n control.NTable) []field {
	return []field{
		{"refcnt", 1, false}, {"reachable", n.Reachable, false}, {"base_reachable", n.BaseReachable, false}, {"retrans", n.Retrans, true},
		{"gc_stale", n.GCStale, false}, {"delay_probe", n.DelayProbe, false}, {"queue", int64(n.Queue), true},
		{"app_probes", int64(n.AppProbes), false}, {"ucast_probes", int64(n.UcastProbes), false}, {"mcast_probes", int64(n.McastProbes), true},
		{"anycast_delay", n.AnycastDelay, false}, {"proxy_delay", n.ProxyDelay, false}, {"proxy_queue", int64(n.ProxyQueue), false},
		{"locktime", n.LockTime, true},
	}
}

func statsFields(n control.NTable) []field {
	s := n.Stats
	return []field{
		{"allocs", int64(s.Allocs), false}, {"destroys", int64(s.Destroys), false}, {"hash_grows", int64(s.HashGrows), true},
		{"res_failed", int64(s.ResFailed), false}, {"lookups", int64(s.Lookups), false}, {"hits", int64(s.Hits), true},
		{"rcv_probes_mcast", int64(s.RcvProbesMcast), false}, {"rcv_probes_ucast", int64(s.RcvProbesUcast), true},
		{"periodic_gc_runs", int64(s.PeriodicGCRuns), false}, {"forced_gc_runs", int64(s.ForcedGCRuns), true},
		{"table_fulls", int64(s.TableFulls), true},
	}
}

// printNTables prints blocks of parameters as `ip ntable` does, with stats also
// the table's counters.
func printNTables(o options, list []control.NTable) []byte {
	if o.json {
		return jsonNTables(o, list)
	}
	var b bytes.Buffer
	eol := "\n"
	if o.oneline {
		eol = "\\"
	}
	for _, n := range list {
		fmt.Fprintf(&b, "inet %s %s    ", n.Name, eol)
		if n.Dev != "" {
			fmt.Fprintf(&b, "dev %s %s    ", n.Dev, eol)
		}
		if l := n.Limits; l != nil {
			fmt.Fprintf(&b, "thresh1 %d thresh2 %d thresh3 %d gc_int %d %s    ", l.Thresh1, l.Thresh2, l.Thresh3, l.GCInterval, eol)
		}
		if o.stats > 0 && n.Stats != nil {
			fmt.Fprintf(&b, "config key_len 4 entries %d %s    ", n.Stats.Entries, eol)
		}
		textFields(&b, ntableFields(n), eol)
		if o.stats > 0 && n.Stats != nil {
			b.WriteString("    stats ")
			textFields(&b, statsFields(n), eol)
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func textFields(b *bytes.Buffer, fields []field, eol string) {
	for i, f := range fields {
		fmt.Fprintf(b, "%s %d ", f.word, f.v)
		if f.end {
			b.WriteString(eol)
			if i < len(fields)-1 {
				b.WriteString("    ")
			}
		}
	}
}

func jsonNTables(o options, list []control.NTable) []byte {
	j := jsonWriter{pretty: o.pretty}
	j.openArray()
	for _, n := range list {
		j.openObject()
		j.text("family", "inet")
		j.text("name", n.Name)
		if n.Dev != "" {
			j.text("dev", n.Dev)
		}
		if l := n.Limits; l != nil {
			j.number("thresh1", int64(l.Thresh1))
			j.number("thresh2", int64(l.Thresh2))
			j.number("thresh3", int64(l.Thresh3))
			j.number("gc_interval", l.GCInterval)
		}
		stats := o.stats > 0 && n.Stats != nil
		if stats {
			j.number("key_length", 4)
			j.unsigned("entries", n.Stats.Entries)
		}
		for _, f := range ntableFields(n) {
			j.number(f.word, f.v)
		}
		if stats {
			for _, f := range statsFields(n) {
				j.number(f.word, f.v)
			}
		}
		j.closeObject()
	}
	j.closeArray()
	return j.finish()
}
