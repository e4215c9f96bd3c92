package main

import (
	"bytes"
	"fmt"

	"github.com/tapstack/tapstack/stack/control"
)

// routeFilter says what `ip route show` was asked for; what is the same in every
// line is not printed.
type routeFilter struct {
	table string // main, local, all
	dev   string
	proto *uint8
	via   string
	to    func(control.Route) bool
}

func (f routeFilter) has(r control.Route) bool {
	return (f.dev == "" || r.Dev == f.dev) && (f.proto == nil || r.Protocol == *f.proto) &&
		(f.via == "" || r.Gateway.String() == f.via) && (f.to == nil || f.to(r))
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

// shown says which fields of a route are printed: what is usual is left out.
type shown struct{ proto, scope bool }

func (f routeFilter) shows(o options, r control.Route) shown {
	const boot = 3
	return shown{
		proto: f.proto == nil && r.Protocol != 0 && (o.details || r.Protocol != boot),
		scope: o.details && r.Scope != "" || r.Scope != "" && r.Scope != "global",
	}
}

func textRoute(b *bytes.Buffer, o options, r control.Route, f routeFilter) {
	switch {
	case r.Type != "":
		b.WriteString(r.Type + " ")
	case o.details:
		b.WriteString("unicast ")
	}
	b.WriteString(dst(r) + " ")
	if r.Gateway.IsValid() {
		fmt.Fprintf(b, "via %s ", r.Gateway)
	}
	if r.Dev != "" && f.dev == "" {
		fmt.Fprintf(b, "dev %s ", r.Dev)
	}
	if f.table == "all" && r.Table == "local" {
		b.WriteString("table local ")
	}
	show := f.shows(o, r)
	if show.proto {
		fmt.Fprintf(b, "proto %s ", protocolName(r.Protocol))
	}
	if show.scope {
		fmt.Fprintf(b, "scope %s ", r.Scope)
	}
	if r.PrefSrc.IsValid() {
		fmt.Fprintf(b, "src %s ", r.PrefSrc)
	}
	if r.Metric != 0 {
		fmt.Fprintf(b, "metric %d ", r.Metric)
	}
	for _, s := range routeFlags(r) {
		b.WriteString(s + " ")
	}
	if r.MTU != 0 {
		fmt.Fprintf(b, "mtu %d ", r.MTU)
	}
}

func routeFlags(r control.Route) []string {
	flags := append([]string(nil), r.Flags...)
	if r.OnLink {
		flags = append(flags, "onlink")
	}
	return flags
}

func jsonRoute(j *jsonWriter, o options, r control.Route, f routeFilter) {
	j.openObject()
	switch {
	case r.Type != "":
		j.text("type", r.Type)
	case o.details:
		j.text("type", "unicast")
	}
	j.text("dst", dst(r))
	if r.Gateway.IsValid() {
		j.text("gateway", r.Gateway.String())
	}
	if r.Dev != "" && f.dev == "" {
		j.text("dev", r.Dev)
	}
	if f.table == "all" && r.Table == "local" {
		j.text("table", "local")
	}
	show := f.shows(o, r)
	if show.proto {
		j.text("protocol", protocolName(r.Protocol))
	}
	if show.scope {
		j.text("scope", r.Scope)
	}
	if r.PrefSrc.IsValid() {
		j.text("prefsrc", r.PrefSrc.String())
	}
	if r.Metric != 0 {
		j.unsigned("metric", uint64(r.Metric))
	}
	j.array("flags", routeFlags(r))
	jsonMetrics(j, r)
	j.closeObject()
}

func jsonMetrics(j *jsonWriter, r control.Route) {
	if r.MTU == 0 {
		return
	}
	j.name("metrics")
	j.openArray()
	j.openObject()
	j.number("mtu", int64(r.MTU))
	j.closeObject()
	j.closeArray()
}

// printPath prints one decision as `ip route get` does.
func printPath(o options, r control.Route, q control.RouteQuery) []byte {
	local := r.Type == "local" || r.Type == "broadcast" || r.Type == "multicast"
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
		if r.Gateway.IsValid() {
			j.text("gateway", r.Gateway.String())
		}
		j.text("dev", r.Dev)
		if r.PrefSrc.IsValid() && !q.From.IsValid() {
			j.text("prefsrc", r.PrefSrc.String())
		}
		j.array("flags", nil)
		j.number("uid", 0)
		j.array("cache", cacheFlags(r))
		jsonMetrics(&j, r)
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
	fmt.Fprintf(&b, "uid 0 %s    cache ", eol)
	if local {
		b.WriteString("<")
		for i, f := range cacheFlags(r) {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(f)
		}
		b.WriteString("> ")
	}
	if r.MTU != 0 {
		fmt.Fprintf(&b, "mtu %d ", r.MTU)
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
	return nil
}
