package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/tapstack/tapstack/stack/control"
)

func (c *cli) monitorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "monitor [all | link | addr | route | neigh]...", Aliases: []string{"mon"},
		Short: "Print changes as they happen, as `ip monitor`",
		Long: `Print a line for each change that Linux announces, as "ip monitor" does: of
interfaces, addresses, routes and neighbours, or of those that are named. With all
each has its object in front. Ends with the host, or by Ctrl-C.`,
		Example: "  tapstack monitor\n  tapstack monitor neigh --all\n  tapstack -ts monitor addr route\n  tapstack monitor all",
		Args:    cobra.ArbitraryArgs,
	}
	all := cmd.Flags().Bool("all", false, "neigh: also what Linux announces to nobody, with causes")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		objects, label, err := monitorObjects(args)
		switch {
		case err != nil:
			return err
		case *all && slices.Equal(objects, []string{"neigh"}), *all && len(args) == 0:
			return c.neighMonitor(cmd.Context(), true)
		case *all:
			return usage("monitor: --all is for neigh alone")
		}
		return c.monitorChanges(cmd.Context(), objects, label)
	}
	c.ipFlags(cmd)
	return cmd
}

// monitorWords are what can be watched, by the words of iproute2.
var monitorWords = []struct{ word, object string }{
	{"link", "link"}, {"address", "address"}, {"route", "route"}, {"neighbour", "neigh"}, {"neighbor", "neigh"},
}

// monitorObjects reads the words of monitor. With "all", each line is to tell what
// it is about.
func monitorObjects(args []string) (objects []string, label bool, err error) {
	for _, a := range args {
		found := false
		for _, m := range monitorWords {
			if short(a, m.word) && !found {
				found = true
				objects = append(objects, m.object)
			}
		}
		switch {
		case found:
		case a == "all":
			label = true
		case a == "label":
			label = true
		default:
			return nil, false, as(usage("monitor: %q cannot be watched, only link, addr, route and neigh", a), ipUsage, "Argument %q is unknown, try \"ip monitor help\".", a)
		}
	}
	if len(objects) == 0 {
		objects = []string{"link", "address", "route", "neigh"}
	}
	return objects, label, nil
}

// monitorChanges prints what changes of the objects.
func (c *cli) monitorChanges(ctx context.Context, objects []string, label bool) error {
	return c.monitor(ctx, "monitor", url.Values{"object": objects}, func(line []byte) ([]byte, error) {
		var ch control.Change
		err := json.Unmarshal(line, &ch)
		return printChange(c.opts, ch, label), err
	})
}

// printChange prints a change as `ip monitor` does.
func printChange(o options, ch control.Change, label bool) []byte {
	var b bytes.Buffer
	head := func(missed uint64, at time.Time, word string) {
		stampEvent(&b, o, missed, at)
		if label {
			b.WriteString(word)
		}
	}
	switch {
	case ch.Address != nil:
		head(ch.Address.Missed, ch.Address.Time, "[ADDR]")
		b.Write(printAddressEvent(o, *ch.Address))
	case ch.Link != nil:
		head(ch.Link.Missed, ch.Link.Time, "[LINK]")
		b.Write(printLinkEvent(o, *ch.Link))
	case ch.Route != nil:
		head(ch.Route.Missed, ch.Route.Time, "[ROUTE]")
		b.Write(printRouteEvent(o, *ch.Route))
	case ch.Neigh != nil:
		head(ch.Neigh.Missed, ch.Neigh.Time, "[NEIGH]")
		o.shortStamp, o.stamp, ch.Neigh.Missed = false, false, 0
		b.Write(printEvent(o, *ch.Neigh, false))
	}
	return b.Bytes()
}

func (c *cli) neighMonitor(ctx context.Context, all bool) error {
	return c.monitor(ctx, "neigh/monitor", url.Values{"all": {strconv.FormatBool(all)}}, func(line []byte) ([]byte, error) {
		var ev control.Event
		err := json.Unmarshal(line, &ev)
		return printEvent(c.opts, ev, all), err
	})
}

// monitor prints the lines of a stream until it ends, or the user ends it.
func (c *cli) monitor(ctx context.Context, object string, query url.Values, format func(line []byte) ([]byte, error)) error {
	client := c.client()
	defer client.Close()
	err := client.Stream(ctx, http.MethodGet, object, query, nil, func(line json.RawMessage) error {
		if c.opts.json {
			return c.write(append(line, '\n'))
		}
		text, err := format(line)
		if err != nil {
			return err
		}
		return c.write(text)
	})
	if ctx.Err() != nil {
		return nil // Ctrl-C is how a monitor ends
	}
	return err
}
