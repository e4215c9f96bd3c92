package neighbour

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/tapstack/tapstack/link"
)

// AddrType is what an address is to the host, as far as an entry needs to know.
type AddrType uint8

// The types, with Linux's rtm_type values where it has one.
const (
	Unicast   AddrType = 1
	Local     AddrType = 2
	Broadcast AddrType = 3
	Multicast AddrType = 5
)

// EntryInfo is a snapshot of an entry.
type EntryInfo struct {
	IP            netip.Addr
	Interface     int
	InterfaceName string
	LLAddr        link.Addr // also the last known one of an entry that is not valid
	HasLLAddr     bool      // LLAddr is in force: the state is valid
	State         State
	Flags         Flags // ISRouter, Managed, ExtLearned, ExtValidated
	Type          AddrType
	Protocol      uint8 // who installed it, rtm_protocol's numbers

	// Ages since the last slow use, the last evidence and the last change.
	Used, Confirmed, Updated time.Duration

	Probes     int
	Refs       int // references besides the table's: 1 while a timer runs
	QueueLen   int // packets that wait
	QueueBytes int // what they are charged
}

// entry is one neighbour. It is made for a million of them: 80 bytes, times as
// instants, the queue apart. What a reader without the lock needs is atomic; the
// rest is guarded by the shard's mutex, the list links by the collector's.
type entry struct {
	word      atomic.Uint64 // a word
	confirmed atomic.Int64  // an instant; also stored without the lock
	used      instant
	updated   instant
	iface     *Interface
	pending   *link.Queue // packets that wait, nil when none ever did or all have left

	older, newer *entry // in the collector's list

	ip       uint32
	timer    int32 // position in the deadline heap, noTimer when not armed
	probes   int32
	kind     AddrType
	protocol uint8
	marks    marks
}

const noTimer = -1

// marks are an entry's bits that concern the shell only.
type marks uint8

const (
	headerBuilt marks = 1 << iota // a packet has gone out the slow way, Linux's cached header exists
	draining                      // a goroutine is sending the packets that waited
	listed                        // in the collector's list, and counted against the thresholds
	kept                          // in the list of managed entries
	exempt                        // of a loopback interface: never listed
)

// word is all a packet on its way needs to know about an entry, in one load:
//
//	63                                16 15     8 7      0
//	+-----------------------------------+--------+--------+
//	|          link-layer address       | state  |  bits  |
//	+-----------------------------------+--------+--------+
//
// The address has its first byte at bit 56. Of the bits, fast says that a packet
// may go to that address with no further ado: the state is connected, a packet
// has gone the slow way before, and nothing waits.
type word uint64

const (
	fastBit word = 1 << iota
	deadBit
	routerBit
	managedBit
	learnedBit
	validatedBit
)

func makeWord(a link.Addr, s State, f Flags, dead, fast bool) word {
	w := word(a[0])<<56 | word(a[1])<<48 | word(a[2])<<40 | word(a[3])<<32 | word(a[4])<<24 | word(a[5])<<16 | word(s)<<8
	if dead {
		w |= deadBit
	}
	if fast {
		w |= fastBit
	}
	if f&persistent != 0 {
		if f&ISRouter != 0 {
			w |= routerBit
		}
		if f&Managed != 0 {
			w |= managedBit
		}
		if f&ExtLearned != 0 {
			w |= learnedBit
		}
		if f&ExtValidated != 0 {
			w |= validatedBit
		}
	}
	return w
}

func (w word) state() State { return State(w >> 8) }

func (w word) lladdr() link.Addr {
	return link.Addr{byte(w >> 56), byte(w >> 48), byte(w >> 40), byte(w >> 32), byte(w >> 24), byte(w >> 16)}
}

func (w word) flags() (f Flags) {
	if w&(routerBit|managedBit|learnedBit|validatedBit) == 0 {
		return 0
	}
	if w&routerBit != 0 {
		f |= ISRouter
	}
	if w&managedBit != 0 {
		f |= Managed
	}
	if w&learnedBit != 0 {
		f |= ExtLearned
	}
	if w&validatedBit != 0 {
		f |= ExtValidated
	}
	return f
}

func (e *entry) load() word { return word(e.word.Load()) }

// key identifies an entry in the table: interface and address. It is never 0,
// since interfaces count from 1.
func makeKey(iface int, ip uint32) uint64 { return uint64(iface)<<32 | uint64(ip) }

func (e *entry) key() uint64 { return makeKey(e.iface.index, e.ip) }

func (e *entry) addr() netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], e.ip)
	return netip.AddrFrom4(b)
}

// queuedLocked returns how many packets wait.
func (e *entry) queuedLocked() int {
	if e.pending == nil {
		return 0
	}
	return e.pending.Len()
}

// takeLocked takes the packets that wait.
func (e *entry) takeLocked() link.Queue {
	if e.pending == nil {
		return link.Queue{}
	}
	q := *e.pending
	e.pending = nil
	return q
}

// infoLocked returns a snapshot.
func (e *entry) infoLocked(now instant) EntryInfo {
	w := e.load()
	s := w.state()
	info := EntryInfo{
		IP: e.addr(), Interface: e.iface.index, InterfaceName: e.iface.name,
		LLAddr: w.lladdr(), HasLLAddr: s.Valid(), State: s, Flags: w.flags(), Type: e.kind, Protocol: e.protocol,
		Used: now.sub(e.used), Confirmed: now.sub(instant(e.confirmed.Load())), Updated: now.sub(e.updated),
		Probes: int(e.probes),
	}
	if e.timer != noTimer {
		info.Refs++
	}
	if e.pending != nil {
		info.QueueLen, info.QueueBytes = e.pending.Len(), e.pending.Cost()
	}
	return info
}
