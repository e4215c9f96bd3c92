// Package devconf holds the values of net.ipv4.conf.{all,default,DEV}.*: what
// Linux keeps in ipv4_devconf. ARP and IPv4 read them through the merge rules
// that Linux applies to each; writing follows the kernel's propagation.
//
// An interface's reads take no lock. Any int32 may be stored, as on Linux, which
// checks no ranges here.
package devconf

import (
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
	AcceptSourceRoute
	IgnoreRoutesWithLinkdown
	LogMartians
	MediumID
	PromoteSecondaries
	ProxyArp
	ProxyArpPvlan
	RouteLocalnet
	RPFilter
	SecureRedirects
	SendRedirects
	SharedMedia
	ForceIGMPVersion
	IGMPv2UnsolicitedReportInterval
	IGMPv3UnsolicitedReportInterval
	NumKeys
)

var names = [NumKeys]string{
	ForceIGMPVersion: "force_igmp_version", IGMPv2UnsolicitedReportInterval: "igmpv2_unsolicited_report_interval",
	IGMPv3UnsolicitedReportInterval: "igmpv3_unsolicited_report_interval",
	AcceptSourceRoute:               "accept_source_route", LogMartians: "log_martians",
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

// Device is one interface's values, merged with All's. Reads take no lock and
// may be concurrent with anything.
type Device struct {
	set  [NumKeys]bool // written individually: a write to Default no longer reaches it; guarded by Table.mu
	view atomic.Pointer[view]
}

// view is what a Device's readers see; immutable.
type view struct{ all, own values }

// Own returns the interface's own value of k.
func (d *Device) Own(k Key) int { return int(d.view.Load().own[k]) }

// Max returns the larger of All's value and the interface's own
// (IN_DEV_MAXCONF).
func (d *Device) Max(k Key) int {
	v := d.view.Load()
	return int(max(v.all[k], v.own[k]))
}

// Or reports whether All's value or the interface's own is set (IN_DEV_ORCONF).
func (d *Device) Or(k Key) bool {
	v := d.view.Load()
	return v.all[k] != 0 || v.own[k] != 0
}

// And reports whether both All's value and the interface's own are set
// (IN_DEV_ANDCONF).
func (d *Device) And(k Key) bool {
	v := d.view.Load()
	return v.all[k] != 0 && v.own[k] != 0
}

// Either reports whether All's value or the interface's own is v.
func (d *Device) Either(k Key, v int) bool {
	w := d.view.Load()
	return int(w.all[k]) == v || int(w.own[k]) == v
}

// Table is a host's set of values. Its methods may be called concurrently.
type Table struct {
	mu       sync.Mutex
	all, def values
	defSet   [NumKeys]bool // of def, written
	devices  map[int]*Device
}

// New returns a table with Linux's defaults and no interfaces. rp_filter is 0,
// the kernel's own default; distributions often set 2.
func New() *Table {
	t := &Table{devices: make(map[int]*Device)}
	for _, k := range []Key{AcceptRedirects, ArpEvictNocarrier, SecureRedirects, SendRedirects, SharedMedia} {
		t.all[k], t.def[k] = 1, 1
	}
	t.def[AcceptSourceRoute] = 1
	// RFC 2236 section 8.10 and RFC 3376 section 8.11, in milliseconds.
	t.all[IGMPv2UnsolicitedReportInterval], t.def[IGMPv2UnsolicitedReportInterval] = 10000, 10000
	t.all[IGMPv3UnsolicitedReportInterval], t.def[IGMPv3UnsolicitedReportInterval] = 1000, 1000
	return t
}

// AddInterface gives interface index a copy of the default values, or returns
// the values it has already.
func (t *Table) AddInterface(index int) *Device {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.devices[index]
	if d == nil {
		// Linux copies the marks along with the values, so that an interface
		// made after a default was written does not follow its later writes.
		d = &Device{set: t.defSet}
		d.view.Store(&view{all: t.all, own: t.def})
		t.devices[index] = d
	}
	return d
}

// RemoveInterface forgets interface index. Who holds its Device still reads the
// last values.
func (t *Table) RemoveInterface(index int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.devices, index)
}

// Addressed marks all values of interface index as written: Linux does so when
// an address is assigned, so that defaults written later no longer apply.
func (t *Table) Addressed(index int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d := t.devices[index]; d != nil {
		for k := range d.set {
			d.set[k] = true
		}
	}
}

// Get returns the value of k for scope: All, Default or an interface's index.
// ok is false when there is no such interface.
func (t *Table) Get(scope int, k Key) (v int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch scope {
	case All:
		return int(t.all[k]), true
	case Default:
		return int(t.def[k]), true
	}
	d := t.devices[scope]
	if d == nil {
		return 0, false
	}
	return d.Own(k), true
}

// Set writes the value of k for scope and reports whether the scope exists. A
// write to Default reaches the interfaces that never had the value written;
// writing forwarding to All writes it everywhere (Linux's ip_forward), and turns
// All's accept_redirects the other way.
func (t *Table) Set(scope int, k Key, v int32) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch scope {
	case All:
		t.all[k] = v
		if k == Forwarding {
			// inet_forward_change: a router listens to no redirects.
			t.def[k] = v
			t.all[AcceptRedirects] = 1
			if v != 0 {
				t.all[AcceptRedirects] = 0
			}
		}
		for _, d := range t.devices {
			d.edit(func(w *view) {
				w.all = t.all
				if k == Forwarding {
					w.own[k] = v
				}
			})
		}
	case Default:
		t.def[k] = v
		t.defSet[k] = t.defSet[k] || k != Forwarding
		for _, d := range t.devices {
			// devinet_sysctl_forward does not copy, devinet_conf_proc does.
			if !d.set[k] && k != Forwarding {
				d.edit(func(w *view) { w.own[k] = v })
			}
		}
	default:
		d := t.devices[scope]
		if d == nil {
			return false
		}
		d.set[k] = true
		d.edit(func(w *view) { w.own[k] = v })
	}
	return true
}

// edit publishes a changed copy of the view. The table's lock is held.
func (d *Device) edit(f func(*view)) {
	v := *d.view.Load()
	f(&v)
	d.view.Store(&v)
}
