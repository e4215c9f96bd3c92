package ipv4

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
)

// hop is one of the next hops of a multipath route, Linux's struct fib_nh.
type hop struct {
	gateway netip.Addr // not valid on the link
	iface   *Interface
	scope   Scope // as a route's nextHopScope
	weight  int
	dead    atomic.Bool // its interface went down
}

// usable reports whether flows may take the hop.
func (h *hop) usable(k *key) bool {
	return !h.dead.Load() && (k.oif == 0 || k.oif == h.iface.Index()) && (h.iface.carrier.Load() || h.iface.linkdownIgnored(k))
}

// next returns the address to resolve, not valid when that is the destination.
func (h *hop) next() netip.Addr {
	if h.scope != ScopeLink {
		return netip.Addr{}
	}
	return h.gateway
}

// state is as an Interface's.
func (h *hop) state() (dead, down bool) {
	dead, down = h.iface.state()
	if h.dead.Load() {
		return true, true
	}
	return dead, down
}

// firstHop returns the first hop that a lookup may take.
func (r *route) firstHop(k *key) *hop {
	for _, h := range r.hops {
		if h.usable(k) {
			return h
		}
	}
	return nil
}

// Flow is what is known of a packet, beyond its addresses, by the time that its
// route is looked up.
type Flow struct {
	TOS      uint8
	Protocol uint8
	// SrcPort and DstPort count when fib_multipath_hash_policy is 1.
	SrcPort, DstPort uint16
}

func (fl Flow) key(dst netip.Addr, oif int) key {
	return key{dst: dst, oif: oif, tos: fl.TOS, protocol: fl.Protocol, srcPort: fl.SrcPort, dstPort: fl.DstPort}
}

// selectHop chooses a next hop for the flow from src, which need not be valid:
// each gets its share of the hash values (Linux's fib_select_multipath). One
// that src faces goes before others.
func (pr *Protocol) selectHop(r *route, k *key, src netip.Addr) *hop {
	first := r.firstHop(k)
	if k.oif != 0 || first == nil {
		return first
	}
	var total uint64
	for _, h := range r.hops {
		if h.usable(k) {
			total += uint64(h.weight)
		}
	}
	hash := uint64(pr.flowHash(k, src) >> 1)
	good := pr.config.NextHopValid
	if pr.sysctls.multipathUseNeigh.Load() == 0 {
		good = nil
	}
	var best *hop
	var weight uint64
	bestScore := 0
	for _, h := range r.hops {
		if !h.usable(k) {
			continue
		}
		weight += uint64(h.weight)
		// Each hop's values end at its share of 2^31 (Linux's fib_rebalance).
		bound := (weight<<31 + total/2) / total
		if good != nil && h.scope == ScopeLink && !good(h.iface.Index(), h.gateway) {
			continue
		}
		score := 0
		if src.IsValid() && pr.selectSource(h.iface, h.next(), r.Scope) == src {
			score += 2
		}
		if hash < bound {
			score++
		}
		if bestScore < score {
			best, bestScore = h, score
			if score == 3 || !src.IsValid() {
				return h
			}
		}
	}
	if best == nil {
		return first
	}
	return best
}

// flowHash spreads flows, by their addresses or, with fib_multipath_hash_policy 1,
// by their ports and protocol as well. It cannot be foreseen by who does not know
// the host's seed.
func (pr *Protocol) flowHash(k *key, src netip.Addr) uint32 {
	a := [2]uint32{0, bits32(k.dst)}
	if src.IsValid() {
		a[0] = bits32(src)
	}
	protocol, data := k.transport()
	var b uint32
	if pr.sysctls.multipathPolicy.Load() == 1 {
		b = uint32(k.srcPort)<<16 | uint32(k.dstPort)
		if (protocol == ProtocolTCP || protocol == ProtocolUDP) && len(data) >= 4 {
			b = binary.BigEndian.Uint32(data)
		}
		b = b*31 + uint32(protocol)
	} else if protocol == ProtocolICMP && len(data) >= 8+HeaderLen && isErrorType(data[0]) {
		// What an error is about goes the same way (RFC 7690).
		inner := data[8:]
		a[0], a[1] = binary.BigEndian.Uint32(inner[12:]), binary.BigEndian.Uint32(inner[16:])
	}
	h := pr.hashSeed
	for _, v := range [...]uint32{a[0], a[1], b} {
		h = (h ^ uint64(v)) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	h *= 0xbf58476d1ce4e5b9
	return uint32(h >> 32)
}

func isErrorType(t uint8) bool {
	return t == TypeUnreachable || t == TypeTimeExceeded || t == TypeParameterProblem || t == TypeRedirect || t == 4
}

// transport returns the protocol of the packet that is on its way, and what there
// is of its data. Fragments have no ports.
func (k *key) transport() (protocol uint8, data []byte) {
	switch h := k.header; {
	case k.packet == nil:
		return k.protocol, nil
	case h == nil:
		return k.protocol, k.packet.Bytes()
	case h.IsFragment():
		return h.Protocol, nil
	default:
		return h.Protocol, k.packet.Bytes()[h.Len():]
	}
}
