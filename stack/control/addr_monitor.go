package control

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/ipv4"
)

// AddressEvent is an address that an interface got or lost, or that is not what
// it was.
type AddressEvent struct {
	Time    time.Time `json:"time"`
	Deleted bool      `json:"deleted,omitempty"`
	Index   int       `json:"ifindex"`
	Dev     string    `json:"ifname"`
	Address Address   `json:"addr_info"`
	// Missed is how many events were lost just before this one, because the
	// client read too slowly.
	Missed uint64 `json:"missed,omitempty"`
}

// claims tells what becomes of the addresses that are asked for by RFC 5227 while
// the interface does not have them; of those it has, the host tells itself.
type claims struct {
	feed feed[AddressEvent]

	mu   sync.Mutex     // held while the host is asked
	last []AddressEvent // the tentative ones there were; nil: nobody watches
}

// same reports whether two events are about the same address.
func (e AddressEvent) same(o AddressEvent) bool {
	return e.Index == o.Index && e.Address.Local == o.Address.Local && e.Address.PrefixLen == o.Address.PrefixLen
}

// tentative returns the addresses that are claimed and not there, and those that
// are there.
func (s *Server) tentative() (waiting, there []AddressEvent) {
	waiting = []AddressEvent{}
	links, err := s.links("")
	if err != nil {
		return waiting, nil // only of a device that is not there
	}
	for _, l := range links {
		for _, a := range l.Addresses {
			a.ACD = "" // of which only some steps are told
			e := AddressEvent{Index: l.Index, Dev: l.Name, Address: a}
			if a.Tentative {
				waiting = append(waiting, e)
			} else {
				there = append(there, e)
			}
		}
	}
	return waiting, there
}

// AddressesChanged tells the clients that watch addresses what others than they
// did to claims.
func (s *Server) AddressesChanged() { s.claimsChanged() }

// claimsChanged tells those who watch what is not as it was last time. With
// nobody watching it does nothing.
func (s *Server) claimsChanged() {
	w := &s.claims
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil {
		return
	}
	before, at := w.last, s.host.IPv4().Now()
	now, there := s.tentative()
	w.last = now
	for _, e := range before {
		if !slices.ContainsFunc(now, e.same) && !slices.ContainsFunc(there, e.same) {
			e.Time, e.Deleted = at, true
			w.feed.publish(e)
		}
	}
	for _, e := range now {
		if !slices.Contains(before, e) {
			e.Time = at
			w.feed.publish(e)
		}
	}
}

func (s *Server) watchClaims() *reader[AddressEvent] {
	w := &s.claims
	w.mu.Lock()
	defer w.mu.Unlock()
	reader := w.feed.subscribe(monitorBuffer)
	if w.last == nil {
		w.last, _ = s.tentative()
	}
	return reader
}

func (s *Server) unwatchClaims(r *reader[AddressEvent]) {
	w := &s.claims
	w.mu.Lock()
	defer w.mu.Unlock()
	r.close()
	if !w.feed.watched() {
		w.last = nil
	}
}

// changing is an endpoint that may change claims.
func (s *Server) changing(f endpoint) endpoint {
	return func(r *http.Request) (any, error) {
		v, err := f(r)
		s.claimsChanged()
		return v, err
	}
}

// claimEvent is what the claims made here tell.
func (s *Server) claimEvent(arp.ClaimEvent) { s.claimsChanged() }

// addressEvent returns what the host tells of an address.
func (s *Server) addressEvent(ev ipv4.Event) AddressEvent {
	loopback := false
	if i := s.host.Interface(ev.Name); i != nil {
		loopback = i.Loopback()
	}
	return AddressEvent{
		Time: ev.Time, Deleted: ev.Kind == ipv4.AddressDeleted, Index: ev.Interface, Dev: ev.Name,
		Address: addressOf(ev.Address, loopback), Missed: ev.Missed,
	}
}

// addrMonitor streams AddressEvents.
func (s *Server) addrMonitor(w http.ResponseWriter, r *http.Request) {
	out := newLines(w)
	s.watch(r, monitored{address: true}, func(c Change) error { return out.send(*c.Address) })
}
