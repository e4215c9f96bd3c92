//go:build !linux

package tap

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"

	"github.com/tapstack/tapstack/link"
)

// Device is an open TAP device; there are none here.
type Device struct{ link.Device }

func unsupported() error {
	return fmt.Errorf("tap: TAP devices need Linux, this is %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// Open returns an error that is errors.ErrUnsupported.
func Open(c Config) (*Device, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if _, err := c.stationAddr(link.Addr{}); err != nil {
		return nil, err
	}
	return nil, unsupported()
}

// Name returns the device's name.
func (d *Device) Name() string { return "" }

// KernelAddr returns the address of the kernel's side.
func (d *Device) KernelAddr() link.Addr { return link.Addr{} }

// Features returns none.
func (d *Device) Features() link.Features { return 0 }

// WhenIdle does nothing.
func (d *Device) WhenIdle(func() bool) bool { return false }

// Missing returns nil.
func (d *Device) Missing() error { return nil }

// SetUp returns an error that is errors.ErrUnsupported.
func SetUp(string, bool) error { return unsupported() }

// AddAddress returns an error that is errors.ErrUnsupported.
func AddAddress(string, netip.Prefix) error { return unsupported() }
