// Package devconf holds the values of net.ipv4.conf.{all,default,DEV}.*: what
// Linux keeps in ipv4_devconf. ARP and IPv4 read them through the merge rules
// that Linux applies to each; writing follows the kernel's propagation.
//
// Reads take no lock. Any int32 may be stored, as on Linux, which checks no
// ranges here.
package devconf

import (
	"maps"
	"sync"
	"sync/atomic"
)

// Key names one value.
type Key uint8

// The keys, under their Linux names in camel case.
const (
	AcceptLocal Key = iota
	AcceptRedirects
	ArpAccept
	ArpAnnounce
	ArpEvictNocarrier
	ArpFilter
	ArpIgnore
	ArpNotify
	BCForwarding
	DropGratuitousArp
	DropUnicastInL2Multicast
	Forwarding
	IgnoreRoutesWithLinkdown
	MediumID
	PromoteSecondaries
	ProxyArp
	ProxyArpPvlan
	RouteLocalnet
	RPFilter
	SecureRedirects
	SendRedirects
	SharedMedia
	NumKeys
)

var names = [NumKeys]string{
	AcceptLocal: "accept_local", AcceptRedirects: "accept_redirects", ArpAccept: "arp_accept", ArpAnnounce: "arp_announce",
	ArpEvictNocarrier: "arp_evict_nocarrier", ArpFilter: "arp_filter", ArpIgnore: "arp_ignore", ArpNotify: "arp_notify",
	BCForwarding: "bc_forwarding", DropGratuitousArp: "drop_gratuitous_arp",
	DropUnicastInL2Multicast: "drop_unicast_in_l2_multicast", Forwarding: "forwarding",
	IgnoreRoutesWithLinkdown: "ignore_routes_with_linkdown", MediumID: "medium_id", PromoteSecondaries: "promote_secondaries",
	ProxyArp: "proxy_arp", ProxyArpPvlan: "proxy_arp_pvlan", RouteLocalnet: "route_localnet", RPFilter: "rp_filter",
	SecureRedirects: "secure_redirects", SendRedirects: "send_redirects", SharedMedia: "shared_media",
}

// String returns Linux's name of the value.
func (k Key) String() string { return names[k] }

// Lookup returns the key that Linux calls name.
func Lookup(name string) (Key, bool) {
	for k, n := range names {
		if n == name {
			return Key(k), true
		}
	}
	return 0, false
}

// Scopes that stand beside interface indices, which are positive.
const (
	Default = 0  // the template for interfaces
	All     = -1 // what is merged with every interface's own value
)

type values [NumKeys]int32

type device struct {
	values
	set [NumKeys]bool // individually written: a write to default no longer reaches it
}

type snapshot struct {
	all, def values
	dev      map[int]device
}

// Table is a host's set of values. Reads and writes may be concurrent.
type Table struct {
	mu   sync.Mutex // serialises writers
	snap atomic.Pointer[snapshot]
}

// New returns a table with Linux's defaults and no interfaces. rp_filter is 0,
// the kernel's own default; distributions often set 2.
func New() *Table {
	s := &snapshot{}
	for _, k := range []Key{AcceptRedirects, ArpEvictNocarrier, SecureRedirects, SendRedirects, SharedMedia} {
		s.all[k], s.def[k] = 1, 1
	}
	t := &Table{}
	t.snap.Store(s)
	return t
}

// edit applies f to a private copy and publishes it.
func (t *Table) edit(f func(s *snapshot)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := *t.snap.Load()
	s.dev = maps.Clone(s.dev)
	if s.dev == nil {
		s.dev = make(map[int]device)
	}
	f(&s)
	t.snap.Store(&s)
}

// AddInterface gives interface index a copy of the default values.
func (t *Table) AddInterface(index int) {
	t.edit(func(s *snapshot) { s.dev[index] = device{values: s.def} })
}

// RemoveInterface forgets the values of interface index.
func (t *Table) RemoveInterface(index int) {
	t.edit(func(s *snapshot) { delete(s.dev, index) })
}

// Addressed marks all values of interface index as written: Linux does so when
// an address is assigned, so that defaults written later no longer apply.
func (t *Table) Addressed(index int) {
	t.edit(func(s *snapshot) {
		if d, ok := s.dev[index]; ok {
			for k := range d.set {
				d.set[k] = true
			}
			s.dev[index] = d
		}
	})
}

// Own returns the value of k for scope alone: All, Default or an interface's
// index. It is 0 for an unknown interface.
func (t *Table) Own(scope int, k Key) int {
	s := t.snap.Load()
	switch scope {
	case All:
		return int(s.all[k])
	case Default:
		return int(s.def[k])
	}
	return int(s.dev[scope].values[k])
}

// Set writes the value of k for scope and reports whether the scope exists. A
// write to Default reaches the interfaces that never had the value written;
// writing forwarding to All writes it everywhere (Linux's ip_forward).
func (t *Table) Set(scope int, k Key, v int32) bool {
	ok := true
	t.edit(func(s *snapshot) {
		switch {
		case scope == All:
			s.all[k] = v
			if k == Forwarding {
				s.def[k] = v
				for i, d := range s.dev {
					d.values[k] = v
					s.dev[i] = d
				}
			}
		case scope == Default:
			s.def[k] = v
			// devinet_sysctl_forward does not copy, devinet_conf_proc does.
			for i, d := range s.dev {
				if !d.set[k] && k != Forwarding {
					d.values[k] = v
					s.dev[i] = d
				}
			}
		default:
			d, found := s.dev[scope]
			if ok = found; ok {
				d.values[k], d.set[k] = v, true
				s.dev[scope] = d
			}
		}
	})
	return ok
}

// Max returns the larger of All's value and the interface's own
// (IN_DEV_MAXCONF).
func (t *Table) Max(index int, k Key) int {
	s := t.snap.Load()
	return int(max(s.all[k], s.dev[index].values[k]))
}

// Or reports whether All's value or the interface's own is set (IN_DEV_ORCONF).
func (t *Table) Or(index int, k Key) bool {
	s := t.snap.Load()
	return s.all[k] != 0 || s.dev[index].values[k] != 0
}

// And reports whether both All's value and the interface's own are set
// (IN_DEV_ANDCONF).
func (t *Table) And(index int, k Key) bool {
	s := t.snap.Load()
	return s.all[k] != 0 && s.dev[index].values[k] != 0
}
