package ipv4

import (
	"fmt"
	"syscall"

	"github.com/tapstack/tapstack/stack/devconf"
)

// Conf returns the interface's net.ipv4.conf settings.
func (i *Interface) Conf() *devconf.Device { return i.conf }

// forwards reports whether packets that the interface receives may be forwarded
// (Linux's IN_DEV_FORWARD).
func (i *Interface) forwards() bool { return i.conf.Own(devconf.Forwarding) != 0 }

// routesLocalnet reports whether 127/8 is an ordinary network on the interface
// (Linux's IN_DEV_ROUTE_LOCALNET).
func (i *Interface) routesLocalnet() bool { return i.conf.Or(devconf.RouteLocalnet) }

// acceptsRedirects follows Linux's IN_DEV_RX_REDIRECTS: a router needs both
// settings, a host one of them.
func (i *Interface) acceptsRedirects() bool {
	if i.forwards() {
		return i.conf.And(devconf.AcceptRedirects)
	}
	return i.conf.Or(devconf.AcceptRedirects)
}

// SetConf sets net.ipv4.conf.<dir>.<name>, where dir is "all", "default" or the
// name of an interface. The error is ENOENT.
func (pr *Protocol) SetConf(dir, name string, value int) error {
	key, scope, err := pr.confKey(dir, name)
	if err == nil && !pr.config.Conf.Set(scope, key, int32(value)) {
		err = fmt.Errorf("ipv4: no interface %q: %w", dir, syscall.ENOENT)
	}
	return err
}

// ConfValue returns net.ipv4.conf.<dir>.<name> as it was stored, not merged. The
// error is ENOENT.
func (pr *Protocol) ConfValue(dir, name string) (int, error) {
	key, scope, err := pr.confKey(dir, name)
	if err != nil {
		return 0, err
	}
	v, ok := pr.config.Conf.Get(scope, key)
	if !ok {
		return 0, fmt.Errorf("ipv4: no interface %q: %w", dir, syscall.ENOENT)
	}
	return v, nil
}

func (pr *Protocol) confKey(dir, name string) (key devconf.Key, scope int, err error) {
	key, ok := devconf.Lookup(name)
	if !ok {
		return 0, 0, fmt.Errorf("ipv4: no setting net.ipv4.conf.*.%s: %w", name, syscall.ENOENT)
	}
	switch dir {
	case "all":
		return key, devconf.All, nil
	case "default":
		return key, devconf.Default, nil
	}
	i := pr.interfaces.Load().byName(dir)
	if i == nil {
		return 0, 0, fmt.Errorf("ipv4: no interface %q: %w", dir, syscall.ENOENT)
	}
	return key, i.Index(), nil
}

// SetForwarding sets net.ipv4.ip_forward, which is conf.all.forwarding.
func (pr *Protocol) SetForwarding(on bool) {
	v := int32(0)
	if on {
		v = 1
	}
	pr.config.Conf.Set(devconf.All, devconf.Forwarding, v)
}

// Forwarding reports whether packets that the interface receives may be
// forwarded. It is false for an unknown interface.
func (pr *Protocol) Forwarding(index int) bool {
	i := pr.Interface(index)
	return i != nil && i.forwards()
}

// RouteLocalnet reports whether 127/8 is an ordinary network on the interface.
func (pr *Protocol) RouteLocalnet(index int) bool {
	i := pr.Interface(index)
	return i != nil && i.routesLocalnet()
}

// AcceptLocal reports whether the interface takes packets from our own
// addresses.
func (pr *Protocol) AcceptLocal(index int) bool {
	i := pr.Interface(index)
	return i != nil && i.conf.Or(devconf.AcceptLocal)
}
