package arp

import "github.com/tapstack/tapstack/link"

// Direction is which way a packet goes.
type Direction uint8

// The two ways.
const (
	In Direction = iota
	Out
)

// String returns "in" or "out".
func (d Direction) String() string {
	if d == Out {
		return "out"
	}
	return "in"
}

// Filter decides about ARP packets of interface index iface, as arptables' INPUT
// and OUTPUT chains do: false drops the packet, under link.ARPFilterRefuse. It
// sees well-formed packets, received ones before anything is decided about them,
// and all that are sent. It is called concurrently, with no lock held, must not
// block, and must not send ARP itself.
type Filter func(d Direction, iface int, a Packet) bool

// SetFilter has f asked about each packet from now on; nil accepts all. A call
// of the filter before may still be under way when SetFilter returns.
func (pr *Protocol) SetFilter(f Filter) {
	pr.editHooks(func(h *hooks) { h.filter = f })
}

// hooks are what the way of packets is lined with when somebody asked for it;
// immutable. A Protocol without any has none, so that they cost one load.
type hooks struct {
	filter    Filter
	claims    map[claimKey]*Claim
	listeners []*Listener
}

func (h *hooks) empty() bool { return h.filter == nil && len(h.claims) == 0 && len(h.listeners) == 0 }

// input shows a received packet to the hooks and reports whether it may go on.
func (h *hooks) input(i *iface, a Packet) bool {
	if h.filter != nil && !h.filter(In, i.index, a) {
		return false
	}
	if len(h.claims) != 0 {
		ip := a.SenderIP
		if ip.IsUnspecified() {
			ip = a.TargetIP
		}
		if c := h.claims[claimKey{i.index, ip}]; c != nil {
			c.heard(a)
		}
	}
	return true
}

// output reports whether a packet may be sent.
func (h *hooks) output(i *iface, a Packet) bool {
	return h.filter == nil || h.filter(Out, i.index, a)
}

func (pr *Protocol) editHooks(f func(*hooks)) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	var h hooks
	if old := pr.hooks.Load(); old != nil {
		h = *old
	}
	f(&h)
	if h.empty() {
		pr.hooks.Store(nil)
		return
	}
	pr.hooks.Store(&h)
}

// refuse drops a packet that the filter does not want sent.
func (pr *Protocol) refuse(p *link.Packet) {
	pr.Stats.OutFiltered.Add(1)
	pr.cfg.Drops.Drop(p, link.ARPFilterRefuse)
}
