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
	var path Path
	if errno := pr.outputPath(&path, &key{dst: dst}, netip.Addr{}); errno != 0 {
		return l, false
	}
	e := pr.exceptions.find(dst, path.route)
	if e == nil {
		return l, false
	}
	now := pr.config.Clock.Now()
	if e.gateway.IsValid() && now.Before(e.gatewayUntil) {
		l.Redirected, l.Until = true, e.gatewayUntil
	}
	if e.knowsMTU(now) {
		l.MTU, l.Locked, l.Until = e.mtu, e.locked, e.mtuUntil
	}
	return l, l.MTU != 0 || l.Redirected
}

// ForgetLearned forgets what ICMP taught us about all destinations (`ip route
// flush cache`).
func (pr *Protocol) ForgetLearned() { pr.exceptions.clear() }
