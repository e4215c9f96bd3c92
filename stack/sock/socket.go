package sock

import (
	"math"
	"net/netip"
	"syscall"
	"time"
)

// socket is what a descriptor stands for.
type socket struct {
	p        *Process
	kind     string // stream, dgram
	proto    int    // IPPROTO_
	impl     protocol
	nonblock bool
	refs     int     // descriptors and calls that wait
	waiting  []*call // oldest first
	woken    bool    // in Process.woken; guarded by Process.mu
	options  options
}

// protocol is what differs between sockets. No method waits: those that could take
// last, and when it is set must not ask for more time.
type protocol interface {
	bind(a netip.AddrPort) syscall.Errno
	listen(backlog int) syscall.Errno
	// accept answers EAGAIN when there is nobody.
	accept() (protocol, netip.AddrPort, syscall.Errno)
	// connect begins or goes on; the zero address dissolves.
	connect(a netip.AddrPort, begun, last bool) (errno syscall.Errno, done bool)
	// send begins, or goes on after t.n bytes.
	send(t *transfer, last bool) (errno syscall.Errno, done bool)
	recv(t *transfer, last bool) (errno syscall.Errno, done bool)
	shutdown(rd, wr bool) syscall.Errno
	// close gives up everything. lingering reports whether what close began
	// goes on.
	close()
	lingering() bool
	poll() events
	local() netip.AddrPort
	peer() (netip.AddrPort, syscall.Errno)
	// queued returns what SIOCINQ and SIOCOUTQ tell.
	queued() (in, out int, errno syscall.Errno)
	// takeError is SO_ERROR.
	takeError() syscall.Errno
	// apply makes the options count that have changed.
	apply() syscall.Errno
	// mtu is IP_MTU.
	mtu() (int, syscall.Errno)
}

// transfer is a send or a recv under way.
type transfer struct {
	flags flags
	size  int64 // bytes that are wanted
	n     int64 // and those that are done

	payload payload        // of a send
	to      netip.AddrPort // not valid: the peer

	show      bool   // recv: data is wanted, not only its length
	data      []byte // received
	from      netip.AddrPort
	truncated bool
}

// next returns what a send is to send next, at most max bytes, without a copy.
func (t *transfer) next(max int) []byte {
	return t.payload.at(t.n, int(min(t.size-t.n, int64(max))))
}

// payload is what is to be sent: data, or zeros if it is nil.
type payload []byte

// zeroPage is what payloads of zeros are sent from.
var zeroPage [64 << 10]byte

// at returns up to n bytes from off on, at least one.
func (p payload) at(off int64, n int) []byte {
	if p == nil {
		return zeroPage[:min(n, len(zeroPage))]
	}
	return p[off:][:n]
}

// datagram returns all of a payload of size bytes.
func (p payload) datagram(size int64) []byte {
	if p == nil {
		return make([]byte, size)
	}
	return p
}

// Wait times of options: for ever, and not at all.
const forever = time.Duration(-1)

// timeout returns how long a call may wait.
func (s *socket) timeout(option time.Duration, f flags) time.Duration {
	if s.nonblock || f&msgDontWait != 0 {
		return 0
	}
	return option
}

// options are those of the socket level and of IP; see option.go.
type options struct {
	reuseAddr, reusePort, keepAlive, broadcast bool
	oobInline                                  bool
	rcvbuf, sndbuf                             int // as getsockopt tells them, 0: not set
	linger                                     bool
	lingerSec                                  int
	rcvTimeout, sndTimeout                     time.Duration // forever, 0: not at all
	device                                     string
	index                                      int // of device
	tos, ttl                                   int // ttl 0: not set
	mtuDiscover                                int
	tcp                                        tcpOptions
}

func defaults() options {
	return options{rcvTimeout: forever, sndTimeout: forever, mtuDiscover: pmtudiscWant, tcp: tcpOptions{keepIdle: 7200, keepInterval: 75, keepCount: 9}}
}

// stub answers for what most protocols have not got.
type stub struct{}

func (stub) listen(int) syscall.Errno { return syscall.EOPNOTSUPP }
func (stub) accept() (protocol, netip.AddrPort, syscall.Errno) {
	return nil, netip.AddrPort{}, syscall.EOPNOTSUPP
}
func (stub) lingering() bool { return false }

// events are those of poll.
type events uint16

const (
	pollIn events = 1 << iota
	pollPri
	pollOut
	pollErr
	pollHup
	pollNval
	pollRdNorm
	pollRdBand
	pollWrNorm
	pollWrBand
	pollRdHup

	pollAlways = pollErr | pollHup
)

// eventNames in the order of their numbers on Linux.
var eventNames = []struct {
	e    events
	name string
}{
	{pollIn, "POLLIN"}, {pollPri, "POLLPRI"}, {pollOut, "POLLOUT"}, {pollErr, "POLLERR"}, {pollHup, "POLLHUP"}, {pollNval, "POLLNVAL"},
	{pollRdNorm, "POLLRDNORM"}, {pollRdBand, "POLLRDBAND"}, {pollWrNorm, "POLLWRNORM"}, {pollWrBand, "POLLWRBAND"}, {pollRdHup, "POLLRDHUP"},
}

func (e events) names() []string {
	names := []string{}
	for _, n := range eventNames {
		if e&n.e != 0 {
			names = append(names, n.name)
		}
	}
	return names
}

func parseEvents(names []string) (e events, ok bool) {
next:
	for _, name := range names {
		for _, n := range eventNames {
			if n.name == name {
				e |= n.e
				continue next
			}
		}
		return 0, false
	}
	return e, true
}

const maxBacklog = math.MaxInt32
