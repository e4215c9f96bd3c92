package arp

import (
	"net/netip"
	"syscall"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack/devconf"
)

// Solicit sends the request that the neighbour table wants; it is the table's
// Config.Solicit. A request that cannot be made is skipped.
func (pr *Protocol) Solicit(s neighbour.Solicitation) {
	i := (*pr.ifaces.Load())[s.Interface]
	if i == nil || i.noARP {
		return
	}
	dst := link.BroadcastAddr
	if s.Unicast {
		dst = s.LLAddr
	}
	// The target's hardware address is what is asked for: zero, also when the
	// request goes to the address that is to be confirmed.
	_ = pr.send(i, dst, Packet{Op: Request, SenderAddr: i.addr, SenderIP: pr.source(i, s), TargetIP: s.Target}) // a timer asks again
}

// Announce broadcasts a gratuitous request for ip from interface index, the
// form that Linux uses for announcements (RFC 5227, section 2.3).
func (pr *Protocol) Announce(index int, ip netip.Addr) {
	if i := (*pr.ifaces.Load())[index]; i != nil && !i.noARP {
		_ = pr.send(i, link.BroadcastAddr, Packet{Op: Request, SenderAddr: i.addr, SenderIP: ip, TargetIP: ip})
	}
}

// Notify announces every address of interface index where arp_notify asks for
// it: when the interface comes up and when its hardware address changes.
func (pr *Protocol) Notify(index int) {
	if i := (*pr.ifaces.Load())[index]; i == nil || i.conf.Max(devconf.ArpNotify) == 0 {
		return
	}
	for _, a := range pr.cfg.Host.Addresses(index) {
		pr.Announce(index, a.Prefix.Addr())
	}
}

// source chooses the sender address of a request by arp_announce.
func (pr *Protocol) source(i *iface, s neighbour.Solicitation) netip.Addr {
	level := i.conf.Max(devconf.ArpAnnounce)
	if s.HasHead && s.Head[0]>>4 == 4 && level != 2 {
		src := netip.AddrFrom4([4]byte(s.Head[12:16]))
		// The source of the packet that waits, so that the answer goes to who
		// asks; at level 1 only if the target could know it.
		if pr.cfg.Host.AddrType(src) == neighbour.Local && (level != 1 || shareSubnet(pr.cfg.Host.Addresses(i.index), src, s.Target)) {
			return src
		}
	}
	return pr.cfg.Host.SelectSource(i.index, s.Target)
}

func shareSubnet(addrs []Address, a, b netip.Addr) bool {
	for _, x := range addrs {
		if net := x.Prefix.Masked(); net.Contains(a) && net.Contains(b) {
			return true
		}
	}
	return false
}

// send puts a packet of our own on the wire.
func (pr *Protocol) send(i *iface, dst link.Addr, a Packet) error {
	p := link.NewPacket(Len)
	a.Put(p.Bytes())
	return pr.transmit(i, dst, a, p)
}

// reply turns the request a, which p still holds, into its answer and sends it:
// to the hardware address that the request gives, not to the frame's source.
func (pr *Protocol) reply(i *iface, a Packet, p *link.Packet, o outcome) {
	answer := Packet{Op: Reply, SenderAddr: i.addr, SenderIP: a.TargetIP, TargetAddr: a.SenderAddr, TargetIP: a.SenderIP}
	p.Trim(Len)
	answer.Put(p.Bytes())
	batch := p.Batch
	p.In, p.Type, p.Batch = 0, link.Host, nil
	pr.Stats.outcomes[o].Add(1)
	dst := a.SenderAddr
	if pr.cfg.BroadcastReply {
		dst = link.BroadcastAddr
	}
	if !pr.finish(i, dst, answer, p) {
		return
	}
	if batch != nil {
		i.answers.queueReply(p, batch)
		return
	}
	_ = pr.write(i.dev, p, Reply) // who asked will ask again
}

// transmit sends the packet a, which p holds. The error is EPERM when the filter
// refuses it, or the device's, which has counted the drop.
func (pr *Protocol) transmit(i *iface, dst link.Addr, a Packet, p *link.Packet) error {
	if !pr.finish(i, dst, a, p) {
		return syscall.EPERM // as a packet socket behind arptables sees it
	}
	return pr.write(i.dev, p, a.Op)
}

// finish makes a frame of the packet a, which p holds. It reports whether the
// filter lets it out; p is gone otherwise.
func (pr *Protocol) finish(i *iface, dst link.Addr, a Packet, p *link.Packet) bool {
	if h := pr.hooks.Load(); h != nil && !h.output(i, a) {
		pr.refuse(p)
		return false
	}
	p.EtherType = link.ARP
	link.Ethernet{Dst: dst, Src: i.addr, Type: link.ARP}.Put(p.Push(link.EthernetHeaderLen))
	return true
}

func (pr *Protocol) write(dev link.Writer, p *link.Packet, op Op) error {
	if err := dev.Write(p); err != nil {
		pr.Stats.OutErrors.Add(1)
		return err
	}
	if op == Reply {
		pr.Stats.OutReplies.Add(1)
	} else {
		pr.Stats.OutRequests.Add(1)
	}
	return nil
}
