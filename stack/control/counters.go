package control

import (
	"maps"
	"net/http"
)

// Counters are a host's counters under the names that nstat gives them, the
// neighbour table's, and the dropped packets by Linux's names of the reasons.
type Counters struct {
	Protocols map[string]uint64 `json:"protocols"`
	Neigh     map[string]uint64 `json:"neigh"`
	Drops     map[string]uint64 `json:"drops"`
}

func (s *Server) counters(*http.Request) (any, error) {
	c := Counters{Protocols: map[string]uint64{}, Drops: s.host.Drops().Counts()}
	maps.Insert(c.Protocols, s.host.ARP().Stats.All())
	maps.Insert(c.Protocols, s.host.IPv4().Stats().All())
	maps.Insert(c.Protocols, s.host.ICMP().Stats().All())
	maps.Insert(c.Protocols, s.host.IGMP().Stats().All())
	maps.Insert(c.Protocols, s.host.UDP().Stats().All())
	maps.Copy(c.Protocols, s.host.TCP().Stats())
	n := s.host.Neighbours().Stats()
	c.Neigh = map[string]uint64{
		"entries": n.Entries, "allocs": n.Allocs, "destroys": n.Destroys, "hash_grows": n.HashGrows, "lookups": n.Lookups,
		"hits": n.Hits, "res_failed": n.ResFailed, "rcv_probes_mcast": n.RcvProbesMcast, "rcv_probes_ucast": n.RcvProbesUcast,
		"periodic_gc_runs": n.PeriodicGCRuns, "forced_gc_runs": n.ForcedGCRuns,
		"unresolved_discards": n.UnresolvedDiscards, "table_fulls": n.TableFulls,
	}
	return c, nil
}
