package main

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack/control"
)

func (c *cli) neighCommand() *cobra.Command {
	cmd := c.ipCommand(&cobra.Command{
		Use:     "neigh [show] [to PREFIX] [dev DEV] [nud STATE] [proxy]",
		Aliases: []string{"neighbour", "neighbor", "n", "ne", "nei"},
		Short:   "Show and change the neighbour table, as `ip neigh`",
		Long: `Show and change the neighbour table, in the words of ip-neighbour(8). States are
none incomplete reachable stale delay probe failed noarp permanent, or all; without
"nud" entries in NONE and NOARP are left out.`,
		Example: `  tapstack neigh
  tapstack -s neigh show dev tap0 nud stale
  tapstack -j -p neigh show nud all
  tapstack neigh show proxy`,
	}, c.neighShow)
	for _, v := range []struct{ verb, short string }{
		{"add", "Add an entry; it must not exist"},
		{"change", "Change an entry, which must exist"},
		{"replace", "Add an entry or change it"},
	} {
		verb := v.verb
		cmd.AddCommand(c.ipCommand(&cobra.Command{
			Use:     verb + " {IP [lladdr MAC] | proxy IP} dev DEV [nud STATE] [router] [managed] [extern_learn] [use]",
			Aliases: abbreviations(verb, 1),
			Short:   v.short,
			Example: `  tapstack neigh ` + verb + ` 10.0.0.9 lladdr 02:00:00:00:00:09 dev tap0
  tapstack neigh ` + verb + ` 10.0.0.9 lladdr 02:00:00:00:00:09 dev tap0 nud reachable
  tapstack neigh ` + verb + ` proxy 10.0.0.77 dev tap0`,
		}, func(ctx context.Context, args []string) error { return c.neighSet(ctx, verb, args) }))
	}
	cmd.AddCommand(
		c.ipCommand(&cobra.Command{
			Use: "show [to PREFIX] [dev DEV] [nud STATE] [proxy]", Aliases: abbreviations("show", 1, "list", "lst", "ls", "l"),
			Short: "Show entries", Example: "  tapstack -s neigh show dev tap0\n  tapstack neigh show nud all",
		}, c.neighShow),
		c.ipCommand(&cobra.Command{
			Use: "del {IP | proxy IP} dev DEV", Aliases: abbreviations("delete", 1),
			Short: "Delete an entry", Example: "  tapstack neigh del 10.0.0.9 dev tap0\n  tapstack neigh del proxy 10.0.0.77 dev tap0",
		}, func(ctx context.Context, args []string) error { return c.neighSet(ctx, "del", args) }),
		c.ipCommand(&cobra.Command{
			Use: "get IP dev DEV", Aliases: abbreviations("get", 1),
			Short: "Show one entry", Example: "  tapstack neigh get 10.0.0.1 dev tap0",
		}, c.neighGet),
		c.ipCommand(&cobra.Command{
			Use: "flush {all | [to PREFIX] [dev DEV] [nud STATE] [proxy]}", Aliases: abbreviations("flush", 1),
			Short: "Delete entries; without nud all but permanent and noarp ones", Example: "  tapstack neigh flush dev tap0\n  tapstack -s neigh flush nud failed",
		}, c.neighFlush),
		c.neighMonitorCommand(),
	)
	return cmd
}

// ipCommand makes a command with iproute2's options whose arguments are words.
func (c *cli) ipCommand(cmd *cobra.Command, run func(context.Context, []string) error) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 && args[0] == "help" {
			return cmd.Help()
		}
		return run(cmd.Context(), args)
	}
	c.ipFlags(cmd)
	return cmd
}

// abbreviations returns the beginnings of word that have at least n letters, and
// the other names.
func abbreviations(word string, n int, others ...string) []string {
	for ; n <= len(word); n++ {
		others = append(others, word[:n])
	}
	return others
}

// neighFilter reads the words behind show and flush.
func neighFilter(verb string, args []string) (f control.NeighFilter, err error) {
	w := &words{"neigh " + verb, args}
	for w.more() {
		switch s := w.next(); {
		case s == "dev" || s == "oif":
			f.Dev, err = w.value(s)
		case s == "nud":
			var st string
			if st, err = w.value(s); err == nil {
				st, err = nudState(st)
				f.NUD = append(f.NUD, st)
			}
		case s == "proxy":
			f.Proxy = true
		case s == "unused":
		default:
			if s == "to" {
				if s, err = w.value(s); err != nil {
					return f, err
				}
			}
			if f.To, err = parsePrefix(s); err == nil {
				f.To = f.To.Masked()
			}
		}
		if err != nil {
			return f, err
		}
	}
	return f, nil
}

// nudState reads a state's name, its number, or "all".
func nudState(s string) (string, error) {
	if s == "all" {
		return s, nil
	}
	if st, ok := neighbour.ParseState(s); ok {
		return strings.ToLower(st.String()), nil
	}
	if n, err := strconv.ParseUint(s, 0, 8); err == nil {
		for _, st := range neighbour.States() {
			if uint64(st) == n {
				return strings.ToLower(st.String()), nil
			}
		}
	}
	return "", as(usage("nud %q: want none, incomplete, reachable, stale, delay, probe, failed, noarp, permanent or all", s),
		ipUsage, "Error: argument %q is wrong: nud state is bad", s)
}

func (c *cli) neighShow(ctx context.Context, args []string) error {
	f, err := neighFilter("show", args)
	if err != nil {
		return err
	}
	var list []control.Neighbour
	if err := c.client().Get(ctx, "neigh", f.Query(), &list); err != nil {
		return err
	}
	return c.write(printNeighbours(c.opts, list, f.Dev != ""))
}

func (c *cli) write(b []byte) error {
	_, err := c.out.Write(b)
	return err
}

func (c *cli) neighGet(ctx context.Context, args []string) error {
	n, err := neighRequest("get", args)
	if err != nil {
		return err
	}
	q := url.Values{"to": {n.Dst.String()}, "dev": {n.Dev}}
	if n.Proxy {
		q.Set("proxy", "1")
	}
	var out control.Neighbour
	if err := c.client().Get(ctx, "neigh/get", q, &out); err != nil {
		return err
	}
	return c.write(printNeighbours(c.opts, []control.Neighbour{out}, false))
}

func (c *cli) neighSet(ctx context.Context, verb string, args []string) error {
	n, err := neighRequest(verb, args)
	if err != nil {
		return err
	}
	return c.client().Post(ctx, "neigh/"+verb, n, nil)
}

// neighRequest reads the words of a command about one entry.
func neighRequest(verb string, args []string) (n control.NeighRequest, err error) {
	w := &words{"neigh " + verb, args}
	for w.more() {
		switch s := w.next(); s {
		case "lladdr":
			if s, err = w.value(s); err != nil {
				return n, err
			}
			mac, err := parseLLAddr(s)
			if err != nil {
				return n, err
			}
			n.LLAddr = &mac
		case "dev":
			n.Dev, err = w.value(s)
		case "nud":
			if s, err = w.value(s); err == nil {
				n.State, err = nudState(s)
			}
			if n.State == "all" {
				err = usage("neigh %s: nud all is no state", verb)
			}
		case "proxy":
			n.Proxy = true
			n.Dst, err = w.addr(s)
		case "router":
			n.Router = true
		case "managed":
			n.Managed = true
		case "extern_learn":
			n.ExternLearn = true
		case "extern_valid":
			n.ExtValid = true
		case "use":
			n.Use = true
		case "proto", "protocol":
			n.Protocol, err = w.protocol()
		default:
			if s == "to" {
				if s, err = w.value(s); err != nil {
					return n, err
				}
			}
			if n.Dst.IsValid() {
				return n, w.unknown(s)
			}
			n.Dst, err = parseAddr(s)
		}
		if err != nil {
			return n, err
		}
	}
	if !n.Dst.IsValid() || n.Dev == "" && !n.Proxy {
		err := usage("neigh %s: want an address and a device, as in `tapstack neigh %s 10.0.0.9 dev tap0`", verb, verb)
		if verb == "get" {
			return n, as(err, ipFailed, "Device and address are required arguments.")
		}
		return n, as(err, ipUsage, "Device and destination are required arguments.")
	}
	// An entry that is to be resolved has no state to be put in.
	if n.State == "" && (n.Use || n.Managed) && n.LLAddr == nil {
		n.State = "none"
	}
	return n, nil
}

func (c *cli) neighFlush(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return as(usage("neigh flush: want what to flush: all, to PREFIX, dev DEV or nud STATE"), ipFailed, "Flush requires arguments.")
	}
	f, err := neighFilter("flush", args)
	if err != nil {
		return err
	}
	f.List = c.opts.stats > 1
	var d control.Deleted
	if err := c.client().Post(ctx, "neigh/flush", f, &d); err != nil {
		return err
	}
	for _, n := range d.Entries {
		var b bytes.Buffer
		textNeighbour(&b, c.opts, n, f.Dev != "")
		if err := c.write(append(b.Bytes(), '\n')); err != nil {
			return err
		}
	}
	switch {
	case c.opts.stats == 0:
		return nil
	case d.Deleted == 0:
		return c.write([]byte("Nothing to flush.\n"))
	}
	return c.write(fmt.Appendf(nil, "\n*** Round 1, deleting %d entries ***\n*** Flush is complete after 1 round ***\n", d.Deleted))
}

func (c *cli) neighMonitorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "monitor", Aliases: abbreviations("monitor", 1),
		Short: "Print changes of the neighbour table as they happen",
		Long: `Print a line for each change that Linux announces, as "ip monitor neigh" does.
With --all also the silent ones (INCOMPLETE, DELAY, packets that wait), each with
the time and what caused it. Ends with the host, or by Ctrl-C.`,
		Example: "  tapstack neigh monitor\n  tapstack neigh monitor --all\n  tapstack -ts neigh monitor",
		Args:    cobra.NoArgs,
	}
	all := cmd.Flags().Bool("all", false, "also what Linux announces to nobody, with causes")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.neighMonitor(cmd.Context(), *all) }
	c.ipFlags(cmd)
	return cmd
}
