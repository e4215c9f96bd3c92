package ipv4

import (
	"fmt"
	"math"
	"sync/atomic"
	"syscall"
	"time"
)

// sysctls are the settings of net.ipv4 that concern IP as a whole.
type sysctls struct {
	defaultTTL     atomic.Int64 // 1..255
	fragTime       atomic.Int64 // seconds
	fragHighThresh atomic.Int64 // bytes of waiting fragments
	fragLowThresh  atomic.Int64 // stored; Linux uses it no more either (since 4.17)
	fragMaxDist    atomic.Int64 // fragments of a source between two of a datagram, 0: any
	// Limits of a socket, here because no transport is IGMP's.
	igmpMaxMemberships atomic.Int64
	igmpMaxMSF         atomic.Int64 // sources in the filter of a membership

	multipathPolicy   atomic.Int64 // what flows are told apart by: 0 addresses, 1 ports as well
	multipathUseNeigh atomic.Int64 // next hops that do not answer are passed over

	noPMTUDisc     atomic.Int64 // how errors about a path's MTU are taken: see fragNeeded
	forwardUsePMTU atomic.Int64 // bool: they limit what is forwarded, too
	minPathMTU     atomic.Int64 // the least that is believed
	mtuExpires     atomic.Int64 // seconds that it is believed (RFC 1191, section 6.3)
}

func (s *sysctls) reset() {
	s.defaultTTL.Store(DefaultTTL)
	s.fragTime.Store(30)
	s.fragHighThresh.Store(4 << 20)
	s.fragLowThresh.Store(3 << 20)
	s.fragMaxDist.Store(64)
	s.minPathMTU.Store(552)
	s.mtuExpires.Store(600)
	s.igmpMaxMemberships.Store(20)
	s.igmpMaxMSF.Store(10)
}

func (s *sysctls) reassemblyTime() time.Duration {
	return time.Duration(s.fragTime.Load()) * time.Second
}

func (s *sysctls) pathMTUTime() time.Duration {
	return time.Duration(s.mtuExpires.Load()) * time.Second
}

// sysctl returns the setting of a name, with its range.
func (s *sysctls) sysctl(name string) (v *atomic.Int64, low, high int64) {
	const (
		most       = 1<<31 - 1
		maxSeconds = most / 250 // Linux counts them in jiffies, of which there are 250 a second
	)
	switch name {
	case "ip_default_ttl":
		return &s.defaultTTL, 1, 255
	case "ipfrag_time":
		return &s.fragTime, -maxSeconds, maxSeconds
	case "ipfrag_high_thresh":
		return &s.fragHighThresh, s.fragLowThresh.Load(), most
	case "ipfrag_low_thresh":
		return &s.fragLowThresh, 0, s.fragHighThresh.Load()
	case "ipfrag_max_dist":
		return &s.fragMaxDist, 0, most
	case "ip_no_pmtu_disc":
		return &s.noPMTUDisc, 0, 255
	case "ip_forward_use_pmtu":
		return &s.forwardUsePMTU, 0, 255
	case "route.min_pmtu":
		return &s.minPathMTU, MinMTU, most
	case "route.mtu_expires":
		return &s.mtuExpires, -maxSeconds, maxSeconds
	case "igmp_max_memberships":
		return &s.igmpMaxMemberships, math.MinInt32, most
	case "igmp_max_msf":
		return &s.igmpMaxMSF, math.MinInt32, most
	case "fib_multipath_hash_policy":
		return &s.multipathPolicy, 0, 1
	case "fib_multipath_use_neigh":
		return &s.multipathUseNeigh, 0, 1
	}
	return nil, 0, 0
}

// SetSysctl sets net.ipv4.<name>: ip_forward, ip_default_ttl, one of
// ipfrag_time (seconds), ipfrag_high_thresh, ipfrag_low_thresh (bytes) and
// ipfrag_max_dist, one of ip_no_pmtu_disc, ip_forward_use_pmtu, route.min_pmtu
// (bytes) and route.mtu_expires (seconds), or one of igmp_max_memberships, igmp_max_msf, fib_multipath_hash_policy
// and fib_multipath_use_neigh. The error is ENOENT, or EINVAL out of range.
func (pr *Protocol) SetSysctl(name string, value int) error {
	if name == "ip_forward" {
		return pr.SetConf("all", "forwarding", value)
	}
	v, low, high := pr.sysctls.sysctl(name)
	if v == nil {
		return fmt.Errorf("ipv4: no setting net.ipv4.%s: %w", name, syscall.ENOENT)
	}
	if int64(value) < low || int64(value) > high {
		return fmt.Errorf("ipv4: net.ipv4.%s = %d, want %d to %d: %w", name, value, low, high, syscall.EINVAL)
	}
	v.Store(int64(value))
	return nil
}

// Sysctl returns net.ipv4.<name>. The error is ENOENT.
func (pr *Protocol) Sysctl(name string) (int, error) {
	if name == "ip_forward" {
		return pr.ConfValue("all", "forwarding")
	}
	v, _, _ := pr.sysctls.sysctl(name)
	if v == nil {
		return 0, fmt.Errorf("ipv4: no setting net.ipv4.%s: %w", name, syscall.ENOENT)
	}
	return int(v.Load()), nil
}

// SysctlNames returns the names that SetSysctl knows.
func SysctlNames() []string {
	return []string{"ip_forward", "ip_default_ttl", "ipfrag_time", "ipfrag_high_thresh", "ipfrag_low_thresh", "ipfrag_max_dist",
		"ip_no_pmtu_disc", "ip_forward_use_pmtu", "route.min_pmtu", "route.mtu_expires",
		"igmp_max_memberships", "igmp_max_msf", "fib_multipath_hash_policy", "fib_multipath_use_neigh"}
}
