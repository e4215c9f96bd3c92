package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tapstack/tapstack/stack/control"
)

// sysctlOptions are the flags of sysctl(8).
type sysctlOptions struct {
	all, write, names, values, ignore, quiet bool
	binary, dry                              bool
	pattern                                  string
}

func (c *cli) sysctlCommand() *cobra.Command {
	var o sysctlOptions
	cmd := &cobra.Command{
		Use:   "sysctl [-a] [-w] [KEY[=VALUE]]...",
		Short: "Read and write the host's parameters, as sysctl(8)",
		Long: `Read and write the host's parameters under their Linux names:
net.ipv4.conf.{all,default,DEV}.*, net.ipv4.neigh.{default,DEV}.*, net.ipv4.ip_forward and more.
A key that is a directory stands for everything below it.`,
		Example: `  tapstack sysctl -a
  tapstack sysctl net.ipv4.neigh.tap0.base_reachable_time_ms
  tapstack sysctl -w net.ipv4.conf.tap0.arp_ignore=1
  tapstack sysctl net.ipv4.conf.tap0`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return c.sysctl(cmd.Context(), o, args) },
	}
	f := cmd.Flags()
	f.BoolVarP(&o.all, "all", "a", false, "show everything")
	f.BoolVarP(&o.write, "write", "w", false, "every KEY must have a value")
	f.BoolVarP(&o.values, "values", "n", false, "print values only")
	f.BoolVarP(&o.names, "names", "N", false, "print names only")
	f.BoolVarP(&o.ignore, "ignore", "e", false, "ignore keys that do not exist")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print nothing after writing")
	f.StringVarP(&o.pattern, "pattern", "r", "", "show only keys that match the regular expression")
	return cmd
}

func (c *cli) sysctl(ctx context.Context, o sysctlOptions, args []string) error {
	var match *regexp.Regexp
	if o.pattern != "" {
		var err error
		if match, err = regexp.Compile(o.pattern); err != nil {
			return usage("sysctl: %v", err)
		}
	}
	if o.all {
		args = []string{""}
	} else if len(args) == 0 {
		return usage("sysctl: want -a, a key, or KEY=VALUE; see `tapstack sysctl --help`")
	}
	client := c.client()
	defer client.Close()
	for i := 0; i < len(args); i++ {
		key, value, set := strings.Cut(args[i], "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch {
		case o.write && !set:
			return usage("sysctl: %q has no value; want KEY=VALUE", args[i])
		case set && key == "":
			return usage("sysctl: %q has no key; want KEY=VALUE", args[i])
		}
		var list []control.Sysctl
		var err error
		if set {
			list = make([]control.Sysctl, 1)
			err = client.Post(ctx, "sysctl/set", control.Sysctl{Name: key, Value: value}, &list[0])
		} else {
			q := url.Values{}
			if key != "" {
				q.Set("key", key)
			}
			err = client.Get(ctx, "sysctl", q, &list)
		}
		switch {
		case err != nil && o.ignore && errors.Is(err, syscall.ENOENT):
			continue
		case err != nil:
			return err
		case set && o.quiet:
			continue
		}
		if err := c.write(printSysctls(o, list, match)); err != nil {
			return err
		}
	}
	return nil
}

func printSysctls(o sysctlOptions, list []control.Sysctl, match *regexp.Regexp) []byte {
	var b bytes.Buffer
	for _, v := range list {
		switch {
		case match != nil && !match.MatchString(v.Name):
		case o.names:
			fmt.Fprintln(&b, v.Name)
		case o.binary:
			b.WriteString(v.Value)
		case o.values:
			fmt.Fprintln(&b, v.Value)
		default:
			fmt.Fprintf(&b, "%s = %s\n", v.Name, v.Value)
		}
	}
	return b.Bytes()
}
