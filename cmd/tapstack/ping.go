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
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tapstack/tapstack/stack/control"
)

// pingOptions are the flags of ping(8), as text: its words about bad ones are
// part of what it prints.
type pingOptions struct {
	count, interval, wait, deadline, size, ttl, tos string
	from, pmtu                                      string
	quiet, stamp, flood, broadcast                  bool
}

func (c *cli) pingCommand() *cobra.Command {
	var o pingOptions
	cmd := &cobra.Command{
		Use:   "ping [-c COUNT] [-i SEC] [-W SEC] [-s SIZE] [-I ADDR|DEV] [-M do|want|dont] [-t TTL] IP",
		Short: "Send echo requests from the host, as ping(8) of iputils",
		Long: `Send echo requests from the host. Output and exit codes are those of iputils' ping:
0 when an answer came, 1 when none did, 2 when the request could not be made.`,
		Example: "  tapstack ping -c 3 10.0.0.1\n  tapstack ping -c 1 -W 1 -I tap0 -s 1472 -M do 10.0.0.1",
		Args:    cobra.ArbitraryArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return c.ping(cmd.Context(), o, args) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&o.count, "count", "c", "", "stop after COUNT answers")
	f.StringVarP(&o.interval, "interval", "i", "1", "seconds between requests")
	f.StringVarP(&o.wait, "timeout", "W", "10", "seconds to wait for the last answer")
	f.StringVarP(&o.deadline, "deadline", "w", "", "seconds after which to stop in any case")
	f.StringVarP(&o.size, "size", "s", "56", "bytes of data")
	f.StringVarP(&o.from, "interface", "I", "", "source address, or interface to leave by")
	f.StringVarP(&o.pmtu, "pmtudisc", "M", "", "do: don't fragment; want, dont")
	f.StringVarP(&o.ttl, "ttl", "t", "", "time to live")
	f.StringVarP(&o.tos, "tos", "Q", "", "type of service")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print only the summary")
	f.BoolVarP(&o.stamp, "timestamps", "D", false, "print the time of each answer")
	f.BoolVarP(&o.flood, "flood", "f", false, "as fast as answers come, silently")
	f.BoolVarP(&o.broadcast, "broadcast", "b", false, "allow a broadcast address")
	f.BoolP("numeric", "n", false, "accepted: names are never looked up")
	f.BoolP("ipv4", "4", false, "accepted: there is only IPv4")
	f.BoolP("verbose", "v", false, "accepted")
	return cmd
}

// request reads the flags.
func (o pingOptions) request(args []string) (r control.PingRequest, err error) {
	if len(args) == 0 {
		return r, errors.New("usage error: Destination address required")
	}
	number := func(s string, low, high int64) int64 {
		if s == "" || err != nil {
			return 0
		}
		n, e := strconv.ParseInt(s, 10, 64)
		switch {
		case e != nil:
			err = fmt.Errorf("invalid argument: '%s'", s)
		case n < low || n > high:
			err = fmt.Errorf("invalid argument: '%s': out of range: %d <= value <= %d", s, low, high)
		}
		return n
	}
	duration := func(s string) time.Duration {
		if s == "" || err != nil {
			return 0
		}
		v, e := strconv.ParseFloat(s, 64)
		if e != nil || v < 0 || v > 1e6 {
			err = fmt.Errorf("invalid argument: '%s'", s)
		}
		return time.Duration(v * float64(time.Second))
	}
	r.Count = int(number(o.count, 1, 1<<62))
	r.Interval = duration(o.interval)
	r.Wait = duration(o.wait)
	r.Deadline = duration(o.deadline)
	r.Size = int(number(o.size, 0, 65507))
	r.TTL = uint8(number(o.ttl, 1, 255))
	r.TOS = uint8(number(o.tos, 0, 255))
	r.Broadcast = o.broadcast
	if o.flood {
		r.Interval = 0
	}
	if err != nil {
		return r, err
	}
	switch o.pmtu {
	case "do", "probe":
		r.DF = true
	case "", "want", "dont":
	default:
		return r, fmt.Errorf("invalid -M argument: %s", o.pmtu)
	}
	if r.Dst, err = netip.ParseAddr(args[len(args)-1]); err != nil || !r.Dst.Is4() {
		return r, fmt.Errorf("%s: Name or service not known", args[len(args)-1])
	}
	if r.Dst.IsUnspecified() {
		r.Dst = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if o.from != "" {
		if r.Src, err = netip.ParseAddr(o.from); err != nil {
			r.Src, r.Dev = netip.Addr{}, o.from
		}
	}
	return r, nil
}

func (c *cli) ping(ctx context.Context, o pingOptions, args []string) error {
	r, err := o.request(args)
	if err != nil {
		fmt.Fprintf(c.err, "ping: %v\n", err)
		return &silentError{exitUsage}
	}
	rep := &pingReport{dst: r.Dst, src: o.from, dev: r.Dev != "", size: r.Size, quiet: o.quiet || o.flood, stamp: o.stamp}
	client := c.client()
	defer client.Close()
	err = client.Stream(ctx, http.MethodPost, "ping", nil, r, func(line json.RawMessage) error {
		var ev control.PingEvent
		if err := json.Unmarshal(line, &ev); err != nil {
			return err
		}
		if ev.Kind == control.PingDone {
			return io.EOF
		}
		out, errs := rep.event(ev, time.Now())
		if errs != "" {
			fmt.Fprint(c.err, errs)
		}
		return c.write([]byte(out))
	})
	var remote *control.Error
	switch {
	case errors.As(err, &remote):
		fmt.Fprintf(c.err, "ping: %s\n", pingFailure(o, remote))
		return &silentError{exitUsage}
	case err == nil && ctx.Err() == nil:
		return fmt.Errorf("ping: the host has ended")
	case err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil:
		return err
	}
	if err := c.write([]byte(rep.summary())); err != nil {
		return err
	}
	if code := rep.code(r.Count, r.Deadline > 0); code != exitDone {
		return &silentError{code}
	}
	return nil
}

// pingFailure returns iputils' words for why ping cannot start.
func pingFailure(o pingOptions, e *control.Error) string {
	switch e.Errno {
	case 0:
		return e.Text
	case syscall.EACCES:
		return "Do you want to ping broadcast? Then -b. If not, check your local firewall rules"
	case syscall.ENODEV:
		return fmt.Sprintf("SO_BINDTODEVICE %s: No such device", o.from)
	case syscall.EADDRNOTAVAIL:
		return "bind: Cannot assign requested address"
	}
	return "connect: " + capital(e.Errno.Error())
}
