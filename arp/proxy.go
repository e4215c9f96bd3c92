package arp

import (
	"slices"
	"time"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack/clock"
	"github.com/tapstack/tapstack/stack/devconf"
)

// proxied reports whether a request for an address that is routed out of
// interface out is to be answered on that host's behalf.
func (pr *Protocol) proxied(i *iface, a Packet, out int) bool {
	if i.conf.Own(devconf.Forwarding) == 0 {
		return false
	}
	if out == i.index {
		// RFC 3069: hosts of one private VLAN cannot hear each other, so the
		// router answers; a host's announcement of itself is not for it.
		return i.conf.Or(devconf.ProxyArpPvlan) && a.SenderIP != a.TargetIP
	}
	if o := (*pr.ifaces.Load())[out]; o != nil && i.conf.Or(devconf.ProxyArp) && mediaDiffer(i.conf.Own(devconf.MediumID), o.conf.Own(devconf.MediumID)) {
		return true
	}
	_, ok := pr.cfg.Neighbours.LookupProxy(i.index, a.TargetIP)
	return ok
}

// mediaDiffer says whether two interfaces are on different media, so that the
// asker cannot have been heard by the target. An input medium_id of 0 is its own
// medium, -1 turns proxy ARP off.
func mediaDiffer(in, out int) bool {
	return in == 0 || in != -1 && out != in && out != -1
}

// requestForProxied answers a request on another host's behalf, at once or after
// proxy_delay.
func (pr *Protocol) requestForProxied(i *iface, a Packet, p *link.Packet, delayed bool) {
	// Unlike in requestForUs, Linux answers even if the table is full.
	_ = pr.learnAsker(i, a)
	if delayed || p.Type == link.Host {
		pr.reply(i, a, p, proxyAnswer)
		return
	}
	params, err := pr.cfg.Neighbours.Params(i.index)
	if err != nil {
		pr.consume(p, proxyPurged)
		return
	}
	if params.ProxyDelay == 0 {
		pr.reply(i, a, p, proxyAnswer)
		return
	}
	pr.queueProxy(i, p, params)
}

// proxyQueue holds the requests that wait for proxy_delay, with one timer armed
// for the earliest. The fields are guarded by Protocol.mu.
type proxyQueue struct {
	waiting []delayedRequest // by due time
	timer   clock.Timer
}

type delayedRequest struct {
	p   *link.Packet
	due time.Time
}

// queueProxy puts a request off by a random part of proxy_delay, so that a real
// owner of the address can answer first.
func (pr *Protocol) queueProxy(i *iface, p *link.Packet, params neighbour.Params) {
	var wait time.Duration
	if params.ProxyDelay > 0 {
		wait = time.Duration(pr.cfg.Rand.Int64N(int64(params.ProxyDelay)))
	}
	now := pr.cfg.Clock.Now()
	p.Batch = nil // over by then
	r := delayedRequest{p: p, due: now.Add(wait)}

	pr.mu.Lock()
	q := &pr.proxy
	queued := 0
	for _, w := range q.waiting {
		if w.p.In == i.index {
			queued++
		}
	}
	// Linux compares before it counts the new one, so proxy_qlen + 1 fit.
	if queued > params.ProxyQueueLen {
		pr.mu.Unlock()
		pr.drop(p, dropProxyQueue, link.ARPProxyQueue)
		return
	}
	at, _ := slices.BinarySearchFunc(q.waiting, r, func(a, b delayedRequest) int {
		if a.due.After(b.due) {
			return 1
		}
		return -1 // equal times keep the order of arrival
	})
	q.waiting = slices.Insert(q.waiting, at, r)
	if at == 0 {
		pr.armProxyLocked(now)
	}
	pr.mu.Unlock()
	pr.Stats.ProxyQueued.Add(1)
}

func (pr *Protocol) armProxyLocked(now time.Time) {
	q := &pr.proxy
	wait := q.waiting[0].due.Sub(now)
	if q.timer == nil {
		q.timer = pr.cfg.Clock.AfterFunc(wait, pr.replay)
	} else {
		q.timer.Reset(wait)
	}
}

// replay runs the requests that have waited long enough through the whole
// decision again.
func (pr *Protocol) replay() {
	now := pr.cfg.Clock.Now()
	pr.mu.Lock()
	q := &pr.proxy
	n := 0
	for n < len(q.waiting) && !q.waiting[n].due.After(now) {
		n++
	}
	due := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	if len(q.waiting) > 0 {
		pr.armProxyLocked(now)
	}
	pr.mu.Unlock()

	for _, r := range due {
		i := (*pr.ifaces.Load())[r.p.In]
		a, err := Parse(r.p.Bytes())
		if i == nil || err != nil {
			pr.consume(r.p, proxyPurged)
			continue
		}
		pr.process(i, a, r.p, true)
	}
}

// Purge drops all delayed requests, as Linux does for the whole namespace when
// one of its interfaces goes down.
func (pr *Protocol) Purge() {
	pr.mu.Lock()
	q := &pr.proxy
	waiting := q.waiting
	q.waiting = nil
	if q.timer != nil {
		q.timer.Stop()
	}
	pr.mu.Unlock()
	for _, r := range waiting {
		pr.consume(r.p, proxyPurged)
	}
}
