package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/tapstack/tapstack/stack/control"
)

func (c *cli) monitorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "monitor [neigh | addr]", Aliases: []string{"mon"},
		Short: "Print changes as they happen, as `ip monitor`",
		Long: `Print a line for each change of the neighbour table that Linux announces, as "ip
monitor neigh" does, or for each address that an interface gets or loses, as "ip
monitor addr" does. Ends with the host, or by Ctrl-C.`,
		Example: "  tapstack monitor\n  tapstack monitor neigh --all\n  tapstack -ts monitor addr",
		Args:    cobra.MaximumNArgs(1),
	}
	all := cmd.Flags().Bool("all", false, "neigh: also what Linux announces to nobody, with causes")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0 || short(args[0], "neighbour") || short(args[0], "neighbor"):
			return c.neighMonitor(cmd.Context(), *all)
		case short(args[0], "address"):
			return c.addrMonitor(cmd.Context())
		}
		return usage("monitor: %q cannot be watched, only neigh and addr", args[0])
	}
	c.ipFlags(cmd)
	return cmd
}

func (c *cli) addrMonitor(ctx context.Context) error {
	return c.monitor(ctx, "addr/monitor", nil, func(line []byte) ([]byte, error) {
		var ev control.AddressEvent
		err := json.Unmarshal(line, &ev)
		return printAddressEvent(c.opts, ev), err
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
