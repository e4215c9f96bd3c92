package main

import (
	"bytes"
	"fmt"
	"net/netip"

	"github.com/tapstack/tapstack/stack/control"
)

// tracerouteReport turns what comes of probes into the words of Linux's
// traceroute(8).
type tracerouteReport struct {
	target string // as it was given
	hops   int
	length int
	names  bool

	last netip.Addr // who answered last, of this hop
}

// event returns what is printed about ev; lines end before the next begins.
func (r *tracerouteReport) event(ev control.TracerouteEvent) string {
	var b bytes.Buffer
	switch ev.Kind {
	case control.TracerouteStart:
		fmt.Fprintf(&b, "traceroute to %s (%s), %d hops max, %d byte packets", r.target, ev.Dst, r.hops, r.length)
	case control.TracerouteProbe:
		if ev.Query == 0 {
			r.last = netip.Addr{}
			fmt.Fprintf(&b, "\n%2d ", ev.Hop)
		}
		if !ev.From.IsValid() {
			b.WriteString(" *")
			break
		}
		if ev.From != r.last {
			r.address(&b, ev)
			r.last = ev.From
		}
		fmt.Fprintf(&b, "  %d.%03d ms", ev.RTT.Microseconds()/1000, ev.RTT.Microseconds()%1000)
		if s := unreachableMark(ev); s != "" {
			b.WriteString(" " + s)
		}
	}
	return b.String()
}

func (r *tracerouteReport) address(b *bytes.Buffer, ev control.TracerouteEvent) {
	switch {
	case !r.names:
		fmt.Fprintf(b, " %s", ev.From)
	case ev.Name == "":
		fmt.Fprintf(b, " %s (%[1]s)", ev.From)
	default:
		fmt.Fprintf(b, " %s (%s)", ev.Name, ev.From)
	}
}

// unreachableMark says why a probe came back from where it was not to end.
func unreachableMark(ev control.TracerouteEvent) string {
	const unreachable, timeExceeded = 3, 11
	switch {
	case ev.Type == 0, ev.Type == timeExceeded && ev.Code == 0:
		return ""
	case ev.Type != unreachable:
		return fmt.Sprintf("!<%d-%d>", ev.Type, ev.Code)
	}
	switch ev.Code {
	case 0, 6, 8, 11:
		return "!N"
	case 1, 7, 12:
		return "!H"
	case 2:
		return "!P"
	case 3: // the destination's port: arrived
		return ""
	case 4:
		return fmt.Sprintf("!F-%d", ev.MTU)
	case 5:
		return "!S"
	case 9, 10, 13:
		return "!X"
	case 14:
		return "!V"
	case 15:
		return "!C"
	}
	return fmt.Sprintf("!<%d>", ev.Code)
}
