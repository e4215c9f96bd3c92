package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tapstack/tapstack/stack/control"
)

func (c *cli) statusCommand() *cobra.Command {
	return c.ipCommand(&cobra.Command{
		Use: "status", Short: "Say whether a host runs, and how it is set up",
		Long:    "Say whether a host runs, and how it is set up. The exit code is 0 once every link is\nattached and being read, and 3 when no host answers.",
		Example: "  tapstack status\n  until tapstack status >/dev/null 2>&1; do sleep 0.1; done",
	}, func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			return usage("status takes no arguments")
		}
		var s control.Status
		if err := c.client().Get(ctx, "status", nil, &s); err != nil {
			return err
		}
		return c.write(printStatus(c.opts, s))
	})
}

func printStatus(o options, s control.Status) []byte {
	if o.json {
		b, err := json.Marshal(s)
		if o.pretty && err == nil {
			b, err = json.MarshalIndent(s, "", "    ")
		}
		if err != nil {
			return nil
		}
		return append(b, '\n')
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s up %s, pid %d, version %s, control %s\n", s.Name, s.Uptime.Round(time.Second), s.PID, s.Version, s.Control)
	for _, l := range s.Links {
		fmt.Fprintf(&b, "%s %s %s mtu %d", l.Name, l.OperState, l.Address, l.MTU)
		for _, a := range l.Addresses {
			fmt.Fprintf(&b, " %s/%d", a.Local, a.PrefixLen)
		}
		b.WriteByte('\n')
	}
	services := "none"
	if len(s.Services) > 0 {
		services = strings.Join(s.Services, ", ")
	}
	fmt.Fprintf(&b, "services %s\n", services)
	return b.Bytes()
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Example: "  tapstack version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return c.write(fmt.Appendf(nil, "tapstack %s, %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH))
		},
	}
}

// version returns what the build knows of where it came from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}

func (c *cli) blastCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "blast BASEIP COUNT PORT [REPEAT]",
		Short: "Send one datagram to each of many consecutive addresses",
		Long: `Send one UDP datagram to each of COUNT consecutive addresses from BASEIP on, REPEAT
times over, from one socket of the host in one loop. Prints "ok SENT ERRORS MICROSECONDS".`,
		Example: "  tapstack blast 10.0.0.3 200 9\n  tapstack blast 10.1.0.1 20000 9 3",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := blastRequest(args)
			if err != nil {
				return err
			}
			var r control.BlastResult
			if err := c.client().Post(cmd.Context(), "blast", b, &r); err != nil {
				return err
			}
			return c.write(fmt.Appendf(nil, "ok %d %d %d\n", r.Sent, r.Errors, r.Microseconds))
		},
	}
}

func blastRequest(args []string) (b control.BlastRequest, err error) {
	if len(args) < 3 || len(args) > 4 {
		return b, usage("blast: want BASEIP COUNT PORT [REPEAT]")
	}
	if b.Base, err = netip.ParseAddr(args[0]); err != nil || !b.Base.Is4() {
		return b, usage("blast: %q is not an IPv4 address", args[0])
	}
	if b.Count, err = strconv.Atoi(args[1]); err != nil || b.Count < 1 {
		return b, usage("blast: count %q: want a number of at least 1", args[1])
	}
	port, err := strconv.ParseUint(args[2], 10, 16)
	if err != nil || port == 0 {
		return b, usage("blast: port %q: want 1 to 65535", args[2])
	}
	b.Port, b.Repeat = uint16(port), 1
	if len(args) == 4 {
		if b.Repeat, err = strconv.Atoi(args[3]); err != nil || b.Repeat < 1 {
			return b, usage("blast: repeat %q: want a number of at least 1", args[3])
		}
	}
	return b, nil
}
