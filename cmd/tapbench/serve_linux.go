package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/tap"
	"github.com/tapstack/tapstack/stack"
)

// Each device under test is the host hostPrefix, and each client is on the
// kernel's side of its link, which is called deviceName.
const (
	deviceName = "t0"
	farName    = "t1"
	tunPath    = "/dev/net/tun"
)

// benchLink is a link of a device under test: its name at the kernel's side, the
// addresses of both sides and the host's link-layer address.
type benchLink struct {
	name         string
	host, kernel netip.Prefix
	mac          link.Addr
}

// links are those of every device: the first has the services, to the second
// packets are forwarded.
var links = []benchLink{
	{deviceName, hostPrefix, kernelPrefix, hostMAC},
	{farName, netip.MustParsePrefix("10.16.0.2/24"), netip.MustParsePrefix("10.16.0.1/24"), link.Addr{2, 0, 0, 0, 16, 2}},
}

var (
	hostPrefix   = netip.MustParsePrefix("10.9.0.2/15")
	kernelPrefix = netip.MustParsePrefix("10.9.0.1/15")
	hostMAC      = link.Addr{2, 0, 0, 0, 9, 2}
)

// devices are the devices under test: what opens them, in the process and the
// network namespace that they have for themselves.
var devices = map[string]func() (sockets, error){
	tapstack:          func() (sockets, error) { return newTapstackSockets(tap.OffloadAuto) },
	tapstack + "-off": func() (sockets, error) { return newTapstackSockets(tap.OffloadOff) },
	gvisor:            func() (sockets, error) { return newGvisorSockets(false) },
	gvisor + "-stock": func() (sockets, error) { return newGvisorSockets(true) },
	linux:             func() (sockets, error) { return linuxSockets{}, nil },
}

// linux is the kernel's own stack, behind a veth pair.
const linux = "linux"

// serveCommand is what a device under test's process runs.
func serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "serve DUT",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := raiseFileLimit(); err != nil {
				return err
			}
			s, err := devices[args[0]]()
			if err != nil {
				return err
			}
			if err := serve(s); err != nil {
				return err
			}
			if _, err := fmt.Fprintln(c.OutOrStdout(), "ready"); err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, os.Stdin) // until the parent closes it, or ends
			return err
		},
	}
}

// raiseFileLimit makes room for thousands of sockets.
func raiseFileLimit() error {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	const enough = 16 << 10
	l.Cur, l.Max = max(l.Cur, enough), max(l.Max, enough)
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &l)
}

// setUpKernelSide gives the kernel its addresses on the links of the caller's
// namespace.
func setUpKernelSide() error {
	var errs []error
	for _, l := range links {
		errs = append(errs, tap.AddAddress(l.name, l.kernel), tap.SetUp(l.name, true))
	}
	return errors.Join(errs...)
}

// tapstackSockets are those of this project's host.
type tapstackSockets struct{ *stack.Host }

// newTapstackSockets returns a host behind two TAPs, with room for all neighbours
// that a test has: netstack has its limit built in, and the kernel's is the
// machine's.
//
// It leaves a processor to the client, as `tapstack run` does unless GOMAXPROCS is
// set. Netstack hands frames from goroutine to goroutine and is slower that way,
// in most tests by a third or more; it has all processors.
func newTapstackSockets(o tap.Offload) (sockets, error) {
	if n := runtime.GOMAXPROCS(0); n > 1 && os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(n - 1)
	}
	h, err := stack.New(stack.Config{})
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"gc_thresh1", "gc_thresh2", "gc_thresh3"} {
		if err := h.SetSysctl("net.ipv4.neigh.default."+name, "262144"); err != nil {
			return nil, err
		}
	}
	if err := h.SetSysctl("net.ipv4.ip_forward", "1"); err != nil {
		return nil, err
	}
	for _, l := range links {
		d, err := tap.Open(tap.Config{Name: l.name, Addr: l.mac, Peer: l.kernel, Offload: o})
		if err != nil {
			return nil, err
		}
		if _, err := h.AddInterface(stack.InterfaceConfig{Name: l.name, Device: d, Addrs: []netip.Prefix{l.host}}); err != nil {
			return nil, err
		}
	}
	return tapstackSockets{h}, nil
}

func (t tapstackSockets) listen(port int) (net.Listener, error) {
	return t.Listen("tcp4", fmt.Sprintf(":%d", port))
}

func (t tapstackSockets) listenPacket(port int) (net.PacketConn, error) {
	return t.ListenPacket("udp4", fmt.Sprintf(":%d", port))
}

// linuxSockets are those of the kernel, in the namespace of the process.
type linuxSockets struct{}

func (linuxSockets) listen(port int) (net.Listener, error) {
	l := net.ListenConfig{Control: useCubic}
	return l.Listen(context.Background(), "tcp4", fmt.Sprintf(":%d", port))
}

func (linuxSockets) listenPacket(port int) (net.PacketConn, error) {
	return net.ListenPacket("udp4", fmt.Sprintf(":%d", port))
}

// useCubic makes a kernel socket use CUBIC, whatever the machine's default is:
// BBR, for one, paces, and a new namespace has no say in it.
func useCubic(_, _ string, c syscall.RawConn) error {
	var err error
	return errors.Join(c.Control(func(fd uintptr) {
		err = os.NewSyscallError("setsockopt TCP_CONGESTION cubic", unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "cubic"))
	}), err)
}
