package icmp

import (
	"fmt"
	"sync/atomic"
	"syscall"
)

// sysctls are net.ipv4.icmp_*.
type sysctls struct {
	echoIgnoreAll        atomic.Int64 // bool
	echoIgnoreBroadcasts atomic.Int64 // bool; timestamps too
	ratelimit            atomic.Int64 // milliseconds between messages to a host, 0: no limit
	ratemask             atomic.Int64 // types that are limited, a bit each
	msgsPerSec           atomic.Int64 // messages a second to all hosts
	msgsBurst            atomic.Int64 // messages at once to all hosts
	useInbound           atomic.Int64 // errors come from the address of the interface that received
}

func (s *sysctls) reset() {
	s.echoIgnoreBroadcasts.Store(1)
	s.ratelimit.Store(1000)
	s.ratemask.Store(0x1818) // unreachable, source quench, time exceeded, parameter problem
	s.msgsPerSec.Store(1000)
	s.msgsBurst.Store(50)
}

func (s *sysctls) sysctl(name string) (v *atomic.Int64, high int64) {
	const most = 1<<31 - 1
	switch name {
	case "icmp_echo_ignore_all":
		return &s.echoIgnoreAll, 1
	case "icmp_echo_ignore_broadcasts":
		return &s.echoIgnoreBroadcasts, 1
	case "icmp_ratelimit":
		return &s.ratelimit, most
	case "icmp_ratemask":
		return &s.ratemask, 1<<32 - 1
	case "icmp_msgs_per_sec":
		return &s.msgsPerSec, most
	case "icmp_msgs_burst":
		return &s.msgsBurst, most
	case "icmp_errors_use_inbound_ifaddr":
		return &s.useInbound, 1
	}
	return nil, 0
}

// SetSysctl sets net.ipv4.<name>, one of SysctlNames. The error is ENOENT, or
// EINVAL out of range.
func (pr *Protocol) SetSysctl(name string, value int) error {
	v, high := pr.sysctls.sysctl(name)
	if v == nil {
		return fmt.Errorf("icmp: no setting net.ipv4.%s: %w", name, syscall.ENOENT)
	}
	if value < 0 || int64(value) > high {
		return fmt.Errorf("icmp: net.ipv4.%s = %d, want 0 to %d: %w", name, value, high, syscall.EINVAL)
	}
	v.Store(int64(value))
	return nil
}

// Sysctl returns net.ipv4.<name>. The error is ENOENT.
func (pr *Protocol) Sysctl(name string) (int, error) {
	v, _ := pr.sysctls.sysctl(name)
	if v == nil {
		return 0, fmt.Errorf("icmp: no setting net.ipv4.%s: %w", name, syscall.ENOENT)
	}
	return int(v.Load()), nil
}

// SysctlNames returns the names that SetSysctl knows.
func SysctlNames() []string {
	return []string{"icmp_echo_ignore_all", "icmp_echo_ignore_broadcasts", "icmp_ratelimit", "icmp_ratemask",
		"icmp_msgs_per_sec", "icmp_msgs_burst", "icmp_errors_use_inbound_ifaddr"}
}
