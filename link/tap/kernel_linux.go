package tap

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// SetUp brings the kernel's interface with the given name up or down, in the
// caller's network namespace. The error wraps an errno.
func SetUp(name string, up bool) error {
	return withDevice(name, func(nl *rtnl, d device) error { return nl.setUp(d.index, up) })
}

// AddAddress gives the kernel's interface with the given name an IPv4 address,
// in the caller's network namespace. It is no error when the interface has it.
// The error wraps an errno.
func AddAddress(name string, p netip.Prefix) error {
	if !p.IsValid() || !p.Addr().Is4() {
		return fmt.Errorf("tap: %s is no IPv4 address with a prefix length: %w", p, unix.EINVAL)
	}
	return withDevice(name, func(nl *rtnl, d device) error {
		if err := nl.addAddress(d.index, p); err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
		return nil
	})
}

func withDevice(name string, f func(*rtnl, device) error) error {
	nl, err := openRTNL()
	if err != nil {
		return err
	}
	defer nl.close()
	d, err := nl.device(name)
	if err == nil {
		err = f(nl, d)
	}
	if err != nil {
		return fmt.Errorf("tap: configuring %s: %w", name, err)
	}
	return nil
}
