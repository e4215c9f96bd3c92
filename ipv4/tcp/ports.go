package tcp

// The ports that sockets get which ask for none: Linux's ip_local_port_range.
const (
	firstEphemeral = 32768
	lastEphemeral  = 60999
	ephemerals     = lastEphemeral - firstEphemeral + 1
)

// ephemeral tries ports until claim takes one, and returns it, or false when
// all were refused. The search begins at a place that depends on the
// destination and a secret, and moves on a little at each call (RFC 6056
// section 3.3.3, with the random increments of section 3.3.5).
func (pr *Protocol) ephemeral(laddr, raddr addr, rport uint16, claim func(port uint16) bool) (uint16, bool) {
	step := 1 + pr.config.Rand.Uint32N(16)
	start := pr.secret.portOffset(laddr, raddr, rport) + pr.nextPort.Add(step)
	for i := range uint32(ephemerals) {
		port := uint16(firstEphemeral + (start+i)%ephemerals)
		if !pr.demux.portListens(port) && !pr.demux.portBound(port) && claim(port) {
			return port, true
		}
	}
	return 0, false
}
