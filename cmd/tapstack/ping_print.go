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
	name  string // of dst, as it was given; "" for an address
	src   string // of -I, "" without
	dev   bool   // -I named a device
	size  int
	quiet bool
	stamp bool // -D

	flood       bool
	adaptive    bool // -A, or no interval
	outstanding bool // -O
	audible     bool
	broadcast   bool
	options     bool // -R or -T: the header is 40 bytes longer
	pattern     []byte

	start, last                  time.Time
	sent, received, dups, errors int
	pipe                         int
	min, max, sum                time.Duration
	squares                      float64 // of µs
	average                      int64   // µs, eight times
	timed                        bool
	route                        []byte               // that was printed last
	answered                     [1 << 16 / 64]uint64 // sequence numbers, of the last 65536
}

// timestampLen is what ping(8) needs of the data to measure times.
const timestampLen = 16

// target is how the destination was given.
func (p *pingReport) target() string {
	if p.name != "" {
		return p.name
	}
	return p.dst.String()
}

// header is the first line, and that of -p before it.
func (p *pingReport) header(ev control.PingEvent) string {
	var b bytes.Buffer
	if len(p.pattern) > 0 && !p.quiet {
		fmt.Fprintf(&b, "PATTERN: 0x%x\n", p.pattern)
	}
	if ev.Dst.IsValid() {
		p.dst = ev.Dst
	}
	fmt.Fprintf(&b, "PING %s (%s) ", p.target(), p.dst)
	switch {
	case p.dev:
		fmt.Fprintf(&b, "from %s %s: ", ev.Src, p.src)
	case p.src != "":
		fmt.Fprintf(&b, "from %s : ", ev.Src)
	}
	headers := 28
	if p.options {
		headers += 40
	}
	fmt.Fprintf(&b, "%d(%d) bytes of data.\n", p.size, p.size+headers)
	return b.String()
}

// event returns the lines about ev for standard output and standard error.
func (p *pingReport) event(ev control.PingEvent, now time.Time) (out, errs string) {
	stamp := ""
	if p.stamp {
		stamp = fmt.Sprintf("[%d.%06d] ", now.Unix(), now.Nanosecond()/1000)
	}
	switch ev.Kind {
	case control.PingStart:
		if ev.Broadcast {
			errs = "WARNING: pinging broadcast address\n"
		}
		return p.header(ev), errs
	case control.PingSent:
		missing := p.outstanding && p.sent > 0 && !p.wasAnswered(p.sent)
		before := p.sent
		p.request(ev.Seq, now)
		switch {
		case p.quiet:
		case missing:
			out = fmt.Sprintf("%sno answer yet for icmp_seq=%d\n", stamp, before&0xffff)
		}
		if p.flood && !p.quiet {
			out += "."
		}
		return out, ""
	case control.PingSendError:
		p.request(ev.Seq, now)
		if ev.MTU != 0 {
			p.errors++
			p.acknowledge(ev.Seq)
			errs = fmt.Sprintf("ping: local error: message too long, mtu=%d\n", ev.MTU)
		} else {
			errs = "ping: sendmsg: " + capital(ev.Error) + "\n"
		}
		switch {
		case p.quiet:
			return "", ""
		case p.flood:
			return "E", ""
		}
		return "", errs
	case control.PingError:
		p.errors++
		p.acknowledge(ev.Seq)
		switch {
		case p.quiet:
			return "", ""
		case p.flood:
			return "\bE", ""
		}
		return fmt.Sprintf("%sFrom %s icmp_seq=%d %s\n", stamp, from(ev), ev.Seq&0xffff, icmpError(ev)), ""
	case control.PingReply:
		p.reply(ev)
		bell := ""
		if p.audible {
			bell = "\a"
		}
		switch {
		case p.quiet:
			return "", ""
		case p.flood:
			return "\b \b" + bell, ""
		}
		return stamp + p.replyLine(ev, bell), ""
	}
	return "", ""
}

// from is who answered, with its name if that is known.
func from(ev control.PingEvent) string {
	if ev.Name != "" {
		return fmt.Sprintf("%s (%s)", ev.Name, ev.From)
	}
	return ev.From.String()
}

// replyLine is what is printed of an answer.
func (p *pingReport) replyLine(ev control.PingEvent, bell string) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d bytes from %s: icmp_seq=%d ttl=%d", ev.Bytes, from(ev), ev.Seq&0xffff, ev.TTL)
	if ev.Bytes < p.size+8 {
		b.WriteString(" (truncated)\n")
		return b.String()
	}
	if p.size >= timestampLen {
		fmt.Fprintf(&b, " time=%s ms", milliseconds(ev.RTT))
	}
	if ev.Dup {
		b.WriteString(" (DUP!)")
	}
	if ev.From != p.dst && !p.broadcast && !p.dst.IsMulticast() {
		b.WriteString(" (DIFFERENT ADDRESS!)")
	}
	p.damage(&b, ev.Data)
	b.WriteString(bell)
	p.ipOptions(&b, ev.Opts)
	b.WriteByte('\n')
	return b.String()
}

// damage tells where data differ from what was sent. The first bytes hold
// ping(8)'s timestamp, which it does not compare.
func (p *pingReport) damage(b *bytes.Buffer, data []byte) {
	for i := timestampLen; i < min(len(data), p.size); i++ {
		want := byte(i)
		if len(p.pattern) > 0 {
			want = p.pattern[i%len(p.pattern)]
		}
		if data[i] == want {
			continue
		}
		fmt.Fprintf(b, "\nwrong data byte #%d should be 0x%x but was 0x%x", i, want, data[i])
		for j := timestampLen; j < min(len(data), p.size); j++ {
			if j%32 == timestampLen {
				fmt.Fprintf(b, "\n#%d\t", j)
			}
			fmt.Fprintf(b, "%x ", data[j])
		}
		return
	}
}

// request notes that a request was made. The time of the statistics is that
// between the first and the last.
func (p *pingReport) request(seq int, now time.Time) {
	if p.sent == 0 {
		p.start = now
	}
	p.sent, p.last = seq, now
	p.answered[seq&0xffff/64] &^= 1 << (seq % 64)
}

func (p *pingReport) wasAnswered(seq int) bool { return p.answered[seq&0xffff/64]&(1<<(seq%64)) != 0 }

func (p *pingReport) reply(ev control.PingEvent) {
	p.acknowledge(ev.Seq)
	p.answered[ev.Seq&0xffff/64] |= 1 << (ev.Seq % 64)
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
	if p.average == 0 {
		p.average = 8 * ev.RTT.Microseconds()
	} else {
		p.average += ev.RTT.Microseconds() - p.average/8
	}
}

// acknowledge notes how many requests were on their way when seq was answered.
func (p *pingReport) acknowledge(seq int) { p.pipe = max(p.pipe, p.sent-seq+1) }

// summary is the block of statistics at the end.
func (p *pingReport) summary() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "\n--- %s ping statistics ---\n%d packets transmitted, %d received", p.target(), p.sent, p.received)
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
		comma = ", "
	}
	if p.received > 0 && (p.flood || p.adaptive) && p.sent > 1 {
		between := p.last.Sub(p.start) / time.Duration(p.sent-1)
		fmt.Fprintf(&b, "%sipg/ewma %s/%s ms", comma, thousandths(between), thousandths(time.Duration(p.average/8)*time.Microsecond))
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
		return fmt.Sprintf("Parameter problem: pointer = %d", ev.Info)
	case ev.Type == 4:
		return "Source Quench"
	}
	return fmt.Sprintf("Bad ICMP type: %d", ev.Type)
}
