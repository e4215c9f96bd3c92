package main

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"time"

	"github.com/tapstack/tapstack/stack/control"
)

// pingReport turns what happens to a ping into iputils' words.
type pingReport struct {
	dst   netip.Addr
	src   string // of -I, "" without
	dev   bool   // -I named a device
	size  int
	quiet bool
	stamp bool // -D

	start, last                  time.Time
	sent, received, dups, errors int
	pipe                         int
	min, max, sum                time.Duration
	squares                      float64 // of µs
	timed                        bool
}

// timestampLen is what ping(8) needs of the data to measure times.
const timestampLen = 16

// header is the first line.
func (p *pingReport) header(src netip.Addr) string {
	from := ""
	switch {
	case p.dev:
		from = fmt.Sprintf("from %s %s: ", src, p.src)
	case p.src != "":
		from = fmt.Sprintf("from %s : ", src)
	}
	return fmt.Sprintf("PING %s (%[1]s) %s%d(%d) bytes of data.\n", p.dst, from, p.size, p.size+28)
}

// event returns the lines about ev for standard output and standard error.
func (p *pingReport) event(ev control.PingEvent, now time.Time) (out, errs string) {
	var b bytes.Buffer
	if p.stamp {
		fmt.Fprintf(&b, "[%d.%06d] ", now.Unix(), now.Nanosecond()/1000)
	}
	switch ev.Kind {
	case control.PingStart:
		return p.header(ev.Src), ""
	case control.PingSent:
		p.request(ev.Seq, now)
		return "", ""
	case control.PingSendError:
		p.request(ev.Seq, now)
		if ev.MTU != 0 {
			p.errors++
			p.acknowledge(ev.Seq)
			return "", fmt.Sprintf("ping: local error: message too long, mtu=%d\n", ev.MTU)
		}
		return "", "ping: sendmsg: " + capital(ev.Error) + "\n"
	case control.PingError:
		p.errors++
		p.acknowledge(ev.Seq)
		fmt.Fprintf(&b, "From %s icmp_seq=%d %s\n", ev.From, ev.Seq&0xffff, icmpError(ev))
	case control.PingReply:
		p.reply(ev)
		fmt.Fprintf(&b, "%d bytes from %s: icmp_seq=%d ttl=%d", ev.Bytes, ev.From, ev.Seq&0xffff, ev.TTL)
		if p.size >= timestampLen {
			fmt.Fprintf(&b, " time=%s ms", milliseconds(ev.RTT))
		}
		if ev.Dup {
			b.WriteString(" (DUP!)")
		}
		b.WriteByte('\n')
	default:
		return "", ""
	}
	if p.quiet {
		return "", ""
	}
	return b.String(), ""
}

// request notes that a request was made. The time of the statistics is that
// between the first and the last.
func (p *pingReport) request(seq int, now time.Time) {
	if p.sent == 0 {
		p.start = now
	}
	p.sent, p.last = seq, now
}

func (p *pingReport) reply(ev control.PingEvent) {
	p.acknowledge(ev.Seq)
	if ev.Dup {
		p.dups++
	} else {
		p.received++
	}
	if p.size < timestampLen {
		return
	}
	if !p.timed || ev.RTT < p.min {
		p.min = ev.RTT
	}
	p.timed = true
	p.max = max(p.max, ev.RTT)
	p.sum += ev.RTT
	us := float64(ev.RTT.Microseconds())
	p.squares += us * us
}

// acknowledge notes how many requests were on their way when seq was answered.
func (p *pingReport) acknowledge(seq int) { p.pipe = max(p.pipe, p.sent-seq+1) }

// summary is the block of statistics at the end.
func (p *pingReport) summary() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "\n--- %s ping statistics ---\n%d packets transmitted, %d received", p.dst, p.sent, p.received)
	if p.dups > 0 {
		fmt.Fprintf(&b, ", +%d duplicates", p.dups)
	}
	if p.errors > 0 {
		fmt.Fprintf(&b, ", +%d errors", p.errors)
	}
	if p.sent > 0 {
		loss := float64(p.sent-p.received) * 100 / float64(p.sent)
		fmt.Fprintf(&b, ", %s%% packet loss, time %dms", strconv.FormatFloat(loss, 'g', 6, 64), p.last.Sub(p.start).Milliseconds())
	}
	b.WriteByte('\n')
	comma := ""
	if p.received > 0 && p.timed {
		n := time.Duration(p.received + p.dups)
		avg := p.sum / n
		mean := float64(avg.Microseconds())
		mdev := time.Duration(math.Sqrt(max(p.squares/float64(n)-mean*mean, 0))) * time.Microsecond
		fmt.Fprintf(&b, "rtt min/avg/max/mdev = %s/%s/%s/%s ms", thousandths(p.min), thousandths(avg), thousandths(p.max), thousandths(mdev))
		comma = ", "
	}
	if p.pipe > 1 {
		fmt.Fprintf(&b, "%spipe %d", comma, p.pipe)
	}
	b.WriteByte('\n')
	return b.String()
}

// code is the exit code: 1 when nothing came back, or not everything in time.
func (p *pingReport) code(count int, deadline bool) int {
	if p.received == 0 || deadline && p.received < count {
		return exitFailed
	}
	return exitDone
}

// milliseconds returns a time with the precision that suits its size.
func milliseconds(d time.Duration) string {
	us := d.Microseconds()
	switch {
	case us >= 99950:
		return strconv.FormatInt((us+500)/1000, 10)
	case us >= 9995:
		return fmt.Sprintf("%d.%d", (us+50)/1000, (us+50)%1000/100)
	case us >= 1000:
		return fmt.Sprintf("%d.%02d", (us+5)/1000, (us+5)%1000/10)
	}
	return thousandths(d)
}

func thousandths(d time.Duration) string {
	us := d.Microseconds()
	return fmt.Sprintf("%d.%03d", us/1000, us%1000)
}

// capital returns an errno's words as C has them.
func capital(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}

// icmpError returns iputils' words for an ICMP error.
func icmpError(ev control.PingEvent) string {
	unreachable := [...]string{
		"Destination Net Unreachable", "Destination Host Unreachable", "Destination Protocol Unreachable", "Destination Port Unreachable",
		"Frag needed and DF set (mtu = " + strconv.Itoa(ev.MTU) + ")", "Source Route Failed", "Destination Net Unknown", "Destination Host Unknown",
		"Source Host Isolated", "Destination Net Prohibited", "Destination Host Prohibited",
		"Destination Net Unreachable for Type of Service", "Destination Host Unreachable for Type of Service",
		"Packet filtered", "Precedence Violation", "Precedence Cutoff",
	}
	switch {
	case ev.Type == 3 && int(ev.Code) < len(unreachable):
		return unreachable[ev.Code]
	case ev.Type == 3:
		return fmt.Sprintf("Dest Unreachable, Bad Code: %d", ev.Code)
	case ev.Type == 11 && ev.Code == 0:
		return "Time to live exceeded"
	case ev.Type == 11 && ev.Code == 1:
		return "Frag reassembly time exceeded"
	case ev.Type == 11:
		return fmt.Sprintf("Time exceeded, Bad Code: %d", ev.Code)
	case ev.Type == 12:
		return "Parameter problem: pointer = 0"
	case ev.Type == 4:
		return "Source Quench"
	}
	return fmt.Sprintf("Bad ICMP type: %d", ev.Type)
}
