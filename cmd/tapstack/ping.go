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
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tapstack/tapstack/stack/control"
)

// pingOptions are the flags of ping(8), as text: its words about bad ones are
// part of what it prints.
type pingOptions struct {
	count, interval, wait, deadline, size, ttl, tos string
	from, pmtu, pattern, preload, stamps            string
	quiet, stamp, flood, broadcast, record          bool
	adaptive, outstanding, numeric, audible         bool
}

func (c *cli) pingCommand() *cobra.Command {
	var o pingOptions
	cmd := &cobra.Command{
		Use:   "ping [-c COUNT] [-i SEC] [-W SEC] [-w SEC] [-s SIZE] [-I ADDR|DEV] [-M do|want|dont|probe] [-t TTL] HOST",
		Short: "Send echo requests from the host, as ping(8) of iputils",
		Long: `Send echo requests from the host to HOST, an address, or a name that the host looks
up with its own name servers. Output and exit codes are those of iputils' ping:
0 when an answer came, 1 when none did, 2 when the request could not be made.`,
		Example: "  tapstack ping -c 3 10.0.0.1\n  tapstack ping -c 1 -W 1 -I tap0 -s 1472 -M do 10.0.0.1\n  tapstack ping -R -c 1 10.0.0.1",
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
	f.StringVarP(&o.pmtu, "pmtudisc", "M", "", "do: don't fragment; probe: nor learn from routers; want, dont")
	f.StringVarP(&o.ttl, "ttl", "t", "", "time to live")
	f.StringVarP(&o.tos, "tos", "Q", "", "type of service")
	f.StringVarP(&o.pattern, "pattern", "p", "", "up to 16 bytes to fill the data with, in hex")
	f.StringVarP(&o.preload, "preload", "l", "1", "so many requests at once in the beginning")
	f.BoolVarP(&o.record, "record-route", "R", false, "record the route")
	f.StringVarP(&o.stamps, "timestamp-option", "T", "", "tsonly or tsandaddr: have routers put timestamps into the header")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print only the summary")
	f.BoolVarP(&o.stamp, "timestamps", "D", false, "print the time of each answer")
	f.BoolVarP(&o.outstanding, "outstanding", "O", false, "say when an answer is missing")
	f.BoolVarP(&o.flood, "flood", "f", false, "as fast as answers come, with a dot for each that is missing")
	f.BoolVarP(&o.adaptive, "adaptive", "A", false, "as fast as answers come")
	f.BoolVarP(&o.audible, "audible", "a", false, "ring the bell for each answer")
	f.BoolVarP(&o.broadcast, "broadcast", "b", false, "allow a broadcast address")
	f.BoolVarP(&o.numeric, "numeric", "n", false, "do not look up the names of addresses")
	f.BoolP("ipv4", "4", false, "accepted: there is only IPv4")
	f.BoolP("verbose", "v", false, "accepted")
	return cmd
}

var errNumber = errors.New("invalid argument")

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
			err = fmt.Errorf("%w: '%s'", errNumber, s)
		case n < low || n > high:
			err = fmt.Errorf("%w: '%s': out of range: %d <= value <= %d", errNumber, s, low, high)
		}
		return n
	}
	duration := func(s string) time.Duration {
		if s == "" || err != nil {
			return 0
		}
		v, e := strconv.ParseFloat(s, 64)
		if e != nil || v < 0 || v > 1e6 {
			err = fmt.Errorf("%w: '%s'", errNumber, s)
		}
		return time.Duration(v * float64(time.Second))
	}
	r.Count = int(number(o.count, 1, 1<<63-1))
	r.Interval = duration(o.interval)
	r.Wait = duration(o.wait)
	r.Deadline = duration(o.deadline)
	r.Size = int(number(o.size, 0, 65507))
	r.Preload = int(number(o.preload, 1, 65536))
	r.TTL = uint8(number(o.ttl, 1, 255))
	r.Broadcast, r.Adaptive = o.broadcast, o.adaptive
	if o.flood {
		r.Interval = 0
	}
	if err != nil {
		return r, err
	}
	if o.tos != "" {
		n, e := strconv.ParseUint(o.tos, 0, 8) // hex, too
		if e != nil {
			return r, fmt.Errorf("the decimal value of TOS bits must be in range 0-255: %s", o.tos)
		}
		r.TOS = uint8(n)
	}
	switch o.pmtu {
	case "do":
		r.DF = true
	case "probe":
		r.Probe = true
	case "dont":
		r.Fragment = true
	case "", "want":
	default:
		return r, fmt.Errorf("invalid -M argument: %s", o.pmtu)
	}
	if r.Pattern, err = pingPattern(o.pattern); err != nil {
		return r, err
	}
	if r.Options, err = pingIPOptions(o.record, o.stamps); err != nil {
		return r, err
	}
	if err := o.destination(args[len(args)-1], &r); err != nil {
		return r, err
	}
	if o.from != "" {
		if r.Src, err = netip.ParseAddr(o.from); err != nil {
			r.Src, r.Dev = netip.Addr{}, o.from
		}
	}
	return r, nil
}

func (o pingOptions) destination(s string, r *control.PingRequest) (err error) {
	if r.Dst, err = netip.ParseAddr(s); err != nil {
		if !looksLikeName(s) {
			return fmt.Errorf("%s: Name or service not known", s)
		}
		r.Dst, r.Name, r.Names = netip.Addr{}, s, !o.numeric
		return nil
	}
	if r.Dst = r.Dst.Unmap(); !r.Dst.Is4() {
		return fmt.Errorf("%s: Address family for hostname not supported", s)
	}
	if r.Dst.IsUnspecified() {
		r.Dst = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return nil
}

// pingPattern reads up to 16 bytes in hex, as sscanf does: an odd last digit is a
// byte.
func pingPattern(s string) (b []byte, err error) {
	if n := strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF", r) }); n >= 0 {
		return nil, fmt.Errorf("patterns must be specified as hex digits: %s", s[n:])
	}
	for ; s != "" && len(b) < 16; s = s[min(2, len(s)):] {
		n, err := strconv.ParseUint(s[:min(2, len(s))], 16, 8)
		if err != nil {
			return nil, err
		}
		b = append(b, byte(n))
	}
	return b, nil
}

// pingIPOptions returns the options that record the route (RFC 791, section 3.1;
// the NOP aligns the addresses), or timestamps.
func pingIPOptions(record bool, stamps string) ([]byte, error) {
	const nop, recordRoute, timestamp = 1, 7, 68
	o := make([]byte, 40)
	switch {
	case record && stamps != "":
		return nil, errors.New("only one of -T or -R may be used")
	case record:
		copy(o, []byte{nop, recordRoute, 39, 4})
		return o, nil
	}
	switch stamps {
	case "":
		return nil, nil
	case "tsonly":
		copy(o, []byte{timestamp, 40, 5, 0})
	case "tsandaddr":
		o = o[:36] // whole pairs of address and time
		copy(o, []byte{timestamp, 36, 5, 1})
	default:
		return nil, fmt.Errorf("invalid timestamp type: %s", stamps)
	}
	return o, nil
}

func (c *cli) ping(ctx context.Context, o pingOptions, args []string) error {
	r, err := o.request(args)
	if err != nil {
		fmt.Fprintf(c.err, "ping: %v\n", err)
		if errors.Is(err, errNumber) {
			return &silentError{exitFailed} // iputils' exit code for those alone
		}
		return &silentError{exitUsage}
	}
	rep := &pingReport{dst: r.Dst, name: r.Name, src: o.from, dev: r.Dev != "", size: r.Size, quiet: o.quiet, stamp: o.stamp, flood: o.flood,
		adaptive: o.adaptive || r.Interval == 0, outstanding: o.outstanding, audible: o.audible, broadcast: o.broadcast, pattern: r.Pattern, options: len(r.Options) > 0}
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
