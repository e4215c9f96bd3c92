package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tapstack/tapstack/cmd/tapstack/internal/service"
	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/tap"
	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack"
	"github.com/tapstack/tapstack/stack/control"
)

// hostConfig is what a host is run with.
type hostConfig struct {
	links    []linkSpec
	routes   []control.Route
	sysctls  []control.Sysctl
	services []string
	dns      []netip.Addr
	control  string // path of the socket, "" for none
	log      *slog.Logger
}

// runFlags are the flags of run.
type runFlags struct {
	links, routes, sysctls, services []string
	dns                              []string
	logLevel, logFormat              string
	config                           string // file with the same settings
}

func (c *cli) runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run a virtual host until it is interrupted",
		Long: `Run a virtual host on one or more TAP devices, until SIGINT or SIGTERM.

Without --link there is one TAP, tap0: 10.0.0.1/24 on the kernel's side, and
10.0.0.2/24 on the host's. A device that exists is attached, and left as it was; one
that does not is created, brought up, and removed at the end.

--link name=NAME[,mac=MAC][,addr=ADDR/LEN]...[,peer=ADDR/LEN][,mtu=N][,queues=N][,offload=auto|on|off][,gro=on|off]
  name     of the kernel's device and of the host's interface
  mac      the host's own; random when left out
  addr     the host's addresses; none when left out; dhcp: from a DHCP server, with
           routes and name servers
  peer     an address for the kernel's side
  queues   of the device, each with a processor to itself; flows are spread over them
  offload  off: frames of at most the MTU, with complete checksums, for tools that
           look at them; on: fail where the kernel lacks something; auto: with what
           it has
  gro      off: received TCP segments are not put together

--config FILE is YAML with the keys links, routes, sysctls, services, dns, control,
log_level and log_format. A link or a route is what its flag takes, or a mapping:

  links:
    - name: t0
      addr: [10.1.0.2/24, 10.1.0.3/24]
      peer: 10.1.0.1/24
  routes:
    - {dst: 0.0.0.0/0, via: 10.1.0.1}
  sysctls:
    net.ipv4.conf.t0.arp_ignore: 1
  services: [http, echo]

A flag takes the place of its key; --sysctl is set after the file's. Unknown keys
are refused.

One processor is left to the other side of the TAPs; the environment variable
GOMAXPROCS says otherwise.`,
		Example: `  sudo tapstack run
  sudo tapstack run --link name=t0,addr=10.1.0.2/24,peer=10.1.0.1/24 --route 0.0.0.0/0,via=10.1.0.1
  sudo tapstack run --link name=t0,addr=10.1.0.1/24 --link name=t1,addr=10.2.0.1/24 --sysctl net.ipv4.ip_forward=1
  sudo tapstack run --config host.yaml --log-level debug`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("run takes no arguments, only flags; see `tapstack run --help`")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.configure(cmd.Flags(), &f); err != nil {
				return err
			}
			cfg, err := c.hostConfig(f)
			if err != nil {
				return err
			}
			return c.runHost(cmd.Context(), cfg)
		},
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringArrayVar(&f.links, "link", nil, "a TAP, see above; may repeat")
	fl.StringArrayVar(&f.routes, "route", nil, "PREFIX,via=ADDR[,dev=NAME][,src=ADDR][,metric=N]; may repeat")
	fl.StringArrayVar(&f.sysctls, "sysctl", nil, "KEY=VALUE, set before the links get their addresses; may repeat")
	fl.StringArrayVar(&f.services, "service", nil, "http, echo, discard, chargen or none; may repeat (default http,echo)")
	fl.StringArrayVar(&f.dns, "dns", nil, "address of a name server, besides those of DHCP; may repeat")
	fl.StringVar(&f.config, "config", "", "YAML file with these settings, see above; what the flags say goes before")
	fl.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	fl.StringVar(&f.logFormat, "log-format", "text", "text or json")
	return cmd
}

// hostConfig reads the flags.
func (c *cli) hostConfig(f runFlags) (cfg hostConfig, err error) {
	cfg.control = c.control
	if cfg.log, err = c.logger(f.logLevel, f.logFormat); err != nil {
		return cfg, err
	}
	if cfg.links, err = parseEach(f.links, parseLink); err != nil {
		return cfg, err
	}
	if len(cfg.links) == 0 {
		cfg.links = []linkSpec{defaultLink()}
	}
	names := map[string]bool{}
	for _, l := range cfg.links {
		if names[l.name] {
			return cfg, usage("--link name=%s is given twice", l.name)
		}
		names[l.name] = true
	}
	if cfg.routes, err = parseEach(f.routes, parseRouteFlag); err != nil {
		return cfg, err
	}
	for _, r := range cfg.routes {
		if r.Dev != "" && r.Dev != "lo" && !names[r.Dev] {
			return cfg, usage("--route %s,dev=%s: there is no --link with that name", r.Dst, r.Dev)
		}
	}
	if cfg.sysctls, err = parseEach(f.sysctls, parseSysctlFlag); err != nil {
		return cfg, err
	}
	if cfg.dns, err = parseEach(f.dns, parseNameServer); err != nil {
		return cfg, err
	}
	if len(f.services) == 0 {
		f.services = []string{"http,echo"}
	}
	if cfg.services, err = service.Parse(f.services); err != nil {
		return cfg, usage("--service: %v", err)
	}
	return cfg, nil
}

func parseEach[T any](values []string, parse func(string) (T, error)) (list []T, err error) {
	for _, s := range values {
		v, err := parse(s)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func (c *cli) logger(level, format string) (*slog.Logger, error) {
	var l slog.Level
	switch level {
	case "debug", "info", "warn", "error":
		if err := l.UnmarshalText([]byte(level)); err != nil {
			return nil, err
		}
	default:
		return nil, usage("--log-level %s: want debug, info, warn or error", level)
	}
	switch o := (&slog.HandlerOptions{Level: l}); format {
	case "text":
		return slog.New(slog.NewTextHandler(c.err, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(c.err, o)), nil
	}
	return nil, usage("--log-format %s: want text or json", format)
}

// runHost runs a host until ctx ends.
func (c *cli) runHost(ctx context.Context, cfg hostConfig) (err error) {
	// The socket comes first: of two hosts at one path the second must not touch
	// any device. Nobody is answered before everything is up.
	l, err := control.Listen(cfg.control)
	if err != nil {
		return err
	}
	defer l.Close()
	leaveProcessor()
	h, err := startHost(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()

	leases := newLeases(h.Host, cfg.log)
	srv := control.New(h.Host, control.Config{
		Version: version(), Path: cfg.control, Services: cfg.services, Logger: cfg.log, OpenLink: openLink, StartDHCP: leases.start, StopDHCP: leases.stop,
	})
	leases.changed = srv.AddressesChanged
	defer leases.close()          // before the host ends: addresses are given back
	served := make(chan error, 1) // it returns after Close, and nobody waits for it
	go func() { served <- srv.Serve(l) }()
	defer srv.Close()
	for _, l := range cfg.links {
		if l.dhcp {
			if err := leases.start(l.name); err != nil {
				return fmt.Errorf("--link name=%s,addr=dhcp: %w", l.name, err)
			}
		}
	}
	leases.wait(ctx)
	fmt.Fprint(c.out, h.ready(cfg))
	select {
	case <-ctx.Done():
		return nil
	case err := <-served:
		return fmt.Errorf("control socket %s: %w", cfg.control, err)
	}
}

// runningHost is a host with its devices and services.
type runningHost struct {
	*stack.Host
	services *service.Group
}

// startHost brings a host up: its links, parameters, addresses, routes and
// services, in this order. When it fails nothing is left.
func startHost(cfg hostConfig) (_ *runningHost, err error) {
	name, err := os.Hostname()
	if err != nil {
		name = "host"
	}
	host, err := stack.New(stack.Config{
		Name:   "tapstack@" + name,
		Logger: cfg.log,
		// A kernel has been up for long when somebody looks at it; this host is
		// looked at from its first second.
		Switches: neighbour.Switches{EarlyGC: true},
	})
	if err != nil {
		return nil, err
	}
	h := &runningHost{Host: host}
	defer func() {
		if err != nil {
			h.Close()
		}
	}()
	for _, l := range cfg.links {
		dev, err := tap.Open(tap.Config{Name: l.name, Addr: l.mac, MTU: l.mtu, Peer: l.peer, Offload: offloads[l.offload], Queues: l.queues})
		if err != nil {
			return nil, err
		}
		if why := dev.Missing(); why != nil {
			cfg.log.Warn("slower than it could be", "link", l.name, "err", why)
		}
		if _, err := h.AddInterface(stack.InterfaceConfig{Name: l.name, Device: dev, NoGRO: l.noGRO}); err != nil {
			return nil, err
		}
	}
	// As on Linux, where they are set before addresses are assigned: from then on
	// defaults no longer reach an interface.
	for _, v := range cfg.sysctls {
		if err := h.SetSysctl(v.Name, v.Value); err != nil {
			return nil, fmt.Errorf("--sysctl: %w", err)
		}
	}
	if len(cfg.dns) > 0 {
		h.SetDNS("run", stack.DNS{Servers: cfg.dns})
	}
	for _, l := range cfg.links {
		for _, a := range l.addrs {
			if err := h.AddAddress(l.name, ipv4.Address{Prefix: a}); err != nil {
				return nil, fmt.Errorf("--link name=%s,addr=%s: %w", l.name, a, err)
			}
		}
	}
	for _, r := range cfg.routes {
		x := ipv4.Route{Dst: r.Dst, Gateway: r.Gateway, Src: r.PrefSrc, Metric: r.Metric, Protocol: ipv4.OriginBoot}
		if i := h.Interface(r.Dev); i != nil {
			x.Interface = i.Index()
		}
		if err := h.IPv4().AddRoute(x); err != nil {
			return nil, fmt.Errorf("--route %s: %w", r.Dst, err)
		}
	}
	h.services, err = service.Start(service.Config{Network: host, Names: cfg.services, Page: h.page, Logger: cfg.log})
	return h, err
}

// parseNameServer reads a value of --dns.
func parseNameServer(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() || a.IsUnspecified() || a.IsMulticast() {
		return a, usage("--dns %s: want the IPv4 address of a name server", s)
	}
	return a, nil
}

// openLink opens the TAP of a `link add`.
func openLink(l control.LinkRequest) (link.Device, error) {
	dev, err := tap.Open(tap.Config{Name: l.Name, Addr: l.Address, MTU: l.MTU, Peer: l.Peer})
	if err != nil {
		return nil, err // and no *tap.Device that is nil
	}
	return dev, nil
}

// Close ends the services and the host.
func (h *runningHost) Close() error {
	var err error
	if h.services != nil {
		err = h.services.Close()
	}
	return errors.Join(err, h.Host.Close())
}

// page is what the host's front page tells.
func (h *runningHost) page() service.Page {
	p := service.Page{Name: h.Name()}
	for _, i := range h.Interfaces() {
		l := service.PageLink{Name: i.Name(), Addr: i.Addr().String()}
		for _, a := range h.IPv4().Addresses(i.Index()) {
			l.IPs = append(l.IPs, a.Prefix.String())
		}
		p.Links = append(p.Links, l)
	}
	for e := range h.Neighbours().All() {
		n := service.PageNeighbour{IP: e.IP.String(), Dev: e.InterfaceName, State: e.State.String()}
		if e.State.Valid() {
			n.LLAddr = e.LLAddr.String()
		}
		p.Neighbours = append(p.Neighbours, n)
	}
	return p
}

// ready is the line that says so, and what to try next.
func (h *runningHost) ready(cfg hostConfig) string {
	var links, try []string
	var first, peer netip.Addr
	for _, l := range cfg.links {
		var s strings.Builder
		fmt.Fprintf(&s, "%s %s", l.name, h.Interface(l.name).Addr())
		for _, a := range h.IPv4().Addresses(h.Interface(l.name).Index()) {
			s.WriteString(" " + a.Prefix.String())
			if !first.IsValid() {
				first, peer = a.Addr(), l.peer.Addr()
			}
		}
		if l.dhcp && len(h.IPv4().Addresses(h.Interface(l.name).Index())) == 0 {
			s.WriteString(" (no DHCP server yet)")
		}
		links = append(links, s.String())
	}
	ready := "ready: " + strings.Join(links, ", ") + ", control " + cfg.control + "\n"
	if !first.IsValid() {
		return ready
	}
	try = append(try, "ping -c 3 "+first.String())
	for _, s := range cfg.services {
		if s == "http" {
			try = append(try, "curl http://"+first.String()+"/")
		}
	}
	if peer.IsValid() {
		try = append(try, "tapstack ping -c 3 "+peer.String())
	}
	return ready + "try: " + strings.Join(append(try, "tapstack neigh"), " · ") + "\n"
}
