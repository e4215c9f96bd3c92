package control

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tapstack/tapstack/arp"
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

// addresses tells what commands and claims did to the host's addresses. Nothing
// else changes them.
type addresses struct {
	feed feed[AddressEvent]

	mu   sync.Mutex     // held while the host is asked
	last []AddressEvent // what there was; nil: nobody watches
}

// same reports whether two events are about the same address.
func (e AddressEvent) same(o AddressEvent) bool {
	return e.Index == o.Index && e.Address.Local == o.Address.Local && e.Address.PrefixLen == o.Address.PrefixLen
}

// addressList returns the addresses there are.
func (s *Server) addressList() []AddressEvent {
	list := []AddressEvent{}
	links, err := s.links("")
	if err != nil {
		return list // only of a device that is not there
	}
	for _, l := range links {
		for _, a := range l.Addresses {
			a.ACD = "" // of which only some steps are told
			list = append(list, AddressEvent{Index: l.Index, Dev: l.Name, Address: a})
		}
	}
	return list
}

// AddressesChanged tells the clients that watch addresses what others than they
// did to them.
func (s *Server) AddressesChanged() { s.addressesChanged() }

// addressesChanged tells those who watch what is not as it was last time. With
// nobody watching it does nothing.
func (s *Server) addressesChanged() {
	w := &s.addresses
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil {
		return
	}
	before, now, at := w.last, s.addressList(), time.Now()
	w.last = now
	// Secondary addresses stand behind their primary, and go before it.
	for _, e := range slices.Backward(before) {
		if !slices.ContainsFunc(now, e.same) {
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

func (s *Server) watchAddresses() *reader[AddressEvent] {
	w := &s.addresses
	w.mu.Lock()
	defer w.mu.Unlock()
	reader := w.feed.subscribe(monitorBuffer)
	if w.last == nil {
		w.last = s.addressList()
	}
	return reader
}

func (s *Server) unwatchAddresses(r *reader[AddressEvent]) {
	w := &s.addresses
	w.mu.Lock()
	defer w.mu.Unlock()
	r.close()
	if !w.feed.watched() {
		w.last = nil
	}
}

// changing is an endpoint that may change addresses.
func (s *Server) changing(f endpoint) endpoint {
	return func(r *http.Request) (any, error) {
		v, err := f(r)
		s.addressesChanged()
		return v, err
	}
}

// claimEvent is what the claims made here tell.
func (s *Server) claimEvent(arp.ClaimEvent) { s.addressesChanged() }

func (s *Server) addrMonitor(w http.ResponseWriter, r *http.Request) {
	events := s.watchAddresses()
	defer s.unwatchAddresses(events)
	out := newLines(w)
	for {
		select {
		case ev := <-events.C:
			ev.item.Missed = ev.missed
			if out.send(ev.item) != nil {
				return
			}
		case <-r.Context().Done():
			return
		case <-s.done:
			return
		}
	}
}
