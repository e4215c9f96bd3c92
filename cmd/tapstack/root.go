package main

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tapstack/tapstack/stack/control"
)

// cli is one run of the program, with everything it takes from its environment.
type cli struct {
	in     io.Reader
	out    io.Writer
	err    io.Writer
	getenv func(string) string

	control string // path of the control socket
	history bool   // nstat remembers what it has shown
	opts    options
}

// options are the flags that iproute2 has before its commands.
type options struct {
	json, pretty, details, oneline, brief bool
	ipv4                                  bool // -4: addresses without the link they are on
	stamp, shortStamp                     bool
	stats                                 int
}

// run carries out a command line and returns the exit code.
func (c *cli) run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := c.root()
	root.SetArgs(rewriteArgs(args))
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	code, line := exit(root.ExecuteContext(ctx))
	if line != "" {
		fmt.Fprintln(c.err, line)
	}
	return code
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "tapstack",
		Short: "A virtual host with its own TCP/IP stack on a TAP device",
		Long: `tapstack runs a virtual host: its own ARP, neighbour table, IPv4, ICMP, UDP and
TCP on a TAP device. Every other command talks to a running host through its
control socket, in the words of ip, sysctl, ping, arping, ss and nc.`,
		Example: `  tapstack demo                          # see it work, no root needed
  sudo tapstack run                      # a host at 10.0.0.2, the kernel at 10.0.0.1
  ping 10.0.0.2; curl http://10.0.0.2/   # from another shell
  sudo tapstack neigh                    # what the host thinks of its neighbours
  sudo tapstack shell                    # a shell in which ip, ping, ss, ... are the host's`,
		SilenceErrors:    true,
		SilenceUsage:     true,
		TraverseChildren: true,
		Args:             cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("unknown command %q; see `tapstack --help`", args[0])
			}
			return cmd.Help()
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%v; see `%s --help`", err, cmd.CommandPath())
	})
	root.PersistentFlags().StringVar(&c.control, "control", c.defaultControl(), "path of the control socket (or $TAPSTACK_CONTROL)")
	c.ipFlags(root)
	root.AddCommand(
		c.runCommand(), c.demoCommand(), c.statusCommand(), c.versionCommand(), c.docsCommand(),
		c.neighCommand(), c.ntableCommand(), c.addrCommand(), c.linkCommand(), c.routeCommand(), c.monitorCommand(),
		c.sysctlCommand(), c.nstatCommand(), c.traceCommand(), c.pingCommand(), c.tracerouteCommand(), c.arpingCommand(), c.ncCommand(), c.sockCommand(), c.blastCommand(), c.pprofCommand(),
		c.shellCommand(), c.ssCommand(),
	)
	help := c.helpCommand()
	root.AddCommand(help)
	root.SetHelpCommand(help)
	group(root)
	c.complete(root)
	return root
}

// commandGroups are the groups of commands, in the order of the help text.
func commandGroups() []commandGroup {
	return []commandGroup{
		{"run", "Running a host:", []string{"run", "demo", "status", "shell"}},
		{"ip", "As iproute2:", []string{"addr", "link", "maddress", "monitor", "neigh", "nstat", "ntable", "route", "rule", "ss"}},
		{"tools", "As procps, iputils, netcat and tcpdump:", []string{"arping", "capture", "nc", "ping", "sysctl", "tracepath", "traceroute"}},
		{"look", "Looking inside, and from programs:", []string{"blast", "pprof", "proxy", "sock", "trace"}},
		{"self", "About the program:", []string{"completion", "docs", "help", "version"}},
	}
}

type commandGroup struct {
	id, title string
	commands  []string
}

// group sorts the commands of root into groups.
func group(root *cobra.Command) {
	for _, g := range commandGroups() {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, name := range g.commands {
			if cmd := command(root, name); cmd != nil {
				cmd.GroupID = g.id
			}
		}
	}
	root.SetCompletionCommandGroupID("self")
}

// defaultControl returns where the control socket is when nobody says otherwise.
func (c *cli) defaultControl() string {
	if p := c.getenv("TAPSTACK_CONTROL"); p != "" {
		return p
	}
	if dir := c.getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "tapstack.sock")
	}
	return "/run/tapstack.sock"
}

// client returns a client of the running host.
func (c *cli) client() *control.Client { return control.NewClient(c.control) }

// ipFlags gives a command iproute2's options.
func (c *cli) ipFlags(cmd *cobra.Command) {
	f, o := cmd.Flags(), &c.opts
	f.SortFlags = false
	f.BoolVarP(&o.json, "json", "j", false, "print JSON, with iproute2's fields")
	f.BoolVarP(&o.pretty, "pretty", "p", false, "indent JSON")
	f.CountVarP(&o.stats, "stats", "s", "print more: counters, ages, probes")
	f.BoolVarP(&o.details, "details", "d", false, "print details")
	f.BoolVarP(&o.oneline, "oneline", "o", false, "one record a line")
	f.BoolVar(&o.brief, "brief", false, "print a short table (also -br)")
	f.BoolVar(&o.shortStamp, "tshort", false, "timestamps in front of monitor's lines (also -ts)")
	f.BoolVarP(&o.stamp, "timestamp", "t", false, "timestamps on lines of their own")
	f.BoolVarP(&o.ipv4, "ipv4", "4", false, "with addr: leave out hardware addresses")
	f.BoolP("numeric", "n", false, "accepted: names are never looked up")
	for _, name := range []string{"ipv4", "numeric"} {
		f.Lookup(name).Hidden = true
	}
}

// longOptions are iproute2's words of several letters with a single dash.
var longOptions = map[string]string{
	"-br": "--brief", "-brief": "--brief", "-json": "--json", "-pretty": "--pretty", "-details": "--details",
	"-oneline": "--oneline", "-ts": "--tshort", "-tshort": "--tshort", "-timestamp": "--timestamp",
	"-stats": "--stats", "-statistics": "--stats",
}

// ipCommands are those that take iproute2's options also behind their name.
const ipCommands = " neigh neighbour neighbor n ntable addr address a link l route r monitor status nstat "

// rewriteArgs turns iproute2's long options into their two-dash form, up to the
// command and behind it where it is iproute2's.
func rewriteArgs(args []string) []string {
	out := make([]string, 0, len(args))
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--":
			return append(out, args[i:]...)
		case a == "--control" && i+1 < len(args):
			out = append(out, a, args[i+1])
			i++
			continue
		case !strings.HasPrefix(a, "-") && !strings.Contains(ipCommands, " "+a+" ") && !behindIP(out):
			return append(out, args[i:]...)
		}
		if long, ok := longOptions[a]; ok {
			a = long
		}
		out = append(out, a)
	}
	return out
}

// behindIP reports whether one of ipCommands has been seen.
func behindIP(args []string) bool {
	for i, a := range args {
		if !strings.HasPrefix(a, "-") && (i == 0 || args[i-1] != "--control") {
			return true // only ipCommands let rewriteArgs go on
		}
	}
	return false
}
