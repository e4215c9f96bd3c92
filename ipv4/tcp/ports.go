package tcp

import "sync/atomic"

// The ports that sockets get which ask for none, unless SetPortRange says others:
// Linux's ip_local_port_range.
const (
	firstEphemeral = 32768
	lastEphemeral  = 60999
	ephemerals     = lastEphemeral - firstEphemeral + 1
)

// portRange is the first and the last port, in one word; 0 is the default.
type portRange struct{ word atomic.Uint32 }

func (r *portRange) get() (first, last uint16) {
	if w := r.word.Load(); w != 0 {
		return uint16(w >> 16), uint16(w)
	}
	return firstEphemeral, lastEphemeral
}

// PortRange returns the ports that sockets get which ask for none.
func (pr *Protocol) PortRange() (first, last uint16) { return pr.ports.get() }

// SetPortRange changes the ports that sockets get which ask for none. first must not
// be 0, nor more than last.
func (pr *Protocol) SetPortRange(first, last uint16) {
	pr.ports.word.Store(uint32(first)<<16 | uint32(last))
}

// ephemeral tries ports until claim takes one, and returns it, or false when
// all were refused. The search begins at a place that depends on the
// destination and a secret, and moves on a little at each call (RFC 6056
// section 3.3.3, with the random increments of section 3.3.5).
func (pr *Protocol) ephemeral(laddr, raddr addr, rport uint16, claim func(port uint16) bool) (uint16, bool) {
	step := 1 + pr.config.Rand.Uint32N(16)
	start := pr.secret.portOffset(laddr, raddr, rport) + pr.nextPort.Add(step)
	first, last := pr.ports.get()
	n := uint32(last-first) + 1
	start %= n // no overflow on the way: it would leave ports out
	for i := range n {
		port := first + uint16((start+i)%n)
		if !pr.demux.portListens(port) && !pr.demux.portBound(port) && claim(port) {
			return port, true
		}
	}
	return 0, false
}
