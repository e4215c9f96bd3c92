package main

import "slices"

// test is one load and what is shown of what it measures.
type test struct {
	// name stays what it is, so that results of different versions can be
	// compared.
	name string
	load func(*client) (values, error)
	rows []row
	// fresh: the device under test must have done nothing before.
	fresh bool
	// plain: with frames of 1500 bytes only. Who has a variant without offloads
	// is measured by that.
	plain bool
	// stations: the kernel's limits to its neighbour table, which are the
	// machine's and not the namespace's, would decide; it is left out.
	stations bool
}

// row is one of a test's values.
type row struct {
	key, label, unit string
	// figure: whether more is better, less is, or neither and no ratio is shown.
	better better
}

type better int

const (
	more better = iota
	less
	neither
)

// plainVariants are the devices that stand for others in tests that are plain.
var plainVariants = map[string]string{
	tapstack:          tapstack + "-off",
	tapstack + "-off": tapstack + "-off",
	gvisor:            gvisor + "-stock",
	gvisor + "-stock": gvisor + "-stock",
}

// device is who is measured for the column of a device, "" for nobody.
func (t *test) device(column string) string {
	switch {
	case t.plain:
		return plainVariants[column]
	case t.stations && column == linux:
		return ""
	}
	return column
}

// suite returns all tests, in the order of the table.
func suite() []test {
	throughput := func(label string) []row {
		return []row{
			{"gbps", label, "Gbit/s", more},
			{"dut", "– CPU of the stack's process", "s/GB", less},
			{"machine", "– CPU of the machine", "s/GB", less},
		}
	}
	trip := func(label string) []row {
		return []row{{"p50", label + ", p50", "us", less}, {"p99", label + ", p99", "us", less}}
	}
	forwarding := func(label string) []row {
		return []row{{"rate", label, "1/s", more}, {"dut", "– CPU of the stack's process", "us", less}, {"lost", "– lost", "", neither}}
	}
	return []test{
		{name: "up1", load: bulk(true, 1), rows: throughput("TCP upload, 1 connection")},
		{name: "down1", load: bulk(false, 1), rows: throughput("TCP download, 1 connection")},
		{name: "up8", load: bulk(true, 8), rows: throughput("TCP upload, 8 connections")},
		{name: "down8", load: bulk(false, 8), rows: throughput("TCP download, 8 connections")},
		{name: "up1500", plain: true, load: bulk(true, 1), rows: throughput("TCP upload, frames of 1500 only")[:1]},
		{name: "down1500", plain: true, load: bulk(false, 1), rows: throughput("TCP download, frames of 1500 only")[:1]},
		{name: "udpecho", load: flood(128), rows: []row{
			{"rate", "UDP echo, 64 B, 128 in flight", "1/s", more},
			{"dut", "– CPU of the stack's process", "us", less},
			{"lost", "– lost", "", neither},
		}},
		{name: "forward64", load: forward(64), rows: forwarding("Forwarding between two links, 64 B")},
		{name: "forward1500", load: forward(1500), rows: forwarding("Forwarding between two links, 1500 B")},
		{name: "tcprr", load: roundTrips("tcp4"), rows: trip("TCP round trip of 1 byte")},
		{name: "udprr", load: roundTrips("udp4"), rows: trip("UDP round trip of 1 byte")},
		{name: "connect", load: connects(8), rows: []row{{"rate", "TCP connect and close, 8 dialers", "1/s", more}}},
		{name: "http1", load: requests(1), rows: []row{{"rate", "HTTP, 1 connection", "1/s", more}}},
		{name: "http32", load: requests(32), rows: []row{{"rate", "HTTP, 32 connections", "1/s", more}}},
		{name: "arp", fresh: true, stations: true, load: requestReplies(256), rows: []row{
			{"rate", "ARP replies, 100,000 senders", "1/s", more},
			{"mib", "– growth of memory", "MiB", neither},
		}},
		{name: "resolve", fresh: true, stations: true, load: resolve, rows: []row{
			{"lost", "resolving 20,000 neighbours, lost", "", neither},
			{"ms99", "– time until 99 % are reached", "ms", less},
		}},
		{name: "idle", fresh: true, load: idle, rows: []row{{"kib", "memory per idle connection, of 5,000", "KiB", less}}},
		{name: "check", load: check, rows: []row{{"mb", "compared by SHA-256, each way", "MB", neither}}},
	}
}

// testNamed returns nil if there is none.
func testNamed(name string) *test {
	all := suite()
	if k := slices.IndexFunc(all, func(t test) bool { return t.name == name }); k >= 0 {
		return &all[k]
	}
	return nil
}
