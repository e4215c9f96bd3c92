package main

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/tap"
	"github.com/tapstack/tapstack/stack/control"
)

// linkSpec is a value of --link.
type linkSpec struct {
	name    string
	mac     link.Addr // zero: chosen at random
	addrs   []netip.Prefix
	dhcp    bool         // addr=dhcp: a server gives it one
	peer    netip.Prefix // of the kernel's side; invalid: left alone
	mtu     int          // 0: the device's
	queues  int
	offload string // auto, on, off
	noGRO   bool   // gro=off
}

// offloads are the values of offload=.
var offloads = map[string]tap.Offload{"auto": tap.OffloadAuto, "on": tap.OffloadOn, "off": tap.OffloadOff}

// defaultLink is what `run` has without --link.
func defaultLink() linkSpec {
	return linkSpec{
		name: "tap0", queues: 1, offload: "auto",
		addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")}, peer: netip.MustParsePrefix("10.0.0.1/24"),
	}
}

// parseLink reads name=...,mac=...,addr=...: key=value with commas between; addr
// may repeat, and be dhcp.
func parseLink(s string) (linkSpec, error) {
	l := linkSpec{queues: 1, offload: "auto"}
	seen := map[string]bool{}
	noAddr := false
	for part := range strings.SplitSeq(s, ",") {
		key, value, ok := strings.Cut(part, "=")
		if !ok || value == "" {
			return l, usage("--link %s: %q: want key=value with name, mac, addr, peer, mtu, queues, offload or gro", s, part)
		}
		if seen[key] && key != "addr" {
			return l, usage("--link %s: %s is given twice", s, key)
		}
		seen[key] = true
		var err error
		switch key {
		case "name":
			l.name, err = value, deviceName(value)
		case "mac":
			l.mac, err = stationAddr(value)
		case "addr":
			if value == "none" {
				noAddr = true
				continue
			}
			if value == "dhcp" {
				if l.dhcp {
					return l, usage("--link %s: addr=dhcp is given twice", s)
				}
				l.dhcp = true
				continue
			}
			var p netip.Prefix
			if p, err = hostPrefix(value); err == nil {
				l.addrs = append(l.addrs, p)
			}
		case "peer":
			l.peer, err = hostPrefix(value)
		case "mtu":
			l.mtu, err = deviceMTU(value)
		case "queues":
			if l.queues, err = strconv.Atoi(value); err != nil || l.queues < 1 || l.queues > tap.MaxQueues {
				return l, usage("--link %s: queues %q: want 1 to %d", s, value, tap.MaxQueues)
			}
		case "offload":
			l.offload = value
			if _, ok := offloads[value]; !ok {
				return l, usage("--link %s: offload %q: want auto, on or off", s, value)
			}
		case "gro":
			if value != "on" && value != "off" {
				return l, usage("--link %s: gro %q: want on or off", s, value)
			}
			l.noGRO = value == "off"
		default:
			return l, usage("--link %s: there is no key %q: want name, mac, addr, peer, mtu, queues, offload or gro", s, key)
		}
		if err != nil {
			return l, usage("--link %s: %s: %v", s, key, err)
		}
	}
	switch {
	case l.name == "":
		return l, usage("--link %s: want a name, as in name=tap0", s)
	case noAddr && (len(l.addrs) > 0 || l.dhcp):
		return l, usage("--link %s: addr=none and an address exclude each other", s)
	}
	for _, a := range l.addrs {
		if l.peer.IsValid() && a.Addr() == l.peer.Addr() {
			return l, usage("--link %s: addr and peer are both %s: the host and the kernel need an address each", s, a.Addr())
		}
	}
	return l, nil
}

// deviceName judges the name of a device and of its interface.
func deviceName(s string) error {
	if s == "" || len(s) > 15 || s == "." || s == ".." || s == "lo" || s == "all" || s == "default" || strings.ContainsAny(s, "/:% \t\n\v\f\r\x00") {
		return usage("%q: want 1 to 15 characters without '/', ':', '%%' and blanks, and not lo, all or default", s)
	}
	return nil
}

// stationAddr reads a hardware address that an interface can have.
func stationAddr(s string) (link.Addr, error) {
	a, err := parseLLAddr(s)
	if err == nil && (a.IsGroup() || a.IsZero()) {
		err = usage("%s cannot be a station's address: want a unicast one such as 02:00:00:00:00:02", s)
	}
	return a, err
}

func deviceMTU(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < tap.MinMTU || n > tap.MaxMTU {
		return 0, usage("%q: want %d to %d", s, tap.MinMTU, tap.MaxMTU)
	}
	return n, nil
}

// hostPrefix reads an address that a host can have, with its prefix length.
func hostPrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil || !p.Addr().Is4():
		return p, usage("%q: want an IPv4 address with its prefix length, as in 10.0.0.2/24", s)
	case p.Addr().IsUnspecified() || p.Addr().IsMulticast() || p.Addr() == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return p, usage("%q: no host can have that address", s)
	}
	return p, nil
}

// parseRouteFlag reads a value of --route: 0.0.0.0/0,via=10.0.0.1,dev=t0,src=..,metric=...
func parseRouteFlag(s string) (control.Route, error) {
	dst, rest, _ := strings.Cut(s, ",")
	args := []string{dst}
	if rest != "" {
		for part := range strings.SplitSeq(rest, ",") {
			key, value, ok := strings.Cut(part, "=")
			switch {
			case !ok || value == "":
				return control.Route{}, usage("--route %s: %q: want key=value with via, dev, src or metric", s, part)
			case key != "via" && key != "dev" && key != "src" && key != "metric":
				return control.Route{}, usage("--route %s: there is no key %q: want via, dev, src or metric", s, key)
			}
			args = append(args, key, value)
		}
	}
	r, err := parseRoute("--route "+s, args)
	switch {
	case err != nil:
		return r, usage("%v", err)
	case r.Dst != r.Dst.Masked():
		return r, usage("--route %s: invalid argument: the destination has bits behind its length; want %s", s, r.Dst.Masked())
	case !r.Gateway.IsValid() && r.Dev == "":
		return r, usage("--route %s: want via=ADDR or dev=NAME", s)
	}
	return r, nil
}

// parseSysctlFlag reads a value of --sysctl: key=value.
func parseSysctlFlag(s string) (control.Sysctl, error) {
	key, value, ok := strings.Cut(s, "=")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if !ok || key == "" || value == "" {
		return control.Sysctl{}, usage("--sysctl %s: want KEY=VALUE, as in net.ipv4.ip_forward=1", s)
	}
	return control.Sysctl{Name: key, Value: value}, nil
}
