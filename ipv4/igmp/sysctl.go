package igmp

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/stack/devconf"
)

// sysctls are net.ipv4.igmp_* but for the limits of sockets, which are ipv4's.
type sysctls struct {
	robustness atomic.Int64
	linkLocal  atomic.Int64 // groups in 224.0.0.0/24 are reported too
}

func (s *sysctls) reset() {
	s.robustness.Store(2)
	s.linkLocal.Store(1)
}

func (s *sysctls) sysctl(name string) (v *atomic.Int64, low, high int64) {
	switch name {
	case "igmp_qrv":
		return &s.robustness, 1, 1<<31 - 1
	case "igmp_link_local_mcast_reports":
		return &s.linkLocal, 0, 255
	}
	return nil, 0, 0
}

// SetSysctl sets net.ipv4.<name>, one of SysctlNames. The error is ENOENT, or
// EINVAL out of range.
func (pr *Protocol) SetSysctl(name string, value int) error {
	v, low, high := pr.sysctls.sysctl(name)
	if v == nil {
		return fmt.Errorf("igmp: no setting net.ipv4.%s: %w", name, syscall.ENOENT)
	}
	if int64(value) < low || int64(value) > high {
		return fmt.Errorf("igmp: net.ipv4.%s = %d, want %d to %d: %w", name, value, low, high, syscall.EINVAL)
	}
	v.Store(int64(value))
	return nil
}

// Sysctl returns net.ipv4.<name>. The error is ENOENT.
func (pr *Protocol) Sysctl(name string) (int, error) {
	v, _, _ := pr.sysctls.sysctl(name)
	if v == nil {
		return 0, fmt.Errorf("igmp: no setting net.ipv4.%s: %w", name, syscall.ENOENT)
	}
	return int(v.Load()), nil
}

// SysctlNames returns the names that SetSysctl knows.
func SysctlNames() []string { return []string{"igmp_qrv", "igmp_link_local_mcast_reports"} }

// settings returns those of an interface.
func (pr *Protocol) settings(i *ipv4.Interface) *settings {
	conf := i.Conf()
	return &settings{
		v1:         conf.Either(devconf.ForceIGMPVersion, 1),
		v2:         conf.Either(devconf.ForceIGMPVersion, 2),
		v2Interval: time.Duration(conf.Own(devconf.IGMPv2UnsolicitedReportInterval)) * time.Millisecond,
		v3Interval: time.Duration(conf.Own(devconf.IGMPv3UnsolicitedReportInterval)) * time.Millisecond,
		robustness: int(pr.sysctls.robustness.Load()),
		linkLocal:  pr.sysctls.linkLocal.Load() != 0,
	}
}
