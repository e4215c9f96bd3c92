package neighbour

import (
	"net/netip"
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
