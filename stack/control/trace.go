package control

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tapstack/tapstack/neighbour"
)

// TraceEvent is a line of a trace: one of Neigh and Drop.
type TraceEvent struct {
	Time time.Time `json:"time"`
	// Missed is how many events of this sort were lost just before this one,
	// because the client read too slowly.
	Missed uint64 `json:"missed,omitempty"`
	Neigh  *Event `json:"neigh,omitempty"`
	Drop   *Drop  `json:"drop,omitempty"`
}

// watchDrops is told when the first reader comes and the last one leaves:
// without any, dropping a packet costs what it costs without a server.
func (s *Server) watchDrops(on bool) {
	if on {
		s.host.Drops().Watch(s.noteDrop)
	} else {
		s.host.Drops().Watch(nil)
	}
}

// trace streams what is asked for: neigh=1 every event of the neighbour table,
// drops=1 every dropped packet.
func (s *Server) trace(w http.ResponseWriter, r *http.Request) {
	var (
		neighs <-chan neighbour.Event
		drops  <-chan tallied[dropped]
	)
	if on, _ := strconv.ParseBool(r.URL.Query().Get("neigh")); on {
		sub := s.host.Neighbours().Subscribe(monitorBuffer)
		defer sub.Close()
		neighs = sub.C
	}
	if on, _ := strconv.ParseBool(r.URL.Query().Get("drops")); on {
		reader := s.drops.subscribe(monitorBuffer)
		defer reader.close()
		drops = reader.C
	}
	if neighs == nil && drops == nil {
		writeError(w, invalid("control: trace: want neigh, drops or both"))
		return
	}
	out := newLines(w)
	var batch []TraceEvent
	for {
		batch = batch[:0]
		select {
		case ev, ok := <-neighs:
			if !ok {
				return
			}
			batch = append(batch, neighTrace(ev))
		case d := <-drops:
			batch = append(batch, s.dropTrace(d))
		case <-r.Context().Done():
			return
		case <-s.done:
			return
		}
		// The two come by ways of their own. What is there already is put in
		// order.
		for more := true; more && len(batch) < monitorBuffer; {
			select {
			case ev, ok := <-neighs:
				if more = ok; ok {
					batch = append(batch, neighTrace(ev))
				}
			case d := <-drops:
				batch = append(batch, s.dropTrace(d))
			default:
				more = false
			}
		}
		slices.SortStableFunc(batch, func(a, b TraceEvent) int { return a.Time.Compare(b.Time) })
		for _, ev := range batch {
			if out.send(ev) != nil {
				return
			}
		}
	}
}

func neighTrace(ev neighbour.Event) TraceEvent {
	e := eventOf(ev)
	t := TraceEvent{Time: e.Time, Missed: e.Missed, Neigh: &e}
	e.Missed = 0
	return t
}

func (s *Server) dropTrace(t tallied[dropped]) TraceEvent {
	d := s.drop(t.item)
	return TraceEvent{Time: t.item.at, Missed: t.missed, Drop: &d}
}
