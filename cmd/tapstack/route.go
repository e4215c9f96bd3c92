package main

import (
	"context"
	"net/netip"
	"net/url"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tapstack/tapstack/stack/control"
)

func (c *cli) routeCommand() *cobra.Command {
	cmd := c.ipCommand(&cobra.Command{
		Use: "route [show] [to PREFIX] [dev DEV] [via ADDR] [proto P] [table main|local|all]", Aliases: []string{"r", "ro", "rou", "rout"},
		Short:   "Show and change routes, as `ip route`",
		Example: "  tapstack route\n  tapstack route add default via 10.0.0.1\n  tapstack route get 8.8.8.8",
	}, c.routeShow)
	cmd.AddCommand(
		c.ipCommand(&cobra.Command{
			Use: "show [to PREFIX] [dev DEV] [via ADDR] [proto P] [table main|local|all]", Aliases: abbreviations("show", 1, "list", "lst", "ls", "l"),
			Short: "Show routes", Example: "  tapstack route show table all",
		}, c.routeShow),
		c.ipCommand(&cobra.Command{
			Use: "get ADDR [from ADDR] [oif DEV] [iif DEV]", Aliases: abbreviations("get", 1),
			Short: "Show which way packets to an address go", Example: "  tapstack route get 10.0.0.9",
		}, c.routeGet),
	)
	for _, v := range []struct {
		verb, short string
		aliases     []string
	}{
		{"add", "Add a route", []string{"a", "ad", "append"}},
		{"replace", "Add a route or put it in the place of another", []string{"change", "r", "chg"}},
		{"del", "Delete a route", abbreviations("delete", 1)},
	} {
		cmd.AddCommand(c.ipCommand(&cobra.Command{
			Use: v.verb + " [TYPE] PREFIX [via ADDR] [dev DEV] [src ADDR] [metric N] [scope SCOPE] [proto P] [mtu N] [onlink]", Aliases: v.aliases,
			Short: v.short,
			Long:  v.short + ".\nTYPE is unicast (the default), local, broadcast, blackhole, unreachable or prohibit.",
			Example: "  tapstack route " + v.verb + " default via 10.0.0.1\n  tapstack route " + v.verb +
				" 192.168.7.0/24 dev tap0\n  tapstack route " + v.verb + " unreachable 10.99.0.0/16",
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

// parseRoute reads a route in iproute2's words.
func parseRoute(object string, args []string) (r control.Route, err error) {
	w := &words{object, args}
	types := []string{"unicast", "local", "broadcast", "multicast", "blackhole", "unreachable", "prohibit"}
	for w.more() {
		switch s := w.next(); s {
		case "via":
			if len(w.args) > 0 && w.args[0] == "inet" {
				w.next()
			}
			r.Gateway, err = w.addr(s)
		case "dev", "oif":
			r.Dev, err = w.value(s)
		case "src":
			r.PrefSrc, err = w.addr(s)
		case "metric", "priority", "preference":
			var n uint64
			n, err = w.number(s, 32)
			r.Metric = uint32(n)
		case "scope":
			r.Scope, err = w.value(s)
		case "proto", "protocol":
			r.Protocol, err = w.protocol()
		case "mtu":
			var n uint64
			n, err = w.number(s, 31)
			r.MTU = int(n)
		case "onlink":
			r.OnLink = true
		case "table":
			if s, err = w.value(s); err == nil && s != "main" && s != "254" && s != "local" && s != "255" {
				err = usage("%s: there is no table %q, only main and local", object, s)
			}
		default:
			if s == "to" {
				if s, err = w.value(s); err != nil {
					return r, err
				}
			}
			switch {
			case r.Dst.IsValid():
				return r, w.unknown(s)
			case r.Type == "" && slices.Contains(types, s):
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
	if r.Dst != r.Dst.Masked() {
		return r, &control.Error{Text: object + " " + r.Dst.String() + ": invalid argument: the prefix has bits behind its length", Errno: 22}
	}
	return r, nil
}

func (c *cli) routeShow(ctx context.Context, args []string) error {
	f, err := parseRouteFilter(args)
	if err != nil {
		return err
	}
	var list []control.Route
	if err := c.client().Get(ctx, "route", url.Values{"table": {f.table}}, &list); err != nil {
		return err
	}
	return c.write(printRoutes(c.opts, list, f))
}

func parseRouteFilter(args []string) (f routeFilter, err error) {
	w := &words{"route show", args}
	f.table = "main"
	for w.more() {
		switch s := w.next(); s {
		case "dev", "oif":
			f.dev, err = w.value(s)
		case "via":
			var a netip.Addr
			a, err = w.addr(s)
			f.via = a.String()
		case "proto", "protocol":
			var p uint8
			p, err = w.protocol()
			f.proto = &p
		case "table":
			f.table, err = w.value(s)
			switch f.table {
			case "254":
				f.table = "main"
			case "255":
				f.table = "local"
			case "main", "local", "all":
			default:
				err = usage("route show: there is no table %q, only main and local", f.table)
			}
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
	for w.more() {
		switch s := w.next(); s {
		case "from":
			q.From, err = w.addr(s)
		case "oif", "dev":
			q.Oif, err = w.value(s)
		case "iif":
			q.Iif, err = w.value(s)
		case "to":
			q.Dst, err = w.addr(s)
		default:
			if q.Dst.IsValid() {
				return w.unknown(s)
			}
			q.Dst, err = parseAddr(s)
		}
		if err != nil {
			return err
		}
	}
	if !q.Dst.IsValid() {
		return usage("route get: want an address, as in `tapstack route get 10.0.0.9`")
	}
	var r control.Route
	if err := c.client().Post(ctx, "route/get", q, &r); err != nil {
		return err
	}
	return c.write(printPath(c.opts, r, q))
}
