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
	// mtuExpires is how long a path MTU is believed (RFC 1191, section 6.3;
	// net.ipv4.route.mtu_expires).
	mtuExpires = 600 * time.Second
	// redirectExpires is how long a redirect is believed (net.ipv4.route.gc_timeout).
	redirectExpires = 300 * time.Second
	// minPathMTU is the least MTU that is believed (net.ipv4.route.min_pmtu).
	// Below it packets leave without DF, for routers to cut up.
	minPathMTU = 552
)

// exception is what is known of the path to one destination beyond its route.
// It never changes.
type exception struct {
	dst            netip.Addr
	mtu            int
	mtuUntil       time.Time
	locked         bool // the true MTU is smaller still
	gateway        netip.Addr
	gatewayUntil   time.Time
	gatewayThrough *Interface
}

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

// apply changes path by what is known of dst.
func (x *exceptions) apply(dst netip.Addr, c clock.Clock, path *Path) {
	if !x.any.Load() {
		return
	}
	list := x.buckets[exceptionBucket(dst)].Load()
	if list == nil {
		return
	}
	for n := range *list {
		e := &(*list)[n]
		if e.dst != dst {
			continue
		}
		now := c.Now()
		if e.mtu != 0 && now.Before(e.mtuUntil) {
			path.MTU, path.locked = min(path.MTU, e.mtu), e.locked
		}
		if e.gateway.IsValid() && now.Before(e.gatewayUntil) && e.gatewayThrough == path.Interface {
			path.Gateway = e.gateway
		}
		return
	}
}

// change updates what is known of dst.
func (x *exceptions) change(dst netip.Addr, f func(e *exception)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	bucket := &x.buckets[exceptionBucket(dst)]
	var list []exception
	if old := bucket.Load(); old != nil {
		list = slices.Clone(*old)
	}
	e := exception{dst: dst}
	if n := slices.IndexFunc(list, func(e exception) bool { return e.dst == dst }); n >= 0 {
		e = list[n]
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

// clear forgets everything, as routes have changed.
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
// through (RFC 1191). An MTU that is not smaller than what is known changes
// nothing; for one below 552 bytes packets are sent without DF from then on. A
// transport calls it that has found such an error to be about a packet of its own
// (RFC 5927, section 7).
func (pr *Protocol) UpdatePathMTU(dst netip.Addr, mtu int) {
	var path Path
	errno := pr.outputPath(&path, &key{dst: dst}, netip.Addr{})
	if errno != 0 || path.Type != Unicast || mtu >= path.MTU {
		return
	}
	until := pr.config.Clock.Now().Add(mtuExpires)
	pr.exceptions.change(dst, func(e *exception) {
		e.mtu, e.mtuUntil, e.locked = mtu, until, mtu < minPathMTU
		if e.locked {
			e.mtu = min(path.MTU, minPathMTU)
		}
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
	if errno != 0 || path.Type != Unicast || path.Interface != i || path.NextHop(dst) != from {
		return false
	}
	until := pr.config.Clock.Now().Add(redirectExpires)
	pr.exceptions.change(dst, func(e *exception) { e.gateway, e.gatewayUntil, e.gatewayThrough = gateway, until, i })
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
