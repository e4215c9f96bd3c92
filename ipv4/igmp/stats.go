package igmp

import (
	"iter"
	"sync/atomic"
)

// Stats counts messages. Linux has no such counters.
type Stats struct {
	InMsgs, InErrors, InCsumErrors, InQueries, InReports atomic.Uint64
	OutMsgs, OutErrors, OutReports, OutLeaves            atomic.Uint64
}

// Stats returns the protocol's counters, which are live.
func (pr *Protocol) Stats() *Stats { return &pr.stats }

// All yields the counters with their names.
func (s *Stats) All() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		for _, c := range []struct {
			name string
			n    *atomic.Uint64
		}{
			{"IgmpInMsgs", &s.InMsgs}, {"IgmpInErrors", &s.InErrors}, {"IgmpInCsumErrors", &s.InCsumErrors},
			{"IgmpInQueries", &s.InQueries}, {"IgmpInReports", &s.InReports}, {"IgmpOutMsgs", &s.OutMsgs},
			{"IgmpOutErrors", &s.OutErrors}, {"IgmpOutReports", &s.OutReports}, {"IgmpOutLeaves", &s.OutLeaves},
		} {
			if !yield(c.name, c.n.Load()) {
				return
			}
		}
	}
}
