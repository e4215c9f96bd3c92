package ipv4

import (
	"iter"
	"sync/atomic"
)

// Stats counts packets under the names of Linux's /proc/net/snmp (Ip) and
// /proc/net/netstat (IpExt, TcpExt). RFC 4293 says what each means.
type Stats struct {
	InReceives, InHdrErrors, InAddrErrors, ForwDatagrams  atomic.Uint64
	InUnknownProtos, InDelivers, OutRequests, OutNoRoutes atomic.Uint64
	ReasmTimeout, ReasmReqds, ReasmOKs, ReasmFails        atomic.Uint64
	FragOKs, FragFails, FragCreates                       atomic.Uint64
	InNoRoutes, InTruncatedPkts, InCsumErrors             atomic.Uint64
	InMcastPkts, OutMcastPkts, InBcastPkts, OutBcastPkts  atomic.Uint64
	InMcastOctets, OutMcastOctets                         atomic.Uint64
	InBcastOctets, OutBcastOctets                         atomic.Uint64
	IPReversePathFilter, ReasmOverlaps                    atomic.Uint64
}

// Stats returns the protocol's counters, which are live.
func (pr *Protocol) Stats() *Stats { return &pr.stats }

// All yields the counters with the names nstat prints.
func (s *Stats) All() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		for _, c := range []struct {
			name string
			n    *atomic.Uint64
		}{
			{"IpInReceives", &s.InReceives}, {"IpInHdrErrors", &s.InHdrErrors}, {"IpInAddrErrors", &s.InAddrErrors},
			{"IpForwDatagrams", &s.ForwDatagrams}, {"IpInUnknownProtos", &s.InUnknownProtos}, {"IpInDelivers", &s.InDelivers},
			{"IpOutRequests", &s.OutRequests}, {"IpOutNoRoutes", &s.OutNoRoutes}, {"IpReasmTimeout", &s.ReasmTimeout},
			{"IpReasmReqds", &s.ReasmReqds}, {"IpReasmOKs", &s.ReasmOKs}, {"IpReasmFails", &s.ReasmFails},
			{"IpFragOKs", &s.FragOKs}, {"IpFragFails", &s.FragFails}, {"IpFragCreates", &s.FragCreates},
			{"IpExtInNoRoutes", &s.InNoRoutes}, {"IpExtInTruncatedPkts", &s.InTruncatedPkts}, {"IpExtInCsumErrors", &s.InCsumErrors},
			{"IpExtInMcastPkts", &s.InMcastPkts}, {"IpExtOutMcastPkts", &s.OutMcastPkts}, {"IpExtInBcastPkts", &s.InBcastPkts},
			{"IpExtOutBcastPkts", &s.OutBcastPkts}, {"IpExtInMcastOctets", &s.InMcastOctets}, {"IpExtOutMcastOctets", &s.OutMcastOctets},
			{"IpExtInBcastOctets", &s.InBcastOctets}, {"IpExtOutBcastOctets", &s.OutBcastOctets}, {"IpExtReasmOverlaps", &s.ReasmOverlaps}, {"TcpExtIPReversePathFilter", &s.IPReversePathFilter},
		} {
			if !yield(c.name, c.n.Load()) {
				return
			}
		}
	}
}
