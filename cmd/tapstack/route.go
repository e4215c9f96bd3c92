package main

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tapstack/tapstack/stack/control"
)

const routeSelectors = "[[to] [root|match|exact] PREFIX] [dev DEV] [via ADDR] [src ADDR] [scope SCOPE] [type TYPE] [proto P] [tos TOS] [table main|local|default|all]"

func (c *cli) routeCommand() *cobra.Command {
	cmd := c.ipCommand(&cobra.Command{
		Use: "route [show] " + routeSelectors, Aliases: []string{"r", "ro", "rou", "rout"},
		Short:   "Show and change routes, as `ip route`",
		Example: "  tapstack route\n  tapstack route add default via 10.0.0.1\n  tapstack route get 8.8.8.8",
	}, c.routeShow)
	cmd.AddCommand(
		c.ipCommand(&cobra.Command{
			Use: "show " + routeSelectors, Aliases: abbreviations("show", 1, "list", "lst", "ls", "l"),
			Short: "Show routes", Example: "  tapstack route show table all\n  tapstack route show match 10.0.0.9",
		}, c.routeShow),
		c.ipCommand(&cobra.Command{
			Use: "flush {cache | " + routeSelectors[1:len(routeSelectors)-1] + "]}", Aliases: abbreviations("flush", 1),
			Short:   "Delete routes, or forget what was learned of paths",
			Example: "  tapstack route flush dev tap0\n  tapstack -s route flush proto static\n  tapstack route flush cache",
		}, c.routeFlush),
		c.ipCommand(&cobra.Command{
			Use: "get ADDR [from ADDR] [oif DEV] [iif DEV] [tos TOS] [ipproto N] [sport N] [dport N]", Aliases: abbreviations("get", 1),
			Short: "Show which way packets to an address go", Example: "  tapstack route get 10.0.0.9\n  tapstack route get 10.0.0.9 from 10.1.0.9 iif tap1",
		}, c.routeGet),
	)
	for _, v := range []struct {
		verb, short string
		aliases     []string
	}{
		{"add", "Add a route", []string{"a", "ad"}},
		{"append", "Add a route behind those with its destination and metric", abbreviations("append", 2)},
		{"prepend", "Add a route before those with its destination and metric", abbreviations("prepend", 1)},
		{"change", "Put a route in the place of another", append(abbreviations("change", 1), "chg")},
		{"replace", "Add a route or put it in the place of another", abbreviations("replace", 1)},
		{"test", "Say whether a route can be added, and add none", abbreviations("test", 1)},
		{"del", "Delete a route", abbreviations("delete", 1)},
	} {
		cmd.AddCommand(c.ipCommand(&cobra.Command{
			Use:     v.verb + " [TYPE] PREFIX {[via ADDR] [dev DEV] [onlink] | nexthop [via ADDR] [dev DEV] [weight N] [onlink]...} [src ADDR] [metric N] [tos TOS] [scope SCOPE] [proto P] [table T] [mtu [lock] N] [METRIC N]...",
			Aliases: v.aliases,
			Short:   v.short,
			Long: v.short + `.
TYPE is unicast (the default), local, broadcast, multicast, blackhole, unreachable,
prohibit or throw. METRIC is mtu, advmss, hoplimit, window, rtt, rttvar, ssthresh,
cwnd, reordering, initcwnd, initrwnd, rto_min or quickack. Flows share the next hops
by their weights.`,
			Example: "  tapstack route " + v.verb + " default via 10.0.0.1\n  tapstack route " + v.verb +
				" 192.168.7.0/24 dev tap0\n  tapstack route " + v.verb + " unreachable 10.99.0.0/16\n  tapstack route " + v.verb +
				" default nexthop via 10.0.0.1 weight 2 nexthop via 10.1.0.1",
		}, func(ctx context.Context, args []string) error {
			r, err := parseRoute("route "+v.verb, args)
			if err != nil {
				return err
			}
			return c.client().Post(ctx, "route/"+v.verb, r, nil)
		}))
	}
	return cmd
}

// routeTypes are the words that may stand before a destination.
var routeTypes = []string{"unicast", "local", "broadcast", "multicast", "blackhole", "unreachable", "prohibit", "throw"}

// routeMetrics are the words for what a route says of its paths, but mtu.
var routeMetrics = []string{"advmss", "hoplimit", "window", "rtt", "rttvar", "ssthresh", "cwnd", "reordering", "initcwnd", "initrwnd", "rto_min", "quickack"}

// parseRoute reads a route in iproute2's words.
func parseRoute(object string, args []string) (r control.Route, err error) {
	w := &words{object, args}
	for w.more() {
		switch s := w.next(); s {
		case "via":
			r.Gateway, err = w.gateway(r.Dst.Bits() > 0)
		case "dev", "oif":
			r.Dev, err = w.value(s)
		case "src":
			r.PrefSrc, err = w.addr(s)
		case "metric", "priority", "preference":
			var n uint64
			n, err = w.number(s, 32)
			r.Metric = uint32(n)
		case "tos", "dsfield":
			r.TOS, err = w.tos(s)
		case "scope":
			r.Scope, err = w.scope(s)
		case "proto", "protocol":
			r.Protocol, err = w.protocol()
		case "mtu":
			var n uint32
			r.MTULock = w.skip("lock")
			n, err = w.metric(s)
			r.MTU = int(n)
		case "onlink":
			r.OnLink = true
		case "nexthop":
			var h control.NextHop
			h, err = w.nextHop()
			r.NextHops = append(r.NextHops, h)
		case "table":
			r.Table, err = w.table(s)
		default:
			if slices.Contains(routeMetrics, s) {
				m := control.RouteMetric{Name: s, Lock: w.skip("lock")}
				m.Value, err = w.metric(s)
				m.Lock = m.Lock || s == "rto_min" // as iproute2 has it
				r.Metrics = append(r.Metrics, m)
				break
			}
			if s == "to" {
				if s, err = w.value(s); err != nil {
					return r, err
				}
			}
			switch {
			case r.Dst.IsValid():
				return r, w.unknown(s)
			case r.Type == "" && slices.Contains(routeTypes, s):
				r.Type = s
			default:
				r.Dst, err = parsePrefix(s)
			}
		}
		if err != nil {
			return r, err
		}
	}
	if !r.Dst.IsValid() {
		return r, usage("%s: want a destination, as in `tapstack route add default via 10.0.0.1`", object)
	}
	return r, nil
}

// skip takes the next word if it is that one.
func (w *words) skip(s string) bool {
	if w.more() && w.args[0] == s {
		w.next()
		return true
	}
	return false
}

// gateway reads what is behind via; inet says that its family is known by then.
func (w *words) gateway(inet bool) (netip.Addr, error) {
	w.skip("inet")
	s, err := w.value("via")
	if err != nil {
		return netip.Addr{}, err
	}
	a, err := parseAddr(s)
	if inet {
		err = as(err, ipFailed, "Error: inet address is expected rather than %q.", s)
	}
	return a, err
}

func (w *words) nextHop() (h control.NextHop, err error) {
	for w.more() && w.args[0] != "nexthop" && err == nil {
		switch s := w.next(); s {
		case "via":
			h.Gateway, err = w.gateway(false)
		case "dev", "oif":
			h.Dev, err = w.value(s)
		case "onlink":
			h.OnLink = true
		case "weight":
			var n uint64
			if n, err = w.number(s, 31); err == nil && (n == 0 || n > 256) {
				err = as(usage("%s: weight %d: want 1 to 256", w.object, n), ipUsage, "Error: argument %q is wrong: \"weight\" is invalid\n", strconv.FormatUint(n, 10))
			}
			h.Weight = int(n)
		default:
			err = as(usage("%s: %q is not understood behind nexthop", w.object, s), ipUsage, "Error: \"nexthop\" or end of line is expected instead of %q", s)
		}
	}
	return h, err
}

// dsfields are the names of rt_dsfield.
var dsfields = map[uint8]string{
	0x20: "CS1", 0x40: "CS2", 0x60: "CS3", 0x80: "CS4", 0xa0: "CS5", 0xc0: "CS6", 0xe0: "CS7",
	0x28: "AF11", 0x30: "AF12", 0x38: "AF13", 0x48: "AF21", 0x50: "AF22", 0x58: "AF23", 0x68: "AF31", 0x70: "AF32", 0x78: "AF33",
	0x88: "AF41", 0x90: "AF42", 0x98: "AF43", 0xb8: "EF",
}

func (w *words) tos(keyword string) (uint8, error) {
	s, err := w.value(keyword)
	if err != nil {
		return 0, err
	}
	for v, name := range dsfields {
		if name == s {
			return v, nil
		}
	}
	n, err := strconv.ParseUint(s, 0, 8)
	if err != nil {
		if n, err = strconv.ParseUint(s, 16, 8); err != nil {
			return 0, as(usage("%s: tos %q: want a number", w.object, s), ipUsage, "Error: argument %q is wrong: \"tos\" value is invalid\n", s)
		}
	}
	return uint8(n), nil
}

// scope reads a scope, and checks it: "" is what is left out.
func (w *words) scope(keyword string) (string, error) {
	s, err := w.value(keyword)
	if err != nil || slices.Contains([]string{"global", "site", "link", "host", "nowhere"}, s) {
		return s, err
	}
	if s == "universe" {
		return "global", nil
	}
	if n, err := strconv.ParseUint(s, 0, 8); err == nil {
		return strconv.FormatUint(n, 10), nil
	}
	complaint := `invalid "scope" value`
	if w.shows() {
		complaint = `invalid "scope"`
	}
	return "", as(usage("%s: scope %q: want global, site, link, host or a number", w.object, s), ipUsage, "Error: argument %q is wrong: %s\n", s, complaint)
}

// shows reports whether the words select what is shown; iproute2 has other words
// for what is wrong then.
func (w *words) shows() bool {
	return strings.HasSuffix(w.object, " show") || strings.HasSuffix(w.object, " flush")
}

// table reads the name of a table.
func (w *words) table(keyword string) (string, error) {
	s, err := w.value(keyword)
	switch n, numErr := strconv.ParseUint(s, 0, 8); {
	case err != nil || s == "main" || s == "local" || s == "default":
		return s, err
	case numErr != nil:
		complaint := `"table" value is invalid`
		if w.shows() {
			complaint = "table id value is invalid"
		}
		return "", as(usage("%s: there is no table %q, only main, local, default and numbers up to 255", w.object, s), ipUsage, "Error: argument %q is wrong: %s\n", s, complaint)
	case n == 253:
		return "default", nil
	case n == 254 || n == 0:
		return "main", nil
	case n == 255:
		return "local", nil
	default:
		return strconv.FormatUint(n, 10), nil
	}
}

// metric reads the value of a metric. Times have their unit behind, or are in the
// kernel's own.
func (w *words) metric(keyword string) (uint32, error) {
	s, err := w.value(keyword)
	if err != nil {
		return 0, err
	}
	number, unit := s, uint64(1)
	if scale := map[string]uint64{"rtt": 8, "rttvar": 4, "rto_min": 1}[keyword]; scale > 0 {
		if n, ok := strings.CutSuffix(s, "ms"); ok {
			number, unit = n, scale
		} else if n, ok := strings.CutSuffix(s, "s"); ok {
			number, unit = n, 1000*scale
		}
	}
	bits := 32
	switch {
	case unit > 1:
		bits = 16
	case keyword == "hoplimit":
		bits = 8
	}
	n, err := strconv.ParseUint(number, 0, bits)
	if err != nil {
		return 0, as(usage("%s: %s %q: want a number", w.object, keyword, s), ipUsage, "Error: argument %q is wrong: %q value is invalid\n", s, keyword)
	}
	return uint32(n * unit), nil
}

// routes returns the routes that a filter lets through.
func (c *cli) routes(ctx context.Context, client *control.Client, f routeFilter) ([]control.Route, error) {
	var list []control.Route
	if err := client.Get(ctx, "route", url.Values{"table": {f.table}}, &list); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list, func(r control.Route) bool { return !f.has(r) }), nil
}

func (c *cli) routeShow(ctx context.Context, args []string) error {
	f, err := parseRouteFilter("route show", args)
	if err != nil {
		return err
	}
	client := c.client()
	defer client.Close()
	list, err := c.routes(ctx, client, f)
	if err != nil {
		return err
	}
	if err := c.knownDevice(ctx, client, f.dev); err != nil {
		return err
	}
	return c.write(printRoutes(c.opts, list, f))
}

// knownDevice asks whether there is such an interface, which a list of its routes
// does not tell.
func (c *cli) knownDevice(ctx context.Context, client *control.Client, dev string) error {
	if dev == "" {
		return nil
	}
	return client.Get(ctx, "link", url.Values{"dev": {dev}}, new([]control.Link))
}

func (c *cli) routeFlush(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return as(usage("route flush: want what to flush: cache, dev DEV, to PREFIX, table main..."), ipFailed, `"ip route flush" requires arguments.`)
	}
	client := c.client()
	defer client.Close()
	if len(args) == 1 && args[0] == "cache" {
		return client.Post(ctx, "route/forget", struct{}{}, nil)
	}
	f, err := parseRouteFilter("route flush", args)
	if err != nil {
		return err
	}
	if err := c.knownDevice(ctx, client, f.dev); err != nil {
		return err
	}
	list, err := c.routes(ctx, client, f)
	if err != nil {
		return err
	}
	for _, r := range list {
		r.Flags = nil
		for n := range r.NextHops {
			r.NextHops[n].Flags = nil
		}
		if err := client.Post(ctx, "route/del", r, nil); err != nil && errnoOf(err) != syscall.ESRCH {
			return err
		}
	}
	switch {
	case c.opts.stats == 0:
		return nil
	case len(list) == 0:
		return c.write([]byte("Nothing to flush.\n"))
	}
	return c.write(fmt.Appendf(nil, "\n*** Round 1, deleting %d entries ***\n*** Flush is complete after 1 round ***\n", len(list)))
}

func parseRouteFilter(object string, args []string) (f routeFilter, err error) {
	w := &words{object, args}
	f.table = "main"
	for w.more() {
		switch s := w.next(); s {
		case "dev", "oif", "iif":
			f.dev, err = w.value(s)
		case "via":
			var a netip.Addr
			w.skip("inet")
			a, err = w.addr(s)
			f.via = a.String()
		case "src":
			f.src, err = w.addr(s)
		case "proto", "protocol":
			var p uint8
			p, err = w.protocol()
			f.proto = &p
		case "scope":
			if f.scope, err = w.scope(s); f.scope == "" && err == nil {
				f.scope = "global"
			}
		case "type":
			if f.kind, err = w.value(s); err == nil && !slices.Contains(routeTypes, f.kind) {
				err = as(usage("%s: type %q is not known", w.object, f.kind), ipUsage, "Error: argument %q is wrong: node type value is invalid\n", f.kind)
			}
		case "tos", "dsfield":
			var t uint8
			t, err = w.tos(s)
			f.tos = &t
		case "metric", "priority", "preference":
			var n uint64
			n, err = w.number(s, 32)
			m := uint32(n)
			f.metric = &m
		case "table":
			if w.more() && (w.args[0] == "all" || w.args[0] == "0") {
				f.table = "all"
				w.next()
				break
			}
			f.table, err = w.table(s)
		case "all":
			f.table = "all"
		default:
			match := "exact"
			if s == "to" {
				if s, err = w.value(s); err != nil {
					return f, err
				}
			}
			if s == "root" || s == "match" || s == "exact" {
				match = s
				if s, err = w.value(s); err != nil {
					return f, err
				}
			}
			var p netip.Prefix
			p, err = parsePrefix(s)
			f.to = func(r control.Route) bool {
				switch match {
				case "root":
					return p.Bits() <= r.Dst.Bits() && p.Contains(r.Dst.Addr())
				case "match":
					return r.Dst.Bits() <= p.Bits() && r.Dst.Contains(p.Addr())
				}
				return r.Dst == p.Masked()
			}
		}
		if err != nil {
			return f, err
		}
	}
	return f, nil
}

func (c *cli) routeGet(ctx context.Context, args []string) error {
	w := &words{"route get", args}
	var q control.RouteQuery
	var err error
	number := func(keyword string, bits int) uint64 {
		n, e := w.number(keyword, bits)
		err = e
		return n
	}
	for w.more() {
		switch s := w.next(); s {
		case "from":
			q.From, err = w.addr(s)
		case "oif", "dev":
			q.Oif, err = w.value(s)
		case "iif":
			q.Iif, err = w.value(s)
		case "tos", "dsfield":
			q.TOS, err = w.tos(s)
		case "mark", "uid":
			number(s, 32) // nothing depends on them
		case "ipproto":
			q.Protocol, err = w.ipProtocol()
		case "sport":
			q.SrcPort = uint16(number(s, 16))
		case "dport":
			q.DstPort = uint16(number(s, 16))
		default:
			if s == "to" {
				if s, err = w.value(s); err != nil {
					return err
				}
			}
			var p netip.Prefix
			p, err = parsePrefix(s)
			q.Dst = p.Addr() // the last one counts
		}
		if err != nil {
			return err
		}
	}
	if !q.Dst.IsValid() {
		return as(usage("route get: want an address, as in `tapstack route get 10.0.0.9`"), ipFailed, "need at least a destination address")
	}
	var r control.Route
	if err := c.client().Post(ctx, "route/get", q, &r); err != nil {
		return err
	}
	return c.write(printPath(c.opts, r, q))
}

func (w *words) ipProtocol() (uint8, error) {
	if w.more() {
		for n, s := range map[uint8]string{1: "icmp", 6: "tcp", 17: "udp"} {
			if w.skip(s) {
				return n, nil
			}
		}
	}
	n, err := w.number("ipproto", 8)
	return uint8(n), err
}
