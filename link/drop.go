package link

import (
	"strconv"
	"sync/atomic"
)

// DropReason says why a packet went nowhere. The names are those of Linux's
// enum skb_drop_reason where it has one for the case.
type DropReason uint8

// The reasons, lowest layer first.
const (
	NotSpecified DropReason = iota

	// Device and Ethernet.
	DevReady       // the interface is down
	FullRing       // the device's queue is full
	PktTooBig      // longer than the device's MTU
	HdrTrunc       // ends inside its Ethernet header
	OtherHostFrame // addressed to another station
	UnhandledProto // EtherType or VLAN that nobody here speaks
	TapFilter      // a filter of the device or the interface refused it

	// ARP (RFC 826); Linux counts all of these as NOT_SPECIFIED.
	ARPTooShort     // ends inside the ARP packet
	ARPHardware     // ar_hrd, ar_hln are not Ethernet's
	ARPProtocol     // ar_pro, ar_pln are not IPv4's
	ARPOperation    // ar_op is neither request nor reply
	ARPTarget       // the target is multicast or a loopback address
	ARPGratuitous   // gratuitous, and drop_gratuitous_arp is set
	ARPDisabled     // the interface does no ARP, or has no IPv4
	ARPProxyQueue   // more delayed requests than proxy_qlen
	ARPFilterRefuse // a user's filter refused it

	// Neighbour.
	NeighCreateFail // no entry: the table is full
	NeighFailed     // resolution failed
	NeighQueueFull  // pushed out of an unresolved entry's queue
	NeighDead       // the entry was removed from the table

	// IPv4.
	IPCsum               // header checksum wrong
	IPInHdr              // malformed header
	PktTooSmall          // shorter than its header says
	IPRPFilter           // source fails reverse path filtering
	IPInvalidSource      // source cannot be one: multicast, broadcast...
	IPLocalSource        // source is one of our own addresses
	IPLocalNet           // 127/8 from outside
	IPInvalidDest        // destination cannot be one: 0.0.0.0, 127/8...
	UnicastInL2Multicast // unicast packet in a broadcast or multicast frame
	IPInNoRoutes         // no route for a received packet
	IPInAddrErrors       // received for somebody else, and forwarding is off
	IPOutNoRoutes        // no route for our own packet
	IPTTLExpired         // TTL ran out in forwarding
	IPFragNeeded         // too long for the route, and DF is set
	IPNoProto            // no handler for the protocol
	IPOptions            // refused because of its options
	IPMulticast          // to a group nobody here is a member of
	FragReasmTimeout     // a fragment whose datagram was never completed
	FragTooFar           // fragments too far apart, or past 64 KiB
	DupFrag              // the same piece again
	FragOverlap          // overlapping fragments (RFC 5722's rule, as Linux)
	FragMemory           // reassembly memory is full
	FragIncomplete       // a piece of a packet of which another could not be sent

	// ICMP.
	ICMPCsum
	ICMPInHdr     // malformed message
	ICMPIgnored   // type that is not acted on, or broadcast echo
	ICMPRateLimit // not sent: over icmp_ratelimit or icmp_msgs_per_sec

	// IGMP.
	IGMPCsum
	IGMPInHdr // malformed message

	// UDP and TCP.
	NoSocket
	SocketRcvBuff // the socket's receive buffer is full
	ProtoMem      // all sockets together hold too much
	SocketClosed  // the socket closed with data unread
	SocketFilter  // a connected socket's peer is somebody else
	UDPCsum
	UDPInHdr
	TCPCsum
	TCPInHdr
	TCPFlags           // combination that the state does not allow
	TCPOldData         // nothing new
	TCPOldAck          // ACK of what was acknowledged long ago
	TCPAckUnsent       // ACK of what was never sent
	TCPInvalidSequence // outside the receive window
	TCPInvalidSyn      // SYN in a synchronised state
	TCPReset           // acted on: the connection was reset
	TCPRFC7323PAWS     // timestamp too old
	TCPZeroWindow      // data while the window is closed
	TCPOverWindow      // data past the window
	TCPOfoDrop         // out of order, and no memory for it
	TCPListenOverflow  // accept queue full
	TCPClose           // the connection is gone

	numDropReasons
)

var dropNames = [numDropReasons]string{
	NotSpecified: "NOT_SPECIFIED", DevReady: "DEV_READY", FullRing: "FULL_RING", PktTooBig: "PKT_TOO_BIG",
	HdrTrunc: "HDR_TRUNC", OtherHostFrame: "OTHERHOST", UnhandledProto: "UNHANDLED_PROTO", TapFilter: "TAP_FILTER",
	ARPTooShort: "ARP_TOO_SHORT", ARPHardware: "ARP_HARDWARE", ARPProtocol: "ARP_PROTOCOL", ARPOperation: "ARP_OPERATION",
	ARPTarget: "ARP_TARGET", ARPGratuitous: "ARP_GRATUITOUS", ARPDisabled: "ARP_DISABLED", ARPProxyQueue: "ARP_PROXY_QUEUE",
	ARPFilterRefuse: "ARP_FILTER", NeighCreateFail: "NEIGH_CREATEFAIL", NeighFailed: "NEIGH_FAILED",
	NeighQueueFull: "NEIGH_QUEUEFULL", NeighDead: "NEIGH_DEAD",
	IPCsum: "IP_CSUM", IPInHdr: "IP_INHDR", PktTooSmall: "PKT_TOO_SMALL", IPRPFilter: "IP_RPFILTER",
	IPInvalidSource: "IP_INVALID_SOURCE", IPLocalSource: "IP_LOCAL_SOURCE", IPLocalNet: "IP_LOCALNET",
	IPInvalidDest: "IP_INVALID_DEST", UnicastInL2Multicast: "UNICAST_IN_L2_MULTICAST", IPInNoRoutes: "IP_INNOROUTES", IPInAddrErrors: "IP_INADDRERRORS",
	IPOutNoRoutes: "IP_OUTNOROUTES", IPTTLExpired: "IP_TTL_EXPIRED", IPFragNeeded: "IP_FRAG_NEEDED", IPNoProto: "IP_NOPROTO",
	IPOptions: "IP_OPTIONS", IPMulticast: "IP_MULTICAST", FragReasmTimeout: "FRAG_REASM_TIMEOUT", FragTooFar: "FRAG_TOO_FAR",
	DupFrag: "DUP_FRAG", FragOverlap: "FRAG_OVERLAP", FragMemory: "FRAG_MEMORY", FragIncomplete: "FRAG_INCOMPLETE",
	ICMPCsum: "ICMP_CSUM", ICMPInHdr: "ICMP_INHDR", ICMPIgnored: "ICMP_IGNORED", ICMPRateLimit: "ICMP_RATELIMIT",
	IGMPCsum: "IGMP_CSUM", IGMPInHdr: "IGMP_INHDR",
	NoSocket: "NO_SOCKET", SocketRcvBuff: "SOCKET_RCVBUFF", ProtoMem: "PROTO_MEM", SocketClosed: "SOCKET_CLOSE", SocketFilter: "SOCKET_FILTER",
	UDPCsum: "UDP_CSUM", UDPInHdr: "UDP_INHDR", TCPCsum: "TCP_CSUM", TCPInHdr: "TCP_INHDR", TCPFlags: "TCP_FLAGS",
	TCPOldData: "TCP_OLD_DATA", TCPOldAck: "TCP_OLD_ACK", TCPAckUnsent: "TCP_ACK_UNSENT_DATA",
	TCPInvalidSequence: "TCP_INVALID_SEQUENCE", TCPInvalidSyn: "TCP_INVALID_SYN", TCPReset: "TCP_RESET",
	TCPRFC7323PAWS: "TCP_RFC7323_PAWS", TCPZeroWindow: "TCP_ZEROWINDOW", TCPOverWindow: "TCP_OVERWINDOW",
	TCPOfoDrop: "TCP_OFO_DROP", TCPListenOverflow: "TCP_LISTEN_OVERFLOW", TCPClose: "TCP_CLOSE",
}

// String returns Linux's spelling of the reason.
func (r DropReason) String() string {
	if r < numDropReasons {
		return dropNames[r]
	}
	return "DROP_" + strconv.Itoa(int(r))
}

// Drops counts a host's dropped packets by reason and lets one watcher see
// them. The zero value is ready; all methods may be called concurrently.
type Drops struct {
	n     [numDropReasons]atomic.Uint64
	watch atomic.Pointer[func(*Packet, DropReason)]
}

// Drop counts p under r and releases it.
func (d *Drops) Drop(p *Packet, r DropReason) {
	d.n[r].Add(1)
	if w := d.watch.Load(); w != nil {
		(*w)(p, r)
	}
	p.Release()
}

// Count returns how many packets were dropped for r.
func (d *Drops) Count(r DropReason) uint64 { return d.n[r].Load() }

// Counts returns the reasons that occurred, by their Linux names.
func (d *Drops) Counts() map[string]uint64 {
	m := make(map[string]uint64)
	for r := range d.n {
		if n := d.n[r].Load(); n > 0 {
			m[DropReason(r).String()] = n
		}
	}
	return m
}

// Watch has f called for each dropped packet, in the goroutine that drops it;
// nil ends it. f borrows the packet, and must not block nor call the stack.
func (d *Drops) Watch(f func(*Packet, DropReason)) {
	if f == nil {
		d.watch.Store(nil)
		return
	}
	d.watch.Store(&f)
}

// Add counts a packet that somebody else has released already, for instance a
// device that refused it.
func (d *Drops) Add(r DropReason) { d.n[r].Add(1) }
