package sock

import (
	"context"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/ipv4/icmp"
	"github.com/tapstack/tapstack/ipv4/tcp"
	"github.com/tapstack/tapstack/ipv4/udp"
	"github.com/tapstack/tapstack/stack/clock"
)

// Config is what a Process needs of its host.
type Config struct {
	Clock clock.Clock
	IPv4  *ipv4.Protocol
	ICMP  *icmp.Protocol
	UDP   *udp.Protocol
	TCP   *tcp.Protocol
	// Interface returns the index of an interface, 0 when there is none
	// (SO_BINDTODEVICE).
	Interface func(name string) int
}

// Process is the sockets of one client.
type Process struct {
	config   Config
	reply    func(*Reply)
	fds      []*socket // from firstFD on; nil: free
	sockets  map[*socket]struct{}
	waiting  map[*call]struct{}
	ops      map[string]func(*Process, *call, *Request)
	sockopts map[string]option

	mu      sync.Mutex
	woken   []*socket
	expired []*call
	note    chan struct{} // there is something in woken or expired
}

const firstFD = 3

// New returns a process without sockets. reply takes the replies, in the goroutine
// of Run.
func New(c Config, reply func(*Reply)) *Process {
	p := &Process{config: c, reply: reply, sockets: make(map[*socket]struct{}), waiting: make(map[*call]struct{}),
		ops: make(map[string]func(*Process, *call, *Request)), sockopts: make(map[string]option), note: make(chan struct{}, 1)}
	for _, o := range table() {
		p.ops[o.name] = o.call
	}
	for _, o := range optionTable() {
		p.sockopts[o.name] = o
	}
	return p
}

// Run carries out requests until there are no more or ctx ends, and then closes
// everything. Calls that still wait get no reply.
func (p *Process) Run(ctx context.Context, requests <-chan *Request) {
	defer p.exit()
	for {
		select {
		case r, ok := <-requests:
			if !ok {
				return
			}
			p.events() // of before: who waits has been there first
			p.start(r)
		case <-p.note:
			p.events()
		case <-ctx.Done():
			return
		}
	}
}

// exit closes all sockets as the end of a process does: nobody lingers.
func (p *Process) exit() {
	for c := range p.waiting {
		c.stop()
	}
	for s := range p.sockets {
		s.impl.close()
	}
	p.fds, p.sockets, p.waiting = nil, nil, nil
}

// call is a request under way.
type call struct {
	p       *Process
	reply   Reply
	kind    kind
	sockets []*socket // that it waits on, and holds
	// try makes an attempt and reports whether the call is done, its reply
	// filled in. At the last one it must be.
	try   func(last bool) bool
	timer clock.Timer
	done  bool
}

// kind is what a call waits for: those of one kind are served in order.
type kind uint8

const (
	kindOther kind = iota // in no order
	kindRecv              // accept too
	kindSend              // connect too
)

// start begins a request.
func (p *Process) start(r *Request) {
	c := &call{p: p, reply: Reply{ID: r.ID, T0: time.Now().UnixNano()}}
	switch call := p.ops[r.Op]; {
	case r.invalid:
		c.fail(syscall.EINVAL)
	case call == nil:
		c.fail(syscall.ENOSYS)
	default:
		call(p, c, r)
	}
}

func (c *call) stop() {
	if c.timer != nil {
		c.timer.Stop()
	}
}

// fail ends the call with an errno, 0 for none.
func (c *call) fail(e syscall.Errno) {
	c.reply.setErrno(e)
	c.finish()
}

// finish ends the call.
func (c *call) finish() {
	c.done = true
	c.stop()
	c.reply.T1 = time.Now().UnixNano()
	c.p.reply(&c.reply)
}

// block carries out the call, which waits on sockets at most for timeout: 0 not at
// all, negative for ever.
func (c *call) block(timeout time.Duration, sockets ...*socket) {
	p := c.p
	first := timeout == 0 || c.kind == kindOther || !slices.ContainsFunc(sockets[0].waiting, func(o *call) bool { return o.kind == c.kind })
	switch {
	case first && c.try(timeout == 0):
		c.finish()
	case len(p.waiting) >= maxWaiting:
		c.fail(syscall.ENOBUFS)
	default:
		p.waiting[c] = struct{}{}
		c.sockets = sockets
		for _, s := range sockets {
			s.refs++
			s.waiting = append(s.waiting, c)
		}
		if timeout > 0 {
			c.timer = p.config.Clock.AfterFunc(timeout, func() { p.expire(c) })
		}
		return
	}
	for _, s := range sockets {
		p.retry(s) // it may have changed something for others
	}
}

// unblock ends a call that has waited.
func (c *call) unblock() {
	delete(c.p.waiting, c)
	for _, s := range c.sockets {
		s.waiting = slices.DeleteFunc(s.waiting, func(o *call) bool { return o == c })
	}
	c.finish()
	for _, s := range c.sockets {
		c.p.release(s)
	}
}

// wake notes that something has happened to s. It may be called from anywhere.
func (p *Process) wake(s *socket) {
	p.mu.Lock()
	if !s.woken {
		s.woken = true
		p.woken = append(p.woken, s)
	}
	p.mu.Unlock()
	p.poke()
}

func (p *Process) expire(c *call) {
	p.mu.Lock()
	p.expired = append(p.expired, c)
	p.mu.Unlock()
	p.poke()
}

func (p *Process) poke() {
	select {
	case p.note <- struct{}{}:
	default:
	}
}

// events does what the notes ask for.
func (p *Process) events() {
	p.mu.Lock()
	woken, expired := p.woken, p.expired
	p.woken, p.expired = nil, nil
	for _, s := range woken {
		s.woken = false
	}
	p.mu.Unlock()
	for _, s := range woken {
		p.retry(s)
	}
	for _, c := range expired {
		if !c.done {
			c.try(true)
			c.unblock()
		}
	}
}

// retry has the calls that wait on s look again: the oldest of each kind, and the
// next as long as they get through.
func (p *Process) retry(s *socket) {
	if len(s.waiting) == 0 {
		return
	}
	var stuck [kindSend + 1]bool
	for _, c := range slices.Clone(s.waiting) {
		if c.done || stuck[c.kind] && c.kind != kindOther {
			continue
		}
		if c.try(false) {
			c.unblock()
		} else {
			stuck[c.kind] = true
		}
	}
}

// install gives s the lowest free descriptor.
func (p *Process) install(s *socket) (fd int, errno syscall.Errno) {
	i := slices.Index(p.fds, nil)
	if i < 0 {
		if i = len(p.fds); i >= maxFDs {
			return 0, syscall.EMFILE
		}
		p.fds = append(p.fds, nil)
	}
	p.fds[i] = s
	s.refs++
	p.sockets[s] = struct{}{}
	return firstFD + i, 0
}

// socket returns the socket of a descriptor, nil for none.
func (p *Process) socket(fd int) *socket {
	if i := fd - firstFD; i >= 0 && i < len(p.fds) {
		return p.fds[i]
	}
	return nil
}

// release gives up a reference to s.
func (p *Process) release(s *socket) {
	if s.refs--; s.refs == 0 {
		delete(p.sockets, s)
		s.impl.close()
	}
}
