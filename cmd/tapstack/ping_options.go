package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
)

// ipOptions prints the options of an answer as iputils' pr_options does. Of a
// broken one and what follows nothing is printed.
func (p *pingReport) ipOptions(b *bytes.Buffer, options []byte) {
	const eol, nop, recordRoute, timestamp = 0, 1, 7, 68
	for len(options) > 0 && options[0] != eol {
		if options[0] == nop {
			b.WriteString("\nNOP")
			options = options[1:]
			continue
		}
		if len(options) < 3 || options[1] < 3 || int(options[1]) > len(options) {
			return
		}
		o := options[:options[1]]
		options = options[len(o):]
		switch o[0] {
		case recordRoute:
			p.recordedRoute(b, o)
		case timestamp:
			recordedTimes(b, o)
		default:
			fmt.Fprintf(b, "\nunknown option %x", o[0])
		}
	}
}

// recordedRoute prints the addresses that were recorded (RFC 791, section 3.1), or
// that they are those of the answer before.
func (p *pingReport) recordedRoute(b *bytes.Buffer, o []byte) {
	end := min(int(o[2]), len(o)) - 4 // the pointer counts from 1, and starts at 4
	if end <= 0 {
		return
	}
	list := o[3:min(3+end, len(o))]
	if bytes.Equal(list, p.route) {
		b.WriteString("\t(same route)")
		return
	}
	p.route = bytes.Clone(list)
	b.WriteString("\nRR: ")
	for i := 0; i < end && 3+i+4 <= len(o); i += 4 {
		fmt.Fprintf(b, "\t%s\n", netip.AddrFrom4([4]byte(o[3+i:])))
	}
}

// recordedTimes prints the first timestamp, and for the others how much later they
// are, with addresses if the option has them.
func recordedTimes(b *bytes.Buffer, o []byte) {
	if len(o) < 4 {
		return
	}
	end, flags := min(int(o[2]), len(o))-5, o[3]
	if end <= 0 {
		return
	}
	b.WriteString("\nTS: ")
	var standard, other uint32 // the one before
	for rest := o[4:]; end > 0; end -= 4 {
		if flags&15 != 0 {
			if len(rest) < 4 {
				break
			}
			fmt.Fprintf(b, "\t%s", netip.AddrFrom4([4]byte(rest)))
			if rest, end = rest[4:], end-4; end <= 0 {
				break
			}
		}
		if len(rest) < 4 {
			break
		}
		t := binary.BigEndian.Uint32(rest)
		rest = rest[4:]
		const notStandard = 1 << 31 // not milliseconds since midnight UT
		switch v := t &^ notStandard; {
		case t&notStandard != 0 && other == 0:
			fmt.Fprintf(b, "\t%d absolute not-standard\n", v)
			other = v
		case t&notStandard != 0:
			fmt.Fprintf(b, "\t%d not-standard\n", int64(v)-int64(other))
			other = v
		case standard == 0:
			fmt.Fprintf(b, "\t%d absolute\n", v)
			standard = v
		default:
			fmt.Fprintf(b, "\t%d\n", int64(v)-int64(standard))
			standard = v
		}
	}
	if n := flags >> 4; n > 0 {
		fmt.Fprintf(b, "Unrecorded hops: %d\n", n)
	}
}
