package udp

import (
	"iter"
	"sync/atomic"
)

// Stats counts datagrams under the names of Linux's /proc/net/snmp.
type Stats struct {
	InDatagrams  atomic.Uint64 // read by their application
	NoPorts      atomic.Uint64 // for a port without a socket
	InErrors     atomic.Uint64 // malformed, or without room
	OutDatagrams atomic.Uint64
	RcvbufErrors atomic.Uint64 // the socket's buffer was full
	SndbufErrors atomic.Uint64 // no room further down
	InCsumErrors atomic.Uint64
	MemErrors    atomic.Uint64 // all sockets together hold too much
	IgnoredMulti atomic.Uint64 // broadcast or multicast nobody wanted
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
			{"UdpInDatagrams", &s.InDatagrams}, {"UdpNoPorts", &s.NoPorts}, {"UdpInErrors", &s.InErrors},
			{"UdpOutDatagrams", &s.OutDatagrams}, {"UdpRcvbufErrors", &s.RcvbufErrors}, {"UdpSndbufErrors", &s.SndbufErrors},
			{"UdpInCsumErrors", &s.InCsumErrors}, {"UdpIgnoredMulti", &s.IgnoredMulti}, {"UdpMemErrors", &s.MemErrors},
		} {
			if !yield(c.name, c.n.Load()) {
				return
			}
		}
	}
}
