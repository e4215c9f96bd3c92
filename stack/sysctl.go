package stack

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/ipv4/icmp"
	"github.com/tapstack/tapstack/ipv4/igmp"
	"github.com/tapstack/tapstack/ipv4/tcp"
	"github.com/tapstack/tapstack/stack/devconf"
)

// Sysctl reads the value that Linux calls name, for instance
// net.ipv4.conf.all.arp_ignore or net.ipv4.neigh.tap0.retrans_time_ms. As with
// sysctl(8), names may use '/' for '.', which interface names with dots need.
// The error is ENOENT when there is no such value here.
func (h *Host) Sysctl(name string) (string, error) {
	k, err := h.sysctl(name)
	if err != nil {
		return "", err
	}
	return k.get()
}

// SetSysctl writes the value that Linux calls name. The errors are ENOENT, and
// EINVAL for a value that is no number or out of range.
func (h *Host) SetSysctl(name, value string) error {
	k, err := h.sysctl(name)
	if err != nil {
		return err
	}
	return k.set(strings.TrimSpace(value))
}

// SysctlNames returns the full names of all values, sorted.
func (h *Host) SysctlNames() []string {
	var names []string
	devs := []string{"default"}
	for _, i := range h.Interfaces() {
		devs = append(devs, i.name)
	}
	for _, dev := range append([]string{"all"}, devs...) {
		for k := range devconf.NumKeys {
			names = append(names, "net.ipv4.conf."+dev+"."+k.String())
		}
	}
	for _, dev := range devs {
		for _, n := range h.neighbours.SysctlNames(dev) {
			names = append(names, "net.ipv4.neigh."+dev+"."+n)
		}
	}
	for _, o := range h.sysctlOwners() {
		for _, n := range o.names {
			names = append(names, o.dir+n)
		}
	}
	slices.Sort(names)
	return names
}

// sysctlOwner is a layer that keeps values of the host as a whole.
type sysctlOwner struct {
	dir   string   // "net.ipv4."
	names []string // below it
	value func(name string) value
}

// sysctlOwners are the layers: what one of them exposes is there by its names.
func (h *Host) sysctlOwners() []sysctlOwner {
	return []sysctlOwner{
		{"net.ipv4.", []string{"ip_forward"}, func(string) value { return h.confValue(devconf.All, devconf.Forwarding) }},
		{"net.ipv4.", []string{"ip_local_port_range"}, func(string) value { return value{h.portRange, h.setPortRange} }},
		numbers("net.ipv4.", ipv4.SysctlNames(), h.ip.Sysctl, h.ip.SetSysctl),
		numbers("net.ipv4.", icmp.SysctlNames(), h.icmp.Sysctl, h.icmp.SetSysctl),
		numbers("net.ipv4.", igmp.SysctlNames(), h.igmp.Sysctl, h.igmp.SetSysctl),
		{"net.ipv4.", tcp.SysctlNames(), func(n string) value {
			return value{func() (string, error) { return h.tcp.Sysctl(n) }, func(v string) error { return h.tcp.SetSysctl(n, v) }}
		}},
	}
}

// firstUserPort is where ports begin that sockets may get without asking (Linux's
// ip_unprivileged_port_start).
const firstUserPort = 1024

// portRange returns the ports for sockets that ask for none.
func (h *Host) portRange() (string, error) {
	first, last := h.tcp.PortRange()
	return fmt.Sprintf("%d\t%d", first, last), nil
}

// setPortRange sets them: the first, or the first and the last.
func (h *Host) setPortRange(s string) error {
	first, last := h.tcp.PortRange()
	bad := fmt.Errorf("stack: sysctl ip_local_port_range=%s: want two ports from %d on: %w", s, firstUserPort, syscall.EINVAL)
	words := strings.Fields(s)
	if len(words) == 0 {
		return bad
	}
	for i, p := range []*uint16{&first, &last} {
		if i >= len(words) {
			break
		}
		v, err := strconv.ParseUint(words[i], 0, 16)
		if err != nil {
			return bad
		}
		*p = uint16(v)
	}
	if first < firstUserPort || last < first {
		return bad
	}
	h.tcp.SetPortRange(first, last)
	h.udp.SetPortRange(first, last)
	return nil
}

// numbers is an owner whose values are all integers.
func numbers(dir string, names []string, get func(string) (int, error), set func(string, int) error) sysctlOwner {
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == "ip_forward" })
	return sysctlOwner{dir, names, func(name string) value { return number(name, get, set) }}
}

// value is one sysctl, found.
type value struct {
	get func() (string, error)
	set func(string) error
}

func (h *Host) sysctl(name string) (value, error) {
	path := splitSysctl(name)
	if len(path) == 5 && path[0] == "net" && path[1] == "ipv4" {
		dev, n := path[3], path[4]
		switch path[2] {
		case "conf":
			k, ok := devconf.Lookup(n)
			if scope, known := h.confScope(dev); ok && known {
				return h.confValue(scope, k), nil
			}
		case "neigh":
			if (dev == "default" || h.Interface(dev) != nil) && slices.Contains(h.neighbours.SysctlNames(dev), n) {
				return value{
					get: func() (string, error) { return h.neighbours.Sysctl(dev, n) },
					set: func(s string) error { return h.neighbours.SetSysctl(dev, n, decimal(s)) },
				}, nil
			}
		}
	}
	full := strings.Join(path, ".")
	for _, o := range h.sysctlOwners() {
		if n, ok := strings.CutPrefix(full, o.dir); ok && slices.Contains(o.names, n) {
			return o.value(n), nil
		}
	}
	return value{}, fmt.Errorf("stack: cannot stat /proc/sys/%s: %w", strings.Join(path, "/"), syscall.ENOENT)
}

// firstWord returns what Linux takes for a single integer: what comes behind it is
// for values that there are not.
func firstWord(s string) string {
	if f := strings.Fields(s); len(f) > 0 {
		return f[0]
	}
	return ""
}

// decimal returns an integer, which may be written in the ways of C, in the usual one.
func decimal(s string) string {
	if v, err := strconv.ParseInt(firstWord(s), 0, 64); err == nil {
		return strconv.FormatInt(v, 10)
	}
	return s
}

// splitSysctl splits a name at its separator: the first of '.' and '/' that
// occurs, as sysctl(8) does. With '/' as separator a '.' is part of a name, with
// '.' a '/' stands for one.
func splitSysctl(name string) []string {
	name = strings.TrimPrefix(name, "/proc/sys/")
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '/' {
		return strings.Split(name, "/")
	}
	path := strings.Split(name, ".")
	for n := range path {
		path[n] = strings.ReplaceAll(path[n], "/", ".")
	}
	return path
}

func (h *Host) confScope(name string) (int, bool) {
	switch name {
	case "all":
		return devconf.All, true
	case "default":
		return devconf.Default, true
	}
	if i := h.Interface(name); i != nil {
		return i.index, true
	}
	return 0, false
}

// number is a value that a layer keeps as an integer.
func number(name string, get func(string) (int, error), set func(string, int) error) value {
	return value{
		get: func() (string, error) {
			v, err := get(name)
			return strconv.Itoa(v), err
		},
		set: func(s string) error {
			v, err := strconv.ParseInt(firstWord(s), 0, 32)
			if err != nil {
				return fmt.Errorf("stack: sysctl %s=%s: want an integer of 32 bits: %w", name, s, syscall.EINVAL)
			}
			return set(name, int(v))
		},
	}
}

func (h *Host) confValue(scope int, k devconf.Key) value {
	return number(k.String(), func(string) (int, error) {
		v, ok := h.conf.Get(scope, k)
		if !ok {
			return 0, syscall.ENODEV
		}
		return v, nil
	}, func(_ string, v int) error {
		if !h.conf.Set(scope, k, int32(v)) {
			return syscall.ENODEV
		}
		return nil
	})
}
