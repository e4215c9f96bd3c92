package sock

import (
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// Version is that of the requests.
const Version = 1

type operation struct {
	name string
	call func(p *Process, c *call, r *Request)
}

// table has all calls.
func table() []operation {
	return []operation{
		{"hello", (*Process).hello}, {"socket", (*Process).openSocket}, {"bind", on((*Process).bind)}, {"listen", on((*Process).listen)},
		{"accept", on((*Process).accept)}, {"connect", on((*Process).connect)}, {"send", on((*Process).send)}, {"recv", on((*Process).recv)},
		{"shutdown", on((*Process).shutdown)}, {"close", on((*Process).closeFD)}, {"setsockopt", on((*Process).setsockopt)},
		{"getsockopt", on((*Process).getsockopt)}, {"fcntl", on((*Process).fcntl)}, {"ioctl", on((*Process).ioctl)},
		{"getsockname", on((*Process).getsockname)}, {"getpeername", on((*Process).getpeername)}, {"poll", (*Process).poll},
	}
}

// Ops returns the names of all calls.
func Ops() []string {
	var names []string
	for _, o := range table() {
		names = append(names, o.name)
	}
	return names
}

func (p *Process) hello(c *call, _ *Request) {
	c.reply.Version, c.reply.Ops, c.reply.Sockopts = Version, Ops(), Sockopts()
	c.fail(0)
}

// on wraps a call that needs a descriptor.
func on(f func(p *Process, c *call, s *socket, r *Request)) func(*Process, *call, *Request) {
	return func(p *Process, c *call, r *Request) {
		if r.FD == nil {
			c.fail(syscall.EINVAL)
			return
		}
		s := p.socket(*r.FD)
		if s == nil {
			c.fail(syscall.EBADF)
			return
		}
		f(p, c, s, r)
		p.retry(s)
	}
}

func (p *Process) openSocket(c *call, r *Request) {
	s := &socket{p: p, kind: r.Type, options: defaults(), nonblock: r.Nonblock != nil && *r.Nonblock}
	proto := ""
	if r.Proto != nil {
		proto = *r.Proto
	}
	switch {
	case r.Type != "stream" && r.Type != "dgram" && r.Type != "raw":
		c.fail(syscall.EINVAL)
		return
	case r.Type == "stream" && (proto == "" || proto == "tcp"):
		s.proto, s.impl = protoTCP, newTCP(s)
	case r.Type == "dgram" && (proto == "" || proto == "udp"):
		s.proto, s.impl = protoUDP, newUDP(s)
	case r.Type == "dgram" && proto == "icmp":
		s.proto, s.impl = protoICMP, newPing(s)
	default:
		c.fail(syscall.EPROTONOSUPPORT)
		return
	}
	p.opened(c, s)
}

func (p *Process) opened(c *call, s *socket) {
	fd, errno := p.install(s)
	if errno != 0 {
		s.impl.close()
		c.fail(errno)
		return
	}
	c.reply.FD = &fd
	c.fail(0)
}

func (p *Process) bind(c *call, s *socket, r *Request) { c.fail(s.impl.bind(r.addrPort())) }

func (p *Process) listen(c *call, s *socket, r *Request) {
	backlog := r.Backlog
	if backlog < 0 || backlog > maxBacklog {
		backlog = -1 // as much as there may be
	}
	c.fail(s.impl.listen(backlog))
}

func (p *Process) accept(c *call, s *socket, r *Request) {
	c.kind = kindRecv
	c.try = func(last bool) bool {
		impl, from, errno := s.impl.accept()
		if errno == syscall.EAGAIN && !last {
			return false
		}
		if c.reply.setErrno(errno); errno != 0 {
			return true
		}
		child := impl.(*tcpSocket).socket
		child.nonblock = r.Nonblock != nil && *r.Nonblock
		fd, errno := p.install(child)
		if errno != 0 {
			impl.close()
			c.reply.setErrno(errno)
			return true
		}
		c.reply.FD = &fd
		c.reply.setAddr(from)
		return true
	}
	c.block(s.timeout(s.options.rcvTimeout, 0), s)
}

func (p *Process) connect(c *call, s *socket, r *Request) {
	if !r.hasAddr() {
		if len(r.Addr) == 0 {
			c.fail(syscall.EINVAL)
			return
		}
		errno, _ := s.impl.connect(netip.AddrPort{}, false, true)
		c.fail(errno)
		return
	}
	begun := false
	c.kind = kindOther
	c.try = func(last bool) bool {
		errno, done := s.impl.connect(r.addrPort(), begun, last)
		begun = true
		c.reply.setErrno(errno)
		return done
	}
	c.block(s.timeout(s.options.sndTimeout, 0), s)
}

func (p *Process) send(c *call, s *socket, r *Request) {
	t := &transfer{flags: r.flags, size: r.size, payload: r.Data}
	if r.hasAddr() {
		t.to = r.addrPort()
	}
	c.kind = kindSend
	c.try = func(last bool) bool {
		errno, done := s.impl.send(t, last)
		if done {
			if c.reply.setErrno(errno); errno == 0 {
				c.reply.setN(int(t.n))
			}
		}
		return done
	}
	c.block(s.timeout(s.options.sndTimeout, r.flags), s)
}

func (p *Process) recv(c *call, s *socket, r *Request) {
	t := &transfer{flags: r.flags, show: r.Want != "len", data: []byte{}}
	if r.Len == nil {
		c.fail(syscall.EINVAL)
		return
	}
	t.size = r.size
	if t.show && t.size > maxTransfer && t.flags&msgWaitAll != 0 {
		c.fail(syscall.ENOBUFS)
		return
	}
	c.kind = kindRecv
	c.try = func(last bool) bool {
		errno, done := s.impl.recv(t, last)
		if !done {
			return false
		}
		if c.reply.setErrno(errno); errno != 0 {
			return true
		}
		c.reply.setN(int(t.n))
		if t.show {
			c.reply.Data = &t.data
		}
		if t.from.IsValid() {
			c.reply.setAddr(t.from)
		}
		if r.CMsg {
			flags := []string{}
			if t.truncated {
				flags = append(flags, "MSG_TRUNC")
			}
			c.reply.CMsg, c.reply.Flags = &[]CMsg{}, &flags
		}
		return true
	}
	c.block(s.timeout(s.options.rcvTimeout, r.flags), s)
}

func (p *Process) shutdown(c *call, s *socket, r *Request) {
	rd, wr := r.How == "rd" || r.How == "rdwr", r.How == "wr" || r.How == "rdwr"
	if !rd && !wr {
		c.fail(syscall.EINVAL)
		return
	}
	c.fail(s.impl.shutdown(rd, wr))
}

// closeFD frees the descriptor at once. With SO_LINGER the reply waits for what is
// still to be sent, unless another call holds the socket.
func (p *Process) closeFD(c *call, s *socket, r *Request) {
	p.fds[*r.FD-firstFD] = nil
	o := s.options
	if s.refs > 1 || !o.linger || o.lingerSec == 0 {
		p.release(s)
		c.fail(0)
		return
	}
	s.impl.close()
	c.try = func(last bool) bool {
		c.reply.setErrno(0)
		return last || !s.impl.lingering()
	}
	c.block(time.Duration(o.lingerSec)*time.Second, s)
	p.release(s)
}

func (p *Process) fcntl(c *call, s *socket, r *Request) {
	if r.Nonblock != nil {
		s.nonblock = *r.Nonblock
	}
	v := s.nonblock
	c.reply.Nonblock = &v
	c.fail(0)
}

func (p *Process) ioctl(c *call, s *socket, r *Request) {
	in, out, errno := s.impl.queued()
	switch {
	case r.Name != "SIOCINQ" && r.Name != "SIOCOUTQ":
		errno = syscall.EINVAL
	case errno != 0:
	case r.Name == "SIOCINQ":
		c.reply.Value = in
	default:
		c.reply.Value = out
	}
	c.fail(errno)
}

func (p *Process) getsockname(c *call, s *socket, _ *Request) {
	c.reply.setAddr(s.impl.local())
	c.fail(0)
}

func (p *Process) getpeername(c *call, s *socket, _ *Request) {
	a, errno := s.impl.peer()
	if errno == 0 {
		c.reply.setAddr(a)
	}
	c.fail(errno)
}

func (p *Process) poll(c *call, r *Request) {
	type watched struct {
		s    *socket
		want events
	}
	fds := make([]watched, len(r.FDs))
	var sockets []*socket
	for i, f := range r.FDs {
		want, ok := parseEvents(f.Events)
		if !ok {
			c.fail(syscall.EINVAL)
			return
		}
		fds[i] = watched{p.socket(f.FD), want | pollAlways}
		if s := fds[i].s; s != nil && !slices.Contains(sockets, s) {
			sockets = append(sockets, s)
		}
	}
	c.try = func(last bool) bool {
		n, out := 0, make([]PollFD, len(fds))
		for i, f := range fds {
			var is events
			switch {
			case r.FDs[i].FD < 0: // passed over
			case f.s == nil:
				is = pollNval
			default:
				is = f.s.impl.poll() & f.want
			}
			if is != 0 {
				n++
			}
			out[i] = PollFD{FD: r.FDs[i].FD, Revents: is.names()}
		}
		if n == 0 && !last {
			return false
		}
		c.reply.setErrno(0)
		c.reply.setN(n)
		c.reply.FDs = &out
		return true
	}
	timeout := forever
	if r.Timeout != nil && *r.Timeout >= 0 {
		timeout = time.Duration(min(*r.Timeout, 1<<31)) * time.Millisecond
	}
	c.block(timeout, sockets...)
}
