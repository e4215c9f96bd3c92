// Package neighbour is Linux's neighbour subsystem for IPv4: the table that maps
// a next hop's address to its link-layer address, and the neighbour
// unreachability detection (NUD) that keeps the mapping true.
//
// The table knows neither ARP nor IP. It asks for a neighbour through
// Config.Solicit, learns through Table.Update, and hands packets it could not
// deliver to Config.Unreachable.
//
// # Parts
//
// The machine (nud.go, transitions.go, update.go) is pure: it takes an entry's
// state, what happened and the time, and returns what to do. Its transitions are
// a table of data, which drives the code, the tests and the documentation. The
// shell around it (table.go, shard.go and the rest) has the clock, the locks and
// the packets.
//
// # Locks
//
// A table has 64 shards; an entry belongs to one by the seeded hash of its key.
// The mutex of a shard covers its entries, its index's writers and its deadline
// heap. Two shards are never locked at once. Under a shard's lock the machine
// runs and its effects are collected; they are performed, callbacks called and
// packets written, when it has been released.
//
// Only the mutex of forced collection is taken before a shard's. Taken under a
// shard's lock, and leaves but for the order given, are those of the collector's
// list, the list of managed entries, a schedule and then the parameter blocks, and
// the event stream. A caller may hold a lock of its own, a TCP connection's for
// instance, that no callback of Config takes.
//
// Readers take no lock: an index slot and an entry's word are atomic, and the
// garbage collector keeps what a reader still looks at (read-copy-update). While a
// shard rebuilds its index readers find everything in the old one.
//
// # Order of packets
//
// A packet that waits in an entry's queue is overtaken by none. On resolution the
// entry gets its address and state at once, but senders keep queueing while one
// goroutine drains, batch by batch, and only when it finds the queue empty under
// the lock does the fast path open.
//
// # Sources
//
// RFC 826 (ARP), RFC 4861 sections 7.3 and 10 (the state machine and its
// constants), RFC 7048 (on not giving up too early), RFC 1122 sections 2.3.2.1
// and 2.3.2.2 (rate of requests, saving packets), and the observed behaviour of
// Linux 6.18 wherever these leave a choice or Linux takes another.
package neighbour

//go:generate go test . -run ^TestDocs$ -neighbour.docs
