package ipv4

import (
	"net/netip"
	"time"
)

// Learned is what ICMP taught us about the way to one destination.
type Learned struct {
	MTU        int       // 0: nothing
	Locked     bool      // the true MTU is smaller still
	Redirected bool      // to another gateway
	Until      time.Time // when it is forgotten
}

// Learned returns what is known of the way to dst; ok is false for nothing.
func (pr *Protocol) Learned(dst netip.Addr) (l Learned, ok bool) {
	if !dst.Is4() {
		return l, false
	}
	list := pr.exceptions.buckets[exceptionBucket(dst)].Load()
	if list == nil {
		return l, false
	}
	now := pr.config.Clock.Now()
	for _, e := range *list {
		if e.dst != dst {
			continue
		}
		if e.gateway.IsValid() && now.Before(e.gatewayUntil) {
			l.Redirected, l.Until = true, e.gatewayUntil
		}
		if e.mtu != 0 && now.Before(e.mtuUntil) {
			l.MTU, l.Locked, l.Until = e.mtu, e.locked, e.mtuUntil
		}
	}
	return l, l.MTU != 0 || l.Redirected
}

// ForgetLearned forgets what ICMP taught us about all destinations (`ip route
// flush cache`).
func (pr *Protocol) ForgetLearned() { pr.exceptions.clear() }
