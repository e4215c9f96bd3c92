package packet

import (
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/clock"
)

// DefaultReadBuffer is the room of a socket's receive buffer in bytes (Linux's
// net.core.rmem_default).
const DefaultReadBuffer = 212992

// Config is what a Table needs from its host.
type Config struct {
	Clock clock.Clock
	// Link returns the interface with that index.
	Link func(index int) (Link, bool)
}

// Link is an interface as a socket needs it.
type Link struct {
	Addr link.Addr // the station's own
	MTU  int       // bytes, without the Ethernet header
	Up   bool
	// Write takes a frame that from sends, which is not to get it back.
	Write func(p *link.Packet, from *Conn) error
}

// Table is the packet sockets of one host. The methods may be called
// concurrently.
type Table struct {
	config Config
	state  atomic.Pointer[state] // nil without sockets
	mu     sync.Mutex            // held by who changes state
	closed bool
}

// state is immutable.
type state struct {
	conns    []*Conn
	promisc  map[int]int // sockets that want all frames, by interface
	allMulti map[int]int // and all frames to groups
}

// New returns a table without sockets.
func New(c Config) *Table { return &Table{config: c} }

// Any reports whether anybody listens. It is one atomic load.
func (t *Table) Any() bool { return t.state.Load() != nil }

// Promiscuity returns how many sockets want all frames of an interface.
func (t *Table) Promiscuity(index int) int {
	if s := t.state.Load(); s != nil {
		return s.promisc[index]
	}
	return 0
}

// AllMulti returns how many sockets want all frames to groups of an interface. An
// interface receives them anyway, as a kernel's TAP does.
func (t *Table) AllMulti(index int) int {
	if s := t.state.Load(); s != nil {
		return s.allMulti[index]
	}
	return 0
}

// Received shows a frame that interface p.In received to whom it concerns. It
// borrows p, front at the Ethernet header, p.EtherType and p.Type set, network
// bytes of which are the headers of the link. Frames to other stations are for
// those who asked for them.
func (t *Table) Received(p *link.Packet, network int) {
	s := t.state.Load()
	if s == nil || p.Type == link.OtherHost && s.promisc[p.In] == 0 {
		return
	}
	t.show(s, p, nil, Addr{Interface: p.In, Protocol: p.EtherType, Type: p.Type, Addr: link.Addr(p.Bytes()[6:12])}, network)
}

// Sent shows a frame that an interface is about to send. It borrows p, front at
// the Ethernet header; from is the socket that sends it, nil for the host.
func (t *Table) Sent(index int, p *link.Packet, from *Conn) {
	s := t.state.Load()
	if s == nil {
		return
	}
	eth, n, err := link.ParseEthernet(p.Bytes())
	if err != nil {
		return
	}
	t.show(s, p, from, Addr{Interface: index, Protocol: eth.Type, Type: link.Outgoing, Addr: eth.Src}, n)
}

func (t *Table) show(s *state, p *link.Packet, from *Conn, a Addr, network int) {
	whole := p
	for _, c := range s.conns {
		if c == from || !c.wants(&a) {
			continue
		}
		if whole == p && (p.HasBody() || p.Checksum == link.ChecksumPartial) {
			// Readers get frames as they are on a wire, but for their length.
			whole = p.Copy()
			whole.CompleteChecksum()
			whole.Linearize()
		}
		c.input(whole.Bytes(), a, network)
	}
	if whole != p {
		whole.Release()
	}
}

// Down tells sockets that are bound to an interface that it went down: their next
// call fails with ENETDOWN.
func (t *Table) Down(index int) {
	s := t.state.Load()
	if s == nil {
		return
	}
	for _, c := range s.conns {
		if c.iface == index {
			c.report(syscall.ENETDOWN)
		}
	}
}

// Close closes all sockets. No more can be made.
func (t *Table) Close() {
	t.mu.Lock()
	t.closed = true
	s := t.state.Load()
	t.mu.Unlock()
	if s == nil {
		return
	}
	for _, c := range s.conns {
		_ = c.Close()
	}
}

// change replaces the state by what f makes of a copy.
func (t *Table) change(f func(s *state)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := new(state)
	if old := t.state.Load(); old != nil {
		s.conns, s.promisc, s.allMulti = slices.Clone(old.conns), maps.Clone(old.promisc), maps.Clone(old.allMulti)
	} else {
		s.promisc, s.allMulti = make(map[int]int), make(map[int]int)
	}
	if f(s); len(s.conns) == 0 {
		t.state.Store(nil)
		return nil
	}
	if t.closed && len(s.conns) > t.lenLocked() {
		return net.ErrClosed
	}
	t.state.Store(s)
	return nil
}

func (t *Table) lenLocked() int {
	if s := t.state.Load(); s != nil {
		return len(s.conns)
	}
	return 0
}
