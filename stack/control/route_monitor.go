package control

import (
	"time"

	"github.com/tapstack/tapstack/ipv4"
)

// RouteEvent is a route that was added or deleted.
type RouteEvent struct {
	Time    time.Time `json:"time"`
	Deleted bool      `json:"deleted,omitempty"`
	Route   Route     `json:"route"`
	// Missed is how many events were lost just before this one, because the
	// client read too slowly.
	Missed uint64 `json:"missed,omitempty"`
}

// LinkEvent is an interface that came, went, or is not what it was.
type LinkEvent struct {
	Time    time.Time `json:"time"`
	Deleted bool      `json:"deleted,omitempty"`
	Link    Link      `json:"link"`
	Missed  uint64    `json:"missed,omitempty"` // as a RouteEvent's
}

// linkEvent returns what the host tells of an interface, as it is now; of one
// that has gone there is only the name.
func (s *Server) linkEvent(ev ipv4.Event) *LinkEvent {
	e := &LinkEvent{Time: ev.Time, Deleted: ev.Kind == ipv4.LinkDeleted, Link: Link{Index: ev.Interface, Name: ev.Name}, Missed: ev.Missed}
	if links, err := s.links(ev.Name); err == nil && !e.Deleted && len(links) == 1 {
		e.Link = links[0]
	}
	return e
}
