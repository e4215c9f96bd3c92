package neighbour

// Stats are the table's counters, those of /proc/net/stat/arp_cache.
type Stats struct {
	Entries            uint64 `json:"entries"`             // entries now, permanent ones included
	GCEntries          uint64 `json:"gc_entries"`          // of these, entries that count against the thresholds 2 and 3
	Allocs             uint64 `json:"allocs"`              // entries allocated, also those that lost a race
	Destroys           uint64 `json:"destroys"`            // entries gone
	HashGrows          uint64 `json:"hash_grows"`          // doublings of a table that began with 8 buckets
	Lookups            uint64 `json:"lookups"`             // lookups other than by packets to be sent
	Hits               uint64 `json:"hits"`                // of these, successful ones
	ResFailed          uint64 `json:"res_failed"`          // resolutions and confirmations that failed
	RcvProbesMcast     uint64 `json:"rcv_probes_mcast"`    // 0: IPv6 only
	RcvProbesUcast     uint64 `json:"rcv_probes_ucast"`    // 0: IPv6 only
	PeriodicGCRuns     uint64 `json:"periodic_gc_runs"`    // also those that found nothing to do
	ForcedGCRuns       uint64 `json:"forced_gc_runs"`      // also those that freed nothing
	UnresolvedDiscards uint64 `json:"unresolved_discards"` // packets pushed out of an entry's queue
	TableFulls         uint64 `json:"table_fulls"`         // creations refused
}

// Stats returns the counters. They are read one after the other, so that a busy
// table's may be a few packets apart.
func (t *Table) Stats() Stats {
	t.periodic.catchUp(t.now())
	c := &t.collector
	st := Stats{
		Entries: uint64(t.entries.Load()), GCEntries: uint64(c.count.Load()), Allocs: t.allocs.Load(), HashGrows: t.grows.Load(),
		PeriodicGCRuns: c.periodic.Load(), ForcedGCRuns: c.forced.Load(), TableFulls: c.refused.Load(),
	}
	for i := range t.shards {
		s := &t.shards[i]
		st.Destroys += s.destroyed.Load()
		st.Lookups += s.lookups.Load()
		st.Hits += s.hits.Load()
		st.ResFailed += s.failed.Load()
		st.UnresolvedDiscards += s.discards.Load()
	}
	return st
}
