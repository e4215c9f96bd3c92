package control

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/ipv4/icmp"
	"github.com/tapstack/tapstack/stack"
)

// PingRequest asks for echo requests, sent the way ping(8) does.
type PingRequest struct {
	Dst       netip.Addr    `json:"dst,omitzero"`
	Name      string        `json:"name,omitempty"`  // instead of Dst; the host looks it up
	Names     bool          `json:"names,omitempty"` // look up who answers, too
	Src       netip.Addr    `json:"src,omitzero"`
	Dev       string        `json:"dev,omitempty"`
	Count     int           `json:"count,omitempty"`    // 0: until the client leaves
	Interval  time.Duration `json:"interval,omitempty"` // between requests, ns; 0: as fast as answers come
	Wait      time.Duration `json:"wait,omitempty"`     // for the last answer when none came so far, ns; default 10 s
	Deadline  time.Duration `json:"deadline,omitempty"` // for everything, ns; 0: none
	Size      int           `json:"size"`               // bytes of data
	TTL       uint8         `json:"ttl,omitempty"`
	TOS       uint8         `json:"tos,omitempty"`
	DF        bool          `json:"df,omitempty"`       // don't fragment: too long a packet is an error
	Probe     bool          `json:"probe,omitempty"`    // DF, whatever is known of the path
	Fragment  bool          `json:"fragment,omitempty"` // never DF
	Options   []byte        `json:"options,omitempty"`  // of IP
	Pattern   []byte        `json:"pattern,omitempty"`  // of the data
	Preload   int           `json:"preload,omitempty"`  // requests at once in the beginning
	Adaptive  bool          `json:"adaptive,omitempty"` // the interval becomes the time of a round trip
	Broadcast bool          `json:"broadcast,omitempty"`
}

// The kinds of PingEvent.
const (
	PingStart     = "start"      // the first: Src is the address in use
	PingSent      = "sent"       // request Seq left
	PingReply     = "reply"      // an answer
	PingError     = "error"      // an ICMP error about request Seq
	PingSendError = "send_error" // request Seq could not be sent
	PingDone      = "done"       // the last
)

// PingEvent is a line of the stream that a ping is.
type PingEvent struct {
	Kind      string        `json:"kind"`
	Seq       int           `json:"seq,omitempty"`
	Src       netip.Addr    `json:"src,omitzero"`
	From      netip.Addr    `json:"from,omitzero"`
	Bytes     int           `json:"bytes,omitempty"` // of ICMP, header included
	TTL       uint8         `json:"ttl,omitempty"`
	RTT       time.Duration `json:"rtt,omitempty"` // ns
	Dup       bool          `json:"dup,omitempty"`
	Type      uint8         `json:"type,omitempty"` // of the ICMP error
	Code      uint8         `json:"code,omitempty"`
	Error     string        `json:"error,omitempty"`
	MTU       int           `json:"mtu,omitempty"`       // of the path, for EMSGSIZE and fragmentation needed
	Info      uint32        `json:"info,omitempty"`      // the ICMP error's pointer
	Dst       netip.Addr    `json:"dst,omitzero"`        // of the start, when a name was given
	Broadcast bool          `json:"broadcast,omitempty"` // of the start: Dst is a broadcast address
	Name      string        `json:"name,omitempty"`      // of From
	Opts      []byte        `json:"options,omitempty"`   // of the answer's IP header
	Data      []byte        `json:"data,omitempty"`      // of an answer whose data are not those of the request
}

// maxPreload is iputils' limit.
const maxPreload = 65536

// maxPing is the most data an echo request carries.
const maxPing = ipv4.MaxPacketLen - ipv4.HeaderLen - 8

func (s *Server) ping(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := s.untilClosed(r.Context())
	defer cancel()
	p, err := s.newPinger(ctx, r)
	if err != nil {
		writeError(w, err)
		return
	}
	stop := context.AfterFunc(ctx, func() { p.conn.Close() })
	defer stop()
	p.run(ctx, newLines(w))
	p.conn.Close()
}

func (s *Server) newPinger(ctx context.Context, r *http.Request) (*pinger, error) {
	p := &pinger{host: s.host, names: map[netip.Addr]string{}}
	if err := decode(r, &p.PingRequest); err != nil {
		return nil, err
	}
	if p.Name != "" {
		var err error
		if p.Dst, err = s.lookup(ctx, p.Name); err != nil {
			return nil, err
		}
	}
	switch {
	case !p.Dst.Is4():
		return nil, invalid("control: %s is not an IPv4 address", p.Dst)
	case p.Size < 0 || p.Size > maxPing:
		return nil, invalid("control: size %d: want 0 to %d", p.Size, maxPing)
	case len(p.Options) > 40 || len(p.Pattern) > 16 || p.Preload < 0 || p.Preload > maxPreload:
		return nil, invalid("control: want at most 40 bytes of options, 16 of a pattern, and a preload up to %d", maxPreload)
	case p.Interval < 0 || p.Wait < 0 || p.Deadline < 0 || p.Count < 0:
		return nil, invalid("control: negative count or time")
	case p.Wait == 0:
		p.Wait = 10 * time.Second
	}
	oif, err := s.index(p.Dev)
	if err != nil {
		return nil, err
	}
	// A source that is not ours is bind's to refuse, a missing route connect's.
	if p.conn, err = s.host.ICMP().ListenEcho(p.Src, oif); err != nil {
		return nil, fail(err, "bind")
	}
	path, err := s.host.IPv4().OutputPath(p.Dst, p.Src, oif)
	if err == nil && path.Type == ipv4.Broadcast && !p.Broadcast {
		err = syscall.EACCES
	}
	if err != nil {
		p.conn.Close()
		return nil, fail(err, "connect")
	}
	p.oif, p.src, p.broadcast = oif, path.Src, path.Type == ipv4.Broadcast
	p.payload = make([]byte, p.Size)
	for i := range p.payload {
		if p.payload[i] = byte(i); len(p.Pattern) > 0 {
			p.payload[i] = p.Pattern[i%len(p.Pattern)]
		}
	}
	return p, nil
}

// pinger is one run of ping: sent requests, and what came back.
type pinger struct {
	PingRequest
	host      *stack.Host
	conn      *icmp.EchoConn
	payload   []byte
	src       netip.Addr
	oif       int
	broadcast bool                  // that is what Dst is
	names     map[netip.Addr]string // of who answered

	sent, received, errors int
	slowest                time.Duration
	average                time.Duration        // eight times iputils' moving average of the round trip
	last                   time.Time            // when the last request left
	seen                   [1 << 16 / 64]uint64 // answered sequence numbers of the last 65536
}

// run sends and reports until it is done, or out fails because the client left.
func (p *pinger) run(ctx context.Context, out lines) {
	start := PingEvent{Kind: PingStart, Src: p.src, Broadcast: p.broadcast}
	if p.Name != "" {
		start.Dst = p.Dst
	}
	if out.send(start) != nil {
		return
	}
	answers := make(chan icmp.EchoReply, 64)
	go p.receive(ctx, answers)
	var deadline <-chan time.Time
	if p.Deadline > 0 {
		deadline = time.After(p.Deadline)
	}
	next := time.NewTimer(0)
	defer next.Stop()
	for !p.finished() {
		var err error
		select {
		case <-next.C:
			if p.Count > 0 && p.sent >= p.Count && p.Deadline == 0 {
				out.send(PingEvent{Kind: PingDone}) // nothing more came in time
				return
			}
			for err = out.send(p.send()); err == nil && p.sent < p.Preload && (p.Count == 0 || p.sent < p.Count); {
				err = out.send(p.send())
			}
			next.Reset(p.pause())
		case a, ok := <-answers:
			if !ok {
				return
			}
			err = out.send(p.answer(ctx, a))
			more := p.Count == 0 || p.sent < p.Count || p.Deadline > 0
			if more && (p.Interval == 0 || p.Adaptive) {
				next.Reset(max(p.Interval-time.Since(p.last), 0))
			}
		case <-deadline:
			out.send(PingEvent{Kind: PingDone})
			return
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
	out.send(PingEvent{Kind: PingDone})
}

// finished reports whether every request has been accounted for. With a deadline
// an error ends everything, as with ping(8).
func (p *pinger) finished() bool {
	return p.Count > 0 && p.received+p.errors >= p.Count || p.Deadline > 0 && p.errors > 0
}

// pause returns how long to wait after a request: for the next one, or for the
// answers still missing when it was the last.
func (p *pinger) pause() time.Duration {
	const least = 10 * time.Millisecond // as ping -f
	switch {
	case p.Count == 0 || p.sent < p.Count || p.Deadline > 0:
		if p.Interval == 0 {
			return least
		}
		return p.Interval
	case p.received > 0:
		return max(2*p.slowest, p.Interval, least)
	}
	return p.Wait
}

func (p *pinger) receive(ctx context.Context, answers chan<- icmp.EchoReply) {
	defer close(answers)
	for {
		a, err := p.conn.Receive(ctx)
		if err != nil {
			return
		}
		select {
		case answers <- a:
		case <-ctx.Done():
			return
		}
	}
}

func (p *pinger) send() PingEvent {
	p.sent++
	seq := uint16(p.sent)
	p.seen[seq/64] &^= 1 << (seq % 64)
	p.last = time.Now()
	err := p.conn.Send(icmp.EchoRequest{Dst: p.Dst, Seq: seq, Payload: p.payload, TTL: p.TTL, TOS: p.TOS,
		DF: p.DF, Probe: p.Probe, Fragment: p.Fragment, Options: p.Options})
	if err == nil {
		return PingEvent{Kind: PingSent, Seq: p.sent}
	}
	ev := PingEvent{Kind: PingSendError, Seq: p.sent, Error: words(err)}
	if errors.Is(err, syscall.EMSGSIZE) {
		p.errors++
		ev.MTU = p.mtu()
	}
	return ev
}

// mtu returns what a request may be long at most.
func (p *pinger) mtu() int {
	path, err := p.host.IPv4().OutputPath(p.Dst, p.Src, p.oif)
	switch {
	case err != nil:
		return 0
	case p.Probe:
		return path.Interface.MTU()
	}
	return path.MTU
}

func (p *pinger) answer(ctx context.Context, a icmp.EchoReply) PingEvent {
	// The sequence number of the request it is about, of which a has 16 bits.
	seq := p.sent - int(uint16(p.sent)-a.Seq)
	if a.Err != nil {
		p.errors++
		ev := PingEvent{Kind: PingError, Seq: seq, From: a.From, Name: p.name(ctx, a.From), Type: a.Type, Code: a.Code, Error: words(a.Err)}
		if a.Type == ipv4.TypeUnreachable && a.Code == ipv4.CodeFragNeeded {
			ev.MTU = int(a.Info)
		} else {
			ev.Info = a.Info
		}
		return ev
	}
	bit := uint64(1) << (a.Seq % 64)
	dup := p.seen[a.Seq/64]&bit != 0
	p.seen[a.Seq/64] |= bit
	if !dup {
		p.received++
	}
	p.slowest = max(p.slowest, a.RTT)
	p.adapt(a.RTT)
	ev := PingEvent{Kind: PingReply, Seq: seq, From: a.From, Name: p.name(ctx, a.From), Bytes: len(a.Payload) + 8, TTL: a.TTL, RTT: a.RTT, Dup: dup, Opts: a.Options}
	if n := min(len(a.Payload), len(p.payload)); !bytes.Equal(a.Payload[:n], p.payload[:n]) {
		ev.Data = a.Payload
	}
	return ev
}

// adapt makes the interval that of a round trip, in whole milliseconds (iputils'
// update_interval).
func (p *pinger) adapt(rtt time.Duration) {
	if p.average == 0 {
		p.average = 8 * rtt
	} else {
		p.average += rtt - p.average/8
	}
	if p.Adaptive {
		p.Interval = (p.average / 8).Round(time.Millisecond)
	}
}

// name returns the name of an address, if that is wanted and known.
func (p *pinger) name(ctx context.Context, a netip.Addr) string {
	if !p.Names {
		return ""
	}
	name, ok := p.names[a]
	if !ok {
		name = reverse(ctx, p.host, a)
		p.names[a] = name
	}
	return name
}
