package main

import (
	"bytes"
	"fmt"
	"time"

	"github.com/tapstack/tapstack/stack/control"
)

// printNeighbours prints entries as `ip neigh show` does. With a filter on the
// device the device is not repeated.
func printNeighbours(o options, list []control.Neighbour, hideDev bool) []byte {
	if o.json {
		j := jsonWriter{pretty: o.pretty}
		j.openArray()
		for _, n := range list {
			jsonNeighbour(&j, o, n, hideDev)
		}
		j.closeArray()
		return j.finish()
	}
	var b bytes.Buffer
	for _, n := range list {
		textNeighbour(&b, o, n, hideDev)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func textNeighbour(b *bytes.Buffer, o options, n control.Neighbour, hideDev bool) {
	if o.brief {
		fmt.Fprintf(b, "%-39s ", n.Dst)
		if !hideDev {
			fmt.Fprintf(b, "%-16s ", n.Dev)
		}
		b.WriteString(n.LLAddr)
		return
	}
	fmt.Fprintf(b, "%s ", n.Dst)
	if !hideDev && n.Dev != "" {
		fmt.Fprintf(b, "dev %s ", n.Dev)
	}
	if n.LLAddr != "" {
		fmt.Fprintf(b, "lladdr %s ", n.LLAddr)
	}
	for _, f := range neighFlags(n) {
		b.WriteString(f + " ")
	}
	if o.stats > 0 && !n.Proxy {
		if n.RefCnt > 0 {
			fmt.Fprintf(b, " ref %d", n.RefCnt)
		}
		// There is no blank before "probes" in iproute2's format either.
		fmt.Fprintf(b, " used %d/%d/%dprobes %d ", n.Used, n.Confirmed, n.Updated, n.Probes)
	}
	if n.State != "" && n.State != "NONE" {
		b.WriteString(n.State + " ")
	}
	if n.Protocol != 0 {
		fmt.Fprintf(b, "proto %s ", protocolName(n.Protocol))
	}
}

// neighFlags returns the words for the flags, in iproute2's order.
func neighFlags(n control.Neighbour) (list []string) {
	for _, f := range []struct {
		on   bool
		word string
	}{{n.Router, "router"}, {n.Proxy, "proxy"}, {n.Managed, "managed"}, {n.ExternLearn, "extern_learn"}, {n.ExtValid, "extern_valid"}} {
		if f.on {
			list = append(list, f.word)
		}
	}
	return list
}

func jsonNeighbour(j *jsonWriter, o options, n control.Neighbour, hideDev bool) {
	j.openObject()
	j.text("dst", n.Dst.String())
	if !hideDev && n.Dev != "" {
		j.text("dev", n.Dev)
	}
	if n.LLAddr != "" {
		j.text("lladdr", n.LLAddr)
	}
	if !o.brief {
		for _, f := range neighFlags(n) {
			j.null(f)
		}
		if o.stats > 0 && !n.Proxy {
			if n.RefCnt > 0 {
				j.number("refcnt", int64(n.RefCnt))
			}
			j.number("used", int64(n.Used))
			j.number("confirmed", int64(n.Confirmed))
			j.number("updated", int64(n.Updated))
			j.number("probes", int64(n.Probes))
		}
		if n.State != "" && n.State != "NONE" {
			j.array("state", []string{n.State})
		}
		if n.Protocol != 0 {
			j.text("protocol", protocolName(n.Protocol))
		}
	}
	j.closeObject()
}

// eventTime is the form of a timestamp before an event.
const eventTime = "2006-01-02T15:04:05.000000"

// longTime is the form of a timestamp on its own line; microseconds follow.
const longTime = "Mon Jan _2 15:04:05 2006"

// stampEvent prints what stands before an event.
func stampEvent(b *bytes.Buffer, o options, missed uint64, t time.Time) {
	if missed > 0 {
		fmt.Fprintf(b, "missed %d events\n", missed)
	}
	switch t = t.Local(); {
	case o.shortStamp:
		fmt.Fprintf(b, "[%s] ", t.Format(eventTime))
	case o.stamp:
		fmt.Fprintf(b, "Timestamp: %s %d usec\n", t.Format(longTime), t.Nanosecond()/1000)
	}
}

// printEvent prints an event as `ip monitor neigh` does, or, of those that Linux
// announces to nobody, what happened and why.
func printEvent(o options, ev control.Event, all bool) []byte {
	var b bytes.Buffer
	o.shortStamp = o.shortStamp || all
	stampEvent(&b, o, ev.Missed, ev.Time)
	if all {
		textChange(&b, ev)
		return append(b.Bytes(), '\n')
	}
	switch ev.Announced {
	case "RTM_DELNEIGH":
		b.WriteString("Deleted ")
	case "RTM_GETNEIGH":
		b.WriteString("miss ")
	}
	textNeighbour(&b, o, ev.Neighbour, false)
	return append(b.Bytes(), '\n')
}

// textChange says what happened to an entry, and why.
func textChange(b *bytes.Buffer, ev control.Event) {
	n := ev.Neighbour
	fmt.Fprintf(b, "%s dev %s ", n.Dst, n.Dev)
	switch ev.Kind {
	case "changed":
		fmt.Fprintf(b, "%s -> %s", ev.From, ev.To)
	case "created", "removed":
		fmt.Fprintf(b, "%s in %s", ev.Kind, ev.To)
	case "solicited", "miss":
		fmt.Fprintf(b, "%s in %s, probe %d", ev.Kind, ev.To, ev.Count)
	default:
		fmt.Fprintf(b, "%s in %s, packets %d", ev.Kind, ev.To, ev.Count)
	}
	if n.LLAddr != "" {
		fmt.Fprintf(b, " lladdr %s", n.LLAddr)
	}
	fmt.Fprintf(b, " by %s", ev.Cause)
	if ev.Detail != "" {
		fmt.Fprintf(b, " (%s)", ev.Detail)
	}
	if ev.Announced != "" {
		fmt.Fprintf(b, " %s", ev.Announced)
	}
}
