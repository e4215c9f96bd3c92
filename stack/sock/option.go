package sock

import (
	"encoding/json"
	"math"
	"syscall"
	"time"
)

// Numbers that options tell, Linux's on every platform.
const (
	protoICMP, protoTCP, protoUDP = 1, 6, 17

	afInet                = 2
	sockStream, sockDgram = 1, 2

	pmtudiscDont, pmtudiscWant, pmtudiscOmit = 0, 1, 5

	defaultBuffer    = 212992 // net.core.{r,w}mem_{default,max}
	defaultTCPRcvbuf = 131072 // net.ipv4.tcp_rmem
	defaultTCPSndbuf = 16384  // net.ipv4.tcp_wmem
	minRcvbuf        = 2304
	minSndbuf        = 4608
	maxKeepTime      = 32767 // seconds
	maxKeepCount     = 127
	maxLinger2       = 120
	minUserMSS       = 88
	maxUserMSS       = 32767
)

// option is a socket option. Those without set or raw can only be read.
type option struct {
	name string
	tcp  bool // for stream sockets only
	get  func(s *socket) (any, syscall.Errno)
	set  func(o *options, v int) syscall.Errno
	raw  func(s *socket, v json.RawMessage) syscall.Errno
}

// flag makes an option of a bool.
func flag(name string, tcp bool, at func(*options) *bool) option {
	return option{name: name, tcp: tcp,
		get: func(s *socket) (any, syscall.Errno) { return number(*at(&s.options)), 0 },
		set: func(o *options, v int) syscall.Errno { *at(o) = v != 0; return 0 }}
}

// ranged makes an option of a number between lo and hi.
func ranged(name string, tcp bool, lo, hi int, at func(*options) *int) option {
	return option{name: name, tcp: tcp,
		get: func(s *socket) (any, syscall.Errno) { return *at(&s.options), 0 },
		set: func(o *options, v int) syscall.Errno {
			if v < lo || v > hi {
				return syscall.EINVAL
			}
			*at(o) = v
			return 0
		}}
}

// constant makes an option that tells a number.
func constant(name string, get func(s *socket) int) option {
	return option{name: name, get: func(s *socket) (any, syscall.Errno) { return get(s), 0 }}
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// optionTable has all options.
func optionTable() []option {
	return append([]option{
		flag("SO_REUSEADDR", false, func(o *options) *bool { return &o.reuseAddr }),
		flag("SO_REUSEPORT", false, func(o *options) *bool { return &o.reusePort }),
		flag("SO_KEEPALIVE", false, func(o *options) *bool { return &o.keepAlive }),
		flag("SO_BROADCAST", false, func(o *options) *bool { return &o.broadcast }),
		flag("SO_OOBINLINE", false, func(o *options) *bool { return &o.oobInline }),
		{name: "SO_RCVBUF",
			get: func(s *socket) (any, syscall.Errno) { return s.rcvbuf(), 0 },
			set: func(o *options, v int) syscall.Errno { o.rcvbuf = bufferSize(v, minRcvbuf); return 0 }},
		{name: "SO_SNDBUF",
			get: func(s *socket) (any, syscall.Errno) { return s.sndbuf(), 0 },
			set: func(o *options, v int) syscall.Errno { o.sndbuf = bufferSize(v, minSndbuf); return 0 }},
		{name: "SO_LINGER",
			get: func(s *socket) (any, syscall.Errno) {
				return map[string]int{"onoff": number(s.options.linger), "linger": s.options.lingerSec}, 0
			},
			raw: setLinger},
		timeoutOption("SO_RCVTIMEO", func(o *options) *time.Duration { return &o.rcvTimeout }),
		timeoutOption("SO_SNDTIMEO", func(o *options) *time.Duration { return &o.sndTimeout }),
		{name: "SO_ERROR", get: func(s *socket) (any, syscall.Errno) { return s.impl.takeError(), 0 }},
		constant("SO_TYPE", func(s *socket) int {
			if s.kind == "stream" {
				return sockStream
			}
			return sockDgram
		}),
		constant("SO_PROTOCOL", func(s *socket) int { return s.proto }),
		constant("SO_DOMAIN", func(*socket) int { return afInet }),
		constant("SO_ACCEPTCONN", func(s *socket) int { t, ok := s.impl.(*tcpSocket); return number(ok && t.listener != nil) }),
		{name: "SO_BINDTODEVICE",
			get: func(s *socket) (any, syscall.Errno) { return s.options.device, 0 },
			raw: setDevice},
		ranged("IP_MTU_DISCOVER", false, pmtudiscDont, pmtudiscOmit, func(o *options) *int { return &o.mtuDiscover }),
		{name: "IP_TOS",
			get: func(s *socket) (any, syscall.Errno) { return s.options.tos, 0 },
			raw: func(s *socket, raw json.RawMessage) syscall.Errno {
				v, errno := integer(raw)
				if v &= 0xff; s.proto == protoTCP {
					v = v&^3 | s.options.tos&3 // ECN is TCP's own (ip_sock_set_tos)
				}
				if errno == 0 {
					s.options.tos = v
				}
				return errno
			}},
		{name: "IP_TTL",
			get: func(s *socket) (any, syscall.Errno) {
				if s.options.ttl > 0 {
					return s.options.ttl, 0
				}
				v, err := s.p.config.IPv4.Sysctl("ip_default_ttl")
				return v, errnoOf(err)
			},
			set: func(o *options, v int) syscall.Errno {
				if v != -1 && (v < 1 || v > 255) {
					return syscall.EINVAL
				}
				o.ttl = max(v, 0)
				return 0
			}},
		{name: "IP_MTU", get: func(s *socket) (any, syscall.Errno) {
			v, errno := s.impl.mtu()
			return v, errno
		}},
	}, tcpOptionTable()...)
}

// Sockopts returns the names of all options.
func Sockopts() []string {
	var names []string
	for _, o := range optionTable() {
		names = append(names, o.name)
	}
	return names
}

// bufferSize is what SO_RCVBUF and SO_SNDBUF make of a number: as much again for
// what bytes cost (sock_setsockopt).
func bufferSize(v, least int) int {
	if v < 0 || v > defaultBuffer {
		v = defaultBuffer // an unsigned comparison
	}
	return max(2*v, least)
}

func (s *socket) rcvbuf() int {
	switch {
	case s.options.rcvbuf != 0:
		return s.options.rcvbuf
	case s.proto == protoTCP:
		return defaultTCPRcvbuf
	}
	return defaultBuffer
}

func (s *socket) sndbuf() int {
	switch {
	case s.options.sndbuf != 0:
		return s.options.sndbuf
	case s.proto != protoTCP:
		return defaultBuffer
	}
	if t := s.impl.(*tcpSocket); t.conn != nil {
		return max(t.conn.WriteBuffer(), defaultTCPSndbuf)
	}
	return defaultTCPSndbuf
}

func timeoutOption(name string, at func(*options) *time.Duration) option {
	return option{name: name,
		get: func(s *socket) (any, syscall.Errno) {
			d := max(*at(&s.options), 0)
			return map[string]int64{"sec": int64(d / time.Second), "usec": int64(d % time.Second / time.Microsecond)}, 0
		},
		raw: func(s *socket, raw json.RawMessage) syscall.Errno {
			var v struct {
				Sec  *int64 `json:"sec"`
				Usec *int64 `json:"usec"`
			}
			if json.Unmarshal(raw, &v) != nil || v.Sec == nil && v.Usec == nil {
				return syscall.EINVAL
			}
			var sec, usec int64
			if v.Sec != nil {
				sec = *v.Sec
			}
			if v.Usec != nil {
				usec = *v.Usec
			}
			// sock_set_timeout
			switch d := at(&s.options); {
			case usec < 0 || usec >= 1e6:
				return syscall.EDOM
			case sec < 0:
				*d = 0
			case sec == 0 && usec == 0, sec > math.MaxInt32:
				*d = forever
			default:
				*d = time.Duration(sec)*time.Second + time.Duration(usec)*time.Microsecond
			}
			return 0
		}}
}

func setLinger(s *socket, raw json.RawMessage) syscall.Errno {
	var v struct {
		OnOff  *int `json:"onoff"`
		Linger int  `json:"linger"`
	}
	if json.Unmarshal(raw, &v) != nil || v.OnOff == nil {
		return syscall.EINVAL
	}
	if s.options.linger = *v.OnOff != 0; s.options.linger {
		s.options.lingerSec = min(max(v.Linger, 0), math.MaxInt32)
	}
	return 0
}

func setDevice(s *socket, raw json.RawMessage) syscall.Errno {
	var name string
	if json.Unmarshal(raw, &name) != nil {
		return syscall.EINVAL
	}
	index := 0
	if name != "" {
		if index = s.p.config.Interface(name); index == 0 {
			return syscall.ENODEV
		}
	}
	s.options.device, s.options.index = name, index
	return 0
}

// integer reads an option's value; true and false are 1 and 0.
func integer(raw json.RawMessage) (int, syscall.Errno) {
	var b bool
	if json.Unmarshal(raw, &b) == nil && len(raw) > 0 && raw[0] != 'n' {
		return number(b), 0
	}
	var v *int64
	if json.Unmarshal(raw, &v) != nil || v == nil || *v > math.MaxUint32 || *v < math.MinInt32 {
		return 0, syscall.EINVAL
	}
	return int(int32(*v)), 0
}

// find returns the option of a name for s.
func (s *socket) find(name string) (option, bool) {
	o, ok := s.p.sockopts[name]
	return o, ok && (!o.tcp || s.proto == protoTCP)
}

func (p *Process) setsockopt(c *call, s *socket, r *Request) {
	o, ok := s.find(r.Name)
	switch {
	case !ok || o.set == nil && o.raw == nil:
		c.fail(syscall.ENOPROTOOPT)
		return
	case o.raw != nil:
		if errno := o.raw(s, r.Value); errno != 0 {
			c.fail(errno)
			return
		}
	default:
		v, errno := integer(r.Value)
		if errno == 0 {
			errno = o.set(&s.options, v)
		}
		if errno != 0 {
			c.fail(errno)
			return
		}
	}
	c.fail(s.impl.apply())
}

func (p *Process) getsockopt(c *call, s *socket, r *Request) {
	o, ok := s.find(r.Name)
	if !ok {
		if o.tcp {
			c.fail(syscall.EOPNOTSUPP) // ip_getsockopt
		} else {
			c.fail(syscall.ENOPROTOOPT)
		}
		return
	}
	v, errno := o.get(s)
	if errno != 0 {
		c.fail(errno)
		return
	}
	if e, ok := v.(syscall.Errno); ok { // SO_ERROR
		c.reply.Value, c.reply.Errno = int(e), 0
		if e != 0 {
			c.reply.Errno = errnoName(e)
		}
		c.reply.OK = true
		c.finish()
		return
	}
	c.reply.Value = v
	c.fail(0)
}
