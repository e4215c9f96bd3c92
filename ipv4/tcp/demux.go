package tcp

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
)

// addr is an IPv4 address, in the form in which it is a small map key.
type addr [4]byte

// tuple names a connection.
type tuple struct {
	laddr, raddr addr
	lport, rport uint16
}

func (k tuple) local() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4(k.laddr), k.lport)
}

func (k tuple) remote() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4(k.raddr), k.rport)
}

// endpoint is what a tuple leads to: one of the two.
type endpoint struct {
	conn *Conn
	tw   *timeWait
}

const demuxShards = 64

// demux finds the endpoint of a segment. Connections are in shards under
// reader locks, which are leaves: nothing is called with one held. Listeners,
// which seldom change, are in an immutable map.
type demux struct {
	shards [demuxShards]struct {
		mu sync.RWMutex
		m  map[tuple]endpoint
		_  [32]byte // a line of its own
	}
	listenMu  sync.Mutex // writers of listeners; guards bindings
	bindings  map[uint16][]*Binding
	listeners atomic.Pointer[map[listenKey]*Listener]
}

// listenKey is where a listener listens; the zero address is every one.
type listenKey struct {
	laddr addr
	lport uint16
}

func (k tuple) shard() uint32 {
	// Fibonacci hashing. It is no secret, but who aims at one shard gains only
	// contention for its lock: the map in it hashes with a seed.
	h := binary.BigEndian.Uint32(k.raddr[:]) ^ uint32(k.rport)<<16 ^ uint32(k.lport)
	return h * 0x9e3779b1 >> 26
}

func (d *demux) lookup(k tuple) endpoint {
	s := &d.shards[k.shard()]
	s.mu.RLock()
	e := s.m[k]
	s.mu.RUnlock()
	return e
}

// insert claims k for e. It reports false if k is taken; but a TIME-WAIT that
// is old is pushed out.
func (d *demux) insert(k tuple, e endpoint, old *timeWait) bool {
	s := &d.shards[k.shard()]
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, taken := s.m[k]; taken && (old == nil || have.tw != old) {
		return false
	}
	if s.m == nil {
		s.m = make(map[tuple]endpoint)
	}
	s.m[k] = e
	return true
}

// replace puts new in old's place and reports whether old was there.
func (d *demux) replace(k tuple, old, new endpoint) bool {
	s := &d.shards[k.shard()]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m[k] != old {
		return false
	}
	s.m[k] = new
	return true
}

func (d *demux) remove(k tuple, e endpoint) {
	s := &d.shards[k.shard()]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m[k] == e {
		delete(s.m, k)
	}
}

// all returns every endpoint, shard by shard.
func (d *demux) all() []endpoint {
	var es []endpoint
	for i := range d.shards {
		s := &d.shards[i]
		s.mu.RLock()
		for _, e := range s.m {
			es = append(es, e)
		}
		s.mu.RUnlock()
	}
	return es
}

// listener returns who listens at the address, or at every one; nil for nobody.
func (d *demux) listener(laddr addr, lport uint16) *Listener {
	m := d.listeners.Load()
	if m == nil {
		return nil
	}
	if l := (*m)[listenKey{laddr, lport}]; l != nil {
		return l
	}
	return (*m)[listenKey{addr{}, lport}]
}

// listen adds l. It reports false if somebody listens on an address that l's
// overlaps: no two listeners may, SO_REUSEADDR or not. Who is only bound there may
// not mind.
func (d *demux) listen(l *Listener) bool {
	d.listenMu.Lock()
	defer d.listenMu.Unlock()
	m := make(map[listenKey]*Listener)
	if old := d.listeners.Load(); old != nil {
		for k, v := range *old {
			if k.lport == l.key.lport && (k.laddr == l.key.laddr || k.laddr == addr{} || l.key.laddr == addr{}) {
				return false
			}
			m[k] = v
		}
	}
	for _, b := range d.bindings[l.key.lport] {
		if b != l.binding && !b.reuse && overlap(b.laddr, l.key.laddr) {
			return false
		}
	}
	m[l.key] = l
	d.listeners.Store(&m)
	return true
}

func (d *demux) unlisten(l *Listener) {
	d.listenMu.Lock()
	defer d.listenMu.Unlock()
	old := d.listeners.Load()
	if old == nil {
		return
	}
	m := make(map[listenKey]*Listener)
	for k, v := range *old {
		if v != l {
			m[k] = v
		}
	}
	d.listeners.Store(&m)
}

// portListens reports whether any listener has the port.
func (d *demux) portListens(port uint16) bool {
	if m := d.listeners.Load(); m != nil {
		for k := range *m {
			if k.lport == port {
				return true
			}
		}
	}
	return false
}
