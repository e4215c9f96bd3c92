package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/tapstack/tapstack/stack/control"
)

// ncOptions are the flags of nc.
type ncOptions struct {
	udp, listen, keep, confirm, recvErr, verbose bool
	wait                                         float64
	port                                         uint16
	source, dev                                  string
}

func (c *cli) ncCommand() *cobra.Command {
	var o ncOptions
	cmd := &cobra.Command{
		Use:   "nc [-u] [-l] [-k] [-w SEC] [-p PORT] [-s ADDR] [-I DEV] [HOST] [PORT]",
		Short: "Connect standard input and output to a socket of the host, as netcat",
		Long: `Connect standard input and output to a socket of the host.

TCP: the end of standard input closes that direction; nc ends when the peer closes the
other. UDP: each read of standard input is one datagram, each datagram received is one
write; broadcasts are allowed. As on a socket of Linux, a host that cannot be reached is
no error to UDP, unless --recverr asks for it.

HOST is an address, or a name that the host looks up with its own name servers.

-w limits how long connecting may take, and how long to listen on once standard input
has ended and nothing comes. A failure ends with errno's words and exit code 1.`,
		Example: `  echo hello | tapstack nc -w 1 10.0.0.1 7
  tapstack nc -l 5000 > file
  echo ping | tapstack nc -u -w 1 10.0.0.1 7
  tapstack nc -u -l -p 5000`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return c.nc(cmd.Context(), o, args) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVarP(&o.udp, "udp", "u", false, "UDP instead of TCP")
	f.BoolVarP(&o.listen, "listen", "l", false, "listen instead of connecting")
	f.BoolVarP(&o.keep, "keep", "k", false, "with -l: listen on after a connection")
	f.Float64VarP(&o.wait, "wait", "w", 0, "seconds to wait, see above")
	f.Uint16VarP(&o.port, "port", "p", 0, "local port")
	f.StringVarP(&o.source, "source", "s", "", "local address")
	f.StringVarP(&o.dev, "interface", "I", "", "use only this interface")
	f.BoolVar(&o.confirm, "confirm", false, "UDP: tell the neighbour table that the peer works (MSG_CONFIRM)")
	f.BoolVar(&o.recvErr, "recverr", false, "UDP: report every ICMP error (IP_RECVERR)")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "say who is connected")
	f.BoolP("numeric", "n", false, "accepted: addresses are not turned into names")
	f.BoolP("ipv4", "4", false, "accepted: there is only IPv4")
	f.BoolP("half-close", "N", false, "accepted: the end of input always closes that direction")
	return cmd
}

// request reads the flags and the arguments.
func (o ncOptions) request(args []string) (r control.NCRequest, err error) {
	r = control.NCRequest{UDP: o.udp, Listen: o.listen, Keep: o.keep, Dev: o.dev, Confirm: o.confirm, RecvErr: o.recvErr}
	if o.wait < 0 || o.wait > 1e6 {
		return r, usage("nc: -w %v: want seconds", o.wait)
	}
	if !o.listen {
		r.Timeout = time.Duration(o.wait * float64(time.Second))
	}
	local := netip.IPv4Unspecified()
	if o.source != "" {
		if local, err = parseAddr(o.source); err != nil {
			return r, usage("nc: -s: %v", err)
		}
	}
	port := o.port
	switch {
	case o.listen && len(args) > 2, !o.listen && len(args) != 2:
		return r, usage("nc: want an address and a port, as in `tapstack nc 10.0.0.1 7`")
	case o.keep && !o.listen:
		return r, usage("nc: -k wants -l")
	case o.listen:
		// nc -l PORT, nc -l ADDR PORT, nc -l -p PORT
		if len(args) == 2 {
			if local, err = parseAddr(args[0]); err != nil {
				return r, usage("nc: %v", err)
			}
		}
		if len(args) > 0 {
			if port, err = parsePort(args[len(args)-1]); err != nil {
				return r, err
			}
		}
		if port == 0 {
			return r, usage("nc: -l wants a port, as in `tapstack nc -l 5000`")
		}
	default:
		addr, err := parseAddr(args[0])
		if err != nil {
			if !looksLikeName(args[0]) {
				return r, usage("nc: %v", err)
			}
			addr, r.Name = netip.IPv4Unspecified(), args[0]
		}
		to, err := parsePort(args[1])
		if err != nil {
			return r, err
		}
		r.Remote = netip.AddrPortFrom(addr, to)
	}
	r.Local = netip.AddrPortFrom(local, port)
	return r, nil
}

// looksLikeName reports whether s may be the name of a host: neither an address nor
// one that is spelled wrong.
func looksLikeName(s string) bool {
	letters := strings.ContainsFunc(s, func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' })
	return letters && len(s) <= 253 && !strings.ContainsAny(s, ":/% \t\n")
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, usage("nc: port %q: want 1 to 65535", s)
	}
	return uint16(n), nil
}

func (c *cli) nc(ctx context.Context, o ncOptions, args []string) error {
	r, err := o.request(args)
	if err != nil {
		return err
	}
	client := c.client()
	sess, err := client.NC(ctx, r)
	var remote *control.Error
	switch {
	case errors.As(err, &remote) && remote.Errno != 0 && !remote.Invalid:
		fmt.Fprintf(c.err, "nc: %s: %s\n", ncSubject(r), capital(remote.Errno.Error()))
		return &silentError{exitFailed}
	case errors.As(err, &remote) && remote.Errno == 0 && r.Name != "":
		// As OpenBSD's nc puts it.
		fmt.Fprintf(c.err, "nc: getaddrinfo for host \"%s\" port %d: %s\n", r.Name, r.Remote.Port(), strings.TrimPrefix(remote.Text, r.Name+": "))
		return &silentError{exitFailed}
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	}
	n := &ncPump{cli: c, o: o, sess: sess, wait: time.Duration(o.wait * float64(time.Second))}
	stop := context.AfterFunc(ctx, func() { sess.Close() })
	defer stop()
	err = n.run()
	if ctx.Err() != nil {
		return ctx.Err() // Ctrl-C ended it
	}
	return err
}

func ncSubject(r control.NCRequest) string {
	if r.Listen {
		return "listen on " + r.Local.String()
	}
	if r.Name != "" {
		return fmt.Sprintf("connect to %s port %d", r.Name, r.Remote.Port())
	}
	return "connect to " + r.Remote.String()
}

// quiet is how long standard input may say nothing once the peer has closed its
// direction: by then whoever types there has nothing to say to.
const quiet = 500 * time.Millisecond

// ncPump carries data between standard input and output and a session.
type ncPump struct {
	cli  *cli
	o    ncOptions
	sess *control.Session
	wait time.Duration

	failed atomic.Bool // an error was printed
}

// run carries data until the session is over.
func (n *ncPump) run() error {
	frames := make(chan error, 1)
	heard := make(chan struct{}, 1)  // something came from the peer
	peerEnd := make(chan struct{})   // the peer closed its direction
	spoken := make(chan struct{}, 1) // something came from standard input
	inputEnd := make(chan struct{})  // standard input has ended
	go func() { frames <- n.receive(heard, peerEnd) }()
	go n.send(spoken, inputEnd)
	defer n.sess.Close()

	// idle ends nc: -w after the end of input, a moment after the end of the
	// peer's stream.
	var idle *time.Timer
	var expired <-chan time.Time
	arm := func(d time.Duration) {
		if idle != nil {
			idle.Stop()
		}
		idle = time.NewTimer(d)
		expired = idle.C
	}
	inputOver, peerOver := false, false
	for {
		select {
		case err := <-frames:
			return n.result(err)
		case <-expired:
			return n.result(nil)
		case <-inputEnd:
			inputEnd, inputOver = nil, true
			expired = nil
			if n.wait > 0 && !n.o.listen {
				arm(n.wait)
			}
		case <-peerEnd:
			peerEnd, peerOver = nil, true
			if !inputOver {
				arm(quiet)
			}
		case <-heard:
			if inputOver && expired != nil {
				arm(n.wait)
			}
		case <-spoken:
			if peerOver && !inputOver {
				arm(quiet)
			}
		}
	}
}

func (n *ncPump) result(err error) error {
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrClosed) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if n.failed.Load() {
		return &silentError{exitFailed}
	}
	return nil
}

// poke notes that something happened, without waiting for anyone.
func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// send passes on standard input, a read at a time.
func (n *ncPump) send(spoken chan<- struct{}, end chan<- struct{}) {
	buf := make([]byte, control.MaxFrame)
	if n.o.udp {
		buf = buf[:maxDatagram]
	}
	for {
		k, err := n.cli.in.Read(buf)
		if k > 0 {
			if n.sess.Send(control.FrameData, buf[:k]) != nil {
				return
			}
			poke(spoken)
		}
		if err != nil {
			n.sess.Send(control.FrameEnd, nil)
			close(end)
			return
		}
	}
}

// maxDatagram is the most that a UDP datagram carries in bytes.
const maxDatagram = 65507

// receive prints what the peer sends until the connection is over.
func (n *ncPump) receive(heard chan<- struct{}, peerEnd chan<- struct{}) error {
	ended := false
	for {
		f, err := n.sess.Receive()
		if err != nil {
			return err
		}
		switch f.Type {
		case control.FrameData:
			if _, err := n.cli.out.Write(f.Payload); err != nil {
				return err
			}
			poke(heard)
		case control.FrameEnd:
			if !ended && !n.o.keep {
				ended = true
				close(peerEnd)
			}
		case control.FrameClosed:
			if !n.o.keep {
				return nil
			}
		case control.FramePeer:
			var e control.Endpoints
			if json.Unmarshal(f.Payload, &e) == nil && n.o.verbose {
				fmt.Fprintf(n.cli.err, "nc: %s connected to %s\n", e.Local, e.Remote)
			}
		case control.FrameError:
			var e control.SessionError
			if err := json.Unmarshal(f.Payload, &e); err != nil {
				return fmt.Errorf("nc: answer of the host: %w", err)
			}
			n.failed.Store(true)
			fmt.Fprintf(n.cli.err, "nc: %s\n", capital(e.Text))
			// An error that comes back for a datagram does not end the socket.
			if !n.o.keep && (!n.o.udp || e.Send) {
				return nil
			}
		}
	}
}
