package control

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/ipv4/icmp"
	"github.com/tapstack/tapstack/ipv4/udp"
	"github.com/tapstack/tapstack/stack"
)

// TracerouteRequest asks for the way to a host, as traceroute(8) finds it.
type TracerouteRequest struct {
	Dst     netip.Addr    `json:"dst,omitzero"`
	Name    string        `json:"name,omitempty"`  // instead of Dst; the host looks it up
	Names   bool          `json:"names,omitempty"` // look up who answers, too
	Src     netip.Addr    `json:"src,omitzero"`
	Dev     string        `json:"dev,omitempty"`
	ICMP    bool          `json:"icmp,omitempty"`    // echo requests instead of UDP
	Fixed   bool          `json:"fixed,omitempty"`   // UDP: Port for all probes, instead of counting from it
	Port    int           `json:"port,omitempty"`    // ICMP: the first sequence number; 0: 33434, 53 if Fixed, or 1
	First   int           `json:"first"`             // hop, from 1
	Last    int           `json:"last"`              // hop, up to 255
	Queries int           `json:"queries"`           // a hop, up to 10
	AtOnce  int           `json:"at_once"`           // probes under way
	Wait    time.Duration `json:"wait"`              // for an answer, ns
	Patient bool          `json:"patient,omitempty"` // wait that long though others have answered sooner
	Len     int           `json:"len"`               // of the packet, bytes
	TOS     uint8         `json:"tos,omitempty"`
	DF      bool          `json:"df,omitempty"`
}

// The kinds of TracerouteEvent.
const (
	TracerouteStart = "start" // the first: Dst is where it goes
	TracerouteProbe = "probe" // what came of a probe; in order
	TracerouteError = "error" // nothing can be sent
	TracerouteDone  = "done"  // the last
)

// TracerouteEvent is a line of the stream that a traceroute is.
type TracerouteEvent struct {
	Kind  string        `json:"kind"`
	Dst   netip.Addr    `json:"dst,omitzero"`
	Hop   int           `json:"hop,omitempty"`
	Query int           `json:"query,omitempty"` // of the hop, from 0
	From  netip.Addr    `json:"from,omitzero"`   // who answered; not valid: nobody did
	Name  string        `json:"name,omitempty"`  // of From
	RTT   time.Duration `json:"rtt,omitempty"`   // ns
	Type  uint8         `json:"type,omitempty"`  // of the ICMP error, 0 for an answer of another kind
	Code  uint8         `json:"code,omitempty"`
	MTU   uint32        `json:"mtu,omitempty"` // of fragmentation needed
	Error string        `json:"error,omitempty"`
}

const (
	udpFirstPort = 33434
	udpFixedPort = 53
	maxProbeLen  = 65000 // of a packet, as traceroute(8)
	maxQueries   = 10
)

// complete fills in what was not given, and checks the rest.
func (r *TracerouteRequest) complete() error {
	if r.Port == 0 {
		switch {
		case r.ICMP:
			r.Port = 1
		case r.Fixed:
			r.Port = udpFixedPort
		default:
			r.Port = udpFirstPort
		}
	}
	r.Len = max(r.Len, ipv4.HeaderLen+udp.HeaderLen)
	switch {
	case !r.Dst.Is4():
		return invalid("control: %s is not an IPv4 address", r.Dst)
	case r.First < 1 || r.First > r.Last || r.Last > 255:
		return invalid("control: hops %d to %d: want 1 to 255", r.First, r.Last)
	case r.Queries < 1 || r.Queries > maxQueries || r.AtOnce < 1:
		return invalid("control: %d queries, %d at once: want 1 to %d, and 1 or more", r.Queries, r.AtOnce, maxQueries)
	case r.Len > maxProbeLen || r.Wait < 0 || r.Port < 0 || r.Port > 65535:
		return invalid("control: length %d, port %d, wait %s: want at most %d, 65535, and not a negative time", r.Len, r.Port, r.Wait, maxProbeLen)
	}
	return nil
}

func (s *Server) traceroute(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := s.untilClosed(r.Context())
	defer cancel()
	t, err := s.newTracer(ctx, r)
	if err != nil {
		writeError(w, err)
		return
	}
	defer t.close()
	t.run(ctx, newLines(w))
}

func (s *Server) newTracer(ctx context.Context, r *http.Request) (*tracer, error) {
	t := &tracer{host: s.host, names: map[netip.Addr]string{}, answers: make(chan probeAnswer), done: make(chan struct{})}
	if err := decode(r, &t.TracerouteRequest); err != nil {
		return nil, err
	}
	var err error
	if t.Name != "" {
		if t.Dst, err = s.lookup(ctx, t.Name); err != nil {
			return nil, err
		}
	}
	if err = t.complete(); err != nil {
		return nil, err
	}
	if t.oif, err = s.index(t.Dev); err != nil {
		return nil, err
	}
	t.probes = newProbes(t.First, t.Last, t.Queries, t.AtOnce, t.Wait, t.Patient)
	t.payload = make([]byte, t.Len-ipv4.HeaderLen-udp.HeaderLen)
	for i := range t.payload {
		t.payload[i] = '@' + byte(i&0x3f)
	}
	return t, nil
}

// tracer is one run of traceroute.
type tracer struct {
	TracerouteRequest
	host    *stack.Host
	oif     int
	probes  *probes
	payload []byte
	names   map[netip.Addr]string // of who answered
	answers chan probeAnswer
	done    chan struct{} // closed when nobody reads answers any more
	readers sync.WaitGroup

	echo  *icmp.EchoConn    // of ICMP
	conns map[int]*udp.Conn // of UDP, by probe: each has a port of its own
}

// probeAnswer is what came of a probe.
type probeAnswer struct {
	probe     int
	at        time.Time
	from      netip.Addr
	typ, code uint8
	info      uint32
}

// run sends and reports until it is done, or out fails because the client left.
func (t *tracer) run(ctx context.Context, out lines) {
	if out.send(TracerouteEvent{Kind: TracerouteStart, Dst: t.Dst}) != nil {
		return
	}
	if err := t.open(ctx); err != nil {
		out.send(TracerouteEvent{Kind: TracerouteError, Error: "connect: " + words(err)})
		return
	}
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		finished, send, next := t.probes.step(time.Now())
		for _, n := range send {
			t.probes.list[n].sent = time.Now()
			if err := t.send(n); err != nil {
				out.send(TracerouteEvent{Kind: TracerouteError, Error: "send: " + words(err)})
				return
			}
		}
		for _, n := range finished {
			if out.send(t.event(ctx, n)) != nil {
				return
			}
		}
		if t.probes.over() {
			out.send(TracerouteEvent{Kind: TracerouteDone})
			return
		}
		if len(send) > 0 || len(finished) > 0 {
			continue // for the deadlines of what was sent
		}
		wake.Reset(max(time.Until(next), 0))
		select {
		case a := <-t.answers:
			t.probes.answered(a)
		case <-wake.C:
		case <-ctx.Done():
			return
		}
	}
}

// open makes sure that there is a way, and opens what all probes share.
func (t *tracer) open(ctx context.Context) (err error) {
	if _, err := t.host.IPv4().OutputPath(t.Dst, t.Src, t.oif); err != nil {
		return err
	}
	if !t.ICMP {
		t.conns = map[int]*udp.Conn{}
		return nil
	}
	if t.echo, err = t.host.ICMP().ListenEcho(t.Src, t.oif); err != nil {
		return err
	}
	t.readers.Go(func() { t.receiveEcho(ctx) })
	return nil
}

// close closes all sockets.
func (t *tracer) close() {
	close(t.done)
	if t.echo != nil {
		t.echo.Close()
	}
	for _, c := range t.conns {
		c.Close()
	}
	t.readers.Wait()
}

// event tells what came of a probe, and closes its socket.
func (t *tracer) event(ctx context.Context, n int) TracerouteEvent {
	if c := t.conns[n]; c != nil {
		c.Close()
		delete(t.conns, n)
	}
	p := t.probes.list[n]
	ev := TracerouteEvent{Kind: TracerouteProbe, Hop: n/t.Queries + 1, Query: n % t.Queries}
	if !p.answer.from.IsValid() {
		return ev
	}
	ev.From, ev.RTT, ev.Type, ev.Code = p.answer.from, p.answer.at.Sub(p.sent), p.answer.typ, p.answer.code
	if ev.Type == ipv4.TypeUnreachable && ev.Code == ipv4.CodeFragNeeded {
		ev.MTU = p.answer.info
	}
	if t.Names {
		name, ok := t.names[ev.From]
		if !ok {
			name = reverse(ctx, t.host, ev.From)
			t.names[ev.From] = name
		}
		ev.Name = name
	}
	return ev
}

// answer passes on what came of a probe.
func (t *tracer) answer(a probeAnswer) {
	select {
	case t.answers <- a:
	case <-t.done:
	}
}

func (t *tracer) send(n int) error {
	ttl := uint8(n/t.Queries + 1)
	var err error
	if t.ICMP {
		err = t.echo.Send(icmp.EchoRequest{Dst: t.Dst, Seq: t.seq(n), Payload: t.payload, TTL: ttl, TOS: t.TOS, Probe: t.DF, Fragment: !t.DF})
	} else {
		err = t.sendUDP(n, ttl)
	}
	switch {
	case errors.Is(err, syscall.EMSGSIZE):
		t.tooLong(n)
		return nil
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENOBUFS):
		return nil // an error will tell, or nobody
	}
	return err
}

// tooLong answers a probe that this host's own interface does not carry.
func (t *tracer) tooLong(n int) {
	if path, err := t.host.IPv4().OutputPath(t.Dst, t.Src, t.oif); err == nil {
		t.probes.answered(probeAnswer{probe: n, at: time.Now(), from: path.Src, typ: ipv4.TypeUnreachable, code: ipv4.CodeFragNeeded, info: uint32(path.Interface.MTU())})
	}
}

// seq is the sequence number of an echo probe.
func (t *tracer) seq(n int) uint16 { return uint16(t.Port + n - (t.First-1)*t.Queries) }

func (t *tracer) receiveEcho(ctx context.Context) {
	for {
		r, err := t.echo.Receive(ctx)
		if err != nil {
			return
		}
		n := int(r.Seq-uint16(t.Port)) + (t.First-1)*t.Queries
		a := probeAnswer{probe: n, at: time.Now(), from: r.From}
		if r.Err != nil {
			a.typ, a.code, a.info = r.Type, r.Code, r.Info
		}
		t.answer(a)
	}
}

func (t *tracer) sendUDP(n int, ttl uint8) error {
	port := t.Port
	if !t.Fixed {
		port += n - (t.First-1)*t.Queries
	}
	local := netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	if t.Src.IsValid() {
		local = netip.AddrPortFrom(t.Src, 0)
	}
	config := udp.SocketConfig{Interface: t.oif, ReceiveErrors: true, TTL: ttl, TOS: t.TOS, PathMTU: udp.Dont, Broadcast: true}
	if t.DF {
		config.PathMTU = udp.Probe
	}
	c, err := t.host.UDP().Dial(local, netip.AddrPortFrom(t.Dst, uint16(port)), config)
	if err != nil {
		return err
	}
	t.conns[n] = c
	t.readers.Go(func() { t.receiveUDP(n, c) })
	_, err = c.Write(t.payload)
	return err
}

// receiveUDP waits for the answer to a probe: an error, or a datagram where
// somebody listens after all.
func (t *tracer) receiveUDP(n int, c *udp.Conn) {
	var buf [1]byte
	_, err := c.Read(buf[:])
	a := probeAnswer{probe: n, at: time.Now(), from: t.Dst}
	if err != nil {
		e, ok := c.NextError()
		if !ok || e.Origin != udp.ICMP {
			return
		}
		a.from, a.typ, a.code, a.info = e.Offender, e.Type, e.Code, e.Info
	}
	t.answer(a)
}
