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
	for _, n := range slices.Concat(icmp.SysctlNames(), igmp.SysctlNames(), ipv4.SysctlNames()) {
		names = append(names, "net.ipv4."+n)
	}
	slices.Sort(names)
	return names
}

// value is one sysctl, found.
type value struct {
	get func() (string, error)
	set func(string) error
}

func (h *Host) sysctl(name string) (value, error) {
	unknown := fmt.Errorf("stack: cannot stat /proc/sys/%s: %w", strings.ReplaceAll(name, ".", "/"), syscall.ENOENT)
	path := splitSysctl(name)
	if len(path) < 3 || path[0] != "net" || path[1] != "ipv4" {
		return value{}, unknown
	}
	switch path = path[2:]; {
	case len(path) == 3 && path[0] == "conf":
		k, ok := devconf.Lookup(path[2])
		scope, known := h.confScope(path[1])
		if !ok || !known {
			return value{}, unknown
		}
		return h.confValue(scope, k), nil
	case len(path) == 3 && path[0] == "neigh":
		dev, n := path[1], path[2]
		if dev != "default" && h.Interface(dev) == nil || !slices.Contains(h.neighbours.SysctlNames(dev), n) {
			return value{}, unknown
		}
		return value{
			get: func() (string, error) { return h.neighbours.Sysctl(dev, n) },
			set: func(s string) error { return h.neighbours.SetSysctl(dev, n, s) },
		}, nil
	case len(path) == 1 && path[0] == "ip_forward":
		return h.confValue(devconf.All, devconf.Forwarding), nil
	case len(path) == 1 && slices.Contains(icmp.SysctlNames(), path[0]):
		return number(path[0], h.icmp.Sysctl, h.icmp.SetSysctl), nil
	case len(path) == 1 && slices.Contains(igmp.SysctlNames(), path[0]):
		return number(path[0], h.igmp.Sysctl, h.igmp.SetSysctl), nil
	case len(path) == 1 && slices.Contains(ipv4.SysctlNames(), path[0]):
		return number(path[0], h.ip.Sysctl, h.ip.SetSysctl), nil
	}
	return value{}, unknown
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
			v, err := strconv.ParseInt(s, 0, 32)
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
