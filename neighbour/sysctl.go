package neighbour

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// The bits of block.written; paired names have one.
const (
	bitBaseReachable uint32 = 1 << iota
	bitRetrans
	bitDelay
	bitInterval
	bitGCStale
	bitLock
	bitProxyDelay
	bitAnycast
	bitUcast
	bitMcast
	bitMcastResolicit
	bitApp
	bitUnresQueue
	bitProxyQueue
)

// fullFrame is the truesize of a full Ethernet frame in Linux, by which
// unres_qlen counts packets.
const fullFrame = 2090

// userHz is the unit of Linux's values in hundredths of a second.
const userHz = 10 * time.Millisecond

// knob is one sysctl: a view of one value of Params, or of Limits.
type knob struct {
	name     string
	bit      uint32
	min, max int64
	unit     int64 // of the value: nanoseconds, bytes or one
	duration func(*Params) *time.Duration
	count    func(*Params) *int
	limit    func(*Limits) *int // under "default" only
}

const (
	minInt = math.MinInt32
	maxInt = math.MaxInt32
)

func baseReachable(p *Params) *time.Duration { return &p.BaseReachableTime }
func retrans(p *Params) *time.Duration       { return &p.RetransTime }
func unresQueue(p *Params) *int              { return &p.UnresQueueBytes }

// knobs are the sysctls, by name.
var knobs = [...]knob{
	{name: "anycast_delay", bit: bitAnycast, min: minInt, max: maxInt, unit: int64(userHz), duration: func(p *Params) *time.Duration { return &p.AnycastDelay }},
	{name: "app_solicit", bit: bitApp, max: maxInt, unit: 1, count: func(p *Params) *int { return &p.AppProbes }},
	{name: "base_reachable_time", bit: bitBaseReachable, min: minInt, max: maxInt, unit: int64(time.Second), duration: baseReachable},
	{name: "base_reachable_time_ms", bit: bitBaseReachable, max: maxInt, unit: int64(time.Millisecond), duration: baseReachable},
	{name: "delay_first_probe_time", bit: bitDelay, min: minInt, max: maxInt, unit: int64(time.Second), duration: func(p *Params) *time.Duration { return &p.DelayFirstProbeTime }},
	{name: "gc_stale_time", bit: bitGCStale, min: minInt, max: maxInt, unit: int64(time.Second), duration: func(p *Params) *time.Duration { return &p.GCStaleTime }},
	{name: "interval_probe_time_ms", bit: bitInterval, min: 1, max: maxInt, unit: int64(time.Millisecond), duration: func(p *Params) *time.Duration { return &p.IntervalProbeTime }},
	{name: "locktime", bit: bitLock, min: minInt, max: maxInt, unit: int64(userHz), duration: func(p *Params) *time.Duration { return &p.LockTime }},
	{name: "mcast_resolicit", bit: bitMcastResolicit, max: maxInt, unit: 1, count: func(p *Params) *int { return &p.McastReprobes }},
	{name: "mcast_solicit", bit: bitMcast, max: maxInt, unit: 1, count: func(p *Params) *int { return &p.McastProbes }},
	{name: "proxy_delay", bit: bitProxyDelay, min: minInt, max: maxInt, unit: int64(userHz), duration: func(p *Params) *time.Duration { return &p.ProxyDelay }},
	{name: "proxy_qlen", bit: bitProxyQueue, max: maxInt, unit: 1, count: func(p *Params) *int { return &p.ProxyQueueLen }},
	{name: "retrans_time", bit: bitRetrans, min: minInt, max: maxInt, unit: int64(userHz), duration: retrans},
	{name: "retrans_time_ms", bit: bitRetrans, max: maxInt, unit: int64(time.Millisecond), duration: retrans},
	{name: "ucast_solicit", bit: bitUcast, max: maxInt, unit: 1, count: func(p *Params) *int { return &p.UcastProbes }},
	{name: "unres_qlen", bit: bitUnresQueue, max: maxInt / fullFrame, unit: fullFrame, count: unresQueue},
	{name: "unres_qlen_bytes", bit: bitUnresQueue, max: maxInt, unit: 1, count: unresQueue},
	{name: "gc_interval", min: minInt, max: maxInt, unit: int64(time.Second)},
	{name: "gc_thresh1", max: maxInt, unit: 1, limit: func(l *Limits) *int { return &l.Thresh1 }},
	{name: "gc_thresh2", max: maxInt, unit: 1, limit: func(l *Limits) *int { return &l.Thresh2 }},
	{name: "gc_thresh3", max: maxInt, unit: 1, limit: func(l *Limits) *int { return &l.Thresh3 }},
}

func (k *knob) tableWide() bool { return k.duration == nil && k.count == nil }

func (k *knob) read(p *Params, l *Limits) int64 {
	switch {
	case k.duration != nil:
		return int64(*k.duration(p)) / k.unit
	case k.count != nil:
		return int64(*k.count(p)) / k.unit
	case k.limit != nil:
		return int64(*k.limit(l)) / k.unit
	}
	return int64(l.Interval) / k.unit
}

func (k *knob) write(p *Params, l *Limits, v int64) {
	v *= k.unit
	switch {
	case k.duration != nil:
		*k.duration(p) = time.Duration(v)
	case k.count != nil:
		*k.count(p) = int(v)
	case k.limit != nil:
		*k.limit(l) = int(v)
	default:
		l.Interval = time.Duration(v)
	}
}

const defaultBlock = "default"

// findKnob returns a sysctl and the block of dev.
func (t *Table) findKnob(dev, name string) (*knob, *block, error) {
	iface := 0
	if dev != defaultBlock {
		for _, i := range *t.ifaces.Load() {
			if i.name == dev {
				iface = i.index
			}
		}
		if iface == 0 {
			return nil, nil, fmt.Errorf("neighbour: sysctl net.ipv4.neigh.%s.%s: %w", dev, name, ErrNoInterface)
		}
	}
	for i := range knobs {
		if k := &knobs[i]; k.name == name && (iface == 0 || !k.tableWide()) {
			if b := t.blocks.find(iface); b != nil {
				return k, b, nil
			}
		}
	}
	return nil, nil, fmt.Errorf("neighbour: sysctl net.ipv4.neigh.%s.%s: %w", dev, name, ErrNoSysctl)
}

// Sysctl returns the value of net.ipv4.neigh.<dev>.<name>, in the unit that
// Linux has for the name; dev is an interface's name or "default". The error is
// ErrNoInterface or ErrNoSysctl.
func (t *Table) Sysctl(dev, name string) (string, error) {
	k, b, err := t.findKnob(dev, name)
	if err != nil {
		return "", err
	}
	return strconv.FormatInt(k.read(&b.load().Params, t.limits.Load()), 10), nil
}

// SetSysctl writes net.ipv4.neigh.<dev>.<name>. A value of the default block
// reaches the interfaces on which it was never set, unless they have an address.
// Entries take note at their next evaluation; no running timer moves. The error
// is ErrNoInterface, ErrNoSysctl or ErrRange.
func (t *Table) SetSysctl(dev, name, value string) error {
	k, b, err := t.findKnob(dev, name)
	if err != nil {
		return err
	}
	v, err := strconv.ParseInt(value, 10, 64)
	if err != nil || v < k.min || v > k.max {
		return fmt.Errorf("neighbour: sysctl net.ipv4.neigh.%s.%s=%s: want an integer from %d to %d: %w", dev, name, value, k.min, k.max, ErrRange)
	}
	if !k.tableWide() {
		t.writeBlock(b, k.bit, func(p *Params) { k.write(p, nil, v) })
		return nil
	}
	t.changeLimits(func(l *Limits) { k.write(nil, l, v) })
	return nil
}

// writeBlock changes one value of a block. The periodic run that used the old
// value comes first.
func (t *Table) writeBlock(b *block, bit uint32, set func(*Params)) {
	now := t.now()
	t.periodic.catchUp(now)
	t.managed.schedule.catchUp(now)
	t.blocks.write(b, bit, bit == bitBaseReachable, set)
}

func (t *Table) changeLimits(change func(*Limits)) {
	for {
		old := t.limits.Load()
		l := *old
		change(&l)
		if t.limits.CompareAndSwap(old, &l) {
			return
		}
	}
}

// SysctlNames returns the names that Sysctl knows for dev, in order.
func (t *Table) SysctlNames(dev string) []string {
	var names []string
	for i := range knobs {
		if k := &knobs[i]; dev == defaultBlock || !k.tableWide() {
			names = append(names, k.name)
		}
	}
	return names
}

// Params returns an interface's parameters; index 0 is the default block. The
// error is ErrNoInterface.
func (t *Table) Params(iface int) (Params, error) {
	b := t.blocks.find(iface)
	if b == nil {
		return Params{}, ErrNoInterface
	}
	return b.load().Params, nil
}

// SetParams replaces an interface's parameters, with the effect of SetSysctl for
// each value that differs; index 0 is the default block. The error is
// ErrNoInterface, or ErrRange for a value that is negative where Linux takes
// none; nothing has changed then.
func (t *Table) SetParams(iface int, p Params) error {
	b := t.blocks.find(iface)
	if b == nil {
		return ErrNoInterface
	}
	old := b.load().Params
	for i := range knobs {
		k := &knobs[i]
		if k.tableWide() || k.read(&p, nil) >= k.min && k.read(&p, nil) <= k.max {
			continue
		}
		return fmt.Errorf("neighbour: %s: want from %d to %d, have %d: %w", k.name, k.min, k.max, k.read(&p, nil), ErrRange)
	}
	var done uint32
	for i := range knobs {
		k := &knobs[i]
		if k.tableWide() || done&k.bit != 0 {
			continue
		}
		done |= k.bit
		if k.duration != nil && *k.duration(&p) != *k.duration(&old) {
			t.writeBlock(b, k.bit, func(to *Params) { *k.duration(to) = *k.duration(&p) })
		}
		if k.count != nil && *k.count(&p) != *k.count(&old) {
			t.writeBlock(b, k.bit, func(to *Params) { *k.count(to) = *k.count(&p) })
		}
	}
	return nil
}

// ReachableTime returns an interface's current random reachable_time; index 0 is
// the default block. The error is ErrNoInterface.
func (t *Table) ReachableTime(iface int) (time.Duration, error) {
	t.periodic.catchUp(t.now())
	b := t.blocks.find(iface)
	if b == nil {
		return 0, ErrNoInterface
	}
	return b.load().reachable, nil
}

// Limits returns the table's thresholds.
func (t *Table) Limits() Limits { return *t.limits.Load() }

// SetLimits replaces the table's thresholds. They act at the next creation or
// periodic run.
func (t *Table) SetLimits(l Limits) { t.changeLimits(func(to *Limits) { *to = l }) }
