package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/control"
)

// arpingReport turns what happens to an arping into iputils' words.
type arpingReport struct {
	dst   netip.Addr
	quiet bool

	src                             netip.Addr
	lladdr                          link.Addr
	sent, sentBroadcast             int
	received, requests, toEverybody int
}

// event returns the lines about ev.
func (a *arpingReport) event(ev control.ArpingEvent) string {
	var b bytes.Buffer
	switch ev.Kind {
	case control.ArpingStart:
		a.src, a.lladdr = ev.Src, ev.LLAddr
		fmt.Fprintf(&b, "ARPING %s from %s %s\n", a.dst, ev.Src, ev.Dev)
	case control.ArpingSent:
		a.sent++
		if ev.Broadcast {
			a.sentBroadcast++
		}
	case control.ArpingReply:
		a.reply(&b, ev)
	}
	if a.quiet {
		return ""
	}
	return b.String()
}

func (a *arpingReport) reply(b *bytes.Buffer, ev control.ArpingEvent) {
	a.received++
	how, what := "Unicast", "reply"
	if ev.Broadcast {
		how = "Broadcast"
		a.toEverybody++
	}
	if ev.Request {
		what = "request"
		a.requests++
	}
	fmt.Fprintf(b, "%s %s from %s [%s] ", how, what, ev.Src, upper(ev.LLAddr))
	forUs := ev.For == a.src
	if !forUs {
		fmt.Fprintf(b, "for %s ", ev.For)
	}
	if ev.ForLLAddr != a.lladdr {
		if forUs {
			b.WriteString("for ")
		}
		fmt.Fprintf(b, "[%s]", upper(ev.ForLLAddr))
	}
	fmt.Fprintf(b, " %sms\n", thousandths(ev.RTT))
}

func upper(a link.Addr) string { return strings.ToUpper(a.String()) }

// summary is what is printed at the end.
func (a *arpingReport) summary() string {
	if a.quiet {
		return ""
	}
	var kinds []string
	if a.requests > 0 {
		kinds = append(kinds, fmt.Sprintf("%d request(s)", a.requests))
	}
	if a.toEverybody > 0 {
		kinds = append(kinds, fmt.Sprintf("%d broadcast(s)", a.toEverybody))
	}
	of := ""
	if len(kinds) > 0 {
		of = " (" + strings.Join(kinds, ", ") + ")"
	}
	return fmt.Sprintf("Sent %d probes (%d broadcast(s))\nReceived %d response(s)%s\n", a.sent, a.sentBroadcast, a.received, of)
}

// code is the exit code.
func (a *arpingReport) code(r control.ArpingRequest) int {
	failed := a.received == 0
	switch {
	case r.Mode == control.ArpingDAD:
		failed = a.received > 0
	case r.Mode == control.ArpingAnnounce || r.Mode == control.ArpingAnswer:
		failed = false
	case r.Count > 0 && r.Deadline > 0:
		failed = a.received < r.Count
	}
	if failed {
		return exitFailed
	}
	return exitDone
}
