package ipv4

// Metric is a number of Metrics, Linux's RTAX_*.
type Metric uint8

// The metrics of a route. MetricMTU limits packets, MetricHopLimit is the TTL of
// those that do not say; the others are for transports, in the units of
// iproute2.
const (
	MetricMTU Metric = iota
	MetricWindow
	MetricRTT
	MetricRTTVar
	MetricSSThresh
	MetricCwnd
	MetricAdvMSS
	MetricReordering
	MetricHopLimit
	MetricInitCwnd
	metricFeatures // not kept
	MetricRTOMin
	MetricInitRwnd
	MetricQuickACK
	NumMetrics
)

// metricNames are iproute2's words.
var metricNames = [NumMetrics]string{
	"mtu", "window", "rtt", "rttvar", "ssthresh", "cwnd", "advmss", "reordering", "hoplimit", "initcwnd", "features", "rto_min", "initrwnd", "quickack",
}

// String returns iproute2's word.
func (m Metric) String() string { return metricNames[m] }

// Metrics are what is said of paths by a route. A value of 0 says nothing.
type Metrics struct {
	Values [NumMetrics]uint32
	// Locked has the bit 1<<m set for a value that is not to be changed by what is
	// learned: with MetricMTU there is no path MTU discovery.
	Locked uint32
}

// clamp limits values as Linux's ip_metrics_convert does.
func (m *Metrics) clamp() {
	v := &m.Values
	v[MetricMTU] = min(v[MetricMTU], MaxPacketLen-15)
	v[MetricAdvMSS] = min(v[MetricAdvMSS], MaxPacketLen-40)
	v[MetricHopLimit] = min(v[MetricHopLimit], 255)
}

// within reports whether what m says o says, too.
func (m *Metrics) within(o *Metrics) bool {
	for n, v := range m.Values {
		if v != 0 && v != o.Values[n] {
			return false
		}
	}
	return m.Locked&o.Locked == m.Locked
}

// Metric returns what the route says of the path, 0 for nothing.
func (p *Path) Metric(m Metric) uint32 {
	if p.metrics == nil {
		return 0
	}
	return p.metrics.Values[m]
}

// MetricLocked reports whether the route wants the value to stay as it is.
func (p *Path) MetricLocked(m Metric) bool { return p.metrics != nil && p.metrics.Locked&(1<<m) != 0 }
