package tcp

import (
	"encoding/binary"
	"errors"
	"strings"
)

// Lengths of the header in bytes (RFC 9293 section 3.1).
const (
	MinHeaderLen = 20
	MaxHeaderLen = 60
)

// Flags are the control bits.
type Flags uint8

// The control bits (RFC 9293 section 3.1).
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// String returns the set bits in tcpdump's letters.
func (f Flags) String() string {
	if f == 0 {
		return "none"
	}
	var b strings.Builder
	for i, c := range "FSRP.UEW" {
		if f&(1<<i) != 0 {
			b.WriteRune(c)
		}
	}
	return b.String()
}

// Option kinds.
const (
	optEnd           = 0
	optNOP           = 1
	optMSS           = 2 // RFC 9293 section 3.7.1
	optWindowScale   = 3 // RFC 7323 section 2
	optSACKPermitted = 4 // RFC 2018 section 2
	optSACK          = 5 // RFC 2018 section 3
	optTimestamps    = 8 // RFC 7323 section 3
)

const (
	maxSACKBlocks  = 4
	timestampsLen  = 12 // with the two NOPs that align it
	maxWindowScale = 14 // RFC 7323 section 2.3
)

// SACKBlock is one block of octets that the peer holds, End excluded.
type SACKBlock struct{ Start, End Seq }

// Options are the options that the stack knows; others are skipped on input.
type Options struct {
	MSS            uint16 // 0: absent
	WindowScale    uint8
	HasWindowScale bool
	SACKPermitted  bool
	HasTimestamps  bool
	TSVal, TSEcr   uint32
	NumSACK        int
	SACK           [maxSACKBlocks]SACKBlock
}

// Header is a TCP header.
type Header struct {
	SrcPort, DstPort uint16
	Seq, Ack         Seq
	Flags            Flags
	Window           uint16
	Checksum         uint16
	Urgent           uint16
	Options          Options
}

// ErrHeader is returned for bytes that are no TCP header: too short, or a data
// offset that points outside of them.
var ErrHeader = errors.New("tcp: header too short or data offset out of range")

// Parse reads the header at the start of b and returns it with its length. The
// error is ErrHeader. Options that are malformed end the list, as in Linux;
// unknown ones are skipped (RFC 9293 section 3.1, MUST-6).
func Parse(b []byte) (h Header, n int, err error) {
	if len(b) < MinHeaderLen {
		return Header{}, 0, ErrHeader
	}
	n = int(b[12]>>4) * 4
	if n < MinHeaderLen || n > len(b) {
		return Header{}, 0, ErrHeader
	}
	h = Header{
		SrcPort:  binary.BigEndian.Uint16(b[0:]),
		DstPort:  binary.BigEndian.Uint16(b[2:]),
		Seq:      Seq(binary.BigEndian.Uint32(b[4:])),
		Ack:      Seq(binary.BigEndian.Uint32(b[8:])),
		Flags:    Flags(b[13]),
		Window:   binary.BigEndian.Uint16(b[14:]),
		Checksum: binary.BigEndian.Uint16(b[16:]),
		Urgent:   binary.BigEndian.Uint16(b[18:]),
	}
	if n > MinHeaderLen {
		h.Options.parse(b[MinHeaderLen:n])
	}
	return h, n, nil
}

func (o *Options) parse(b []byte) {
	// What nearly every segment carries: NOP NOP timestamps (RFC 7323
	// appendix A).
	if len(b) == timestampsLen && binary.BigEndian.Uint32(b) == 0x0101080a {
		o.HasTimestamps = true
		o.TSVal, o.TSEcr = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
		return
	}
	for len(b) > 0 {
		switch b[0] {
		case optEnd:
			return
		case optNOP:
			b = b[1:]
			continue
		}
		if len(b) < 2 {
			return
		}
		n := int(b[1])
		if n < 2 || n > len(b) {
			return // MUST-7: illegal lengths are no reason to crash
		}
		o.parseOne(b[0], b[2:n])
		b = b[n:]
	}
}

func (o *Options) parseOne(kind byte, v []byte) {
	switch {
	case kind == optMSS && len(v) == 2:
		o.MSS = binary.BigEndian.Uint16(v)
	case kind == optWindowScale && len(v) == 1:
		// Larger shifts are taken as 14 (RFC 7323 section 2.3).
		o.HasWindowScale, o.WindowScale = true, min(v[0], maxWindowScale)
	case kind == optSACKPermitted && len(v) == 0:
		o.SACKPermitted = true
	case kind == optTimestamps && len(v) == 8:
		o.HasTimestamps = true
		o.TSVal, o.TSEcr = binary.BigEndian.Uint32(v), binary.BigEndian.Uint32(v[4:])
	case kind == optSACK && len(v) > 0 && len(v)%8 == 0:
		o.NumSACK = min(len(v)/8, maxSACKBlocks)
		for i := range o.NumSACK {
			o.SACK[i] = SACKBlock{Seq(binary.BigEndian.Uint32(v[8*i:])), Seq(binary.BigEndian.Uint32(v[8*i+4:]))}
		}
	}
}

// Len returns the length of the header that Put writes, in bytes.
func (h *Header) Len() int { return MinHeaderLen + h.Options.len() }

func (o *Options) len() int {
	n := 0
	if o.MSS != 0 {
		n += 4
	}
	switch {
	case o.HasTimestamps:
		n += timestampsLen // SACK-permitted takes the place of the NOPs
	case o.SACKPermitted:
		n += 4
	}
	if o.HasWindowScale {
		n += 4
	}
	if k := o.sackBlocks(); k > 0 {
		n += 4 + 8*k
	}
	return n
}

// sackBlocks is how many blocks fit beside timestamps in 40 bytes of options.
func (o *Options) sackBlocks() int {
	if o.HasTimestamps {
		return min(o.NumSACK, 3)
	}
	return min(o.NumSACK, maxSACKBlocks)
}

// Put writes the header into the first Len bytes of b. The caller fills in the
// checksum, which Put writes as it stands in h. The options are laid out as
// Linux does it, each aligned to four bytes.
func (h *Header) Put(b []byte) {
	n := h.Len()
	_ = b[n-1]
	binary.BigEndian.PutUint16(b[0:], h.SrcPort)
	binary.BigEndian.PutUint16(b[2:], h.DstPort)
	binary.BigEndian.PutUint32(b[4:], uint32(h.Seq))
	binary.BigEndian.PutUint32(b[8:], uint32(h.Ack))
	b[12] = byte(n/4) << 4
	b[13] = byte(h.Flags)
	binary.BigEndian.PutUint16(b[14:], h.Window)
	binary.BigEndian.PutUint16(b[16:], h.Checksum)
	binary.BigEndian.PutUint16(b[18:], h.Urgent)
	if n > MinHeaderLen {
		h.Options.put(b[MinHeaderLen:n])
	}
}

func (o *Options) put(b []byte) {
	if o.MSS != 0 {
		b[0], b[1] = optMSS, 4
		binary.BigEndian.PutUint16(b[2:], o.MSS)
		b = b[4:]
	}
	if o.HasTimestamps || o.SACKPermitted {
		b[0], b[1] = optNOP, optNOP
		if o.SACKPermitted {
			b[0], b[1] = optSACKPermitted, 2
		}
		if !o.HasTimestamps {
			b[2], b[3] = optNOP, optNOP
			b = b[4:]
		}
	}
	if o.HasTimestamps {
		b[2], b[3] = optTimestamps, 10
		binary.BigEndian.PutUint32(b[4:], o.TSVal)
		binary.BigEndian.PutUint32(b[8:], o.TSEcr)
		b = b[timestampsLen:]
	}
	if o.HasWindowScale {
		b[0], b[1], b[2], b[3] = optNOP, optWindowScale, 3, o.WindowScale
		b = b[4:]
	}
	if k := o.sackBlocks(); k > 0 {
		b[0], b[1], b[2], b[3] = optNOP, optNOP, optSACK, byte(2+8*k)
		for i := range k {
			binary.BigEndian.PutUint32(b[4+8*i:], uint32(o.SACK[i].Start))
			binary.BigEndian.PutUint32(b[8+8*i:], uint32(o.SACK[i].End))
		}
	}
}
