package igmp

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"github.com/tapstack/tapstack/ipv4"
)

// Types of messages (RFC 3376, section 4; RFC 2236; RFC 1112, appendix I).
const (
	TypeQuery    = 0x11
	TypeReportV1 = 0x12
	TypeReportV2 = 0x16
	TypeLeave    = 0x17
	TypeReportV3 = 0x22
)

// Lengths in bytes.
const (
	HeaderLen      = 8  // of a message of version 1 or 2, and what all messages have
	queryLen       = 12 // of a query of version 3 without sources
	recordLen      = 8  // of a group record without sources
	addrLen        = 4
	oldMaxResponse = 10 * time.Second // of version 1, which does not say
)

// Errors of Parse functions.
var (
	ErrTruncated = errors.New("igmp: message shorter than what it holds")
	ErrLength    = errors.New("igmp: query of 9 to 11 bytes")
)

// Header is what all messages begin with. Code is the maximum response code of a
// query and unused in others, Group is not the group's in reports of version 3.
type Header struct {
	Type, Code uint8
	Checksum   uint16 // as received; Put leaves it zero
	Group      netip.Addr
}

// ParseHeader reads the first HeaderLen bytes of b. The error is ErrTruncated.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderLen {
		return Header{}, ErrTruncated
	}
	return Header{b[0], b[1], binary.BigEndian.Uint16(b[2:4]), netip.AddrFrom4([4]byte(b[4:8]))}, nil
}

// Put writes the header, with a zero checksum, into the first HeaderLen bytes of
// b, which must be that long.
func (h Header) Put(b []byte) {
	_ = b[HeaderLen-1]
	b[0], b[1], b[2], b[3] = h.Type, h.Code, 0, 0
	group := h.Group.As4()
	copy(b[4:8], group[:])
}

// SetChecksum writes the checksum of the message b.
func SetChecksum(b []byte) {
	b[2], b[3] = 0, 0
	binary.BigEndian.PutUint16(b[2:4], ipv4.Checksum(b, 0))
}

// Query is a router's question.
type Query struct {
	Version     int // 1 to 3
	MaxResponse time.Duration
	Group       netip.Addr // 0.0.0.0 for all groups
	// The rest is version 3's. Robustness and Interval are 0 when the router
	// does not say.
	Suppress   bool // routers are not to change their timers
	Robustness int
	Interval   time.Duration
	sources    []byte // borrowed
}

// ParseQuery reads a query, which b is all of. The error is ErrTruncated or
// ErrLength.
func ParseQuery(b []byte) (Query, error) {
	h, err := ParseHeader(b)
	if err != nil {
		return Query{}, err
	}
	q := Query{Version: 2, Group: h.Group, MaxResponse: time.Duration(h.Code) * time.Second / 10}
	switch {
	case len(b) == HeaderLen && h.Code == 0:
		// RFC 2236 section 4. Group means nothing.
		q.Version, q.Group, q.MaxResponse = 1, netip.IPv4Unspecified(), oldMaxResponse
		return q, nil
	case len(b) == HeaderLen:
		return q, nil
	case len(b) < queryLen:
		return Query{}, ErrLength // RFC 3376 section 7.1
	}
	n := int(binary.BigEndian.Uint16(b[10:12]))
	if len(b) < queryLen+n*addrLen {
		return Query{}, ErrTruncated
	}
	q.Version = 3
	q.MaxResponse = time.Duration(decode(h.Code)) * time.Second / 10
	q.Suppress, q.Robustness = b[8]&8 != 0, int(b[8]&7)
	q.Interval = time.Duration(decode(b[9])) * time.Second
	q.sources = b[queryLen : queryLen+n*addrLen]
	return q, nil
}

// Sources returns how many sources the query asks about, 0 for all.
func (q Query) Sources() int { return len(q.sources) / addrLen }

// Source returns the i-th source.
func (q Query) Source(i int) netip.Addr {
	return netip.AddrFrom4([4]byte(q.sources[i*addrLen : (i+1)*addrLen]))
}

// decode returns what a code of one byte means (RFC 3376, sections 4.1.1 and
// 4.1.7): itself below 128, and beyond that a floating point number.
func decode(code uint8) int {
	if code < 128 {
		return int(code)
	}
	return int(code&15|16) << (code>>4&7 + 3)
}

// RecordType says what a group record tells (RFC 3376, section 4.2.12).
type RecordType uint8

const (
	ModeIsInclude   RecordType = 1 + iota // only these sources are wanted
	ModeIsExclude                         // all but these
	ChangeToInclude                       // only these, from now on
	ChangeToExclude                       // all but these, from now on
	AllowNewSources                       // these too
	BlockOldSources                       // these no more
)

// String returns the RFC's short form.
func (t RecordType) String() string {
	if t < ModeIsInclude || t > BlockOldSources {
		return "?"
	}
	return [...]string{"IS_IN", "IS_EX", "TO_IN", "TO_EX", "ALLOW", "BLOCK"}[t-1]
}

// Record tells about a group in a report of version 3.
type Record struct {
	Type    RecordType
	Group   netip.Addr
	Sources []netip.Addr
}

func (r Record) len() int { return recordLen + len(r.Sources)*addrLen }

// ParseReport reads a report of version 3, which b is all of. The error is
// ErrTruncated.
func ParseReport(b []byte) ([]Record, error) {
	if len(b) < HeaderLen {
		return nil, ErrTruncated
	}
	n := int(binary.BigEndian.Uint16(b[6:8]))
	b = b[HeaderLen:]
	if n > len(b)/recordLen {
		return nil, ErrTruncated
	}
	records := make([]Record, 0, n)
	for range n {
		if len(b) < recordLen {
			return nil, ErrTruncated
		}
		r := Record{Type: RecordType(b[0]), Group: netip.AddrFrom4([4]byte(b[4:8]))}
		sources, aux := int(binary.BigEndian.Uint16(b[2:4])), int(b[1])*4
		if len(b) < recordLen+sources*addrLen+aux {
			return nil, ErrTruncated
		}
		b, aux = b[recordLen:], aux+sources*addrLen
		for i := range sources {
			r.Sources = append(r.Sources, netip.AddrFrom4([4]byte(b[i*addrLen:])))
		}
		b = b[aux:] // auxiliary data is ignored (RFC 3376, section 4.2.11)
		records = append(records, r)
	}
	return records, nil
}

// reportLen returns the length of a report of version 3.
func reportLen(records []Record) int {
	n := HeaderLen
	for _, r := range records {
		n += r.len()
	}
	return n
}

// putReport writes a report of version 3 with its checksum into b, which is
// reportLen long.
func putReport(b []byte, records []Record) {
	all := b
	clear(b[:HeaderLen])
	b[0] = TypeReportV3
	binary.BigEndian.PutUint16(b[6:8], uint16(len(records)))
	b = b[HeaderLen:]
	for _, r := range records {
		b[0], b[1] = uint8(r.Type), 0
		binary.BigEndian.PutUint16(b[2:4], uint16(len(r.Sources)))
		group := r.Group.As4()
		copy(b[4:8], group[:])
		b = b[recordLen:]
		for _, s := range r.Sources {
			a := s.As4()
			copy(b, a[:])
			b = b[addrLen:]
		}
	}
	SetChecksum(all)
}

// split distributes records over reports of at most room bytes, which is enough
// for some sources (RFC 3376, section 4.2.16): those that do not fit go on in the
// next report, but all but some sources can only be said once, with as many as
// fit.
func split(records []Record, room int) (reports [][]Record) {
	var report []Record
	left := room - HeaderLen
	flush := func() {
		if len(report) > 0 {
			reports = append(reports, report)
		}
		report, left = nil, room-HeaderLen
	}
	for _, r := range records {
		if r.len() > left {
			flush()
		}
		said := false
		for r.len() > left && !said {
			n := (left - recordLen) / addrLen
			report = append(report, Record{r.Type, r.Group, r.Sources[:n]})
			flush()
			r.Sources = r.Sources[n:]
			said = r.Type == ModeIsExclude || r.Type == ChangeToExclude
		}
		if !said {
			report = append(report, r)
			left -= r.len()
		}
	}
	flush()
	return reports
}
