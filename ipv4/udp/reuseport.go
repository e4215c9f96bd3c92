package udp

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
	"sync/atomic"
)

// group are the sockets with ReusePort that are bound to one address and
// interface, in the order they were bound: what is sent there is shared out among
// them by flow (Linux's struct sock_reuseport).
type group struct {
	members atomic.Pointer[[]*Conn] // immutable, never nil; replaced under demux.mu
}

// joinGroupLocked adds c to the group of its address among the sockets of its
// port.
func (c *Conn) joinGroupLocked(port []*Conn) {
	if !c.reusePort {
		return
	}
	for _, o := range port {
		if o.group != nil && o.bound == c.bound && o.oif == c.oif {
			c.group = o.group
			members := append(slices.Clone(*c.group.members.Load()), c)
			c.group.members.Store(&members)
			return
		}
	}
	c.group = new(group)
	c.group.members.Store(&[]*Conn{c})
}

// leaveGroupLocked takes c out. As with Linux the last member takes its place, so
// that most flows stay where they are.
func (c *Conn) leaveGroupLocked() {
	if c.group == nil {
		return
	}
	members := slices.Clone(*c.group.members.Load())
	if i := slices.Index(members, c); i >= 0 {
		last := len(members) - 1
		members[i] = members[last]
		members = members[:last]
	}
	c.group.members.Store(&members)
}

// choose returns the member that gets a flow, passing over those with a peer;
// otherwise if there is none (Linux's reuseport_select_sock).
func (g *group) choose(hash uint32, otherwise *Conn) *Conn {
	members := *g.members.Load()
	n := len(members)
	if n == 0 {
		return otherwise
	}
	first := int(uint64(hash) * uint64(n) >> 32)
	for i := range n {
		if c := members[(first+i)%n]; !c.raddr().IsValid() {
			return c
		}
	}
	return otherwise
}

// flowHash is keyed, so that senders cannot choose who gets what they send.
type flowHash [2]uint64

func (k flowHash) sum(local, remote netip.AddrPort) uint32 {
	a, b := local.Addr().As4(), remote.Addr().As4()
	ends := uint64(binary.BigEndian.Uint32(a[:]))<<32 | uint64(binary.BigEndian.Uint32(b[:]))
	ports := uint64(local.Port())<<16 | uint64(remote.Port())
	high, low := bits.Mul64(ends^k[0], k[1]|1)
	high, low = bits.Mul64(high^low^ports, k[0]^k[1]|1)
	return uint32((high ^ low) >> 32)
}
