package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tapstack/tapstack/stack/control"
)

// The exit codes of iproute2's ip.
const (
	ipFailed = 1   // before the kernel was asked
	ipKernel = 2   // the kernel said no
	ipUsage  = 255 // -1
)

// ipOption is one of the options that ip has before its object.
type ipOption struct {
	name  string
	value bool // takes the next argument
	set   func(*ipRun, string)
}

// ipRun is one run of ip.
type ipRun struct {
	c     *cli
	root  *cobra.Command
	opts  options
	link  bool // -0
	inet6 bool
	force bool
	batch string
	other string // -V or -h
	err   error
}

// ipOptions are in iproute2's order: an abbreviation is the first that it begins.
func ipOptions() []ipOption {
	none := func(*ipRun, string) {}
	family := func(r *ipRun, s string) {
		switch s {
		case "inet":
			r.opts.ipv4 = true
		case "inet6":
			r.inet6 = true
		case "link":
			r.link = true
		default:
			r.err = usage("ip: there is no address family %q here, only inet", s)
		}
	}
	return []ipOption{
		{"loops", true, none},
		{"family", true, family},
		{"4", false, func(r *ipRun, _ string) { family(r, "inet") }},
		{"6", false, func(r *ipRun, _ string) { family(r, "inet6") }},
		{"0", false, func(r *ipRun, _ string) { family(r, "link") }},
		{"M", false, func(r *ipRun, _ string) { family(r, "mpls") }},
		{"B", false, func(r *ipRun, _ string) { family(r, "bridge") }},
		{"human-readable", false, none},
		{"iec", false, none},
		{"stats", false, func(r *ipRun, _ string) { r.opts.stats++ }},
		{"statistics", false, func(r *ipRun, _ string) { r.opts.stats++ }},
		{"details", false, func(r *ipRun, _ string) { r.opts.details = true }},
		{"resolve", false, none},
		{"oneline", false, func(r *ipRun, _ string) { r.opts.oneline = true }},
		{"timestamp", false, func(r *ipRun, _ string) { r.opts.stamp = true }},
		{"tshort", false, func(r *ipRun, _ string) { r.opts.stamp, r.opts.shortStamp = true, true }},
		{"Version", false, func(r *ipRun, _ string) { r.other = "V" }},
		{"force", false, func(r *ipRun, _ string) { r.force = true }},
		{"batch", true, func(r *ipRun, s string) { r.batch = s }},
		{"brief", false, func(r *ipRun, _ string) { r.opts.brief = true }},
		{"json", false, func(r *ipRun, _ string) { r.opts.json = true }},
		{"rcvbuf", true, none},
		{"netns", true, none}, // there is one host, whatever a script calls it
		{"Numeric", false, none},
		{"all", false, none},
		{"color", false, none},
		{"help", false, func(r *ipRun, _ string) { r.other = "h" }},
		{"pretty", false, func(r *ipRun, _ string) { r.opts.pretty = true }},
		{"echo", false, none},
	}
}

// ipObject is an object of ip.
type ipObject struct {
	name    string
	command string // of ours; "" where the object does not exist here
}

// ipObjects are in iproute2's order, for the same reason.
var ipObjects = []ipObject{
	{"address", "addr"}, {"addrlabel", ""}, {"maddress", "maddress"}, {"route", "route"}, {"rule", "rule"},
	{"neighbor", "neigh"}, {"neighbour", "neigh"}, {"ntable", "ntable"}, {"ntbl", "ntable"}, {"link", "link"},
	{"l2tp", ""}, {"fou", ""}, {"ila", ""}, {"macsec", ""}, {"tunnel", ""}, {"tunl", ""}, {"tuntap", ""}, {"tap", ""},
	{"token", ""}, {"tcpmetrics", ""}, {"tcp_metrics", ""}, {"monitor", "monitor"}, {"xfrm", ""}, {"mroute", ""},
	{"mrule", ""}, {"netns", ""}, {"netconf", ""}, {"vrf", ""}, {"sr", ""}, {"nexthop", ""}, {"mptcp", ""}, {"ioam", ""},
	{"help", "help"}, {"stats", ""},
}

// ipVerbs are the commands of each object in iproute2's order; behind a colon the
// name that ours has.
var ipVerbs = map[string][]string{
	"addr":     {"add", "change:replace", "chg:replace", "replace", "delete:del", "show", "lst:show", "list:show", "flush", "save", "restore", "showdump"},
	"route":    {"list:show", "show", "lst:show", "get", "add", "change", "chg:change", "replace", "prepend", "append", "test", "delete:del", "flush", "save", "restore", "showdump"},
	"link":     {"add", "set", "change:set", "replace", "delete:del", "show", "lst:show", "list:show", "xstats", "afstats", "property"},
	"neigh":    {"add", "change", "chg:change", "replace", "delete:del", "get", "show", "lst:show", "list:show", "flush"},
	"ntable":   {"change", "chg:change", "show", "lst:show", "list:show"},
	"maddress": {"add", "delete:del", "list:show", "show", "lst:show"},
	"rule":     {"list:show", "lst:show", "show", "save", "restore", "add", "delete:del", "flush"},
}

// ip carries out a command line of iproute2's ip, and returns its exit code and
// what is still to be said.
func (c *cli) ip(ctx context.Context, args []string) (int, string) {
	r := &ipRun{c: c, root: c.root()}
	args, err := r.options(args)
	if err == nil {
		err = r.err
	}
	switch {
	case err != nil:
		return ipExit(err, "", "")
	case r.other == "V":
		fmt.Fprintf(c.out, "ip utility, tapstack %s\n", version())
		return exitDone, ""
	case r.batch != "":
		return r.runBatch(ctx)
	case r.other == "h" || len(args) == 0:
		return ipUsage, r.usage()
	}
	return r.run(ctx, args)
}

// options takes the options off args.
func (r *ipRun) options(args []string) ([]string, error) {
	table := ipOptions()
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			break
		}
		name := strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-")
		name, color, isColor := strings.Cut(name, "=")
		i := slices.IndexFunc(table, func(o ipOption) bool { return short(name, o.name) })
		switch {
		case name == "":
			r.other = "h"
			continue
		case i < 0 || isColor && (table[i].name != "color" || color != "auto" && color != "always" && color != "never"):
			return nil, usageAs(ipUsage, `Option "%s" is unknown, try "ip -help".`, arg)
		case table[i].value && len(args) == 0:
			return nil, errIncomplete()
		}
		value := ""
		if table[i].value {
			value, args = args[0], args[1:]
		}
		table[i].set(r, value)
	}
	return args, nil
}

// run carries out one command: an object and what to do with it.
func (r *ipRun) run(ctx context.Context, args []string) (int, string) {
	i := slices.IndexFunc(ipObjects, func(o ipObject) bool { return short(args[0], o.name) })
	unknown := fmt.Sprintf("Object %q is unknown, try \"ip help\".", args[0])
	if i < 0 {
		return ipFailed, unknown
	}
	object := ipObjects[i].command
	if object == "help" {
		return ipUsage, r.usage()
	}
	if r.link && object == "addr" {
		object = "link"
	}
	cmd := command(r.root, object)
	if cmd == nil {
		return exitUsage, unknown // not here
	}
	args = args[1:]
	verb := "show"
	if verbs := ipVerbs[object]; verbs == nil {
		verb = ""
	} else if len(args) > 0 {
		if args[0] == "help" {
			return ipUsage, ipHelp(cmd)
		}
		i := slices.IndexFunc(verbs, func(v string) bool {
			name, _, _ := strings.Cut(v, ":")
			return short(args[0], name)
		})
		unknown := fmt.Sprintf("Command %q is unknown, try \"ip %s help\".", args[0], object)
		if i < 0 {
			return ipUsage, unknown
		}
		name, ours, ok := strings.Cut(verbs[i], ":")
		if !ok {
			ours = name
		}
		sub := command(cmd, ours)
		if sub == nil {
			sub = alias(cmd, name)
		}
		if sub == nil {
			return exitUsage, unknown // not here
		}
		cmd, verb, args = sub, ours, args[1:]
	}
	if verb == "" && len(args) > 0 && args[0] == "help" {
		return ipUsage, ipHelp(cmd)
	}
	if r.inet6 {
		return r.noIPv6(verb)
	}
	r.c.opts = r.opts
	cmd.SetContext(ctx)
	err := cmd.ValidateArgs(args)
	if err == nil {
		err = cmd.RunE(cmd, args)
	}
	if object == "monitor" && len(args) > 0 {
		err = as(err, ipUsage, "Argument %q is unknown, try \"ip monitor help\".", args[len(args)-1])
	}
	return ipExit(err, object, verb)
}

// alias returns the subcommand that has name among its aliases.
func alias(parent *cobra.Command, name string) *cobra.Command {
	for _, cmd := range parent.Commands() {
		if slices.Contains(cmd.Aliases, name) {
			return cmd
		}
	}
	return nil
}

// noIPv6 is what becomes of a command with -6: there is nothing to show.
func (r *ipRun) noIPv6(verb string) (int, string) {
	switch {
	case verb != "show" && verb != "flush":
		return exitUsage, "Error: ip -6: there is no IPv6 here."
	case r.opts.json && verb == "show":
		fmt.Fprintln(r.c.out, "[]")
	}
	return exitDone, ""
}

// usage tells what ip can do here.
func (r *ipRun) usage() string {
	var objects []string
	for _, o := range ipObjects {
		if o.command != "help" && command(r.root, o.command) != nil {
			objects = append(objects, o.name)
		}
	}
	return "Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }\n" +
		"       ip [ -force ] -batch filename\n" +
		"where  OBJECT := { " + strings.Join(objects, " | ") + " }\n" +
		"       OPTIONS := { -V[ersion] | -s[tatistics] | -d[etails] | -j[son] | -p[retty] | -4 | -0 |\n" +
		"                    -br[ief] | -o[neline] | -t[imestamp] | -ts[hort] | -b[atch] [filename] }\n" +
		"This is the ip of a tapstack host; see `tapstack help`."
}

// ipHelp tells what can be done with an object.
func ipHelp(cmd *cobra.Command) string {
	var b strings.Builder
	b.WriteString("Usage: ip " + strings.TrimSuffix(cmd.Use, " [flags]"))
	for _, sub := range cmd.Commands() {
		b.WriteString("\n       ip " + cmd.Name() + " " + sub.Use)
	}
	return b.String()
}

// kernelTexts are what the kernel says itself where it does not leave it at errno.
var kernelTexts = map[string]map[syscall.Errno]string{
	"neigh get": {syscall.ENOENT: "Error: Neighbour entry not found."},
}

// ipExit returns the code and the line with which iproute2 tells of err.
func ipExit(err error, object, verb string) (int, string) {
	var (
		u      *usageError
		remote *control.Error
	)
	switch {
	case errors.As(err, &u) && u.ip != "":
		return u.code, u.ip
	case !errors.As(err, &remote) || remote.Invalid || remote.Errno == 0:
		return exit(err)
	}
	if dev, ok := strings.CutPrefix(remote.Text, "device "); ok && remote.Errno == syscall.ENODEV {
		dev, _, _ = strings.Cut(dev, ":")
		if verb == "show" && (object == "addr" || object == "link") {
			return ipFailed, fmt.Sprintf("Device %q does not exist.", dev)
		}
		return ipFailed, fmt.Sprintf("Cannot find device %q", dev)
	}
	if remote.Kernel != "" {
		return ipKernel, "Error: " + remote.Kernel + "."
	}
	if text := kernelTexts[object+" "+verb][remote.Errno]; text != "" {
		return ipKernel, text
	}
	return ipKernel, "RTNETLINK answers: " + strerror(remote.Errno)
}

// strerror returns the C library's text of an errno: Go's with a capital letter.
func strerror(no syscall.Errno) string {
	s := no.Error()
	return strings.ToUpper(s[:1]) + s[1:]
}
