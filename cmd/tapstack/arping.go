package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tapstack/tapstack/stack/control"
)

// arpingOptions are the flags of arping(8), as text: its words about bad ones are
// part of what it prints.
type arpingOptions struct {
	count, interval, deadline    string
	dev, src                     string
	dad, announce, answer        bool
	broadcast, first, quiet, ver bool
}

func (c *cli) arpingCommand() *cobra.Command {
	var o arpingOptions
	cmd := &cobra.Command{
		Use:   "arping [-c COUNT] [-w SEC] [-i SEC] [-D | -U | -A] [-b] [-f] [-q] [-I DEV] [-s SRC] IP",
		Short: "Send ARP requests from the host, as arping(8) of iputils",
		Long: `Send ARP requests from the host and print who answers. Output and exit codes are
those of iputils' arping: 0 when an answer came, 1 when none did, 2 when nothing
could be sent. With -D it is 0 when nobody has the address and 1 when somebody
does; with -U and -A, which expect no answer, 0. With -c and -w together it waits
for as many answers.`,
		Example: `  tapstack arping -c 2 10.0.0.1
  tapstack arping -D -c 2 -I tap0 10.0.0.77    # does anybody use it?
  tapstack arping -U -c 1 -I tap0 10.0.0.2     # tell everybody where it is`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return c.arping(cmd.Context(), o, args) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&o.count, "count", "c", "", "stop after COUNT packets")
	f.StringVarP(&o.deadline, "deadline", "w", "0", "seconds after which to stop in any case")
	f.StringVarP(&o.interval, "interval", "i", "1", "seconds between packets")
	f.BoolVarP(&o.dad, "duplicate", "D", false, "duplicate address detection: is the address in use?")
	f.BoolVarP(&o.announce, "unsolicited", "U", false, "announce an address of the host's by requests")
	f.BoolVarP(&o.answer, "answer", "A", false, "announce an address of the host's by replies")
	f.BoolVarP(&o.broadcast, "broadcast", "b", false, "go on broadcasting when an answer has come")
	f.BoolVarP(&o.first, "first", "f", false, "stop at the first answer")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print nothing")
	f.StringVarP(&o.dev, "interface", "I", "", "interface to send from; default: the route's")
	f.StringVarP(&o.src, "source", "s", "", "source address, one of the host's; default: the route's, with -D none")
	f.BoolVarP(&o.ver, "version", "V", false, "print the version")
	return cmd
}

// request reads the flags. The error is what arping(8) would say, with its code.
func (o arpingOptions) request(args []string) (r control.ArpingRequest, code int, err error) {
	number := func(s string, low float64, whole bool) float64 {
		if s == "" || err != nil {
			return 0
		}
		v, e := strconv.ParseFloat(s, 64)
		switch {
		case e != nil || math.IsNaN(v) || whole && v != math.Trunc(v):
			err = fmt.Errorf("invalid argument: '%s'", s)
		case v < low || v > math.MaxInt32:
			err = fmt.Errorf("invalid argument: '%s': out of range: %v <= value <= %d", s, low, math.MaxInt32)
		}
		return v
	}
	r.Count = int(number(o.count, 1, true))
	// Fractions of a second are more than arping(8) takes.
	r.Deadline = time.Duration(number(o.deadline, 0, false) * float64(time.Second))
	r.Interval = time.Duration(number(o.interval, 0, false) * float64(time.Second))
	if err != nil {
		return r, exitFailed, err
	}
	r.Dev, r.Broadcast, r.First = o.dev, o.broadcast, o.first
	switch {
	case o.dad:
		r.Mode = control.ArpingDAD
	case o.answer:
		r.Mode = control.ArpingAnswer
	case o.announce:
		r.Mode = control.ArpingAnnounce
	}
	if r.Dst, err = netip.ParseAddr(args[0]); err != nil || !r.Dst.Is4() {
		return r, exitUsage, fmt.Errorf("%s: Name or service not known", args[0])
	}
	if o.src != "" {
		if r.Src, err = netip.ParseAddr(o.src); err != nil || !r.Src.Is4() {
			return r, exitUsage, fmt.Errorf("invalid source %s", o.src)
		}
	}
	return r, exitDone, nil
}

func (c *cli) arping(ctx context.Context, o arpingOptions, args []string) error {
	if o.ver {
		return c.write([]byte("arping from tapstack " + version() + "\n"))
	}
	if len(args) != 1 {
		return usage("arping: want one address, as in `tapstack arping -c 2 10.0.0.1`")
	}
	r, code, err := o.request(args)
	if err != nil {
		fmt.Fprintf(c.err, "arping: %v\n", err)
		return &silentError{code}
	}
	rep := &arpingReport{dst: r.Dst, quiet: o.quiet}
	client := c.client()
	defer client.Close()
	err = client.Stream(ctx, http.MethodPost, "arping", nil, r, func(line json.RawMessage) error {
		var ev control.ArpingEvent
		if err := json.Unmarshal(line, &ev); err != nil {
			return err
		}
		switch ev.Kind {
		case control.ArpingDone:
			return io.EOF
		case control.ArpingSendError:
			fmt.Fprintf(c.err, "arping: sendto: %s\n", capital(ev.Error))
			if ev.Errno == syscall.ENETDOWN {
				return &silentError{exitUsage}
			}
		}
		return c.write([]byte(rep.event(ev)))
	})
	var remote *control.Error
	switch {
	case errors.As(err, &remote):
		return c.arpingFailure(o, remote)
	case err == nil && ctx.Err() == nil:
		return fmt.Errorf("arping: the host has ended")
	case err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil:
		return err
	}
	if err := c.write([]byte(rep.summary())); err != nil {
		return err
	}
	if code := rep.code(r); code != exitDone {
		return &silentError{code}
	}
	return nil
}

// arpingFailure tells in iputils' words why arping cannot start.
func (c *cli) arpingFailure(o arpingOptions, e *control.Error) error {
	switch e.Errno {
	case syscall.ENETDOWN, syscall.EOPNOTSUPP: // of the interface: no failure, to arping(8)
		if !o.quiet {
			fmt.Fprintln(c.out, e.Text)
		}
	case syscall.ENODEV:
		fmt.Fprintf(c.err, "arping: Device %s not available.\n", o.dev)
	case syscall.EADDRNOTAVAIL:
		fmt.Fprintln(c.err, "arping: bind: Cannot assign requested address")
	case syscall.ENETUNREACH:
		if o.dev == "" {
			fmt.Fprintln(c.err, "arping: Suitable device could not be determined. Please, use option -I.")
			break
		}
		fallthrough
	default:
		fmt.Fprintf(c.err, "arping: connect: %s\n", capital(e.Errno.Error()))
	}
	return &silentError{exitUsage}
}
