package sock

import (
	"encoding/json"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tapstack/tapstack/link/tap/taptest"
)

// kernelProcess carries out requests with the system's calls, in a namespace.
type kernelProcess struct {
	ns  *taptest.Netns
	mu  sync.Mutex
	fds []int // from firstFD on, -1: free
}

// do carries out a request; one that blocks does.
func (k *kernelProcess) do(r *Request) *Reply {
	y := &Reply{ID: r.ID}
	if r.invalid {
		y.setErrno(syscall.EINVAL)
		return y
	}
	if errno := k.call(r, y); errno != 0 {
		y.setErrno(errno)
	} else {
		y.OK = true
	}
	return y
}

func (k *kernelProcess) fd(n int) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n -= firstFD; n < 0 || n >= len(k.fds) {
		return -1
	}
	return k.fds[n]
}

func (k *kernelProcess) install(y *Reply, fd int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := slices.Index(k.fds, -1)
	if i < 0 {
		i = len(k.fds)
		k.fds = append(k.fds, 0)
	}
	k.fds[i] = fd
	i += firstFD
	y.FD = &i
}

func (k *kernelProcess) close() {
	for _, fd := range k.fds {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	k.fds = nil
}

func errnoFrom(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	return err.(syscall.Errno)
}

func nonblockFlag(b *bool) int {
	if b != nil && *b {
		return unix.SOCK_NONBLOCK
	}
	return 0
}

func sockaddr(a netip.AddrPort) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
}

func (y *Reply) setSockaddr(a unix.Sockaddr) {
	if a, ok := a.(*unix.SockaddrInet4); ok {
		y.setAddr(netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)))
	}
}

var kernelFlags = map[flags]int{msgOOB: unix.MSG_OOB, msgPeek: unix.MSG_PEEK, msgTrunc: unix.MSG_TRUNC, msgDontWait: unix.MSG_DONTWAIT,
	msgWaitAll: unix.MSG_WAITALL, msgMore: unix.MSG_MORE, msgConfirm: unix.MSG_CONFIRM, msgErrQueue: unix.MSG_ERRQUEUE}

func (f flags) kernel() int {
	v := unix.MSG_NOSIGNAL
	for k, n := range kernelFlags {
		if f&k != 0 {
			v |= n
		}
	}
	return v
}

var kernelEvents = []struct {
	e events
	n int16
}{{pollIn, unix.POLLIN}, {pollPri, unix.POLLPRI}, {pollOut, unix.POLLOUT}, {pollErr, unix.POLLERR}, {pollHup, unix.POLLHUP},
	{pollNval, unix.POLLNVAL}, {pollRdHup, unix.POLLRDHUP}, {pollRdNorm, 0x40}, {pollWrNorm, 0x100},
	{pollRdBand, 0x80}, {pollWrBand, 0x200}}

func (k *kernelProcess) call(r *Request, y *Reply) syscall.Errno {
	fd := -1
	if r.FD != nil {
		if fd = k.fd(*r.FD); fd < 0 {
			return syscall.EBADF
		}
	}
	switch r.Op {
	case "socket":
		kind, proto := unix.SOCK_STREAM, 0
		if r.Type == "dgram" {
			kind = unix.SOCK_DGRAM
		}
		if r.Proto != nil {
			proto = map[string]int{"tcp": 6, "udp": 17, "icmp": 1}[*r.Proto]
		}
		var s int
		var err error
		k.ns.Do(func() { s, err = unix.Socket(unix.AF_INET, kind|nonblockFlag(r.Nonblock), proto) })
		if err == nil {
			k.install(y, s)
		}
		return errnoFrom(err)
	case "bind":
		return errnoFrom(unix.Bind(fd, sockaddr(r.addrPort())))
	case "listen":
		return errnoFrom(unix.Listen(fd, r.Backlog))
	case "accept":
		s, from, err := unix.Accept4(fd, nonblockFlag(r.Nonblock))
		if err == nil {
			k.install(y, s)
			y.setSockaddr(from)
		}
		return errnoFrom(err)
	case "connect":
		if !r.hasAddr() {
			var unspec [16]byte
			_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&unspec)), 16)
			return errno
		}
		return errnoFrom(unix.Connect(fd, sockaddr(r.addrPort())))
	case "send":
		b := payload(r.Data).datagram(r.size)
		var to unix.Sockaddr
		if r.hasAddr() {
			to = sockaddr(r.addrPort())
		}
		n, err := unix.SendmsgN(fd, b, nil, to, r.flags.kernel())
		if err == nil {
			y.setN(n)
		}
		return errnoFrom(err)
	case "recv":
		b := make([]byte, r.size)
		n, _, _, from, err := unix.Recvmsg(fd, b, nil, r.flags.kernel())
		if err == nil {
			y.setN(n)
			if r.Want != "len" {
				b = b[:min(n, len(b))]
				y.Data = &b
			}
			y.setSockaddr(from)
		}
		return errnoFrom(err)
	case "shutdown":
		return errnoFrom(unix.Shutdown(fd, map[string]int{"rd": 0, "wr": 1, "rdwr": 2}[r.How]))
	case "close":
		k.mu.Lock()
		k.fds[*r.FD-firstFD] = -1
		k.mu.Unlock()
		return errnoFrom(unix.Close(fd))
	case "setsockopt":
		return k.setsockopt(fd, r)
	case "getsockopt":
		return k.getsockopt(fd, r, y)
	case "getsockname":
		a, err := unix.Getsockname(fd)
		if err == nil {
			y.setSockaddr(a)
		}
		return errnoFrom(err)
	case "getpeername":
		a, err := unix.Getpeername(fd)
		if err == nil {
			y.setSockaddr(a)
		}
		return errnoFrom(err)
	case "fcntl":
		if r.Nonblock != nil {
			unix.SetNonblock(fd, *r.Nonblock)
		}
		fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		on := fl&unix.O_NONBLOCK != 0
		y.Nonblock = &on
		return errnoFrom(err)
	case "ioctl":
		v, err := unix.IoctlGetInt(fd, map[string]uint{"SIOCINQ": unix.SIOCINQ, "SIOCOUTQ": unix.SIOCOUTQ}[r.Name])
		if err == nil {
			y.Value = v
		}
		return errnoFrom(err)
	case "poll":
		fds := make([]unix.PollFd, len(r.FDs))
		for i, f := range r.FDs {
			want, _ := parseEvents(f.Events)
			if fds[i].Fd = int32(k.fd(f.FD)); fds[i].Fd < 0 && f.FD >= 0 {
				fds[i].Fd = 1 << 20
			}
			for _, e := range kernelEvents {
				if want&e.e != 0 {
					fds[i].Events |= e.n
				}
			}
		}
		timeout := -1
		if r.Timeout != nil {
			timeout = int(*r.Timeout)
		}
		n, err := unix.Poll(fds, timeout)
		y.setN(n)
		out := make([]PollFD, len(fds))
		for i := range fds {
			var is events
			for _, e := range kernelEvents {
				if fds[i].Revents&e.n != 0 {
					is |= e.e
				}
			}
			out[i] = PollFD{FD: r.FDs[i].FD, Revents: is.names()}
		}
		y.FDs = &out
		return errnoFrom(err)
	}
	return syscall.ENOSYS
}

var kernelOptions = map[string][2]int{
	"SO_REUSEADDR": {unix.SOL_SOCKET, unix.SO_REUSEADDR}, "SO_KEEPALIVE": {unix.SOL_SOCKET, unix.SO_KEEPALIVE}, "SO_ERROR": {unix.SOL_SOCKET, unix.SO_ERROR},
	"SO_RCVBUF": {unix.SOL_SOCKET, unix.SO_RCVBUF}, "SO_SNDBUF": {unix.SOL_SOCKET, unix.SO_SNDBUF}, "SO_LINGER": {unix.SOL_SOCKET, unix.SO_LINGER},
	"SO_RCVTIMEO": {unix.SOL_SOCKET, unix.SO_RCVTIMEO}, "SO_SNDTIMEO": {unix.SOL_SOCKET, unix.SO_SNDTIMEO}, "SO_TYPE": {unix.SOL_SOCKET, unix.SO_TYPE},
	"SO_PROTOCOL": {unix.SOL_SOCKET, unix.SO_PROTOCOL}, "SO_DOMAIN": {unix.SOL_SOCKET, unix.SO_DOMAIN}, "SO_ACCEPTCONN": {unix.SOL_SOCKET, unix.SO_ACCEPTCONN},
	"SO_BROADCAST": {unix.SOL_SOCKET, unix.SO_BROADCAST},
	"IP_TOS":       {unix.SOL_IP, unix.IP_TOS}, "IP_TTL": {unix.SOL_IP, unix.IP_TTL}, "IP_MTU": {unix.SOL_IP, unix.IP_MTU}, "IP_MTU_DISCOVER": {unix.SOL_IP, unix.IP_MTU_DISCOVER},
	"TCP_NODELAY": {unix.SOL_TCP, unix.TCP_NODELAY}, "TCP_MAXSEG": {unix.SOL_TCP, unix.TCP_MAXSEG}, "TCP_CORK": {unix.SOL_TCP, unix.TCP_CORK},
	"TCP_KEEPIDLE": {unix.SOL_TCP, unix.TCP_KEEPIDLE}, "TCP_KEEPINTVL": {unix.SOL_TCP, unix.TCP_KEEPINTVL}, "TCP_KEEPCNT": {unix.SOL_TCP, unix.TCP_KEEPCNT},
	"TCP_SYNCNT": {unix.SOL_TCP, unix.TCP_SYNCNT}, "TCP_LINGER2": {unix.SOL_TCP, unix.TCP_LINGER2}, "TCP_DEFER_ACCEPT": {unix.SOL_TCP, unix.TCP_DEFER_ACCEPT},
	"TCP_USER_TIMEOUT": {unix.SOL_TCP, unix.TCP_USER_TIMEOUT}, "TCP_NOTSENT_LOWAT": {unix.SOL_TCP, unix.TCP_NOTSENT_LOWAT}, "TCP_QUICKACK": {unix.SOL_TCP, unix.TCP_QUICKACK},
	"TCP_WINDOW_CLAMP": {unix.SOL_TCP, unix.TCP_WINDOW_CLAMP}, "TCP_INFO": {unix.SOL_TCP, unix.TCP_INFO},
}

func (k *kernelProcess) setsockopt(fd int, r *Request) syscall.Errno {
	if r.Name == "TCP_CONGESTION" {
		var name string
		json.Unmarshal(r.Value, &name)
		return errnoFrom(unix.SetsockoptString(fd, unix.SOL_TCP, unix.TCP_CONGESTION, name))
	}
	o, ok := kernelOptions[r.Name]
	if !ok {
		return syscall.ENOPROTOOPT
	}
	switch r.Name {
	case "SO_LINGER":
		var l unix.Linger
		if json.Unmarshal(r.Value, &l) != nil {
			return syscall.EINVAL
		}
		return errnoFrom(unix.SetsockoptLinger(fd, o[0], o[1], &l))
	case "SO_RCVTIMEO", "SO_SNDTIMEO":
		var tv unix.Timeval
		if json.Unmarshal(r.Value, &tv) != nil {
			return syscall.EINVAL
		}
		return errnoFrom(unix.SetsockoptTimeval(fd, o[0], o[1], &tv))
	}
	v, errno := integer(r.Value)
	if errno != 0 {
		return errno
	}
	return errnoFrom(unix.SetsockoptInt(fd, o[0], o[1], v))
}

func (k *kernelProcess) getsockopt(fd int, r *Request, y *Reply) syscall.Errno {
	o, ok := kernelOptions[r.Name]
	if !ok {
		return syscall.ENOPROTOOPT
	}
	switch r.Name {
	case "SO_LINGER":
		var l unix.Linger
		n := uint32(unsafe.Sizeof(l))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(o[0]), uintptr(o[1]), uintptr(unsafe.Pointer(&l)), uintptr(unsafe.Pointer(&n)), 0)
		y.Value = map[string]int{"onoff": int(l.Onoff), "linger": int(l.Linger)}
		return errno
	case "SO_RCVTIMEO", "SO_SNDTIMEO":
		tv, err := unix.GetsockoptTimeval(fd, o[0], o[1])
		if err == nil {
			y.Value = map[string]int64{"sec": int64(tv.Sec), "usec": int64(tv.Usec)}
		}
		return errnoFrom(err)
	case "TCP_INFO":
		i, err := unix.GetsockoptTCPInfo(fd, o[0], o[1])
		if err == nil {
			y.Value = map[string]any{"tcpi_state": i.State, "tcpi_ca_state": i.Ca_state, "tcpi_probes": i.Probes, "tcpi_backoff": i.Backoff,
				"tcpi_retransmits": i.Retransmits, "tcpi_unacked": i.Unacked, "tcpi_snd_mss": i.Snd_mss, "tcpi_advmss": i.Advmss,
				"tcpi_snd_cwnd": i.Snd_cwnd, "tcpi_snd_ssthresh": i.Snd_ssthresh, "tcpi_sacked": i.Sacked, "tcpi_lost": i.Lost, "tcpi_retrans": i.Retrans,
				"tcpi_reordering": i.Reordering, "tcpi_rcv_mss": i.Rcv_mss}
		}
		return errnoFrom(err)
	}
	v, err := unix.GetsockoptInt(fd, o[0], o[1])
	if err != nil {
		return errnoFrom(err)
	}
	if y.Value = v; r.Name == "SO_ERROR" {
		if y.Errno = 0; v != 0 {
			y.Errno = errnoName(syscall.Errno(v))
		}
	}
	return 0
}
