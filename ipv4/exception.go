package ipv4

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tapstack/tapstack/stack/clock"
	"github.com/tapstack/tapstack/stack/devconf"
)

// What ICMP taught us about destinations: Linux's next hop exceptions.
const (
	exceptionBuckets = 256
	exceptionDepth   = 5 // per bucket, the oldest goes first
	// redirectExpires is how long a redirect is believed (net.ipv4.route.gc_timeout).
	redirectExpires = 300 * time.Second
)

// exception is what is known of the path to one destination beyond its route,
// and ends with that. It never changes.
type exception struct {
	dst            netip.Addr
	route          *route
	mtu            int
	mtuUntil       time.Time
	locked         bool // the true MTU is smaller still
	through        *Interface
	gateway        netip.Addr
	gatewayUntil   time.Time
	gatewayThrough *Interface
}

// knowsMTU reports whether there is a path MTU that is still believed.
func (e *exception) knowsMTU(now time.Time) bool { return e.mtu != 0 && now.Before(e.mtuUntil) }

// exceptions are looked up without a lock; a bucket is an immutable list.
type exceptions struct {
	mu      sync.Mutex // writers
	any     atomic.Bool
	buckets [exceptionBuckets]atomic.Pointer[[]exception]
}

func exceptionBucket(dst netip.Addr) int {
	b := dst.As4()
	return int(b[0] ^ b[1] ^ b[2] ^ b[3])
}

// find returns what is known of dst by a route, nil for nothing.
func (x *exceptions) find(dst netip.Addr, r *route) *exception {
	if !x.any.Load() {
		return nil
	}
	list := x.buckets[exceptionBucket(dst)].Load()
	if list == nil {
		return nil
	}
	for n := range *list {
		if e := &(*list)[n]; e.dst == dst && e.route == r {
			return e
		}
	}
	return nil
}

// apply changes path by what is known of dst.
func (x *exceptions) apply(dst netip.Addr, c clock.Clock, path *Path) {
	if e := x.find(dst, path.route); e != nil {
		e.apply(c.Now(), path, true)
	}
}

// apply changes path by what is known; by its MTU only if it is wanted, or locked.
func (e *exception) apply(now time.Time, path *Path, mtu bool) {
	if e.knowsMTU(now) && (mtu || e.locked || path.locked) {
		path.MTU, path.locked = min(path.MTU, e.mtu), path.locked || e.locked
	}
	if e.gateway.IsValid() && now.Before(e.gatewayUntil) && e.gatewayThrough == path.Interface {
		path.Gateway = e.gateway
	}
}

// change updates what is known of dst by a route.
func (x *exceptions) change(dst netip.Addr, r *route, f func(e *exception)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	bucket := &x.buckets[exceptionBucket(dst)]
	var list []exception
	if old := bucket.Load(); old != nil {
		list = slices.Clone(*old)
	}
	e := exception{dst: dst, route: r}
	if n := slices.IndexFunc(list, func(e exception) bool { return e.dst == dst }); n >= 0 {
		if list[n].route == r {
			e = list[n]
		}
		list = slices.Delete(list, n, n+1)
	}
	f(&e)
	if len(list) == exceptionDepth {
		list = slices.Delete(list, 0, 1)
	}
	list = append(list, e)
	bucket.Store(&list)
	x.any.Store(true)
}

// linkMTU follows a change of an interface's MTU (Linux's fib_nhc_update_mtu): a
// path MTU that was the link's grows with it, one that is larger than the link's
// shrinks.
func (x *exceptions) linkMTU(i *Interface, from, to int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.any.Load() {
		return
	}
	for n := range x.buckets {
		old := x.buckets[n].Load()
		if old == nil {
			continue
		}
		list := slices.Clone(*old)
		for k := range list {
			e := &list[k]
			switch {
			case e.mtu == 0 || e.through != i:
			case e.locked:
				if to <= e.mtu {
					e.mtu, e.locked = to, false
				}
			case to < e.mtu || from == e.mtu:
				e.mtu = to
			}
		}
		x.buckets[n].Store(&list)
	}
}

// clear forgets everything.
func (x *exceptions) clear() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.any.Swap(false) {
		for n := range x.buckets {
			x.buckets[n].Store(nil)
		}
	}
}

// UpdatePathMTU notes that packets to dst longer than mtu bytes do not get
// through (RFC 1191), for net.ipv4.route.mtu_expires. An MTU larger than what is
// known changes nothing; for one below net.ipv4.route.min_pmtu, 0 among them, that
// is taken, and packets are sent without DF from then on. A transport calls it that
// has found such an error to be about a packet of its own (RFC 5927, section 7).
func (pr *Protocol) UpdatePathMTU(dst netip.Addr, mtu int) {
	var path Path
	errno := pr.outputPath(&path, &key{dst: dst}, netip.Addr{})
	if errno != 0 || path.Type != Unicast || path.route == nil || path.locked || mtu > path.MTU {
		return
	}
	least := int(pr.sysctls.minPathMTU.Load())
	locked := mtu < least
	if locked {
		mtu = min(path.MTU, least)
	}
	now, lifetime := pr.config.Clock.Now(), pr.sysctls.pathMTUTime()
	if e := pr.exceptions.find(dst, path.route); !locked && mtu == path.MTU &&
		(e == nil || e.mtu != mtu || now.Before(e.mtuUntil.Add(-lifetime/2))) {
		return // nothing new, and no need to believe it for longer
	}
	pr.exceptions.change(dst, path.route, func(e *exception) {
		e.mtu, e.mtuUntil, e.locked, e.through = mtu, now.Add(lifetime), locked, path.Interface
	})
}

// Redirect notes that from, a gateway, wants packets to dst to go by another
// gateway on the interface index. It returns false for advice that RFC 1122
// section 3.2.2.2 and net.ipv4.conf.*.{accept,secure}_redirects, shared_media
// tell us to ignore. Package icmp calls it.
func (pr *Protocol) Redirect(index int, from, dst, gateway netip.Addr) bool {
	i := pr.Interface(index)
	if i == nil || gateway == from || gateway.IsMulticast() || isLimitedBroadcast(gateway) || isZeronet(gateway) {
		return false
	}
	f := pr.fib.Load()
	if !i.acceptsRedirects() {
		return false
	}
	if !i.conf.Or(devconf.SharedMedia) {
		if !shareSubnet(i, gateway, from) {
			return false
		}
		if i.conf.Or(devconf.SecureRedirects) && !f.isGateway(gateway, i) {
			return false
		}
	} else if f.addrType(gateway, 0) != Unicast {
		return false
	}
	var path Path
	errno := pr.outputPath(&path, &key{dst: dst}, netip.Addr{})
	// The gateway in use is the only one to be listened to.
	if errno != 0 || path.Type != Unicast || path.route == nil || path.Interface != i || path.NextHop(dst) != from {
		return false
	}
	until := pr.config.Clock.Now().Add(redirectExpires)
	pr.exceptions.change(dst, path.route, func(e *exception) { e.gateway, e.gatewayUntil, e.gatewayThrough = gateway, until, i })
	return true
}

// isGateway reports whether a is the gateway of some route by i (Linux's
// ip_fib_check_default).
func (f *fib) isGateway(a netip.Addr, i *Interface) bool {
	for _, routes := range f.main.All4() {
		for _, r := range routes {
			if r.hops == nil && r.iface == i && r.Gateway == a || slices.ContainsFunc(r.hops, func(h *hop) bool { return h.iface == i && h.gateway == a }) {
				return true
			}
		}
	}
	return false
}
