package arp

import (
	"iter"
	"sync/atomic"
)

// Stats counts what became of ARP packets. The fields only grow and may be read
// at any time.
type Stats struct {
	InRequests, InReplies       atomic.Uint64 // well-formed packets received
	OutRequests, OutReplies     atomic.Uint64 // packets handed to a device, of whatever origin
	OutProbes, OutAnnouncements atomic.Uint64 // the requests among them that claims to addresses sent
	OutFiltered, OutErrors      atomic.Uint64 // packets that the Filter or the device refused
	Filtered                    atomic.Uint64 // requests that arp_filter left unanswered for their way back: Linux's TcpExt ArpFilter
	ProxyQueued                 atomic.Uint64 // requests put off by proxy_delay
	Conflicts                   atomic.Uint64 // packets that contest an address with a claim

	outcomes [numOutcomes]atomic.Uint64
}

// outcome is what became of one received packet: each has exactly one, when it
// is over.
type outcome uint8

// The outcomes. Linux counts those from dropTooShort on as dropped, the others
// as consumed.
const (
	noARP       outcome = iota // the interface does no ARP
	otherHost                  // the frame was for another station
	answered                   // an address of ours
	proxyAnswer                // an address that is proxied
	sysctlIgnore
	sysctlFilter
	tableFull    // a request for us, whose sender could not be remembered
	probeIgnored // a probe for others, or a reply from 0.0.0.0
	learnt       // the sender's entry was offered the address
	noEntry      // the sender has none, and gets none
	proxyPurged  // waited for proxy_delay, until its interface or its reason was gone

	dropTooShort
	dropHardware
	dropProtocol
	dropOperation
	dropFilter
	dropNoIPv4
	dropTarget
	dropGratuitous
	dropProxyQueue

	numOutcomes
)

var outcomeNames = [numOutcomes]string{
	noARP: "ArpInNoArp", otherHost: "ArpInOtherHost", answered: "ArpInAnswered", proxyAnswer: "ArpInProxied",
	sysctlIgnore: "ArpInIgnored", sysctlFilter: "ArpInFiltered", tableFull: "ArpInTableFull",
	probeIgnored: "ArpInProbesIgnored", learnt: "ArpInLearnt", noEntry: "ArpInNoEntry", proxyPurged: "ArpInProxyPurged",
	dropTooShort: "ArpInDropTooShort", dropHardware: "ArpInDropHardware", dropProtocol: "ArpInDropProtocol",
	dropOperation: "ArpInDropOperation", dropFilter: "ArpInDropFilter", dropNoIPv4: "ArpInDropNoIPv4",
	dropTarget: "ArpInDropTarget", dropGratuitous: "ArpInDropGratuitous", dropProxyQueue: "ArpInDropProxyQueue",
}

// Consumed returns how many received packets were dealt with, if only by
// ignoring them. Packets that wait for proxy_delay are not among them yet.
func (s *Stats) Consumed() uint64 { return s.sum(0, dropTooShort) }

// Dropped returns how many received packets were refused, as malformed or
// unwanted.
func (s *Stats) Dropped() uint64 { return s.sum(dropTooShort, numOutcomes) }

func (s *Stats) sum(from, to outcome) (n uint64) {
	for o := from; o < to; o++ {
		n += s.outcomes[o].Load()
	}
	return n
}

// All yields the counters under names for nstat. Linux has only TcpExtArpFilter;
// the others are named in its manner. May be called concurrently with anything.
func (s *Stats) All() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		for _, c := range []struct {
			name string
			n    uint64
		}{
			{"TcpExtArpFilter", s.Filtered.Load()},
			{"ArpInRequests", s.InRequests.Load()}, {"ArpInReplies", s.InReplies.Load()},
			{"ArpInConsumed", s.Consumed()}, {"ArpInDropped", s.Dropped()},
			{"ArpInProxyQueued", s.ProxyQueued.Load()}, {"ArpInConflicts", s.Conflicts.Load()},
			{"ArpOutRequests", s.OutRequests.Load()}, {"ArpOutReplies", s.OutReplies.Load()},
			{"ArpOutProbes", s.OutProbes.Load()}, {"ArpOutAnnouncements", s.OutAnnouncements.Load()},
			{"ArpOutFiltered", s.OutFiltered.Load()}, {"ArpOutErrors", s.OutErrors.Load()},
		} {
			if !yield(c.name, c.n) {
				return
			}
		}
		for o, name := range outcomeNames {
			if !yield(name, s.outcomes[o].Load()) {
				return
			}
		}
	}
}
