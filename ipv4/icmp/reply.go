package icmp

import (
	"encoding/binary"
	"time"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
)

// replyEcho turns the request into its reply and sends it back (RFC 1122,
// section 3.2.2.6): same data, from the address that was asked.
func (pr *Protocol) replyEcho(ih ipv4.Header, p *link.Packet) {
	if pr.sysctls.echoIgnoreAll.Load() != 0 {
		pr.config.Drops.Drop(p, link.ICMPIgnored)
		return
	}
	b := p.Bytes()
	old := binary.BigEndian.Uint16(b[0:2])
	b[0], b[1] = TypeEchoReply, 0
	if check := ipv4.UpdateChecksum(binary.BigEndian.Uint16(b[2:4]), old, 0); check != 0 {
		binary.BigEndian.PutUint16(b[2:4], check)
	} else {
		// The checksum of nothing but zeros is ffff, which an update cannot
		// tell (RFC 1624, section 3).
		SetChecksum(b)
	}
	pr.reply(ih, TypeEchoReply, p)
}

// replyTimestamp answers with the time of day, twice (RFC 1122, section 3.2.2.8).
func (pr *Protocol) replyTimestamp(ih ipv4.Header, p *link.Packet) {
	if p.Len() < timestampLen {
		pr.refuse(p, link.ICMPInHdr)
		return
	}
	p.Trim(timestampLen)
	b := p.Bytes()
	b[0], b[1] = TypeTimestampReply, 0
	now := uint32(pr.config.Clock.Now().UnixMilli() % (24 * time.Hour).Milliseconds())
	binary.BigEndian.PutUint32(b[12:16], now)
	binary.BigEndian.PutUint32(b[16:20], now)
	SetChecksum(b)
	pr.reply(ih, TypeTimestampReply, p)
}

// reply sends p, a request with header ih that has become the answer, back to
// where it came from.
func (pr *Protocol) reply(ih ipv4.Header, t uint8, p *link.Packet) {
	if !pr.allowReply(ih.Src, t) {
		pr.config.Drops.Drop(p, link.ICMPRateLimit)
		return
	}
	s := ipv4.Send{Src: ih.Dst, Dst: ih.Src, Protocol: ipv4.ProtocolICMP, TOS: ih.TOS}
	if len(ih.Options) > 0 {
		s.Options = ipv4.EchoOptions(nil, &ih)
	}
	p.Confirm = false
	pr.output(p, t, s)
}

// output sends a message and counts it.
func (pr *Protocol) output(p *link.Packet, t uint8, s ipv4.Send) error {
	err := pr.ip.Output(p, s)
	pr.count(t, err)
	return err
}

func (pr *Protocol) count(t uint8, err error) {
	if err != nil {
		pr.stats.OutErrors.Add(1)
		return
	}
	pr.stats.OutMsgs.Add(1)
	pr.stats.OutType[t].Add(1)
}
