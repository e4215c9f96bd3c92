package neighbour

import "time"

// Params are the tunables of one interface, or the defaults for interfaces to
// come: net.ipv4.neigh.<dev>.*. The fields carry their sysctl's name.
type Params struct {
	BaseReachableTime   time.Duration // base_reachable_time: mean lifetime of REACHABLE
	RetransTime         time.Duration // retrans_time: between two requests; less than 10 ms counts as 10 ms
	DelayFirstProbeTime time.Duration // delay_first_probe_time: length of DELAY
	IntervalProbeTime   time.Duration // interval_probe_time_ms: between uses of managed entries; only the default's acts
	GCStaleTime         time.Duration // gc_stale_time: age at which an unused entry may be collected
	LockTime            time.Duration // locktime: how long a fresh mapping resists a different one
	ProxyDelay          time.Duration // proxy_delay: longest wait before answering for another host
	AnycastDelay        time.Duration // anycast_delay: no effect for ARP
	UcastProbes         int           // ucast_solicit: unicast requests in PROBE
	McastProbes         int           // mcast_solicit: broadcast requests in INCOMPLETE
	McastReprobes       int           // mcast_resolicit: broadcast requests in PROBE after the unicast ones
	AppProbes           int           // app_solicit: probes left to user space before broadcasting
	UnresQueueBytes     int           // unres_qlen_bytes: cost of the packets that may wait in one entry
	ProxyQueueLen       int           // proxy_qlen: delayed proxy requests per interface
}

// DefaultParams returns Linux's defaults; the constants of RFC 4861 section 10
// are among them.
func DefaultParams() Params {
	return Params{
		BaseReachableTime:   30 * time.Second,
		RetransTime:         time.Second,
		DelayFirstProbeTime: 5 * time.Second,
		IntervalProbeTime:   5 * time.Second,
		GCStaleTime:         60 * time.Second,
		LockTime:            time.Second,
		ProxyDelay:          800 * time.Millisecond,
		AnycastDelay:        time.Second,
		UcastProbes:         3,
		McastProbes:         3,
		UnresQueueBytes:     212992,
		ProxyQueueLen:       64,
	}
}

// Limits are the table's garbage collection thresholds, in entries.
type Limits struct {
	Thresh1  int           // gc_thresh1: below it nothing is collected periodically
	Thresh2  int           // gc_thresh2: above it old entries make room for new ones
	Thresh3  int           // gc_thresh3: collectable entries there may be
	Interval time.Duration // gc_interval: kept, and without effect, as in Linux
}

// DefaultLimits returns Linux's defaults: 128, 512 and 1024 entries.
func DefaultLimits() Limits {
	return Limits{Thresh1: 128, Thresh2: 512, Thresh3: 1024, Interval: 30 * time.Second}
}
