package main

import "regexp"

// side is one stack's part in a scenario.
type side struct {
	name string // of the stack
	open func() (*trial, error)
}

// The stacks, as they are called in names and reports.
const (
	tapstack = "tapstack"
	gvisor   = "gvisor"
)

// scenario is an operation that stacks are compared by.
type scenario struct {
	// name has the benchmark's first; names stay what they are, so that results
	// of different versions can be compared.
	name     string
	bytes    int64 // of payload moved by an operation
	parallel bool
	sides    []side
}

func versus(name string, ours, theirs func() (*trial, error)) scenario {
	return scenario{name: name, sides: []side{{tapstack, ours}, {gvisor, theirs}}}
}

func (s scenario) moves(bytes int) scenario { s.bytes = int64(bytes); return s }
func (s scenario) inParallel() scenario     { s.parallel = true; return s }

// load is how full a neighbour table is, and to how many of its entries the
// benchmark turns, in random order. Of the many most are cold, as on a host that
// talks to a few thousand at a time; in "all" each access is to another entry,
// which measures the machine's caches as much as the table.
type load struct {
	name       string
	n, visited int
}

var loads = []load{{"1", 1, 1}, {"1k", 1000, 1000}, {"100k", 100_000, 4096}, {"100k-all", 100_000, 1 << 16}}

// scenarios returns all there are.
func scenarios() []scenario {
	var all []scenario
	add := func(s scenario) { all = append(all, s) }
	sized := func(f func(int) (*trial, error), n int) func() (*trial, error) {
		return func() (*trial, error) { return f(n) }
	}
	loaded := func(f func(load) (*trial, error), l load) func() (*trial, error) {
		return func() (*trial, error) { return f(l) }
	}

	// Neighbour: the table alone. All entries are permanent (static), so that
	// none changes while it is measured. "lookup" asks for a link-layer address,
	// "output" sends a packet that has its IPv4 header to a resolved neighbour,
	// up to the device, which gives it back; gVisor's has a route for each
	// destination at hand. Neither makes nor frees packets in the time measured.
	for _, l := range loads {
		ours, theirs := loaded(tapstackLookup, l), loaded(gvisorLookup, l)
		add(versus("Neighbour/lookup/"+l.name, ours, theirs))
		add(versus("Neighbour/lookup-parallel/"+l.name, ours, theirs).inParallel())
	}
	for _, l := range loads {
		ours, theirs := loaded(tapstackOutput, l), loaded(gvisorOutput, l)
		add(versus("Neighbour/output/"+l.name, ours, theirs))
		add(versus("Neighbour/output-parallel/"+l.name, ours, theirs).inParallel())
	}
	// "reply" is a frame with an ARP reply that resolves a neighbour for which a
	// packet waits, until that packet has left; beside so many resolved ones.
	for _, l := range loads[:3] {
		add(versus("Neighbour/reply/"+l.name, sized(tapstackReply, l.n), sized(gvisorReply, l.n)))
	}

	// ARPExchange is a whole resolution: a datagram to forward to an unknown
	// neighbour, the request, the reply, the datagram. ARPRequest is a request
	// for an address of ours, answered.
	add(versus("ARPExchange", tapstackExchange, gvisorExchange))
	add(versus("ARPRequest", tapstackRequest, gvisorRequest))

	// Frames in, frames out: copied into a packet, taken through the host, and
	// counted by a device. Forward goes to 256 resolved neighbours in turn.
	add(versus("Forward/64B", sized(tapstackForward, 64), sized(gvisorForward, 64)).moves(64))
	add(versus("Forward/1500B", sized(tapstackForward, 1500), sized(gvisorForward, 1500)).moves(1500))
	add(versus("Echo/64B", sized(tapstackEcho, 64), sized(gvisorEcho, 64)).moves(64))
	add(versus("Echo/1500B", sized(tapstackEcho, 1500), sized(gvisorEcho, 1500)).moves(1500))

	// UDPEcho adds a program: a datagram, read and written back by a goroutine
	// with a net.PacketConn, one at a time.
	add(versus("UDPEcho/64B", sized(tapstackUDPEcho, 64), sized(gvisorUDPEcho, 64)).moves(64))

	// TCPStream is 64 KiB from a net.Conn to another's reader, between two hosts
	// joined by the project's own pipe with an MTU of 1500.
	add(versus("TCPStream/64KiB", tapstackStream, gvisorStream).moves(streamChunk))
	return all
}

// matching returns the scenarios whose name matches.
func matching(re *regexp.Regexp) []scenario {
	var some []scenario
	for _, s := range scenarios() {
		if re.MatchString(s.name) {
			some = append(some, s)
		}
	}
	return some
}
