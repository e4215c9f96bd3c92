package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tapstack/tapstack/stack/control"
)

// routeFilter says what `ip route show` was asked for; what is the same in every
// line is not printed.
type routeFilter struct {
	table  string // main, local, default, all, a number
	dev    string
	proto  *uint8
	via    string
	src    netip.Addr
	scope  string
	kind   string
	tos    *uint8
	metric *uint32
	to     func(control.Route) bool
}

// has looks at the only next hop of a route; those that are several pass no filter.
func (f routeFilter) has(r control.Route) bool {
	kind := r.Type
	if kind == "" {
		kind = "unicast"
	}
	return (f.dev == "" || r.Dev == f.dev) && (f.proto == nil || r.Protocol == *f.proto) &&
		(f.via == "" || r.Gateway.String() == f.via) && (!f.src.IsValid() || f.src == r.PrefSrc) &&
		(f.scope == "" || f.scope == r.Scope) && (f.kind == "" || f.kind == kind) && (f.tos == nil || *f.tos == r.TOS) &&
		(f.metric == nil || *f.metric == r.Metric) && (f.to == nil || f.to(r))
}

// dst returns a destination as iproute2 prints it.
func dst(r control.Route) string {
	switch r.Dst.Bits() {
	case 0:
		return "default"
	case 32:
		return r.Dst.Addr().String()
	}
	return r.Dst.String()
}

// printRoutes prints routes as `ip route show` does.
func printRoutes(o options, list []control.Route, f routeFilter) []byte {
	if o.json {
		j := jsonWriter{pretty: o.pretty}
		j.openArray()
		for _, r := range list {
			if f.has(r) {
				jsonRoute(&j, o, r, f)
			}
		}
		j.closeArray()
		return j.finish()
	}
	var b bytes.Buffer
	for _, r := range list {
		if f.has(r) {
			textRoute(&b, o, r, f)
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

// routeField is a part of a route: its name in JSON, the words of the text, and the
// value in JSON.
type routeField struct {
	name, text string
	value      any // string, uint64, or nil for nothing in JSON
}

// routeFields returns what is printed of a route, in iproute2's order; what is
// usual is left out.
func routeFields(o options, r control.Route, f routeFilter) (list []routeField) {
	const boot = 3
	add := func(name, value string) { list = append(list, routeField{name, name + " " + value, value}) }
	switch {
	case r.Type != "":
		list = append(list, routeField{"type", r.Type, r.Type})
	case o.details:
		list = append(list, routeField{"type", "unicast", "unicast"})
	}
	list = append(list, routeField{"dst", dst(r), dst(r)})
	if r.TOS != 0 && f.tos == nil {
		add("tos", tosName(r.TOS))
	}
	if r.Gateway.IsValid() && f.via == "" {
		list = append(list, routeField{"gateway", "via " + r.Gateway.String(), r.Gateway.String()})
	}
	if r.Dev != "" && f.dev == "" {
		add("dev", r.Dev)
	}
	if (f.table == "all" || f.table == "") && (r.Table != "main" || o.details) && r.Table != "" {
		add("table", r.Table)
	}
	if f.proto == nil && r.Protocol != 0 && (o.details || r.Protocol != boot) {
		list = append(list, routeField{"protocol", "proto " + protocolName(r.Protocol), protocolName(r.Protocol)})
	}
	if f.scope == "" && r.Scope != "" && (o.details || r.Scope != "global") {
		add("scope", r.Scope)
	}
	if r.PrefSrc.IsValid() && !f.src.IsValid() {
		list = append(list, routeField{"prefsrc", "src " + r.PrefSrc.String(), r.PrefSrc.String()})
	}
	if r.Metric != 0 && f.metric == nil {
		list = append(list, routeField{"metric", fmt.Sprintf("metric %d", r.Metric), uint64(r.Metric)})
	}
	return list
}

// tosName returns rt_dsfield's name, or a number.
func tosName(t uint8) string {
	if s := dsfields[t]; s != "" {
		return s
	}
	return fmt.Sprintf("0x%02x", t)
}

func textRoute(b *bytes.Buffer, o options, r control.Route, f routeFilter) {
	for _, x := range routeFields(o, r, f) {
		b.WriteString(x.text + " ")
	}
	for _, s := range routeFlags(r.Flags, r.OnLink) {
		b.WriteString(s + " ")
	}
	textMetrics(b, r)
	for _, h := range r.NextHops {
		if o.oneline {
			b.WriteString("\\")
		} else {
			b.WriteByte('\n')
		}
		b.WriteString("\tnexthop ")
		if h.Gateway.IsValid() {
			fmt.Fprintf(b, "via %s ", h.Gateway)
		}
		fmt.Fprintf(b, "dev %s weight %d ", h.Dev, h.Weight)
		for _, s := range routeFlags(h.Flags, h.OnLink) {
			b.WriteString(s + " ")
		}
	}
}

func routeFlags(flags []string, onLink bool) []string {
	if !onLink {
		return flags
	}
	if n := slices.Index(flags, "linkdown"); n >= 0 {
		return slices.Insert(slices.Clone(flags), n, "onlink")
	}
	return append(slices.Clone(flags), "onlink")
}

// metricOrder is the order in which iproute2 prints metrics, Linux's RTAX_*.
var metricOrder = []string{"mtu", "window", "rtt", "rttvar", "ssthresh", "cwnd", "advmss", "reordering", "hoplimit", "initcwnd", "rto_min", "initrwnd", "quickack"}

// metricsOf returns all metrics of a route in that order.
func metricsOf(r control.Route) (list []control.RouteMetric) {
	for _, name := range metricOrder {
		if name == "mtu" && (r.MTU != 0 || r.MTULock) {
			list = append(list, control.RouteMetric{Name: name, Value: uint32(r.MTU), Lock: r.MTULock})
		}
		for _, m := range r.Metrics {
			if m.Name == name {
				list = append(list, m)
			}
		}
	}
	return list
}

// metricTime returns the value of a time in ms, and how it is written; ok is
// false for what is no time.
func metricTime(m control.RouteMetric) (text string, ok bool) {
	v := m.Value
	switch m.Name {
	case "rtt":
		v /= 8
	case "rttvar":
		v /= 4
	case "rto_min":
	default:
		return "", false
	}
	if v >= 1000 {
		return strconv.FormatFloat(float64(v)/1000, 'g', 6, 64) + "s", true
	}
	return strconv.FormatUint(uint64(v), 10) + "ms", true
}

func textMetrics(b *bytes.Buffer, r control.Route) {
	for _, m := range metricsOf(r) {
		b.WriteString(m.Name + " ")
		if m.Lock {
			b.WriteString("lock ")
		}
		if t, ok := metricTime(m); ok {
			b.WriteString(t + " ")
		} else {
			fmt.Fprintf(b, "%d ", m.Value)
		}
	}
}

func jsonRoute(j *jsonWriter, o options, r control.Route, f routeFilter) {
	j.openObject()
	for _, x := range routeFields(o, r, f) {
		switch v := x.value.(type) {
		case string:
			j.text(x.name, v)
		case uint64:
			j.unsigned(x.name, v)
		}
	}
	j.array("flags", routeFlags(r.Flags, r.OnLink))
	jsonMetrics(j, r)
	if r.NextHops != nil {
		j.name("nexthops")
		j.openArray()
		for _, h := range r.NextHops {
			j.openObject()
			if h.Gateway.IsValid() {
				j.text("gateway", h.Gateway.String())
			}
			j.text("dev", h.Dev)
			j.number("weight", int64(h.Weight))
			j.array("flags", routeFlags(h.Flags, h.OnLink))
			j.closeObject()
		}
		j.closeArray()
	}
	j.closeObject()
}

func jsonMetrics(j *jsonWriter, r control.Route) {
	list := metricsOf(r)
	if len(list) == 0 {
		return
	}
	j.name("metrics")
	j.openArray()
	j.openObject()
	for _, m := range list {
		v := m.Value
		switch m.Name {
		case "rtt":
			v /= 8
		case "rttvar":
			v /= 4
		}
		j.unsigned(m.Name, uint64(v))
	}
	j.closeObject()
	j.closeArray()
}

// printRouteEvent prints an event as `ip monitor route` does.
func printRouteEvent(o options, ev control.RouteEvent) []byte {
	var b bytes.Buffer
	if ev.Deleted {
		b.WriteString("Deleted ")
	}
	textRoute(&b, o, ev.Route, routeFilter{})
	return append(b.Bytes(), '\n')
}

// printPath prints one decision as `ip route get` does.
func printPath(o options, r control.Route, q control.RouteQuery) []byte {
	if o.json {
		j := jsonWriter{pretty: o.pretty}
		j.openArray()
		j.openObject()
		if r.Type != "" {
			j.text("type", r.Type)
		}
		j.text("dst", r.Dst.Addr().String())
		if q.From.IsValid() {
			j.text("from", q.From.String())
		}
		if r.TOS != 0 {
			j.text("tos", tosName(r.TOS))
		}
		if r.Gateway.IsValid() {
			j.text("gateway", r.Gateway.String())
		}
		j.text("dev", r.Dev)
		if r.PrefSrc.IsValid() && !q.From.IsValid() {
			j.text("prefsrc", r.PrefSrc.String())
		}
		j.array("flags", nil)
		if q.Iif == "" {
			j.number("uid", 0)
		}
		j.array("cache", cacheFlags(r))
		if r.Expires > 0 {
			j.number("expires", int64(r.Expires))
		}
		jsonMetrics(&j, r)
		if q.Iif != "" {
			j.text("iif", q.Iif)
		}
		j.closeObject()
		j.closeArray()
		return j.finish()
	}
	var b bytes.Buffer
	if r.Type != "" {
		b.WriteString(r.Type + " ")
	}
	fmt.Fprintf(&b, "%s ", r.Dst.Addr())
	if q.From.IsValid() {
		fmt.Fprintf(&b, "from %s ", q.From)
	}
	if r.TOS != 0 {
		fmt.Fprintf(&b, "tos %s ", tosName(r.TOS))
	}
	if r.Gateway.IsValid() {
		fmt.Fprintf(&b, "via %s ", r.Gateway)
	}
	fmt.Fprintf(&b, "dev %s ", r.Dev)
	if r.PrefSrc.IsValid() && !q.From.IsValid() {
		fmt.Fprintf(&b, "src %s ", r.PrefSrc)
	}
	eol := "\n"
	if o.oneline {
		eol = "\\"
	}
	if q.Iif == "" {
		b.WriteString("uid 0 ")
	}
	b.WriteString(eol + "    cache ")
	if flags := cacheFlags(r); len(flags) > 0 {
		fmt.Fprintf(&b, "<%s> ", strings.Join(flags, ","))
	}
	if r.Expires > 0 {
		fmt.Fprintf(&b, "expires %dsec ", r.Expires)
	}
	textMetrics(&b, r)
	if q.Iif != "" {
		fmt.Fprintf(&b, "iif %s ", q.Iif)
	}
	return append(b.Bytes(), '\n')
}

func cacheFlags(r control.Route) []string {
	switch r.Type {
	case "local":
		return []string{"local"}
	case "broadcast":
		return []string{"local", "brd"}
	case "multicast":
		return []string{"mc"}
	}
	if r.Redirected {
		return []string{"redirected"}
	}
	return nil
}
