package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tapstack/tapstack/stack/control"
)

// forever is what iproute2 prints for an address that does not expire.
const forever = 4294967295

// What every interface of a host has in common, in iproute2's words.
const (
	qdisc   = "noqueue"
	ifGroup = "default"
	txqlen  = 1000
)

// printLinks prints interfaces as `ip link` does, or, with addrs, as `ip -4 addr`
// and `ip addr` do.
func printLinks(o options, list []control.Link, addrs bool) []byte {
	if o.json {
		j := jsonWriter{pretty: o.pretty}
		j.openArray()
		for _, l := range list {
			jsonLink(&j, o, l, addrs)
		}
		j.closeArray()
		return j.finish()
	}
	var b bytes.Buffer
	for _, l := range list {
		switch {
		case o.brief:
			briefLink(&b, l, addrs)
		case o.oneline && addrs:
			for _, a := range l.Addresses {
				fmt.Fprintf(&b, "%d: %s    ", l.Index, l.Name)
				textAddress(&b, l.Name, a, "\\")
				b.WriteByte('\n')
			}
		default:
			textLink(&b, o, l, addrs)
		}
	}
	return b.Bytes()
}

func briefLink(b *bytes.Buffer, l control.Link, addrs bool) {
	fmt.Fprintf(b, "%-16s %-14s ", l.Name, l.OperState)
	if !addrs {
		fmt.Fprintf(b, "%s <%s> \n", l.Address, strings.Join(l.Flags, ","))
		return
	}
	for _, a := range l.Addresses {
		if a.Peer.IsValid() {
			fmt.Fprintf(b, "%s peer ", a.Local)
			a.Local = a.Peer
		}
		fmt.Fprintf(b, "%s/%d ", a.Local, a.PrefixLen)
		if a.Metric != 0 {
			fmt.Fprintf(b, "metric %d ", a.Metric)
		}
	}
	b.WriteByte('\n')
}

func textLink(b *bytes.Buffer, o options, l control.Link, addrs bool) {
	eol := "\n"
	if o.oneline {
		eol = "\\"
	}
	mode := "mode DEFAULT "
	if addrs {
		mode = ""
	}
	fmt.Fprintf(b, "%d: %s: <%s> mtu %d qdisc %s state %s %sgroup %s qlen %d", l.Index, l.Name, strings.Join(l.Flags, ","),
		l.MTU, qdisc, l.OperState, mode, ifGroup, txqlen)
	if !addrs || !o.ipv4 {
		fmt.Fprintf(b, "%s    link/%s %s brd %s", eol, l.Type, l.Address, l.Broadcast)
	}
	if o.details && l.Queues > 1 {
		fmt.Fprintf(b, " numtxqueues %d numrxqueues %[1]d", l.Queues)
	}
	if o.details && l.Offloads != "" {
		fmt.Fprintf(b, "%s    offload %s", eol, l.Offloads)
	}
	if addrs {
		for _, a := range l.Addresses {
			b.WriteString(eol + "    ")
			textAddress(b, l.Name, a, eol)
		}
	}
	if o.stats > 0 {
		fmt.Fprintf(b, "%s    RX:  bytes packets errors dropped  missed   mcast           %s", eol, eol)
		fmt.Fprintf(b, "%14d %7d %6d %7d %7d %7d ", l.Rx.Bytes, l.Rx.Packets, 0, l.Rx.Dropped, 0, l.Rx.Multicast)
		fmt.Fprintf(b, "%s    TX:  bytes packets errors dropped carrier collsns           %s", eol, eol)
		fmt.Fprintf(b, "%14d %7d %6d %7d %7d %7d ", l.Tx.Bytes, l.Tx.Packets, 0, l.Tx.Dropped, 0, 0)
	}
	b.WriteByte('\n')
}

func textAddress(b *bytes.Buffer, dev string, a control.Address, eol string) {
	if a.Peer.IsValid() {
		fmt.Fprintf(b, "inet %s peer %s/%d ", a.Local, a.Peer, a.PrefixLen)
	} else {
		fmt.Fprintf(b, "inet %s/%d ", a.Local, a.PrefixLen)
	}
	if a.Metric != 0 {
		fmt.Fprintf(b, "metric %d ", a.Metric)
	}
	if a.Broadcast.IsValid() {
		fmt.Fprintf(b, "brd %s ", a.Broadcast)
	}
	fmt.Fprintf(b, "scope %s ", a.Scope)
	for _, f := range addressFlags(a) {
		b.WriteString(f + " ")
	}
	fmt.Fprintf(b, "%s%s       valid_lft %s preferred_lft %s", labelOf(a, dev), eol, lifetimeText(a.ValidUntil), lifetimeText(a.PreferredUntil))
}

func labelOf(a control.Address, dev string) string {
	if a.Label != "" {
		return a.Label
	}
	return dev
}

// lifetime returns the seconds until then, forever for never.
func lifetime(until time.Time) int64 {
	if until.IsZero() {
		return forever
	}
	return max(int64(time.Until(until)/time.Second), 0)
}

func lifetimeText(until time.Time) string {
	if n := lifetime(until); n != forever {
		return strconv.FormatInt(n, 10) + "sec"
	}
	return "forever"
}

// addressFlags returns the words for the flags, in iproute2's order.
func addressFlags(a control.Address) (list []string) {
	for _, f := range []struct {
		on   bool
		word string
	}{{a.Secondary, "secondary"}, {a.DADFailed, "dadfailed"}, {a.Deprecated, "deprecated"}, {a.Tentative, "tentative"}, {a.Dynamic, "dynamic"}, {a.NoPrefix, "noprefixroute"}} {
		if f.on {
			list = append(list, f.word)
		}
	}
	return list
}

// printAddressEvent prints an event as `ip monitor address` does.
func printAddressEvent(o options, ev control.AddressEvent) []byte {
	var b bytes.Buffer
	eol := "\n"
	if o.oneline {
		eol = "\\"
	}
	if ev.Deleted {
		b.WriteString("Deleted ")
	}
	fmt.Fprintf(&b, "%d: %s    ", ev.Index, ev.Dev)
	textAddress(&b, ev.Dev, ev.Address, eol)
	return append(b.Bytes(), '\n')
}

// printLinkEvent prints an event as `ip monitor link` does.
func printLinkEvent(o options, ev control.LinkEvent) []byte {
	var b bytes.Buffer
	if ev.Deleted {
		fmt.Fprintf(&b, "Deleted %d: %s: \n", ev.Link.Index, ev.Link.Name)
		return b.Bytes()
	}
	o.stats = 0
	textLink(&b, o, ev.Link, false)
	return b.Bytes()
}

func jsonLink(j *jsonWriter, o options, l control.Link, addrs bool) {
	j.openObject()
	defer j.closeObject()
	if o.brief {
		j.text("ifname", l.Name)
		j.text("operstate", l.OperState)
		if addrs {
			jsonAddresses(j, o, l)
			return
		}
		j.text("address", l.Address)
		j.array("flags", l.Flags)
		return
	}
	j.number("ifindex", int64(l.Index))
	j.text("ifname", l.Name)
	j.array("flags", l.Flags)
	j.number("mtu", int64(l.MTU))
	j.text("qdisc", qdisc)
	j.text("operstate", l.OperState)
	if !addrs {
		j.text("linkmode", "DEFAULT")
	}
	j.text("group", ifGroup)
	j.number("txqlen", txqlen)
	if !addrs || !o.ipv4 {
		j.text("link_type", l.Type)
		j.text("address", l.Address)
		j.text("broadcast", l.Broadcast)
	}
	if o.details && l.Queues > 1 {
		j.number("num_tx_queues", int64(l.Queues))
		j.number("num_rx_queues", int64(l.Queues))
	}
	if o.details && l.Offloads != "" {
		j.array("offload", strings.Fields(l.Offloads))
	}
	if addrs {
		jsonAddresses(j, o, l)
	}
	if o.stats > 0 {
		j.name("stats64")
		j.openObject()
		jsonTraffic(j, "rx", l.Rx, "over_errors", "multicast")
		jsonTraffic(j, "tx", l.Tx, "carrier_errors", "collisions")
		j.closeObject()
	}
}

// jsonTraffic writes a direction's counters; the last two have other names there.
func jsonTraffic(j *jsonWriter, name string, t control.Traffic, fifth, sixth string) {
	j.name(name)
	j.openObject()
	j.unsigned("bytes", t.Bytes)
	j.unsigned("packets", t.Packets)
	j.number("errors", 0)
	j.unsigned("dropped", t.Dropped)
	j.number(fifth, 0)
	j.unsigned(sixth, t.Multicast)
	j.closeObject()
}

func jsonAddresses(j *jsonWriter, o options, l control.Link) {
	j.name("addr_info")
	j.openArray()
	for _, a := range l.Addresses {
		j.openObject()
		if !o.brief {
			j.text("family", "inet")
		}
		j.text("local", a.Local.String())
		if a.Peer.IsValid() {
			j.text("address", a.Peer.String())
		}
		j.number("prefixlen", int64(a.PrefixLen))
		if !o.brief {
			if a.Metric != 0 {
				j.unsigned("metric", uint64(a.Metric))
			}
			if a.Broadcast.IsValid() {
				j.text("broadcast", a.Broadcast.String())
			}
			j.text("scope", a.Scope)
			for _, f := range addressFlags(a) {
				j.yes(f)
			}
			j.text("label", labelOf(a, l.Name))
			j.number("valid_life_time", lifetime(a.ValidUntil))
			j.number("preferred_life_time", lifetime(a.PreferredUntil))
		}
		j.closeObject()
	}
	j.closeArray()
}
