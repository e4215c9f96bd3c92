package control

import (
	"net/http"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/neighbour"
)

// Change is one of what `ip monitor` shows; the others of its fields are nil.
type Change struct {
	Address *AddressEvent `json:"address,omitempty"`
	Link    *LinkEvent    `json:"link,omitempty"`
	Route   *RouteEvent   `json:"route,omitempty"`
	Neigh   *Event        `json:"neigh,omitempty"`
}

// monitored says what is watched.
type monitored struct{ address, link, route, neigh bool }

// monitor streams Changes of the objects that are asked for: link, address,
// route, neigh.
func (s *Server) monitor(w http.ResponseWriter, r *http.Request) {
	var m monitored
	for _, o := range r.URL.Query()["object"] {
		switch o {
		case "address":
			m.address = true
		case "link":
			m.link = true
		case "route":
			m.route = true
		case "neigh":
			m.neigh = true
		default:
			writeError(w, invalid("control: there is no %q to watch", o))
			return
		}
	}
	out := newLines(w)
	s.watch(r, m, func(c Change) error { return out.send(c) })
}

// watch sends changes until the request ends, the server, or send fails.
func (s *Server) watch(r *http.Request, m monitored, send func(Change) error) {
	host := s.host.IPv4().Subscribe(monitorBuffer)
	defer host.Close()
	links := s.linkEvents.subscribe(monitorBuffer)
	defer links.close()
	var neigh <-chan neighbour.Event
	if m.neigh {
		sub := s.host.Neighbours().Subscribe(monitorBuffer)
		defer sub.Close()
		neigh = sub.C
	}
	var tentative <-chan tallied[AddressEvent]
	if m.address {
		c := s.watchClaims()
		defer s.unwatchClaims(c)
		tentative = c.C
	}
	missed := uint64(0)
	// fromHost sends what the host tells itself.
	fromHost := func(ev ipv4.Event) error {
		missed += ev.Missed
		ev.Missed = missed
		c := Change{}
		switch ev.Kind {
		case ipv4.AddressAdded, ipv4.AddressDeleted:
			if m.address {
				a := s.addressEvent(ev)
				c.Address = &a
			}
		case ipv4.LinkChanged, ipv4.LinkDeleted:
			if m.link {
				c.Link = s.linkEvent(ev)
			}
		case ipv4.RouteAdded, ipv4.RouteDeleted:
			if m.route {
				c.Route = &RouteEvent{Time: ev.Time, Deleted: ev.Kind == ipv4.RouteDeleted, Route: s.routeOf(ev.Route), Missed: ev.Missed}
			}
		}
		if c == (Change{}) {
			return nil
		}
		missed = 0
		return send(c)
	}
	for {
		var err error
		select {
		case ev := <-host.C:
			err = fromHost(ev)
		case ev := <-links.C:
			if m.link {
				e := ev.item
				e.Missed = ev.missed
				err = send(Change{Link: &e})
			}
		case ev := <-tentative:
			// What the host told before comes first.
			for more := true; more && err == nil; {
				select {
				case ev := <-host.C:
					err = fromHost(ev)
				default:
					more = false
				}
			}
			if err == nil {
				e := ev.item
				e.Missed = ev.missed
				err = send(Change{Address: &e})
			}
		case ev, ok := <-neigh:
			switch {
			case !ok:
				return
			case ev.Announced != neighbour.Silent:
				e := eventOf(ev)
				err = send(Change{Neigh: &e})
			}
		case <-r.Context().Done():
			return
		case <-s.done:
			return
		}
		if err != nil {
			return
		}
	}
}
