package main

import (
	"context"
	"fmt"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// appletNames are the tools that the program stands in for when it is called by
// their names, as far as there are commands for them.
var appletNames = []string{"ip", "sysctl", "ping", "arping", "ss", "nstat", "nc", "traceroute"}

// applets returns the appletNames that there are commands for.
func applets(root *cobra.Command) []string {
	return slices.DeleteFunc(slices.Clone(appletNames), func(name string) bool {
		return name != "ip" && command(root, name) == nil
	})
}

// command returns the subcommand called name, nil when there is none.
func command(parent *cobra.Command, name string) *cobra.Command {
	for _, cmd := range parent.Commands() {
		if cmd.Name() == name {
			return cmd
		}
	}
	return nil
}

// runAs carries out a command line given to the program under a name: that of one
// of the applets, or its own.
func (c *cli) runAs(name string, args []string) int {
	if !slices.Contains(applets(c.root()), name) {
		return c.run(args)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var code int
	var line string
	switch name {
	case "ip":
		code, line = c.ip(ctx, args)
	case "sysctl":
		code, line = exit(c.procps(ctx, args))
	default:
		err := c.applet(ctx, name, args)
		code, line = exit(err)
		if u, ok := err.(*usageError); ok && name == "ss" && u.ip != "" {
			code, line = u.code, u.ip // ss is iproute2's too
		}
	}
	if text, ok := strings.CutPrefix(line, "Error: "); ok && name != "ip" {
		line = name + ": " + strings.TrimPrefix(text, name+": ")
	}
	if line != "" {
		fmt.Fprintln(c.err, line)
	}
	return code
}

// applet carries out a command whose own flags are those of the tool it is named
// after.
func (c *cli) applet(ctx context.Context, name string, args []string) error {
	root := c.root()
	if name == "nstat" {
		c.history = true
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usage("%v; see `%s --help`", err, name)
	})
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.SetArgs(append([]string{name}, args...))
	return root.ExecuteContext(ctx)
}
