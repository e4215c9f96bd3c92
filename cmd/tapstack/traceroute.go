package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tapstack/tapstack/stack/control"
)

// tracerouteOptions are the flags of traceroute(8), as text.
type tracerouteOptions struct {
	icmp, fixed, numeric, df                      bool
	first, last, queries, atOnce, wait, port, tos string
	source, dev                                   string
}

func (c *cli) tracerouteCommand() *cobra.Command {
	var o tracerouteOptions
	cmd := &cobra.Command{
		Use:   "traceroute [-n] [-I|-U] [-F] [-f HOP] [-m HOPS] [-q N] [-w SEC] [-p PORT] HOST [SIZE]",
		Short: "Show the way from the host to another, as traceroute(8)",
		Long: `Send probes of SIZE bytes (60 when left out) with growing times to live to HOST, an
address, or a name that the host looks up with its own name servers, and show which
routers answer. Output is that of Linux's traceroute: !H host, !N network, !P
protocol unreachable, !X prohibited, !F-MTU fragmentation needed.

Without -I or -U probes go to UDP ports from 33434 on, each to the next.`,
		Example: "  tapstack traceroute -n 10.9.0.1\n  tapstack traceroute -I 10.9.0.1\n  tapstack traceroute -F 10.9.0.1 1500",
		Args:    cobra.ArbitraryArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return c.traceroute(cmd.Context(), o, args) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVarP(&o.numeric, "numeric", "n", false, "do not look up the names of addresses")
	f.BoolVarP(&o.icmp, "icmp", "I", false, "send echo requests")
	f.BoolVarP(&o.fixed, "udp", "U", false, "send all probes to one UDP port, 53 without -p")
	f.BoolVarP(&o.df, "dont-fragment", "F", false, "don't fragment")
	f.StringVarP(&o.first, "first", "f", "1", "start from this hop")
	f.StringVarP(&o.last, "max-hops", "m", "30", "go so far at most")
	f.StringVarP(&o.queries, "queries", "q", "3", "probes a hop")
	f.StringVarP(&o.atOnce, "sim-queries", "N", "16", "probes under way at once")
	f.StringVarP(&o.wait, "wait", "w", "", "seconds to wait for an answer (default 5, and less when others come sooner)")
	f.StringVarP(&o.port, "port", "p", "", "first UDP port or sequence number, or the port of -U")
	f.StringVarP(&o.tos, "tos", "t", "", "type of service")
	f.StringVarP(&o.source, "source", "s", "", "source address")
	f.StringVarP(&o.dev, "interface", "i", "", "interface to leave by")
	f.BoolP("ipv4", "4", false, "accepted: there is only IPv4")
	return cmd
}

// tracerouteError is an error in traceroute(8)'s words, which begin with a capital.
type tracerouteError string

// Error returns the words.
func (e tracerouteError) Error() string { return string(e) }

func cannot(format string, args ...any) error { return tracerouteError(fmt.Sprintf(format, args...)) }

// request reads flags and arguments. The errors have traceroute(8)'s words.
func (o tracerouteOptions) request(args []string) (r control.TracerouteRequest, err error) {
	if len(args) == 0 {
		return r, errors.New("usage: traceroute [OPTION]... HOST [SIZE]")
	}
	if len(args) > 2 {
		return r, cannot("Extra arg `%s' (position 3, argc %d)", args[2], len(args))
	}
	number := func(flag, s string) (n int) {
		if s == "" || err != nil {
			return 0
		}
		v, e := strconv.ParseInt(s, 0, 32)
		if e != nil {
			err = cannot("Cannot handle `-%s' option with arg `%s'", flag, s)
		}
		return int(v)
	}
	r = control.TracerouteRequest{ICMP: o.icmp, Fixed: o.fixed, DF: o.df, Dev: o.dev, Len: 60, Wait: 5 * time.Second}
	r.First, r.Last, r.Queries, r.AtOnce = number("f", o.first), number("m", o.last), number("q", o.queries), number("N", o.atOnce)
	r.Port = number("p", o.port)
	tos := number("t", o.tos)
	if len(args) > 1 && err == nil {
		n, e := strconv.ParseUint(args[1], 0, 31)
		if e != nil {
			err = cannot("Cannot handle \"packetlen\" cmdline arg `%s' on position 2 (argc %d)", args[1], len(args))
		}
		r.Len = int(n)
	}
	if err != nil {
		return r, err
	}
	r.TOS = uint8(tos)
	switch {
	case o.icmp && o.fixed:
		return r, errors.New("only one of -I and -U may be used")
	case r.Last > 255:
		return r, errors.New("max hops cannot be more than 255")
	case r.First < 1 || r.First > r.Last:
		return r, errors.New("first hop out of range")
	case r.Queries < 1 || r.Queries > 10:
		return r, errors.New("no more than 10 probes per hop")
	case r.AtOnce < 1:
		return r, cannot("Cannot handle `-N' option with arg `%s'", o.atOnce)
	case r.Len > 65000:
		return r, fmt.Errorf("too big packetlen %d specified", r.Len)
	case r.Port < 0 || r.Port > 65535:
		return r, cannot("Cannot handle `-p' option with arg `%s'", o.port)
	case tos < 0 || tos > 255:
		return r, cannot("Cannot handle `-t' option with arg `%s'", o.tos)
	}
	if o.wait != "" {
		v, e := strconv.ParseFloat(o.wait, 64)
		switch {
		case e != nil:
			return r, cannot("Cannot handle `-w' option with arg `%s'", o.wait)
		case v < 0 || v > 1e6:
			return r, fmt.Errorf("bad wait specifications `%s,0,0' used", o.wait)
		}
		r.Wait, r.Patient = time.Duration(v*float64(time.Second)), true
	}
	if o.source != "" {
		if r.Src, err = netip.ParseAddr(o.source); err != nil || !r.Src.Is4() {
			return r, cannot("Cannot handle `-s' option with arg `%s'", o.source)
		}
	}
	r.Names = !o.numeric
	if a, err := netip.ParseAddr(args[0]); err == nil && a.Is4() {
		r.Dst = a
	} else {
		r.Name = args[0]
	}
	return r, nil
}

func (c *cli) traceroute(ctx context.Context, o tracerouteOptions, args []string) error {
	r, err := o.request(args)
	if err != nil {
		fmt.Fprintln(c.err, err)
		return &silentError{exitUsage}
	}
	rep := &tracerouteReport{target: args[0], hops: r.Last, length: max(r.Len, 28), names: r.Names}
	client := c.client()
	defer client.Close()
	failed := ""
	err = client.Stream(ctx, http.MethodPost, "traceroute", nil, r, func(line json.RawMessage) error {
		var ev control.TracerouteEvent
		if err := json.Unmarshal(line, &ev); err != nil {
			return err
		}
		switch ev.Kind {
		case control.TracerouteDone:
			return io.EOF
		case control.TracerouteError:
			failed = ev.Error
			return io.EOF
		}
		return c.write([]byte(rep.event(ev)))
	})
	var remote *control.Error
	switch {
	case errors.As(err, &remote) && remote.Errno == 0 && r.Name != "":
		fmt.Fprintf(c.err, "%s\nCannot handle \"host\" cmdline arg `%s' on position 1 (argc %d)\n", remote.Text, args[0], len(args))
		return &silentError{exitUsage}
	case errors.As(err, &remote):
		fmt.Fprintln(c.err, remote.Text)
		return &silentError{exitFailed}
	case err == nil && ctx.Err() == nil:
		return fmt.Errorf("traceroute: the host has ended")
	case err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil:
		return err
	}
	if err := c.write([]byte("\n")); err != nil {
		return err
	}
	if failed != "" {
		call, why, _ := strings.Cut(failed, ": ")
		fmt.Fprintf(c.err, "%s: %s\n", call, capital(why))
		return &silentError{exitFailed}
	}
	return nil
}
