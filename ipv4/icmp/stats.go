package icmp

import (
	"iter"
	"strconv"
	"sync/atomic"
)

// Stats counts messages under the names of Linux's /proc/net/snmp (Icmp,
// IcmpMsg).
type Stats struct {
	InMsgs, InErrors, InCsumErrors, OutMsgs, OutErrors atomic.Uint64
	OutRateLimitGlobal, OutRateLimitHost               atomic.Uint64
	InType, OutType                                    [numTypes]atomic.Uint64
}

// Stats returns the protocol's counters, which are live.
func (pr *Protocol) Stats() *Stats { return &pr.stats }

// typeNames are the types that Icmp has a counter of its own for.
var typeNames = [numTypes]string{
	TypeEchoReply: "EchoReps", TypeUnreachable: "DestUnreachs", TypeSourceQuench: "SrcQuenchs", TypeRedirect: "Redirects",
	TypeEcho: "Echos", TypeTimeExceeded: "TimeExcds", TypeParameterProblem: "ParmProbs", TypeTimestamp: "Timestamps",
	TypeTimestampReply: "TimestampReps", 17: "AddrMasks", 18: "AddrMaskReps",
}

// All yields the counters with the names nstat prints.
func (s *Stats) All() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		for _, c := range []struct {
			name string
			n    *atomic.Uint64
		}{
			{"IcmpInMsgs", &s.InMsgs}, {"IcmpInErrors", &s.InErrors}, {"IcmpInCsumErrors", &s.InCsumErrors},
			{"IcmpOutMsgs", &s.OutMsgs}, {"IcmpOutErrors", &s.OutErrors},
			{"IcmpOutRateLimitGlobal", &s.OutRateLimitGlobal}, {"IcmpOutRateLimitHost", &s.OutRateLimitHost},
		} {
			if !yield(c.name, c.n.Load()) {
				return
			}
		}
		for t, name := range typeNames {
			if name != "" && !(yield("IcmpIn"+name, s.InType[t].Load()) && yield("IcmpOut"+name, s.OutType[t].Load())) {
				return
			}
		}
		for t := range numTypes {
			n := strconv.Itoa(t)
			if in := s.InType[t].Load(); in > 0 && !yield("IcmpMsgInType"+n, in) {
				return
			}
			if out := s.OutType[t].Load(); out > 0 && !yield("IcmpMsgOutType"+n, out) {
				return
			}
		}
	}
}
