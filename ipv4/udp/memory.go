package udp

import "sync/atomic"

// DefaultMemory is how much unread data all sockets together hold before those
// with more than a little get no more, in bytes of what datagrams cost (the first
// value of Linux's net.ipv4.udp_mem, which depends on the machine's memory).
const DefaultMemory = 256 << 20

const (
	// memoryPage is what memory is reserved in.
	memoryPage = 4096
	// minMemory is what a socket may always have, up to twice the limit
	// (net.ipv4.udp_rmem_min).
	minMemory = 4096
	// idlePages are kept by a socket that does not need them, so that one with a
	// short queue leaves the shared counter alone.
	idlePages = 2
)

// memory is what unread datagrams cost on all sockets together.
type memory struct {
	limit int64
	used  atomic.Int64
}

// reserve takes n more bytes for a socket whose datagrams cost held (Linux's
// __sk_mem_raise_allocated).
func (m *memory) reserve(n, held int) bool {
	used := m.used.Add(int64(n))
	if used <= m.limit || used <= 2*m.limit && held < minMemory {
		return true
	}
	m.used.Add(int64(-n))
	return false
}

func (m *memory) release(n int) { m.used.Add(int64(-n)) }

// reserveLocked makes sure that the socket has memory for cost more bytes.
func (c *Conn) reserveLocked(cost int) bool {
	held := c.costLocked()
	need := held + cost - c.reserved
	if need <= 0 {
		return true
	}
	need = (need + memoryPage - 1) / memoryPage * memoryPage
	if !c.pr.memory.reserve(need, held) {
		return false
	}
	c.reserved += need
	return true
}

// releaseLocked gives back what the socket does not need any more.
func (c *Conn) releaseLocked() {
	spare := (c.reserved - c.costLocked()) / memoryPage
	if spare > idlePages {
		n := (spare - idlePages) * memoryPage
		c.reserved -= n
		c.pr.memory.release(n)
	}
}
