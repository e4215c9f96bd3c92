package control

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack"
)

// The values of ArpingRequest.Mode.
const (
	ArpingAsk      = ""         // who has Dst?
	ArpingDAD      = "dad"      // -D: is Dst in use? Ends with the first answer
	ArpingAnnounce = "announce" // -U: Dst is here, by a gratuitous request
	ArpingAnswer   = "answer"   // -A: the same, by a gratuitous reply
)

// ArpingRequest asks for ARP packets, sent the way arping(8) of iputils does.
type ArpingRequest struct {
	Dst       netip.Addr    `json:"dst"`
	Src       netip.Addr    `json:"src,omitzero"` // default: as the mode has it
	Dev       string        `json:"dev,omitempty"`
	Mode      string        `json:"mode,omitempty"`
	Count     int           `json:"count,omitempty"`     // 0: until the client leaves
	Interval  time.Duration `json:"interval,omitempty"`  // between packets, ns; 0: there is only one
	Deadline  time.Duration `json:"deadline,omitempty"`  // for everything, ns; 0: none. With Count it waits for as many answers
	Broadcast bool          `json:"broadcast,omitempty"` // all packets, not only until an answer comes
	First     bool          `json:"first,omitempty"`     // the first answer ends it
}

// The kinds of ArpingEvent.
const (
	ArpingStart     = "start"      // the first: Dev, Src and LLAddr are those in use
	ArpingSent      = "sent"       // a packet left
	ArpingSendError = "send_error" // a packet could not be sent
	ArpingReply     = "reply"      // a packet came that answers
	ArpingDone      = "done"       // the last
)

// ArpingEvent is a line of the stream that an arping is.
type ArpingEvent struct {
	Kind      string        `json:"kind"`
	Dev       string        `json:"dev,omitempty"`
	Src       netip.Addr    `json:"src,omitzero"`        // the sender's, in a packet received too
	LLAddr    link.Addr     `json:"lladdr,omitzero"`     // of Src
	For       netip.Addr    `json:"for,omitzero"`        // the target's
	ForLLAddr link.Addr     `json:"for_lladdr,omitzero"` // the target's
	Request   bool          `json:"request,omitempty"`   // what came is a request
	Broadcast bool          `json:"broadcast,omitempty"` // what was sent or came was for everybody
	RTT       time.Duration `json:"rtt,omitempty"`       // since the last packet sent, ns
	Error     string        `json:"error,omitempty"`
	Errno     syscall.Errno `json:"errno,omitempty"`
}

func (s *Server) arping(w http.ResponseWriter, r *http.Request) {
	a, err := s.newArper(r)
	if err != nil {
		writeError(w, err)
		return
	}
	a.heard = a.pr.Listen(a.dev.Index(), 256)
	defer a.heard.Close()
	first := a.send()
	if first.Errno == syscall.EOPNOTSUPP {
		writeError(w, notARPable(a.dev.Name()))
		return
	}
	ctx, cancel := s.untilClosed(r.Context())
	defer cancel()
	a.run(ctx, newLines(w), first)
}

func notARPable(dev string) error {
	return &Error{Text: fmt.Sprintf("Interface %q is not ARPable", dev), Errno: syscall.EOPNOTSUPP}
}

// arper is one run of arping.
type arper struct {
	ArpingRequest
	pr    *arp.Protocol
	dev   *stack.Interface
	heard *arp.Listener

	to             link.Addr // of the next packet
	last           time.Time // when the last was sent
	sent, received int
}

func (s *Server) newArper(r *http.Request) (*arper, error) {
	a := &arper{pr: s.host.ARP(), to: link.BroadcastAddr}
	if err := decode(r, &a.ArpingRequest); err != nil {
		return nil, err
	}
	switch a.Mode {
	case ArpingAsk, ArpingDAD, ArpingAnnounce, ArpingAnswer:
	default:
		return nil, invalid("control: there is no arping mode %q", a.Mode)
	}
	switch {
	case !a.Dst.Is4() || a.Src.IsValid() && !a.Src.Is4():
		return nil, invalid("control: arping wants IPv4 addresses")
	case a.Interval < 0 || a.Deadline < 0 || a.Count < 0:
		return nil, invalid("control: negative count or time")
	}
	oif, err := s.index(a.Dev)
	if err != nil {
		return nil, err
	}
	path, err := s.host.IPv4().OutputPath(a.Dst, netip.Addr{}, oif)
	if a.Dev == "" {
		if err != nil {
			return nil, fail(err, "connect")
		}
		a.Dev = path.Interface.Name()
	}
	if a.dev, err = s.usable(a.Dev); err != nil {
		return nil, err
	}
	return a, s.arpingSource(a, path)
}

// usable returns an interface that ARP can be sent from.
func (s *Server) usable(name string) (*stack.Interface, error) {
	i, err := s.dev(name)
	switch {
	case err != nil:
		return nil, err
	case !i.Up():
		return nil, &Error{Text: fmt.Sprintf("Interface %q is down", name), Errno: syscall.ENETDOWN}
	case i.Loopback():
		return nil, notARPable(name)
	}
	return i, nil
}

// arpingSource chooses the sender's address, as the mode has it.
func (s *Server) arpingSource(a *arper, path ipv4.Path) error {
	if !a.Src.IsValid() || a.Src.IsUnspecified() {
		switch a.Mode {
		case ArpingDAD: // a probe has no sender
			a.Src = netip.IPv4Unspecified()
			return nil
		case ArpingAsk:
			if a.Src = path.Src; !a.Src.IsValid() {
				return fail(syscall.ENETUNREACH, "connect")
			}
			if path.Type == ipv4.Broadcast {
				return fail(syscall.EACCES, "connect")
			}
			return nil
		default:
			a.Src = a.Dst
		}
	}
	if s.host.IPv4().AddrType(a.Src) != ipv4.Local {
		return fail(syscall.EADDRNOTAVAIL, "bind")
	}
	return nil
}

// run sends and reports until it is done, or out fails because the client left.
func (a *arper) run(ctx context.Context, out lines, first ArpingEvent) {
	now := time.Now()
	var tick, end time.Time
	if a.Interval > 0 {
		tick = now.Add(a.Interval)
	}
	if a.Deadline > 0 {
		end = now.Add(a.Deadline)
	}
	if out.send(ArpingEvent{Kind: ArpingStart, Dev: a.dev.Name(), Src: a.Src, LLAddr: a.dev.Addr()}) != nil || out.send(first) != nil {
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for !a.finished() {
		if wake := earliest(tick, end); wake.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(wake))
		}
		select {
		case r, ok := <-a.heard.C:
			if !ok {
				return
			}
			if a.answers(r) && out.send(a.reply(r)) != nil {
				return
			}
		case <-timer.C:
			now := time.Now()
			if due(tick, now) {
				if a.Count > 0 && a.sent >= a.Count {
					out.send(ArpingEvent{Kind: ArpingDone})
					return
				}
				tick = tick.Add(a.Interval)
				if out.send(a.send()) != nil {
					return
				}
			}
			if due(end, now) { // a packet that was due in the same moment has left
				out.send(ArpingEvent{Kind: ArpingDone})
				return
			}
		case <-ctx.Done():
			return
		}
	}
	out.send(ArpingEvent{Kind: ArpingDone})
}

// earliest returns the earlier of two times, of which zero is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func due(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }

// finished reports whether the answers that came are enough.
func (a *arper) finished() bool {
	switch {
	case a.received == 0:
		return false
	case a.First || a.Mode == ArpingDAD:
		return true
	}
	return a.Count > 0 && a.Deadline > 0 && a.received >= a.Count
}

func (a *arper) send() ArpingEvent {
	p := arp.Packet{Op: arp.Request, SenderAddr: a.dev.Addr(), SenderIP: a.Src, TargetAddr: a.to, TargetIP: a.Dst}
	if a.Mode == ArpingAnswer {
		p.Op, p.TargetAddr = arp.Reply, p.SenderAddr
	}
	a.last = time.Now()
	a.sent++ // the count ends it also when nothing can be sent
	if err := a.pr.Send(a.dev.Index(), a.to, p); err != nil {
		return ArpingEvent{Kind: ArpingSendError, Error: words(err), Errno: errno(err)}
	}
	return ArpingEvent{Kind: ArpingSent, Broadcast: a.to == link.BroadcastAddr}
}

// answers reports whether a packet is what arping waits for.
func (a *arper) answers(r arp.Received) bool {
	own := a.dev.Addr()
	switch {
	case r.Class == link.OtherHost || r.SenderIP != a.Dst:
		return false
	case a.Mode == ArpingDAD:
		// Whoever else sends from the address has it.
		return r.SenderAddr != own && (a.Src.IsUnspecified() || r.TargetIP == a.Src)
	}
	return r.TargetIP == a.Src && r.TargetAddr == own
}

func (a *arper) reply(r arp.Received) ArpingEvent {
	a.received++
	if !a.Broadcast {
		a.to = r.SenderAddr
	}
	return ArpingEvent{
		Kind: ArpingReply, Src: r.SenderIP, LLAddr: r.SenderAddr, For: r.TargetIP, ForLLAddr: r.TargetAddr,
		Request: r.Op == arp.Request, Broadcast: r.Class != link.Host, RTT: r.Time.Sub(a.last),
	}
}
