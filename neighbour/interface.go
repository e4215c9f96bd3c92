package neighbour

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"sync/atomic"
	"syscall"

	"github.com/tapstack/tapstack/link"
)

// InterfaceConfig describes a network interface.
type InterfaceConfig struct {
	Index int // greater than 0
	Name  string
	Addr  link.Addr   // its own link-layer address
	Link  link.Writer // where frames go

	NoARP        bool // does not resolve: frames go to its own address
	Loopback     bool
	PointToPoint bool
}

// Interface is the table's side of a network interface.
type Interface struct {
	table  *Table
	link   link.Writer
	block  *block
	index  int
	name   string
	config InterfaceConfig // Addr and NoARP as they were at first
	own    atomic.Uint64   // own address, a word
	up     atomic.Bool
	gone   atomic.Bool // removed, or the table is closed
	noARP  atomic.Bool
}

// AddInterface makes an interface known. It is up. The error is an
// EEXIST or an EINVAL.
func (t *Table) AddInterface(c InterfaceConfig) (*Interface, error) {
	if c.Index <= 0 || c.Index > math.MaxInt32 || c.Name == "" || c.Link == nil {
		return nil, fmt.Errorf("neighbour: add interface %q with index %d: want a name, a positive index and a link: %w", c.Name, c.Index, syscall.EINVAL)
	}
	i := &Interface{table: t, link: c.Link, index: c.Index, name: c.Name, config: c}
	i.own.Store(uint64(makeWord(c.Addr, None, 0, false, false)))
	i.up.Store(true)
	i.noARP.Store(c.NoARP)
	t.changing.Lock()
	defer t.changing.Unlock()
	old := *t.ifaces.Load()
	for _, other := range old {
		if other.index == c.Index || other.name == c.Name {
			return nil, fmt.Errorf("neighbour: add interface %q with index %d: %q has that index or name: %w", c.Name, c.Index, other.name, syscall.EEXIST)
		}
	}
	i.block = t.blocks.add(c.Index)
	ifaces := maps.Clone(old)
	ifaces[c.Index] = i
	t.ifaces.Store(&ifaces)
	return i, nil
}

// RemoveInterface forgets an interface, its entries, proxy ones included, and its
// parameters. Its Output returns ErrDown from then on.
func (t *Table) RemoveInterface(index int) {
	if i := t.Interface(index); i != nil {
		i.gone.Store(true)
	}
	t.SetUp(index, false)
	t.changing.Lock()
	ifaces := maps.Clone(*t.ifaces.Load())
	delete(ifaces, index)
	t.ifaces.Store(&ifaces)
	t.changing.Unlock()
	t.blocks.remove(index)
}

// Interface returns the interface with an index, or nil.
func (t *Table) Interface(index int) *Interface { return (*t.ifaces.Load())[index] }

// Index returns the interface's index.
func (i *Interface) Index() int { return i.index }

// Name returns the interface's name.
func (i *Interface) Name() string { return i.name }

// collapse returns the address under which an entry is kept: on loopback and
// point-to-point interfaces all are one.
func (i *Interface) collapse(ip uint32) uint32 {
	if i.config.Loopback || i.config.PointToPoint {
		return 0
	}
	return ip
}

// initial returns the state and address of a new entry (arp_constructor).
func (i *Interface) initial(e *entry) (State, link.Addr) {
	switch {
	case e.kind == Multicast:
		return NoARP, link.MulticastAddr(e.addr())
	case i.noARP.Load() || i.config.Loopback:
		return NoARP, word(i.own.Load()).lladdr()
	case e.kind == Broadcast || i.config.PointToPoint:
		return NoARP, link.BroadcastAddr
	}
	return None, link.Addr{}
}

// SetUp tells that the interface was set up or down by a command. Down removes
// all its entries, permanent and proxy ones included; packets that wait are
// dropped. An interface that is unknown is ignored, here and below.
func (t *Table) SetUp(index int, up bool) {
	i := t.Interface(index)
	if i == nil {
		return
	}
	i.up.Store(up)
	if !up {
		t.forget(i, func(word) bool { return true })
		t.proxies.removeInterface(index, false)
	}
}

// LastAddressRemoved tells that the interface has no IPv4 address any more. As
// when it is set down, all its entries go.
func (t *Table) LastAddressRemoved(index int) {
	if i := t.Interface(index); i != nil {
		t.forget(i, func(word) bool { return true })
		t.proxies.removeInterface(index, false)
	}
}

// SetLLAddr tells that the interface has a new address of its own. All its
// entries go, permanent ones too; proxy entries stay.
func (t *Table) SetLLAddr(index int, a link.Addr) {
	if i := t.Interface(index); i != nil {
		i.own.Store(uint64(makeWord(a, None, 0, false, false)))
		t.forget(i, func(word) bool { return true })
	}
}

// SetNoARP tells that the interface's NOARP flag changed, with the same effect as
// a change of its address.
func (t *Table) SetNoARP(index int, on bool) {
	if i := t.Interface(index); i != nil && i.noARP.Swap(on) != on {
		t.forget(i, func(word) bool { return true })
	}
}

// SetCarrier tells that the carrier came or went. When it goes and evict is set
// (arp_evict_nocarrier) all entries go but the permanent and the validated ones,
// and of the proxy entries those that are not permanent.
func (t *Table) SetCarrier(index int, on, evict bool) {
	i := t.Interface(index)
	if i == nil || on || !evict {
		return
	}
	t.forget(i, func(w word) bool { return w.state() != Permanent && w.flags()&ExtValidated == 0 })
	t.proxies.removeInterface(index, true)
}

// AddressAdded tells that the interface got an IPv4 address, whose broadcast
// address, if it has one, is given. The interface's parameters follow the
// defaults no more, and an unresolved entry for the broadcast address goes.
func (t *Table) AddressAdded(index int, broadcast netip.Addr) {
	i := t.Interface(index)
	if i == nil {
		return
	}
	t.blocks.own(index)
	ip, ok := parse(broadcast)
	if !ok {
		return
	}
	key := makeKey(index, i.collapse(ip))
	s := t.shardOf(key)
	var w work
	s.mu.Lock()
	if e := s.index.lookup(t.hash(key), key); e != nil && !e.load().state().Valid() {
		s.removeLocked(e, CauseLink, t.now(), &w)
	}
	s.mu.Unlock()
	s.perform(&w)
}

// forget removes the interface's entries that match.
func (t *Table) forget(i *Interface, match func(word) bool) {
	t.removeWhere(CauseLink, func(_ *shard, e *entry, _ instant) bool { return e.iface == i && match(e.load()) })
}
