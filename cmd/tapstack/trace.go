package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tapstack/tapstack/stack/control"
)

func (c *cli) traceCommand() *cobra.Command {
	var neigh, drops bool
	cmd := &cobra.Command{
		Use:   "trace [--neigh] [--drops] [-j]",
		Short: "Print what happens inside the host as it happens",
		Long: `Print live events, one a line, with their times: all of the neighbour table's, also
what Linux announces to nobody, each with its cause and how many packets wait or
are sent on; and each dropped packet with the reason, under nstat's names. Without
a flag both. What a full device refuses is only counted, see nstat. Ends with the
host, or by Ctrl-C.`,
		Example: "  tapstack trace\n  tapstack trace --drops\n  tapstack trace --neigh -j",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("trace takes no arguments, only flags; see `tapstack trace --help`")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !neigh && !drops {
				neigh, drops = true, true
			}
			return c.trace(cmd.Context(), neigh, drops)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&neigh, "neigh", false, "events of the neighbour table")
	f.BoolVar(&drops, "drops", false, "dropped packets")
	f.BoolVarP(&c.opts.json, "json", "j", false, "print JSON, an object a line")
	return cmd
}

func (c *cli) trace(ctx context.Context, neigh, drops bool) error {
	query := url.Values{"neigh": {strconv.FormatBool(neigh)}, "drops": {strconv.FormatBool(drops)}}
	return c.monitor(ctx, "trace", query, func(line []byte) ([]byte, error) {
		var ev control.TraceEvent
		err := json.Unmarshal(line, &ev)
		return printTrace(ev), err
	})
}

// printTrace prints an event of a trace.
func printTrace(ev control.TraceEvent) []byte {
	var b bytes.Buffer
	stampEvent(&b, options{shortStamp: true}, ev.Missed, ev.Time)
	switch {
	case ev.Neigh != nil:
		b.WriteString("neigh ")
		textChange(&b, *ev.Neigh)
	case ev.Drop != nil:
		textDrop(&b, *ev.Drop)
	}
	return append(b.Bytes(), '\n')
}

// textDrop says which packet was dropped, and why.
func textDrop(b *bytes.Buffer, d control.Drop) {
	fmt.Fprintf(b, "drop %s", d.Reason)
	if d.Dev != "" {
		fmt.Fprintf(b, " dev %s", d.Dev)
	}
	if d.Protocol != "" {
		b.WriteString(" " + d.Protocol)
	}
	if d.Dst.IsValid() {
		fmt.Fprintf(b, " %s > %s", withPort(d.Src, d.SrcPort), withPort(d.Dst, d.DstPort))
	}
	if d.Fragment {
		b.WriteString(" fragment")
	}
	fmt.Fprintf(b, " length %d", d.Length)
}

func withPort(a netip.Addr, port uint16) string {
	if port == 0 {
		return a.String()
	}
	return netip.AddrPortFrom(a, port).String()
}
