package ipv4

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/tapstack/tapstack/link"
)

// RawHandler sees what is for this host besides the transports that it is for.
type RawHandler struct {
	// Input borrows p, a whole datagram with header h, its front at the IPv4
	// header. It reports whether somebody wanted it: then the sender is not told
	// of a protocol that is not known here.
	Input func(h Header, p *link.Packet) bool
	// Error is told of all that Handler.Error is told of.
	Error func(e TransportError)
}

// HandleRaw registers who sees all packets; nil ends it. Package raw does while it
// has sockets.
func (pr *Protocol) HandleRaw(h *RawHandler) { pr.raw.Store(h) }

// OutputHeader takes p, a packet with its IPv4 header, to dst by a path that
// OutputPath has just returned for it (Linux's raw_send_hdrinc): the header may
// name another destination. Its length and checksum are filled in, and source and
// identification where they are 0. It is never fragmented. The error is EINVAL for
// a header that does not fit, EMSGSIZE, and what the neighbour layer returns.
func (pr *Protocol) OutputHeader(path Path, dst netip.Addr, p *link.Packet, noLoop bool) error {
	b := p.Bytes()
	fail := func(r link.DropReason, errno syscall.Errno) error {
		n := p.Len()
		pr.drop(p, r)
		return fmt.Errorf("ipv4: packet of %d bytes with its header to %v: %w", n, dst, errno)
	}
	if len(b) > path.Interface.MTU() {
		return fail(link.PktTooBig, syscall.EMSGSIZE)
	}
	if len(b) < HeaderLen || int(b[0]&15)*4 < HeaderLen || int(b[0]&15)*4 > len(b) || b[0]>>4 != 4 {
		return fail(link.IPInHdr, syscall.EINVAL)
	}
	n := int(b[0]&15) * 4
	if [4]byte(b[12:16]) == [4]byte{} {
		a := path.Src.As4()
		copy(b[12:16], a[:])
	}
	src, to := netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	if b[4] == 0 && b[5] == 0 && b[6]&(flagDF>>8) == 0 {
		binary.BigEndian.PutUint16(b[4:6], pr.idents.choose(src, to, b[9], 1))
	}
	binary.BigEndian.PutUint16(b[2:4], uint16(len(b)))
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:12], Checksum(b[:n], 0))
	p.SetNetworkHeader()
	p.EtherType, p.Type, p.In = link.IPv4, link.Host, 0
	pr.stats.OutRequests.Add(1)
	if path.Type == Broadcast || path.Type == Multicast && path.member && !noLoop {
		pr.loop(&path, p)
	}
	return pr.toNextHop(&path, dst, p)
}
